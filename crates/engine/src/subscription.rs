//! Subscription states (RFC 6121 § 3, § 3.4 and Appendix A) as one pure table.
//!
//! The table sees one side: the *user* whose roster is changed and the *contact* at the other end.
//! It decides; [`crate::roster`] writes and [`crate::presence`] sends, in the order that § 3
//! gives for each case.

use crate::account::Contact;
use waxwing_store::{RosterItem, Subscription};

/// The four presence types that manage subscriptions (RFC 6121 § 4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// The sender wishes to see the recipient's presence.
    Subscribe,
    /// The sender lets the recipient see its presence.
    Subscribed,
    /// The sender no longer wishes to see the recipient's presence.
    Unsubscribe,
    /// The sender does not, or no longer, let the recipient see its presence.
    Unsubscribed,
}

impl Type {
    /// The type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "subscribe" => Some(Self::Subscribe),
            "subscribed" => Some(Self::Subscribed),
            "unsubscribe" => Some(Self::Unsubscribe),
            "unsubscribed" => Some(Self::Unsubscribed),
            _ => None,
        }
    }
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// What the user's roster says about the contact (RFC 6121 § A.1), pre-approval included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Who sees whom.
    pub subscription: Subscription,
    /// "Pending out": the user has asked and has no answer.
    pub ask: bool,
    /// "Pending in": the contact has asked and has no answer.
    pub request: bool,
    /// The user has approved in advance (§ 3.4).
    pub approved: bool,
}

impl State {
    /// The contact sees the user's presence.
    pub fn sees_user(self) -> bool {
        matches!(self.subscription, Subscription::From | Subscription::Both)
    }
    /// The user sees the contact's presence.
    pub fn seen_by_user(self) -> bool {
        matches!(self.subscription, Subscription::To | Subscription::Both)
    }
    /// Whether the state alone makes the contact an item of the roster as clients see it. A mere
    /// request does not (§ 3.1.3).
    pub fn listed(self) -> bool {
        self.subscription != Subscription::None || self.ask || self.approved
    }
    fn with_sees_user(self, sees: bool) -> Self {
        Self {
            subscription: subscription(self.seen_by_user(), sees),
            ..self
        }
    }
    fn with_seen_by_user(self, seen: bool) -> Self {
        Self {
            subscription: subscription(seen, self.sees_user()),
            ..self
        }
    }
}

fn subscription(to: bool, from: bool) -> Subscription {
    match (to, from) {
        (false, false) => Subscription::None,
        (true, false) => Subscription::To,
        (false, true) => Subscription::From,
        (true, true) => Subscription::Both,
    }
}

impl From<&RosterItem> for State {
    fn from(item: &RosterItem) -> Self {
        Self {
            subscription: item.subscription,
            ask: item.ask,
            request: item.request.is_some(),
            approved: item.approved,
        }
    }
}

impl From<&Contact> for State {
    fn from(contact: &Contact) -> Self {
        Self {
            subscription: contact.subscription,
            ask: contact.ask,
            request: contact.request,
            approved: contact.approved,
        }
    }
}

/// Which presence of the user's available resources the contact must be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Show {
    /// None.
    Nothing,
    /// The current presence of each: the contact sees the user now.
    Available,
    /// Unavailable presence of each: the contact no longer sees the user.
    Unavailable,
}

/// What one stanza does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state afterwards.
    pub state: State,
    /// Outbound: route the stanza to the contact. Inbound: deliver it to the user.
    pub pass: bool,
    /// Push the item to the user's interested resources: something that clients see has changed.
    pub push: bool,
    /// Answer the contact on the user's behalf (inbound only).
    pub reply: Option<Type>,
    /// Presence for the contact.
    pub show: Show,
}

impl Change {
    fn new(before: State, state: State, pass: bool) -> Self {
        let visible = |state: State| (state.subscription, state.ask, state.approved);
        let show = match (before.sees_user(), state.sees_user()) {
            (false, true) => Show::Available,
            (true, false) => Show::Unavailable,
            _ => Show::Nothing,
        };
        Self {
            state,
            pass,
            push: visible(before) != visible(state),
            reply: None,
            show,
        }
    }
}

/// What a stanza of the user to the contact does (RFC 6121 § A.2, § 3.4.2).
pub fn outbound(before: State, kind: Type) -> Change {
    match kind {
        Type::Subscribe => {
            let ask = before.ask || !before.seen_by_user();
            Change::new(before, State { ask, ..before }, true)
        }
        Type::Unsubscribe => {
            let ask = false;
            let after = State { ask, ..before }.with_seen_by_user(false);
            Change::new(before, after, true)
        }
        Type::Subscribed if before.request => {
            let request = false;
            let after = State { request, ..before }.with_sees_user(true);
            Change::new(before, after, true)
        }
        Type::Subscribed => {
            let approved = before.approved || !before.sees_user();
            Change::new(before, State { approved, ..before }, false)
        }
        Type::Unsubscribed => {
            let after = State {
                request: false,
                approved: false,
                ..before
            };
            let pass = before.sees_user() || before.request;
            Change::new(before, after.with_sees_user(false), pass)
        }
    }
}

/// What a stanza of the contact to the user does (RFC 6121 § A.3, § 3.4.2).
pub fn inbound(before: State, kind: Type) -> Change {
    let unchanged = Change::new(before, before, false);
    match kind {
        // Presence after the answer is what the contact's server lost if it had to ask again.
        Type::Subscribe if before.sees_user() => Change {
            reply: Some(Type::Subscribed),
            show: Show::Available,
            ..unchanged
        },
        Type::Subscribe if before.approved => {
            let request = false;
            let after = State { request, ..before }.with_sees_user(true);
            Change {
                reply: Some(Type::Subscribed),
                ..Change::new(before, after, false)
            }
        }
        Type::Subscribe if before.request => unchanged,
        Type::Subscribe => {
            let request = true;
            Change::new(before, State { request, ..before }, true)
        }
        Type::Unsubscribe if before.sees_user() || before.request => {
            let request = false;
            let after = State { request, ..before }.with_sees_user(false);
            Change {
                reply: Some(Type::Unsubscribed),
                ..Change::new(before, after, true)
            }
        }
        Type::Subscribed if before.ask => {
            let ask = false;
            let after = State { ask, ..before }.with_seen_by_user(true);
            Change::new(before, after, true)
        }
        Type::Unsubscribed if before.seen_by_user() || before.ask => {
            let ask = false;
            let after = State { ask, ..before }.with_seen_by_user(false);
            Change::new(before, after, true)
        }
        Type::Unsubscribe | Type::Subscribed | Type::Unsubscribed => unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Show, State, Type, inbound, outbound};
    use waxwing_store::Subscription;

    /// The nine states of § A.1, by the names used there.
    const STATES: [(&str, Subscription, bool, bool); 9] = [
        ("None", Subscription::None, false, false),
        ("None + Out", Subscription::None, true, false),
        ("None + In", Subscription::None, false, true),
        ("None + Out+In", Subscription::None, true, true),
        ("To", Subscription::To, false, false),
        ("To + In", Subscription::To, false, true),
        ("From", Subscription::From, false, false),
        ("From + Out", Subscription::From, true, false),
        ("Both", Subscription::Both, false, false),
    ];

    fn state(name: &str) -> State {
        let found = STATES.iter().find(|(known, ..)| *known == name);
        let &(_, subscription, ask, request) = found.unwrap_or_else(|| panic!("no state {name}"));
        State {
            subscription,
            ask,
            request,
            approved: false,
        }
    }

    /// Columns: state before; routed or delivered; state after ("=" for the same); automatic
    /// answer; presence for the contact.
    type Row = (&'static str, bool, &'static str, Option<Type>, Show);

    fn check(
        section: &str,
        table: fn(State, Type) -> Change,
        kind: Type,
        approved: bool,
        rows: &[Row; 9],
    ) {
        for ((known, ..), (before, pass, after, reply, show)) in STATES.into_iter().zip(*rows) {
            assert_eq!(known, before, "{section}: the rows are not in order");
            let before = State {
                approved,
                ..state(before)
            };
            let change = table(before, kind);
            let (after, approved_after) = match after.strip_suffix(" approved") {
                Some(rest) => (rest, true),
                None => (after, false),
            };
            let after = if after == "=" { known } else { after };
            let expected = State {
                approved: approved_after,
                ..state(after)
            };
            let context = format!("{section}, {known}");
            assert_eq!(change.state, expected, "{context}: state");
            assert_eq!(change.pass, pass, "{context}: route or deliver");
            assert_eq!(change.reply, reply, "{context}: automatic answer");
            assert_eq!(change.show, show, "{context}: presence");
            let visible = |state: State| (state.subscription, state.ask, state.approved);
            assert_eq!(
                change.push,
                visible(before) != visible(expected),
                "{context}: push"
            );
        }
    }

    // proves: RFC6121-A.2.1-a RFC6121-A.2.2-a RFC6121-A.2.3-a RFC6121-A.2.4-a
    #[test]
    #[rustfmt::skip]
    fn outbound_is_appendix_a_2() {
        use Show::{Available, Nothing, Unavailable};
        check("A.2.1", outbound, Type::Subscribe, false, &[
            ("None", true, "None + Out", None, Nothing),
            ("None + Out", true, "=", None, Nothing),
            ("None + In", true, "None + Out+In", None, Nothing),
            ("None + Out+In", true, "=", None, Nothing),
            ("To", true, "=", None, Nothing),
            ("To + In", true, "=", None, Nothing),
            ("From", true, "From + Out", None, Nothing),
            ("From + Out", true, "=", None, Nothing),
            ("Both", true, "=", None, Nothing),
        ]);
        check("A.2.2", outbound, Type::Unsubscribe, false, &[
            ("None", true, "=", None, Nothing),
            ("None + Out", true, "None", None, Nothing),
            ("None + In", true, "=", None, Nothing),
            ("None + Out+In", true, "None + In", None, Nothing),
            ("To", true, "None", None, Nothing),
            ("To + In", true, "None + In", None, Nothing),
            ("From", true, "=", None, Nothing),
            ("From + Out", true, "From", None, Nothing),
            ("Both", true, "From", None, Nothing),
        ]);
        check("A.2.3", outbound, Type::Subscribed, false, &[
            ("None", false, "None approved", None, Nothing),
            ("None + Out", false, "None + Out approved", None, Nothing),
            ("None + In", true, "From", None, Available),
            ("None + Out+In", true, "From + Out", None, Available),
            ("To", false, "To approved", None, Nothing),
            ("To + In", true, "Both", None, Available),
            ("From", false, "=", None, Nothing),
            ("From + Out", false, "=", None, Nothing),
            ("Both", false, "=", None, Nothing),
        ]);
        check("A.2.4", outbound, Type::Unsubscribed, false, &[
            ("None", false, "=", None, Nothing),
            ("None + Out", false, "=", None, Nothing),
            ("None + In", true, "None", None, Nothing),
            ("None + Out+In", true, "None + Out", None, Nothing),
            ("To", false, "=", None, Nothing),
            ("To + In", true, "To", None, Nothing),
            ("From", true, "None", None, Unavailable),
            ("From + Out", true, "None + Out", None, Unavailable),
            ("Both", true, "To", None, Unavailable),
        ]);
    }

    // proves: RFC6121-A.3.1-a RFC6121-A.3.1-b RFC6121-A.3.2-a RFC6121-A.3.2-b RFC6121-A.3.3-a
    // proves: RFC6121-A.3.4-a RFC6121-3.4.2-b
    #[test]
    #[rustfmt::skip]
    fn inbound_is_appendix_a_3() {
        use Show::{Available, Nothing, Unavailable};
        use Type::{Subscribed, Unsubscribed};
        check("A.3.1", inbound, Type::Subscribe, false, &[
            ("None", true, "None + In", None, Nothing),
            ("None + Out", true, "None + Out+In", None, Nothing),
            ("None + In", false, "=", None, Nothing),
            ("None + Out+In", false, "=", None, Nothing),
            ("To", true, "To + In", None, Nothing),
            ("To + In", false, "=", None, Nothing),
            ("From", false, "=", Some(Subscribed), Available),
            ("From + Out", false, "=", Some(Subscribed), Available),
            ("Both", false, "=", Some(Subscribed), Available),
        ]);
        check("A.3.2", inbound, Type::Unsubscribe, false, &[
            ("None", false, "=", None, Nothing),
            ("None + Out", false, "=", None, Nothing),
            ("None + In", true, "None", Some(Unsubscribed), Nothing),
            ("None + Out+In", true, "None + Out", Some(Unsubscribed), Nothing),
            ("To", false, "=", None, Nothing),
            ("To + In", true, "To", Some(Unsubscribed), Nothing),
            ("From", true, "None", Some(Unsubscribed), Unavailable),
            ("From + Out", true, "None + Out", Some(Unsubscribed), Unavailable),
            ("Both", true, "To", Some(Unsubscribed), Unavailable),
        ]);
        check("A.3.3", inbound, Type::Subscribed, false, &[
            ("None", false, "=", None, Nothing),
            ("None + Out", true, "To", None, Nothing),
            ("None + In", false, "=", None, Nothing),
            ("None + Out+In", true, "To + In", None, Nothing),
            ("To", false, "=", None, Nothing),
            ("To + In", false, "=", None, Nothing),
            ("From", false, "=", None, Nothing),
            ("From + Out", true, "Both", None, Nothing),
            ("Both", false, "=", None, Nothing),
        ]);
        check("A.3.4", inbound, Type::Unsubscribed, false, &[
            ("None", false, "=", None, Nothing),
            ("None + Out", true, "None", None, Nothing),
            ("None + In", false, "=", None, Nothing),
            ("None + Out+In", true, "None + In", None, Nothing),
            ("To", true, "None", None, Nothing),
            ("To + In", true, "None + In", None, Nothing),
            ("From", false, "=", None, Nothing),
            ("From + Out", true, "From", None, Nothing),
            ("Both", true, "From", None, Nothing),
        ]);
    }

    // proves: RFC6121-3.4.2-f RFC6121-3.2.2-c
    /// § 3.4.2 and § 3.2.2: what differs when the user has approved in advance.
    #[test]
    #[rustfmt::skip]
    fn approval_in_advance_answers_and_is_taken_back() {
        use Show::{Available, Nothing, Unavailable};
        use Type::Subscribed;
        check("3.4.2 inbound", inbound, Type::Subscribe, true, &[
            ("None", false, "From approved", Some(Subscribed), Available),
            ("None + Out", false, "From + Out approved", Some(Subscribed), Available),
            ("None + In", false, "From approved", Some(Subscribed), Available),
            ("None + Out+In", false, "From + Out approved", Some(Subscribed), Available),
            ("To", false, "Both approved", Some(Subscribed), Available),
            ("To + In", false, "Both approved", Some(Subscribed), Available),
            ("From", false, "= approved", Some(Subscribed), Available),
            ("From + Out", false, "= approved", Some(Subscribed), Available),
            ("Both", false, "= approved", Some(Subscribed), Available),
        ]);
        check("3.2.2 outbound", outbound, Type::Unsubscribed, true, &[
            ("None", false, "=", None, Nothing),
            ("None + Out", false, "=", None, Nothing),
            ("None + In", true, "None", None, Nothing),
            ("None + Out+In", true, "None + Out", None, Nothing),
            ("To", false, "=", None, Nothing),
            ("To + In", true, "To", None, Nothing),
            ("From", true, "None", None, Unavailable),
            ("From + Out", true, "None + Out", None, Unavailable),
            ("Both", true, "To", None, Unavailable),
        ]);
    }

    #[test]
    fn other_stanzas_leave_an_approval_alone() {
        for (_, subscription, ask, request) in STATES {
            let before = State {
                subscription,
                ask,
                request,
                approved: true,
            };
            for kind in [Type::Subscribe, Type::Subscribed, Type::Unsubscribe] {
                assert!(outbound(before, kind).state.approved, "{before:?} {kind:?}");
            }
            for kind in [Type::Subscribed, Type::Unsubscribe, Type::Unsubscribed] {
                let with = inbound(before, kind);
                let without = inbound(
                    State {
                        approved: false,
                        ..before
                    },
                    kind,
                );
                let state = State {
                    approved: true,
                    ..without.state
                };
                assert_eq!(with, Change { state, ..without }, "{before:?} {kind:?}");
            }
        }
    }
}
