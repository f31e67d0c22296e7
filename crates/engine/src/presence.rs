//! Presence (RFC 6121 § 4).
use crate::{
    Engine,
    account::View,
    registry::Resource,
    session::{Output, Session},
};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Draft, Stanza},
};

/// Takes a presence stanza from the client.
pub(crate) async fn from_client(
    _session: &mut Session,
    _stanza: Stanza,
    _draft: Draft,
    _out: &mut Output,
) {
}

/// Tells those who see the user that an available resource has gone. Does so once: the resource is
/// unavailable afterwards.
pub(crate) fn went_away(_engine: &Engine, _account: &BareJid, _view: &View, _resource: &Resource) {}

/// Tells one entity that was sent directed presence that the resource has gone.
pub(crate) fn tell_gone(_engine: &Engine, _resource: &Resource, _to: &Jid) {}

/// Tells an account's contacts that it is being removed.
pub(crate) async fn account_gone(_engine: &Engine, _account: &BareJid, _view: &View) {}

/// Keeps when the account's last resource went away (XEP-0012).
pub(crate) async fn remember_last(_engine: &Engine, _account: &BareJid) {}

/// Hides the user from `blocked`, which has just been put on the block list: the contact, if it
/// sees the user's presence, is sent unavailable presence for each of the user's available resources,
/// and the user's resources get the contact's (XEP-0191 § 3.3). Called after the block is
/// committed and [`crate::registry::Registry::changed`] was called.
pub(crate) async fn hide_from(_engine: &Engine, _account: &BareJid, _blocked: &Jid) {}

/// Shows the user again to `unblocked`, which has just been taken off the block list: the
/// contact, if it sees the user's presence, is sent the presence of each of the user's available
/// resources, and the user's resources get the contact's (XEP-0191 § 3.4). Called after the
/// change is committed and [`crate::registry::Registry::changed`] was called.
pub(crate) async fn show_to(_engine: &Engine, _account: &BareJid, _unblocked: &Jid) {}

/// Ends the subscriptions that a removed roster item stood for (RFC 6121 § 2.5.2): the contact is
/// sent unavailable presence, `unsubscribe` and `unsubscribed`, as far as `before` calls for them.
pub(crate) async fn end_subscriptions(
    _engine: &Engine,
    _account: &BareJid,
    _contact: &BareJid,
    _before: crate::subscription::State,
) {
}
