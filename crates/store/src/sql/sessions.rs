//! Sessions of stream management.

use super::{Executor, Ids, Row, accounts, address, bound, damaged, ids::outward, offline};
use crate::{
    Handled, KeptStanza, KillPoint, Micros, Result, SessionKey, SessionUpdate, SmSession, Stanzas,
    StoreError, Waiting, kill_point, quota,
};
use bytes::Bytes;
use waxwing_proto::BareJid;

const COUNT: &str = "SELECT count(*), coalesce(sum(CASE WHEN id = ?2 THEN 1 ELSE 0 END), 0) \
     FROM sm_session WHERE account = ?1";
const PUT: &str = "INSERT INTO sm_session \
     (account, id, generation, resource, handled, acknowledged, expires) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)";
const PUT_STATE: &str = "INSERT INTO sm_state (account, session, state) VALUES (?1, ?2, ?3) \
     ON CONFLICT (account, session) DO UPDATE SET state = excluded.state";
const SESSION: &str = "SELECT s.id, s.generation, s.resource, s.handled, s.acknowledged, \
     s.expires, t.state FROM sm_session s JOIN sm_state t \
     ON t.account = s.account AND t.session = s.id WHERE s.account = ?1 AND s.id = ?2";
const SESSIONS: &str = "SELECT s.id, s.generation, s.resource, s.handled, s.acknowledged, \
     s.expires, t.state FROM sm_session s JOIN sm_state t \
     ON t.account = s.account AND t.session = s.id WHERE s.account = ?1 ORDER BY s.id";
const TAKE: &str = "UPDATE sm_session SET generation = generation + 1, expires = NULL \
     WHERE account = ?1 AND id = ?2 AND generation = ?3";
/// The count of an owner; changes nothing for anybody else.
const SET_HANDLED: &str = "UPDATE sm_session SET handled = ?4 \
     WHERE account = ?1 AND id = ?2 AND generation = ?3";
/// The count only rises, modulo 2^32: a record that carries a later one may have come before.
const UPDATE: &str = "UPDATE sm_session SET handled = \
     CASE WHEN ((?3 - handled) & 4294967295) < 2147483648 THEN ?3 ELSE handled END, \
     acknowledged = coalesce(?4, acknowledged) WHERE account = ?1 AND id = ?2";
const SET_EXPIRES: &str = "UPDATE sm_session SET expires = ?3 WHERE account = ?1 AND id = ?2";
const REMOVE: &str = "DELETE FROM sm_session WHERE account = ?1 AND id = ?2";
const REMOVE_STATE: &str = "DELETE FROM sm_state WHERE account = ?1 AND session = ?2";
const REMOVE_STANZAS: &str =
    "DELETE FROM sm_stanza WHERE account = ?1 AND session = ?2 AND id <= ?3";
const OWNED: &str = "SELECT generation, acknowledged, stanzas, stanza_bytes FROM sm_session \
     WHERE account = ?1 AND id = ?2";
const KEEP: &str = "INSERT INTO sm_stanza (account, session, id, stanza) VALUES (?1, ?2, ?3, ?4)";
const SET_KEPT: &str =
    "UPDATE sm_session SET stanzas = ?3, stanza_bytes = ?4 WHERE account = ?1 AND id = ?2";
const RECOUNT: &str = "UPDATE sm_session SET \
     stanzas = (SELECT count(*) FROM sm_stanza k WHERE k.account = ?1 AND k.session = ?2), \
     stanza_bytes = (SELECT coalesce(sum(octet_length(k.stanza)), 0) FROM sm_stanza k \
     WHERE k.account = ?1 AND k.session = ?2) WHERE account = ?1 AND id = ?2";
const KEPT: &str = "SELECT id, stanza FROM sm_stanza \
     WHERE account = ?1 AND session = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
const EXPIRED: &str = "SELECT a.jid, s.id, s.generation \
     FROM sm_session s JOIN account a ON a.number = s.account \
     WHERE s.expires < ?1 ORDER BY s.expires, a.jid, s.id LIMIT ?2";
const RELEASE: &str = "UPDATE sm_session SET expires = ?1 WHERE expires IS NULL";

pub(super) fn put(
    db: &mut dyn Executor,
    account: &BareJid,
    session: &SmSession,
    sessions_max: u32,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let row = db.query_first(COUNT, &[number.into(), session.id.as_str().into()])?;
    let mut row = row.ok_or_else(|| damaged("no count"))?;
    let count = row.int()?;
    if row.flag()? {
        return Err(StoreError::Exists);
    }
    if count >= i64::from(sessions_max) {
        return Err(StoreError::Quota(quota::SESSIONS));
    }
    let params = [
        number.into(),
        session.id.as_str().into(),
        session.resource.as_str().into(),
        i64::from(session.handled).into(),
        bound(session.acknowledged).into(),
        session.expires.into(),
    ];
    db.execute(PUT, &params)?;
    kill_point(KillPoint::SessionPut);
    put_state(db, number, &session.id, &session.state)
}

pub(super) fn session(
    db: &mut dyn Executor,
    account: &BareJid,
    id: &str,
) -> Result<Option<SmSession>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(None);
    };
    let row = db.query_first(SESSION, &[number.into(), id.into()])?;
    row.map(read).transpose()
}

pub(super) fn sessions(db: &mut dyn Executor, account: &BareJid) -> Result<Vec<SmSession>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(Vec::new());
    };
    let rows = db.query(SESSIONS, &[number.into()])?;
    rows.into_iter().map(read).collect()
}

pub(super) fn take(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &SessionKey,
) -> Result<SmSession> {
    let owned = owned(db, account, key)?;
    let params = [
        owned.number.into(),
        key.id.as_str().into(),
        bound(key.generation).into(),
    ];
    db.execute(TAKE, &params)?;
    kill_point(KillPoint::SessionTake);
    let row = db.query_first(SESSION, &[owned.number.into(), key.id.as_str().into()])?;
    read(row.ok_or_else(|| damaged("a session has no state"))?)
}

/// The count that goes with a message; [`StoreError::Conflict`] if the session has another owner
/// or has gone.
pub(super) fn count(db: &mut dyn Executor, handled: &Handled) -> Result<()> {
    let number = accounts::number(db, &handled.account)?;
    let params = [
        number.into(),
        handled.session.id.as_str().into(),
        bound(handled.session.generation).into(),
        i64::from(handled.count).into(),
    ];
    match db.execute(SET_HANDLED, &params)? {
        0 => Err(StoreError::Conflict),
        _ => Ok(()),
    }
}

pub(super) fn update(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &SessionKey,
    update: &SessionUpdate,
) -> Result<()> {
    let number = owned(db, account, key)?.number;
    let id = key.id.as_str();
    let params = [
        number.into(),
        id.into(),
        update.handled.map(i64::from).into(),
        update.acknowledged.map(bound).into(),
    ];
    db.execute(UPDATE, &params)?;
    kill_point(KillPoint::SessionUpdate);
    if let Some(expires) = update.expires {
        db.execute(SET_EXPIRES, &[number.into(), id.into(), expires.into()])?;
    }
    match &update.state {
        Some(state) => put_state(db, number, id, state),
        None => Ok(()),
    }
}

pub(super) fn remove(db: &mut dyn Executor, account: &BareJid, key: &SessionKey) -> Result<()> {
    let number = owned(db, account, key)?.number;
    let id = key.id.as_str();
    db.execute(REMOVE_STANZAS, &[number.into(), id.into(), i64::MAX.into()])?;
    db.execute(REMOVE_STATE, &[number.into(), id.into()])?;
    db.execute(REMOVE, &[number.into(), id.into()]).map(drop)
}

/// [`remove`], after which what the session may have missed waits; whether anything was put there.
pub(super) fn end(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &SessionKey,
    until: Option<u64>,
    waiting: Option<&Waiting>,
) -> Result<bool> {
    let owned = owned(db, account, key)?;
    remove(db, account, key)?;
    let Some(place) = waiting else {
        return Ok(false);
    };
    let place = Waiting {
        account: account.clone(),
        ..*place
    };
    let span = (owned.acknowledged, until.map_or(i64::MAX, bound));
    offline::add_missed(db, owned.number, span, &place)
}

pub(super) fn keep(
    db: &mut dyn Executor,
    ids: &mut Ids,
    account: &BareJid,
    key: &SessionKey,
    keep: &Stanzas,
) -> Result<u64> {
    let owned = owned(db, account, key)?;
    let stanzas = owned.stanzas.saturating_add(bound(keep.stanzas.len()));
    if stanzas > i64::from(keep.stanzas_max) {
        return Err(StoreError::Quota(quota::SESSION_STANZAS));
    }
    let bytes = keep.stanzas.iter().map(Bytes::len).sum::<usize>();
    let bytes = owned.stanza_bytes.saturating_add(bound(bytes));
    if bytes > bound(keep.bytes_max) {
        return Err(StoreError::Quota(quota::SESSION_BYTES));
    }
    let (number, id) = (owned.number, key.id.as_str());
    let mut last = 0;
    for stanza in &keep.stanzas {
        last = ids.next(db, keep.at)?;
        db.execute(
            KEEP,
            &[
                number.into(),
                id.into(),
                last.into(),
                stanza.as_ref().into(),
            ],
        )?;
    }
    db.execute(
        SET_KEPT,
        &[number.into(), id.into(), stanzas.into(), bytes.into()],
    )?;
    outward(last)
}

pub(super) fn kept(
    db: &mut dyn Executor,
    account: &BareJid,
    id: &str,
    after: u64,
    count: u32,
) -> Result<Vec<KeptStanza>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(Vec::new());
    };
    let params = [
        number.into(),
        id.into(),
        bound(after).into(),
        bound(count).into(),
    ];
    let rows = db.query(KEPT, &params)?;
    rows.into_iter()
        .map(|mut row| {
            Ok(KeptStanza {
                id: row.count()?,
                stanza: Bytes::from(row.bytes()?),
            })
        })
        .collect()
}

pub(super) fn forget(
    db: &mut dyn Executor,
    account: &BareJid,
    key: &SessionKey,
    last: u64,
) -> Result<()> {
    let number = owned(db, account, key)?.number;
    let id = key.id.as_str();
    let params = [number.into(), id.into(), bound(last).into()];
    if db.execute(REMOVE_STANZAS, &params)? > 0 {
        db.execute(RECOUNT, &[number.into(), id.into()])?;
    }
    Ok(())
}

pub(super) fn expired(
    db: &mut dyn Executor,
    now: Micros,
    count: u32,
) -> Result<Vec<(BareJid, SessionKey)>> {
    let rows = db.query(EXPIRED, &[now.into(), bound(count).into()])?;
    rows.into_iter()
        .map(|mut row| {
            let account = address(&row.text()?)?;
            let key = SessionKey {
                id: row.text()?,
                generation: row.count()?,
            };
            Ok((account, key))
        })
        .collect()
}

pub(super) fn release(db: &mut dyn Executor, expires: Micros) -> Result<u64> {
    db.execute(RELEASE, &[expires.into()])
}

/// A session whose owner asks.
struct Owned {
    number: i64,
    acknowledged: i64,
    stanzas: i64,
    stanza_bytes: i64,
}

/// The session, if the key has its generation.
fn owned(db: &mut dyn Executor, account: &BareJid, key: &SessionKey) -> Result<Owned> {
    let number = accounts::number(db, account)?;
    let row = db.query_first(OWNED, &[number.into(), key.id.as_str().into()])?;
    let mut row = row.ok_or(StoreError::NoItem)?;
    if row.count()? != key.generation {
        return Err(StoreError::Conflict);
    }
    Ok(Owned {
        number,
        acknowledged: row.int()?,
        stanzas: row.int()?,
        stanza_bytes: row.int()?,
    })
}

fn put_state(db: &mut dyn Executor, number: i64, id: &str, state: &[u8]) -> Result<()> {
    let params = [number.into(), id.into(), state.into()];
    db.execute(PUT_STATE, &params).map(drop)
}

fn read(mut row: Row) -> Result<SmSession> {
    Ok(SmSession {
        id: row.text()?,
        generation: row.count()?,
        resource: row.text()?,
        handled: row.number()?,
        acknowledged: row.count()?,
        expires: row.int_or_null()?,
        state: Bytes::from(row.bytes()?),
    })
}
