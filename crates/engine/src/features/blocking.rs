//! Blocking command ([XEP-0191](https://xmpp.org/extensions/xep-0191.html), 1.3).
//!
//! A block is on disk before it is confirmed. A blocked entity sees an account that is offline:
//! its messages and requests are refused as if nobody were there, its presence is dropped.

use crate::{
    error,
    feature::{
        Coverage, Disco, Feature, GuardCx, IqCx, IqHandler, IqKind, IqRoute, Place, Reply, Side,
        Verdict, Who, Xep,
    },
    outbox::Delivery,
    presence,
    registry::Setting,
};
use waxwing_proto::{
    Jid, ns,
    stanza::{Condition, Draft, ErrorType, Kind, StanzaError},
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "blocking",
    xeps: &[Xep {
        number: 191,
        version: "1.3",
        title: "Blocking Command",
        coverage: Coverage::Complete,
    }],
    disco: &[
        Disco {
            place: Place::Domain,
            var: ns::BLOCKING,
        },
        Disco {
            place: Place::Account,
            var: ns::BLOCKING,
        },
    ],
    iq: &[
        route(IqKind::Get, "blocklist", list),
        route(IqKind::Set, "block", block),
        route(IqKind::Set, "unblock", unblock),
    ],
    guard: Some(guard),
    ..Feature::NONE
};

const fn route(kind: IqKind, name: &'static str, handler: IqHandler) -> IqRoute {
    IqRoute {
        place: Place::Account,
        kind,
        name,
        ns: ns::BLOCKING,
        who: Who::Owner,
        handler,
    }
}

/// § 3.3: what a blocked entity sends, and what is sent to one.
fn guard(draft: &Draft, cx: &GuardCx<'_>) -> Verdict {
    // The account's own resources and its server are never cut off (§ 5, note).
    if cx.view.blocked().is_empty()
        || cx.other.bare_str() == cx.account.as_str()
        || cx.other.as_str() == cx.account.domain()
        || !cx.view.blocks(cx.other)
    {
        return Verdict::Pass;
    }
    match (cx.side, draft.kind(), draft.stanza().type_attr().as_deref()) {
        // Going offline is told to everyone who may have seen the user online.
        (Side::Sender, Kind::Presence, Some("unavailable")) => Verdict::Pass,
        (_, Kind::Iq, Some("result" | "error")) => Verdict::Drop,
        (Side::Sender, ..) => Verdict::Refuse(
            StanzaError::new(Condition::NotAcceptable)
                .kind(ErrorType::Cancel)
                .app("blocked", ns::BLOCKING_ERRORS),
        ),
        (Side::Recipient, Kind::Presence, _) | (Side::Recipient, Kind::Message, Some("error")) => {
            Verdict::Drop
        }
        (Side::Recipient, ..) => Verdict::Refuse(Condition::ServiceUnavailable.into()),
    }
}

/// § 3.2
fn list(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let view = cx.engine.view(cx.to).await?;
        if let Some(session) = cx.session {
            session.resource.set(Setting::BlockPushes, true);
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start_ns("blocklist", ns::BLOCKING);
        write_items(&mut xml, view.blocked());
        xml.end();
        Ok(Reply::Payload(xml.finish()))
    })
}

/// § 3.3
fn block(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let jids = items(&cx)?;
        if jids.is_empty() {
            return Err(Condition::BadRequest.into());
        }
        let items_max = cx.engine.settings().limits.blocked_max;
        let done = cx
            .engine
            .store()
            .block(cx.to.clone(), jids.clone(), items_max)
            .await;
        done.map_err(|failure| error::from_store(cx.engine, &failure))?;
        cx.engine.registry().changed(cx.to);
        push(&cx, "block", &jids);
        for jid in &jids {
            presence::hide_from(cx.engine, cx.to, jid).await;
        }
        Ok(Reply::Empty)
    })
}

/// § 3.4 and § 3.5
fn unblock(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let jids = items(&cx)?;
        let before = cx.engine.view(cx.to).await?;
        let some = (!jids.is_empty()).then(|| jids.clone());
        let done = cx.engine.store().unblock(cx.to.clone(), some).await;
        done.map_err(|failure| error::from_store(cx.engine, &failure))?;
        cx.engine.registry().changed(cx.to);
        push(&cx, "unblock", &jids);
        let freed = if jids.is_empty() {
            before.blocked()
        } else {
            &jids
        };
        for jid in freed {
            presence::show_to(cx.engine, cx.to, jid).await;
        }
        Ok(Reply::Empty)
    })
}

fn items(cx: &IqCx<'_>) -> Result<Vec<Jid>, StanzaError> {
    let mut jids = Vec::new();
    for item in cx
        .payload
        .children()
        .filter(|child| child.is("item", ns::BLOCKING))
    {
        let Some(jid) = item.attr("jid") else {
            return Err(Condition::BadRequest.into());
        };
        let jid = Jid::parse(&jid).map_err(|_| StanzaError::new(Condition::JidMalformed))?;
        jids.push(jid);
    }
    jids.sort_unstable();
    jids.dedup();
    Ok(jids)
}

/// Tells every resource that has asked for the list.
fn push(cx: &IqCx<'_>, name: &'static str, jids: &[Jid]) {
    for resource in cx.engine.registry().resources(cx.to) {
        if !resource.has(Setting::BlockPushes) {
            continue;
        }
        let mut xml = Writer::new(ns::CLIENT);
        xml.start("iq")
            .attr("type", "set")
            .attr("id", &cx.engine.env().token())
            .attr("to", resource.jid.as_str())
            .start_ns(name, ns::BLOCKING);
        write_items(&mut xml, jids);
        xml.end().end();
        // A session that is ending reads the list again when it returns.
        let _ = resource.outbox.push(Delivery::Own(xml.finish()));
    }
}

fn write_items(xml: &mut Writer, jids: &[Jid]) {
    for jid in jids {
        xml.start("item").attr("jid", jid.as_str()).end();
    }
}

#[cfg(test)]
mod tests {
    use super::guard;
    use crate::{
        account::View,
        feature::{GuardCx, Side, Verdict},
        features::fixtures::draft,
    };
    use waxwing_proto::{BareJid, Jid, stanza::Condition};

    fn judge(side: Side, blocked: &str, other: &str, xml: &str) -> &'static str {
        let account = BareJid::parse("alice@example.org").unwrap();
        let view = View::new(0, &[], vec![Jid::parse(blocked).unwrap()]);
        let other = Jid::parse(other).unwrap();
        let cx = GuardCx {
            side,
            account: &account,
            view: &view,
            other: &other,
        };
        match guard(&draft(xml), &cx) {
            Verdict::Pass => "pass",
            Verdict::Drop => "drop",
            Verdict::Refuse(error) if error.condition == Condition::NotAcceptable => "own",
            Verdict::Refuse(error) if error.condition == Condition::ServiceUnavailable => "absent",
            Verdict::Refuse(_) => "other",
        }
    }

    /// What happens to each kind of stanza: (sent by the user, received by the user).
    #[test]
    fn a_block_by_side_kind_and_type() {
        for (xml, sent, received) in [
            ("<message/>", "own", "absent"),
            ("<message type='chat'/>", "own", "absent"),
            ("<message type='groupchat'/>", "own", "absent"),
            ("<message type='headline'/>", "own", "absent"),
            ("<message type='error'/>", "own", "drop"),
            ("<presence/>", "own", "drop"),
            ("<presence type='unavailable'/>", "pass", "drop"),
            ("<presence type='subscribe'/>", "own", "drop"),
            ("<presence type='unsubscribed'/>", "own", "drop"),
            ("<presence type='probe'/>", "own", "drop"),
            ("<iq type='get'/>", "own", "absent"),
            ("<iq type='set'/>", "own", "absent"),
            ("<iq type='result'/>", "drop", "drop"),
            ("<iq type='error'/>", "drop", "drop"),
        ] {
            let bad = "bad@example.net";
            assert_eq!(
                judge(Side::Sender, bad, "bad@example.net/x", xml),
                sent,
                "{xml}"
            );
            assert_eq!(
                judge(Side::Recipient, bad, "bad@example.net/x", xml),
                received,
                "{xml}"
            );
            assert_eq!(
                judge(Side::Sender, bad, "good@example.net/x", xml),
                "pass",
                "{xml}"
            );
            assert_eq!(
                judge(Side::Recipient, bad, "good@example.net/x", xml),
                "pass",
                "{xml}"
            );
        }
    }

    /// Somebody who blocks the own domain must still reach the server and the own devices.
    #[test]
    fn an_account_cannot_cut_itself_off() {
        for blocked in ["example.org", "alice@example.org"] {
            for other in ["example.org", "alice@example.org", "alice@example.org/x"] {
                for side in [Side::Sender, Side::Recipient] {
                    assert_eq!(
                        judge(side, blocked, other, "<iq type='set'/>"),
                        "pass",
                        "{other}"
                    );
                }
            }
        }
        let bob = "bob@example.org/x";
        assert_eq!(
            judge(Side::Recipient, "example.org", bob, "<message/>"),
            "absent"
        );
    }
}
