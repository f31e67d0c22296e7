//! Stream management (XEP-0198, version 1.6.3), without clock or connection.
//!
//! [`Inbound`] counts what the peer has sent, [`Outbound`] keeps what it has not acknowledged, and
//! [`Nonza`] is what both sides say about it on the wire. A session holds one of each for as long
//! as it lives, whatever connections it has meanwhile: resumption carries both on (§ 5).
//!
//! ```text
//!   stanza read ──→ Inbound::received          stanza to write ──→ Outbound::push
//!   its commit  ──→ Inbound::handled           batch written   ──→ Outbound::request → <r/>
//!   <r/>        ──→ <a h=Inbound::h()>         <a h>           ──→ Outbound::acknowledge(h)
//!                                              <resume h>      ──→ Outbound::resume(h)
//! ```
//!
//! What acknowledges is the commit, not the reading: [`Inbound::h`] never shows a stanza for which
//! we have not taken responsibility (§ 4, "handled"), so a crash loses nothing that the client
//! believes to be safe.
//!
//! Counts are modulo 2^32 (§ 4). A count is therefore judged by its distance from the last one
//! acknowledged, and the queue must stay far shorter than 2^32, which
//! [`Outbound::unacknowledged_max`] sees to.

mod nonza;
mod outbound;

pub use nonza::{Enable, Enabled, Failed, Malformed, Nonza, PREVID_BYTES_MAX, Resume};
pub use outbound::{Outbound, Pace, TooHigh};

/// Counts the stanzas of the peer (§ 4): those received, in their order, and of these the ones
/// handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inbound {
    handled: u32,
    pending: u32,
}

impl Inbound {
    /// Counts from the `<enable/>` on: nothing received.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on where a session of this `h` stopped, with nothing pending: what had been received
    /// but not handled when the server ended is sent again by the client.
    pub fn restore(h: u32) -> Self {
        Self {
            handled: h,
            pending: 0,
        }
    }

    /// A stanza has come. Nothing of it shows on the wire yet.
    pub fn received(&mut self) {
        self.pending = self.pending.saturating_add(1);
    }

    /// The `count` oldest stanzas that are not handled yet are handled now: committed, or done
    /// with where nothing is to be kept. Gives how many that were in truth, never more than are
    /// [pending](Self::pending).
    pub fn handled(&mut self, count: u32) -> u32 {
        let count = count.min(self.pending);
        self.pending -= count;
        self.handled = self.handled.wrapping_add(count);
        count
    }

    /// What `<a/>` and `<resumed/>` say: stanzas handled, modulo 2^32.
    pub fn h(&self) -> u32 {
        self.handled
    }

    /// Stanzas received and not handled.
    ///
    /// At resumption the client sends again what `h` does not cover. So answer `<resume/>` only
    /// when nothing is pending any more, or [abandon](Self::abandon) what is.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// Forgets what is pending, because it will not be handled; gives how many that were. From now
    /// on [`handled`](Self::handled) must not be called for them.
    pub fn abandon(&mut self) -> u32 {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests;
