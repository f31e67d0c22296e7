//! How a session comes to a new stream (XEP-0198 § 5): the old one lets go of it, its row is taken
//! in one conditional write, and the new resource takes the old one's place in the table.

use super::{
    Session,
    replay::{Missed, Replay, missing},
    resumable::Resumable,
};
use crate::{
    Engine,
    hibernation::{self, Right, State},
    outbox::Presence,
    registry::{Outrun, Resource},
};
use std::{collections::VecDeque, sync::Arc};
use waxwing_proto::{
    BareJid,
    sm::{Failed, Inbound, Resume},
    stanza::Condition,
};
use waxwing_store::{SmSession, StoreError};

/// How often somebody who asks for a session tries to get it, while others do too.
const TAKE_OVERS_MAX: usize = 4;

pub(super) async fn take_over(
    engine: &Engine,
    account: &BareJid,
    resume: &Resume,
    connection: u64,
) -> Result<(Session, u32), Failed> {
    let gone = || Failed {
        h: None,
        condition: Some(Condition::ItemNotFound),
    };
    let failed = |error: StoreError| match error {
        StoreError::Conflict | StoreError::NoItem | StoreError::NoAccount => gone(),
        error => {
            engine.metrics().store_failures.inc();
            tracing::error!(%error, "a session could not be resumed");
            Failed {
                h: None,
                condition: Some(Condition::InternalServerError),
            }
        }
    };
    let view = engine.view(account).await.map_err(|_| gone())?;
    let row = take(engine, account, &resume.previd, connection).await;
    let (row, _right, old) = row.map_err(failed)?.ok_or_else(gone)?;
    let state = State::read(&row.state);
    let (received, listed, after) = match (missing(&state, resume.h), &state.end) {
        // What the client had before it enabled resumption is not among what was sent.
        (Some((received, listed, seen)), _) => (received, listed, seen.max(row.acknowledged)),
        (None, None) => (None, VecDeque::new(), row.acknowledged),
        // The client speaks of another session than we do.
        (None, Some(_)) => {
            let resource = hibernation::find(engine, account, &row.id);
            hibernation::finish(engine, account, &row, resource.as_deref()).await;
            return Err(gone());
        }
    };
    let jid = account.with_resource(&row.resource).map_err(|_| gone())?;
    let resource = hibernation::resource(engine, jid, view.created);
    state.restore(&resource, engine.settings().limits.directed_presence_max);
    resource.set_session(&row.key(), Some(connection));
    let missed = match succeed(engine, account, &resource) {
        Ok(missed) => missed,
        Err(Outrun::Resumed) => return Err(gone()),
        Err(Outrun::Replaced) => {
            // Whoever replaced it could not end what we had taken.
            hibernation::finish_replaced(engine, account, &row, &resource, old.as_deref()).await;
            return Err(gone());
        }
    };
    let mut session = Session::new(engine, account, resource);
    session.inbound = Some(Inbound::restore(row.handled));
    session.resumable = Some(Box::new(Resumable::new(&row)));
    session.replay = Some(Box::new(Replay::new(listed, after, missed)));
    session.write_beginning(received).await;
    Ok((session, row.handled))
}

/// A session, the right to change its place in the table, and who was found there.
type Taken = (
    SmSession,
    Option<Right<Arc<Resource>>>,
    Option<Arc<Resource>>,
);

/// Makes the caller the owner of a session, and the only one who changes its place in the table for
/// as long as the right is kept; nothing if there is none.
async fn take(
    engine: &Engine,
    account: &BareJid,
    id: &str,
    connection: u64,
) -> Result<Option<Taken>, StoreError> {
    let mut tries = TAKE_OVERS_MAX;
    loop {
        tries -= 1;
        let mut old = hibernation::find(engine, account, id);
        if (old.as_ref()).is_some_and(|resource| resource.is_resumed_since(connection)) {
            // Its client gave this connection up before it resumed on the other one, and has counted
            // what came there, which is not what would come here.
            return Ok(None);
        }
        let mut right = None;
        if let Some(resource) = &old {
            resource.outbox.detach();
            right = hibernation::right(Arc::clone(resource)).await;
            // Somebody else may have been waiting as well, and have been quicker.
            let now = hibernation::find(engine, account, id);
            if tries > 0 && now.as_ref().map(|now| now.generation) != Some(resource.generation) {
                continue;
            }
            old = now;
        }
        let Some(row) = engine
            .store()
            .session(account.clone(), id.to_owned())
            .await?
        else {
            return Ok(None);
        };
        if let Some(resource) = &old {
            resource.outbox.hold();
        }
        match engine
            .store()
            .session_take(account.clone(), row.key())
            .await
        {
            Ok(row) => return Ok(Some((row, right, old))),
            Err(StoreError::Conflict) if tries > 0 => {}
            Err(error) => {
                if let Some(resource) = old {
                    resource.outbox.release();
                }
                return Err(error);
            }
        }
    }
}

/// Takes the place of the session in the table; gives what it has missed.
fn succeed(engine: &Engine, account: &BareJid, resource: &Arc<Resource>) -> Result<Missed, Outrun> {
    let mut missed = Missed {
        presence: Presence::Unknown,
        held: Vec::new(),
    };
    let Some(old) = engine.registry().succeed(account, resource.clone())? else {
        return Ok(missed);
    };
    // Nobody is told: to others it is the same session.
    old.leave_presence();
    old.take_directed();
    if let Some(caps) = old.caps() {
        resource.set_caps(Some(caps));
    }
    match old.outbox.succeeded(Some(resource.clone())) {
        Some(asleep) => {
            engine.metrics().hibernated.dec();
            missed.presence = asleep.presence;
            missed.held = asleep.held.unwrap_or_default();
        }
        // It has not let go; when it does, it finds that the session is not its own.
        None => old.outbox.detach(),
    }
    Ok(missed)
}
