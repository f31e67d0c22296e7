//! Requests to rooms: what admins and owners ask, registration, archives.

use super::{
    errors::Refusal,
    kept,
    owner::{Destruction, Owner},
    people::{Admin, Change},
    registration::Wish,
    room::{Effect, Event},
    table::{Held, Rooms},
};
use crate::{
    error,
    feature::{IqCx, Reply},
    features::mam,
    route::service,
};
use waxwing_proto::{
    Jid, ns,
    stanza::{Kind, Sealed, StanzaError},
    xml::Writer,
};
use waxwing_store::BoxFuture;

/// § 8.5, § 9, § 10: a list.
pub(super) fn list(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let list = room.ask(|room| room.list(cx.from, cx.payload))?;
        Ok(Reply::Payload(list))
    })
}

/// § 8, § 9, § 10: changes of roles and affiliations.
pub(super) fn administer(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        match room.ask(|room| room.administer(cx.from, cx.payload))? {
            Admin::Roles(changes) => apply(&cx, &room, Event::Roles(changes)),
            Admin::Affiliations(change) => write(&cx, &room, change).await,
        }
    })
}

/// § 10.1.3, § 10.2: the form.
pub(super) fn form(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let form = room.ask(|room| room.form(cx.from))?;
        Ok(Reply::Payload(form))
    })
}

/// § 10.1, § 10.2, § 10.9: options, and the end of a room.
pub(super) fn decide(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        match room.ask(|room| room.decide(cx.from, cx.payload))? {
            Owner::Change(change) => return write(&cx, &room, change).await,
            Owner::GiveUp(end) => room.apply(Event::Destroyed(end))?,
            Owner::Destroy(end) => destroy(&cx, &room, end).await?,
            Owner::Nothing => {}
        }
        Ok(Reply::Empty)
    })
}

/// Whoever asked is told first that it is done, and then like everybody what it is (§ 8.2 to § 8.4,
/// § 9, § 10.3 to § 10.8).
pub(super) fn apply(cx: &IqCx<'_>, room: &Held, event: Event) -> Result<Reply, StanzaError> {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start("iq")
        .attr("type", "result")
        .attr("from", cx.to.as_str())
        .attr_opt("id", cx.request.id().as_deref());
    let answer = Sealed::from_bytes(Kind::Iq, xml.finish());
    room.apply_asked(event, Effect::new(answer, [cx.from.clone()].into()))?;
    Ok(Reply::Sent)
}

/// First on disk, then told.
async fn write(cx: &IqCx<'_>, room: &Held, change: Change) -> Result<Reply, StanzaError> {
    let notices = room.ask(|room| room.notices(&change));
    kept::write(cx.engine, room, cx.to, &change).await?;
    let opens = change.opens;
    let applied = apply(cx, room, Event::Changed(change));
    if applied.is_err() && opens {
        // Its owner has gone before it was there, and nobody else knows of it.
        drop(cx.engine.store().room_delete(cx.to.clone(), None));
    }
    if applied.is_ok() {
        for notice in notices {
            // It is a courtesy to those that this server looks after, and an error is nobody's.
            let own = notice
                .to()
                .is_some_and(|to| cx.engine.is_local(to.domain()));
            if own && notice.to().map(Jid::to_bare) != Some(cx.from.to_bare()) {
                drop(service::send(cx.engine, &notice.seal()).await);
            }
        }
    }
    applied
}

async fn destroy(cx: &IqCx<'_>, room: &Held, end: Destruction) -> Result<(), StanzaError> {
    if room.ask(super::room::Room::is_open) {
        let by = Some((end.by.clone(), cx.engine.env().now()));
        let deleted = cx.engine.store().room_delete(cx.to.clone(), by).await;
        deleted.map_err(|failure| error::from_store(cx.engine, &failure))?;
    }
    Ok(room.apply(Event::Destroyed(end))?)
}

/// § 7.10
pub(super) fn registration(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let form = room.ask(|room| room.registration(cx.from))?;
        Ok(Reply::Payload(form))
    })
}

/// § 7.10
pub(super) fn register(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        let room = Rooms::hold(cx.engine, cx.to).await?;
        let _turn = room.turn().await;
        match room.ask(|room| room.register(cx.from, cx.payload))? {
            Wish::Done(change) => write(&cx, &room, change).await,
            Wish::Asks(approval) => {
                if let Some(effect) = approval.effect() {
                    room.send(effect);
                }
                for letter in approval.letters() {
                    // Whoever cannot be reached is not the asker's to know of.
                    drop(service::send(cx.engine, &letter).await);
                }
                Ok(Reply::Empty)
            }
        }
    })
}

/// XEP-0313: a page of the archive.
pub(super) fn archive(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        may_read(&cx).await?;
        mam::answer(cx).await
    })
}

/// XEP-0313 § 4.1.5: the fields of queries.
pub(super) fn archive_form(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        may_read(&cx).await?;
        mam::form(cx).await
    })
}

/// XEP-0313 § 5
pub(super) fn archive_ends(cx: IqCx<'_>) -> BoxFuture<'_, Result<Reply, StanzaError>> {
    Box::pin(async move {
        may_read(&cx).await?;
        mam::metadata(cx).await
    })
}

/// XEP-0313 § 8.1: whoever may hear what is said may read what was said.
async fn may_read(cx: &IqCx<'_>) -> Result<(), StanzaError> {
    let room = Rooms::hold(cx.engine, cx.to).await?;
    room.ask(|room| {
        room.known_to(cx.from)?;
        if room.admits_reader(cx.from) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    })?;
    Ok(())
}
