//! Clients, their tokens and push registrations.

use super::{Executor, Param, Row, accounts, address, bound, damaged};
use crate::{
    Client, ClientSeen, Micros, Push, Result, StoreError, Token, TokenUse, credentials::coarse,
    quota,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

const SEE: &str = "UPDATE client SET software = ?3, device = ?4, last_seen = ?5 \
     WHERE account = ?1 AND id = ?2";
const ADD: &str = "INSERT INTO client (account, id, software, device, first_seen, last_seen) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?5)";
const COUNT: &str = "SELECT count(*) FROM client WHERE account = ?1";
const SET_SEEN: &str = "UPDATE client SET last_seen = ?3 WHERE account = ?1 AND id = ?2";
const CLIENT: &str = "SELECT id, software, device, first_seen, last_seen FROM client \
     WHERE account = ?1 AND id = ?2";
const CLIENTS: &str = "SELECT id, software, device, first_seen, last_seen FROM client \
     WHERE account = ?1 ORDER BY id";
const REMOVE: &str = "DELETE FROM client WHERE account = ?1 AND id = ?2";
const TOKENS: &str = "SELECT fresh, verifier, mechanism, expires, counter FROM client_token \
     WHERE account = ?1 AND client = ?2 ORDER BY fresh";
const PUT_TOKEN: &str = "INSERT INTO client_token \
     (account, client, fresh, verifier, mechanism, expires, counter) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6) ON CONFLICT (account, client, fresh) \
     DO UPDATE SET verifier = excluded.verifier, mechanism = excluded.mechanism, \
     expires = excluded.expires, counter = excluded.counter";
const SET_COUNTER: &str =
    "UPDATE client_token SET counter = ?4 WHERE account = ?1 AND client = ?2 AND fresh = ?3";
const REMOVE_CURRENT: &str =
    "DELETE FROM client_token WHERE account = ?1 AND client = ?2 AND fresh = 0";
const MAKE_CURRENT: &str =
    "UPDATE client_token SET fresh = 0 WHERE account = ?1 AND client = ?2 AND fresh = 1";
const REVOKE: &str = "DELETE FROM client_token WHERE account = ?1 AND client = ?2";
const REVOKE_ALL: &str = "DELETE FROM client_token WHERE account = ?1";
const EXPIRE: &str = "DELETE FROM client_token WHERE (account, client, fresh) IN \
     (SELECT account, client, fresh FROM client_token WHERE expires < ?1 \
     ORDER BY expires LIMIT ?2)";

pub(super) fn seen(
    db: &mut dyn Executor,
    account: &BareJid,
    client: &ClientSeen,
    clients_max: u32,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let params = [
        number.into(),
        client.id.as_str().into(),
        client.software.as_str().into(),
        client.device.as_str().into(),
        coarse(client.at).into(),
    ];
    if db.execute(SEE, &params)? > 0 {
        return Ok(());
    }
    let row = db.query_first(COUNT, &[number.into()])?;
    if row.ok_or_else(|| damaged("no count"))?.int()? >= i64::from(clients_max) {
        return Err(StoreError::Quota(quota::CLIENTS));
    }
    db.execute(ADD, &params).map(drop)
}

pub(super) fn clients(db: &mut dyn Executor, account: &BareJid) -> Result<Vec<Client>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(Vec::new());
    };
    let rows = db.query(CLIENTS, &[number.into()])?;
    rows.into_iter().map(|row| read(db, number, row)).collect()
}

pub(super) fn client(db: &mut dyn Executor, account: &BareJid, id: &str) -> Result<Option<Client>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(None);
    };
    let row = db.query_first(CLIENT, &[number.into(), id.into()])?;
    row.map(|row| read(db, number, row)).transpose()
}

pub(super) fn remove(db: &mut dyn Executor, account: &BareJid, id: &str) -> Result<bool> {
    let number = accounts::number(db, account)?;
    revoke(db, number, Some(id))?;
    remove_pushes_of(db, number, id)?;
    Ok(db.execute(REMOVE, &[number.into(), id.into()])? > 0)
}

pub(super) fn put_token(
    db: &mut dyn Executor,
    account: &BareJid,
    id: &str,
    token: &Token,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let client = db.query_first(CLIENT, &[number.into(), id.into()])?;
    client.ok_or(StoreError::NoItem)?;
    let params = [
        number.into(),
        id.into(),
        token.verifier.as_ref().into(),
        token.mechanism.as_str().into(),
        token.expires.into(),
        bound(token.counter).into(),
    ];
    db.execute(PUT_TOKEN, &params).map(drop)
}

pub(super) fn used(
    db: &mut dyn Executor,
    account: &BareJid,
    id: &str,
    used: &TokenUse,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let row = db.query_first(CLIENT, &[number.into(), id.into()])?;
    let client = read(db, number, row.ok_or(StoreError::NoItem)?)?;
    let has = |token: &Option<Token>| {
        let token = token.as_ref();
        token
            .filter(|token| token.verifier == used.verifier)
            .map(|token| token.counter)
    };
    let (is_fresh, counter) = match (has(&client.fresh), has(&client.current)) {
        (Some(counter), _) => (true, counter),
        (None, Some(counter)) => (false, counter),
        (None, None) => return Err(StoreError::Conflict),
    };
    if let Some(now) = used.counter {
        if now <= counter {
            return Err(StoreError::Conflict);
        }
        let params = [number.into(), id.into(), is_fresh.into(), bound(now).into()];
        db.execute(SET_COUNTER, &params)?;
    }
    if is_fresh {
        for statement in [REMOVE_CURRENT, MAKE_CURRENT] {
            db.execute(statement, &[number.into(), id.into()])?;
        }
    }
    let params = [number.into(), id.into(), coarse(used.at).into()];
    db.execute(SET_SEEN, &params).map(drop)
}

/// Ends the tokens of one client of the account or of all.
pub(super) fn revoke(db: &mut dyn Executor, number: i64, id: Option<&str>) -> Result<u64> {
    match id {
        Some(id) => db.execute(REVOKE, &[number.into(), id.into()]),
        None => db.execute(REVOKE_ALL, &[number.into()]),
    }
}

pub(super) fn expire(db: &mut dyn Executor, before: Micros, count: u32) -> Result<u64> {
    db.execute(EXPIRE, &[before.into(), bound(count).into()])
}

fn read(db: &mut dyn Executor, number: i64, mut row: Row) -> Result<Client> {
    let mut client = Client {
        id: row.text()?,
        software: row.text()?,
        device: row.text()?,
        first_seen: row.int()?,
        last_seen: row.int()?,
        current: None,
        fresh: None,
    };
    for mut row in db.query(TOKENS, &[number.into(), client.id.as_str().into()])? {
        let is_fresh = row.flag()?;
        let token = Token {
            verifier: Bytes::from(row.bytes()?),
            mechanism: row.text()?,
            expires: row.int()?,
            counter: row.count()?,
        };
        if is_fresh {
            client.fresh = Some(token);
        } else {
            client.current = Some(token);
        }
    }
    Ok(client)
}

const PUSH_EXISTS: &str = "SELECT count(*), \
     coalesce(sum(CASE WHEN service = ?2 AND node = ?3 THEN 1 ELSE 0 END), 0) \
     FROM push WHERE account = ?1";
const PUT_PUSH: &str = "INSERT INTO push (account, service, node, client, options, failures) \
     VALUES (?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT (account, service, node) DO UPDATE SET \
     client = excluded.client, options = excluded.options, failures = 0, retry = NULL";
const PUSHES: &str = "SELECT service, node, client, options, failures, retry FROM push \
     WHERE account = ?1 ORDER BY service, node";
const REMOVE_PUSH: &str = "DELETE FROM push WHERE account = ?1 AND service = ?2 AND node = ?3";
const REMOVE_SERVICE: &str = "DELETE FROM push WHERE account = ?1 AND service = ?2";
const REMOVE_PUSHES_OF: &str = "DELETE FROM push WHERE account = ?1 AND client = ?2";
const SET_FAILED: &str = "UPDATE push SET failures = ?4, retry = ?5 \
     WHERE account = ?1 AND service = ?2 AND node = ?3";

pub(super) fn put_push(
    db: &mut dyn Executor,
    account: &BareJid,
    push: &Push,
    pushes_max: u32,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let (service, node) = (push.service.as_str(), push.node.as_str());
    let row = db.query_first(PUSH_EXISTS, &[number.into(), service.into(), node.into()])?;
    let mut row = row.ok_or_else(|| damaged("no count"))?;
    let count = row.int()?;
    if !row.flag()? && count >= i64::from(pushes_max) {
        return Err(StoreError::Quota(quota::PUSHES));
    }
    let params = [
        number.into(),
        service.into(),
        node.into(),
        push.client.as_str().into(),
        push.options.as_ref().into(),
    ];
    db.execute(PUT_PUSH, &params).map(drop)
}

pub(super) fn remove_push(
    db: &mut dyn Executor,
    account: &BareJid,
    service: &Jid,
    node: Option<&str>,
) -> Result<u64> {
    let number = accounts::number(db, account)?;
    match node {
        Some(node) => {
            let params = [number.into(), service.as_str().into(), node.into()];
            db.execute(REMOVE_PUSH, &params)
        }
        None => db.execute(REMOVE_SERVICE, &[number.into(), service.as_str().into()]),
    }
}

/// Removes the push registrations of one client.
pub(super) fn remove_pushes_of(db: &mut dyn Executor, number: i64, client: &str) -> Result<u64> {
    db.execute(REMOVE_PUSHES_OF, &[number.into(), client.into()])
}

pub(super) fn pushes(db: &mut dyn Executor, account: &BareJid) -> Result<Vec<Push>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(Vec::new());
    };
    let rows = db.query(PUSHES, &[number.into()])?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Push {
                service: address(&row.text()?)?,
                node: row.text()?,
                client: row.text()?,
                options: Bytes::from(row.bytes()?),
                failures: row.number()?,
                retry: row.int_or_null()?,
            })
        })
        .collect()
}

pub(super) fn push_failed(
    db: &mut dyn Executor,
    account: &BareJid,
    service: &Jid,
    node: &str,
    failures: u32,
    retry: Option<Micros>,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    let params = [
        number.into(),
        service.as_str().into(),
        node.into(),
        Param::Int(i64::from(failures)),
        retry.into(),
    ];
    db.execute(SET_FAILED, &params).map(drop)
}
