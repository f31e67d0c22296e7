//! Client state indication (XEP-0352, version 1.0.0): what an inactive client is spared.
//!
//! [`classify`] judges one stanza, [`Csi`] holds what may wait. What must not wait takes
//! everything held along, before it and in the original order: a client never sees effects before
//! causes, and a radio that is awake anyway costs nothing more. Nothing is ever dropped but what a
//! newer presence or chat state of the same sender makes void.
//!
//! The machine stands before stream management: what is held has no number there yet. A client
//! that resumes is active again (§ 5.2), so its held stanzas come after what it had not
//! acknowledged.

mod classify;

pub use classify::{Class, Key, classify};

use crate::ns;
use crate::xml::Element;
use std::collections::BTreeMap;

/// Stanzas held for a client, at most, before all of them go out: some 40 KiB of presence.
pub const HELD_MAX: usize = 128;

/// What a client says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Somebody looks at it. So does every stream begin, resumed ones too (§ 4.2, 5.2).
    #[default]
    Active,
    /// Nobody does.
    Inactive,
}

impl State {
    /// The state that an element indicates, if it is `<active/>` or `<inactive/>`.
    pub fn read(element: Element<'_>) -> Option<Self> {
        match element.name() {
            _ if element.ns() != ns::CSI => None,
            "active" => Some(Self::Active),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// What is held for one client. `T` is whatever the owner sends.
#[derive(Debug)]
pub struct Csi<T> {
    state: State,
    held_max: usize,
    /// By number of arrival.
    held: BTreeMap<u64, T>,
    /// Where the newest of a kind and sender is.
    latest: BTreeMap<Key, u64>,
    next: u64,
}

impl<T> Default for Csi<T> {
    /// Active, with the bound [`HELD_MAX`].
    fn default() -> Self {
        Self::new(HELD_MAX)
    }
}

impl<T> Csi<T> {
    /// Active; holds up to `held_max` stanzas.
    pub fn new(held_max: usize) -> Self {
        Self {
            state: State::Active,
            held_max,
            held: BTreeMap::new(),
            latest: BTreeMap::new(),
            next: 0,
        }
    }

    /// The client's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The client indicates its state; one that becomes active gets, by way of `out`, all that is
    /// held, before anything that it asks for next (§ 5.1).
    pub fn set(&mut self, state: State, out: &mut impl Extend<T>) {
        self.state = state;
        if state == State::Active {
            self.flush(out);
        }
    }

    /// A stanza for the client: `out` gets what is to be sent now, which is nothing if the stanza
    /// is held, and all that was held and the stanza if it cannot wait or there is no more room.
    ///
    /// The class of a stanza for an active client does not matter and need not be found out.
    pub fn push(&mut self, stanza: T, class: Class, out: &mut impl Extend<T>) {
        match class {
            Class::Later if self.state == State::Inactive => self.hold(stanza, None, out),
            Class::Latest(key) if self.state == State::Inactive => {
                self.hold(stanza, Some(key), out);
            }
            _ => {
                self.flush(out);
                out.extend(Some(stanza));
            }
        }
    }

    /// Gives all that is held, in order; the state stays. Also for the end of a connection.
    pub fn flush(&mut self, out: &mut impl Extend<T>) {
        self.latest.clear();
        let held = std::mem::take(&mut self.held);
        out.extend(held.into_values());
    }

    /// How many stanzas are held, never more than the bound.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn hold(&mut self, stanza: T, key: Option<Key>, out: &mut impl Extend<T>) {
        if let Some(older) = key.and_then(|key| self.latest.insert(key, self.next)) {
            self.held.remove(&older);
        }
        self.held.insert(self.next, stanza);
        self.next += 1;
        if self.held.len() > self.held_max {
            self.flush(out);
        }
    }
}

#[cfg(test)]
mod tests;
