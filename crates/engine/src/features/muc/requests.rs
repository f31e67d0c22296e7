//! Requests to rooms: what admins and owners ask, registration, archives.

use super::{
    errors::Refusal,
    kept,
    owner::{Destruction, Owner},
    people::{Admin, Change},
    room::Event,
    table::{Held, Rooms},
};
use crate::{
    error,
    feature::{IqCx, Reply},
    features::mam,
};
use waxwing_proto::stanza::StanzaError;
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
            Admin::Roles(changes) => room.apply(Event::Roles(changes))?,
            Admin::Affiliations(change) => write(&cx, &room, change).await?,
        }
        Ok(Reply::Empty)
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
            Owner::Change(change) => write(&cx, &room, change).await?,
            Owner::GiveUp(end) => room.apply(Event::Destroyed(end))?,
            Owner::Destroy(end) => destroy(&cx, &room, end).await?,
            Owner::Nothing => {}
        }
        Ok(Reply::Empty)
    })
}

/// First on disk, then told.
async fn write(cx: &IqCx<'_>, room: &Held, change: Change) -> Result<(), StanzaError> {
    kept::write(cx.engine, room, cx.to, &change).await?;
    let opens = change.opens;
    let applied = room.apply(Event::Changed(change));
    if applied.is_err() && opens {
        // Its owner has gone before it was there, and nobody else knows of it.
        drop(cx.engine.store().room_delete(cx.to.clone(), None));
    }
    Ok(applied?)
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
        let change = room.ask(|room| room.register(cx.from, cx.payload))?;
        write(&cx, &room, change).await?;
        Ok(Reply::Empty)
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
