//! Messages that wait for other domains: marks on messages, whether an archive holds them or not.

use super::{Executor, bound, message, store::Backend};
use crate::{BoxFuture, Departure, Outgoing, OutgoingMessage, Result, Route, StoreError, quota};
use bytes::Bytes;

const OPEN: &str = "INSERT INTO outgoing_queue (local_domain, remote_domain, messages, bytes) \
     VALUES (?1, ?2, 0, 0) ON CONFLICT (local_domain, remote_domain) DO NOTHING";
const ADMIT: &str = "UPDATE outgoing_queue SET messages = messages + 1, bytes = bytes + ?3 \
     WHERE local_domain = ?1 AND remote_domain = ?2 AND messages < ?4 AND bytes + ?3 <= ?5";
const COUNT: &str =
    "SELECT messages FROM outgoing_queue WHERE local_domain = ?1 AND remote_domain = ?2";
const ADD: &str = "INSERT INTO outgoing_entry (local_domain, remote_domain, id, stanza_bytes) \
     VALUES (?1, ?2, ?3, ?4)";
const ROUTES: &str = "SELECT local_domain, remote_domain FROM outgoing_queue \
     WHERE (local_domain, remote_domain) > (?1, ?2) \
     ORDER BY local_domain, remote_domain LIMIT ?3";
const WAITING: &str = "SELECT o.id, m.received, m.stanza \
     FROM outgoing_entry o JOIN message m ON m.id = o.id \
     WHERE o.local_domain = ?1 AND o.remote_domain = ?2 AND o.id > ?3 ORDER BY o.id LIMIT ?4";
const DONE: &str = "SELECT id, stanza_bytes FROM outgoing_entry \
     WHERE local_domain = ?1 AND remote_domain = ?2 AND id <= ?3";
const REMOVE: &str =
    "DELETE FROM outgoing_entry WHERE local_domain = ?1 AND remote_domain = ?2 AND id <= ?3";
const REDUCE: &str = "UPDATE outgoing_queue SET messages = messages - ?3, bytes = bytes - ?4 \
     WHERE local_domain = ?1 AND remote_domain = ?2";
const CLOSE: &str = "DELETE FROM outgoing_queue \
     WHERE local_domain = ?1 AND remote_domain = ?2 AND messages <= 0";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[ADMIT, WAITING, DONE, REMOVE, REDUCE, CLOSE, ROUTES];

/// Counts one more message of so many bytes, if it may wait.
pub(super) fn admit(db: &mut dyn Executor, bytes: usize, place: &Departure) -> Result<()> {
    let Route { local, remote } = &place.route;
    let params = [
        local.as_str().into(),
        remote.as_str().into(),
        bound(bytes).into(),
        bound(place.messages_max).into(),
        bound(place.bytes_max).into(),
    ];
    if db.execute(ADMIT, &params)? == 1 {
        return Ok(());
    }
    let [local, remote, ..] = params;
    db.execute(OPEN, &[local, remote])?;
    if db.execute(ADMIT, &params)? == 1 {
        return Ok(());
    }
    let row = db.query_first(COUNT, &[local, remote])?;
    let messages = row.map_or(Ok(0), |mut row| row.count())?;
    Err(StoreError::Quota(
        if messages >= u64::from(place.messages_max) {
            quota::OUTGOING_MESSAGES
        } else {
            quota::OUTGOING_BYTES
        },
    ))
}

/// Marks a message that was admitted.
pub(super) fn add(db: &mut dyn Executor, id: i64, bytes: usize, route: &Route) -> Result<()> {
    let params = [
        route.local.as_str().into(),
        route.remote.as_str().into(),
        id.into(),
        bound(bytes).into(),
    ];
    db.execute(ADD, &params).map(drop)
}

impl<B: Backend> Outgoing for B {
    fn outgoing_routes(
        &self,
        after: Option<Route>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<Route>>> {
        self.read(move |db| {
            let (local, remote) = after
                .as_ref()
                .map_or(("", ""), |after| (&after.local, &after.remote));
            let params = [local.into(), remote.into(), bound(count).into()];
            let rows = db.query(ROUTES, &params)?;
            rows.into_iter()
                .map(|mut row| {
                    Ok(Route {
                        local: row.text()?,
                        remote: row.text()?,
                    })
                })
                .collect()
        })
    }

    fn outgoing(
        &self,
        route: Route,
        after: u64,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<OutgoingMessage>>> {
        self.read(move |db| {
            let params = [
                route.local.as_str().into(),
                route.remote.as_str().into(),
                bound(after).into(),
                bound(count).into(),
            ];
            let rows = db.query(WAITING, &params)?;
            rows.into_iter()
                .map(|mut row| {
                    Ok(OutgoingMessage {
                        id: row.count()?,
                        at: row.int()?,
                        stanza: Bytes::from(row.bytes()?),
                    })
                })
                .collect()
        })
    }

    fn outgoing_remove(&self, route: Route, last: u64) -> BoxFuture<'_, Result<()>> {
        self.write(0, move |db| remove(db, &route, bound(last)))
    }
}

fn remove(db: &mut dyn Executor, route: &Route, last: i64) -> Result<()> {
    let (local, remote) = (route.local.as_str().into(), route.remote.as_str().into());
    let params = [local, remote, last.into()];
    let (mut messages, mut bytes) = (0_i64, 0_i64);
    for mut row in db.query(DONE, &params)? {
        message::release(db, row.int()?)?;
        messages += 1;
        bytes += row.int()?;
    }
    if messages > 0 {
        db.execute(REMOVE, &params)?;
        db.execute(REDUCE, &[local, remote, messages.into(), bytes.into()])?;
        db.execute(CLOSE, &[local, remote])?;
    }
    Ok(())
}
