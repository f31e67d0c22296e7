//! Accounts, verifiers, last activity, secrets of the installation.

use super::{Executor, Param, access, address, bound, damaged, message, uploads};
use crate::{Account, Credentials, Micros, Result, StoreError, credentials::coarse};
use waxwing_proto::{
    BareJid,
    sasl::{Hash, Verifier},
};

const CREATE: &str = "INSERT INTO account (jid, domain, created, number) \
     VALUES (?1, ?2, ?3, (SELECT coalesce(max(number), 0) + 1 FROM account)) ON CONFLICT (jid) DO NOTHING";
const PUT_CREDENTIAL: &str = "INSERT INTO credential \
     (account, hash, salt, iterations, stored_key, server_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (account, hash) DO NOTHING";
const REMOVE_CREDENTIALS: &str = "DELETE FROM credential WHERE account = ?1";
const ACCOUNT: &str = "SELECT a.created, c.hash, c.salt, c.iterations, c.stored_key, c.server_key \
     FROM account a JOIN credential c ON c.account = a.jid WHERE a.jid = ?1 ORDER BY c.hash";
const NUMBER: &str = "SELECT number FROM account WHERE jid = ?1";
const DELETE: &str = "DELETE FROM account WHERE jid = ?1";
const OF_DOMAIN: &str = "SELECT jid FROM account WHERE domain = ?1 AND jid > ?2 AND NOT EXISTS \
     (SELECT 1 FROM room r WHERE r.number = account.number) ORDER BY jid LIMIT ?3";
const SET_LAST: &str = "UPDATE account SET last_at = ?2, last_status = ?3 WHERE jid = ?1";
const LAST: &str =
    "SELECT last_at, last_status FROM account WHERE jid = ?1 AND last_at IS NOT NULL";
const SECRET: &str = "SELECT value FROM secret WHERE name = ?1";
const ADD_SECRET: &str =
    "INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";

pub(super) fn create(
    db: &mut dyn Executor,
    account: &BareJid,
    credentials: &Credentials,
    now: Micros,
) -> Result<()> {
    add(db, account, now)?;
    put_credentials(db, account, credentials)
}

/// An account that nobody can log in to as long as it has no verifier.
pub(super) fn add(db: &mut dyn Executor, account: &BareJid, now: Micros) -> Result<()> {
    let params = [account.as_str().into(), account.domain().into(), now.into()];
    if db.execute(CREATE, &params)? == 0 {
        return Err(StoreError::Exists);
    }
    Ok(())
}

pub(super) fn account(db: &mut dyn Executor, account: &BareJid) -> Result<Option<Account>> {
    let rows = db.query(ACCOUNT, &[account.as_str().into()])?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut created = 0;
    let mut credentials = Credentials::default();
    for mut row in rows {
        created = row.int()?;
        let hash = row.int()?;
        let verifier = Verifier {
            salt: row.bytes()?,
            iterations: u32::try_from(row.int()?).map_err(|_| damaged("iterations"))?,
            stored_key: row.bytes()?,
            server_key: row.bytes()?,
        };
        match hash {
            1 => credentials.sha1 = Some(verifier),
            2 => credentials.sha256 = Some(verifier),
            3 => credentials.sha512 = Some(verifier),
            _ => return Err(damaged("a verifier has an unknown hash")),
        }
    }
    Ok(Some(Account {
        credentials,
        created,
    }))
}

pub(super) fn set_credentials(
    db: &mut dyn Executor,
    account: &BareJid,
    credentials: &Credentials,
) -> Result<()> {
    let number = number(db, account)?;
    access::revoke(db, number, None)?;
    db.execute(REMOVE_CREDENTIALS, &[account.as_str().into()])?;
    put_credentials(db, account, credentials)
}

pub(super) fn add_verifier(
    db: &mut dyn Executor,
    account: &BareJid,
    hash: Hash,
    verifier: &Verifier,
) -> Result<bool> {
    number(db, account)?;
    put_verifier(db, account, hash, verifier)
}

pub(super) fn delete(db: &mut dyn Executor, account: &BareJid) -> Result<bool> {
    let Some(number) = find(db, account)? else {
        return Ok(false);
    };
    message::release_account(db, number)?;
    uploads::release_account(db, number)?;
    // Everything else of the account references it and goes with it.
    let deleted = db.execute(DELETE, &[account.as_str().into()])? > 0;
    db.known().forget_accounts();
    if deleted {
        db.erase_log();
    }
    Ok(deleted)
}

pub(super) fn of_domain(
    db: &mut dyn Executor,
    domain: &str,
    after: Option<&BareJid>,
    count: u32,
) -> Result<Vec<BareJid>> {
    // Every address sorts after the empty text.
    let after = after.map_or("", BareJid::as_str);
    let rows = db.query(
        OF_DOMAIN,
        &[domain.into(), after.into(), bound(count).into()],
    )?;
    rows.into_iter()
        .map(|mut row| address(&row.text()?))
        .collect()
}

pub(super) fn set_last(
    db: &mut dyn Executor,
    account: &BareJid,
    at: Micros,
    status: &str,
) -> Result<()> {
    let params = [account.as_str().into(), coarse(at).into(), status.into()];
    if db.execute(SET_LAST, &params)? == 0 {
        return Err(StoreError::NoAccount);
    }
    Ok(())
}

pub(super) fn last(db: &mut dyn Executor, account: &BareJid) -> Result<Option<(Micros, String)>> {
    let row = db.query_first(LAST, &[account.as_str().into()])?;
    row.map(|mut row| Ok((row.int()?, row.text()?))).transpose()
}

pub(super) fn secret(
    db: &mut dyn Executor,
    name: &'static str,
    candidate: &[u8; 32],
) -> Result<[u8; 32]> {
    db.execute(ADD_SECRET, &[name.into(), Param::Bytes(candidate)])?;
    let row = db.query_first(SECRET, &[name.into()])?;
    let value = row.ok_or_else(|| damaged("a secret vanished"))?.bytes()?;
    value
        .try_into()
        .map_err(|_| damaged("a secret is not 32 bytes long"))
}

/// [`StoreError::NoAccount`] unless the account exists.
pub(super) fn require(db: &mut dyn Executor, account: &BareJid) -> Result<()> {
    number(db, account).map(drop)
}

/// The number of an account that must exist.
pub(super) fn number(db: &mut dyn Executor, account: &BareJid) -> Result<i64> {
    if let Some(number) = db.known().account(account) {
        return Ok(number);
    }
    let number = find(db, account)?.ok_or(StoreError::NoAccount)?;
    db.known().learn_account(account, number);
    Ok(number)
}

/// The number of an account.
pub(super) fn find(db: &mut dyn Executor, account: &BareJid) -> Result<Option<i64>> {
    let row = db.query_first(NUMBER, &[account.as_str().into()])?;
    row.map(|mut row| row.int()).transpose()
}

/// The number is in databases: it never changes.
fn put_verifier(
    db: &mut dyn Executor,
    account: &BareJid,
    hash: Hash,
    verifier: &Verifier,
) -> Result<bool> {
    let hash = match hash {
        Hash::Sha1 => 1,
        Hash::Sha256 => 2,
        Hash::Sha512 => 3,
    };
    let params = [
        account.as_str().into(),
        Param::Int(hash),
        verifier.salt.as_slice().into(),
        i64::from(verifier.iterations).into(),
        verifier.stored_key.as_slice().into(),
        verifier.server_key.as_slice().into(),
    ];
    Ok(db.execute(PUT_CREDENTIAL, &params)? > 0)
}

fn put_credentials(
    db: &mut dyn Executor,
    account: &BareJid,
    credentials: &Credentials,
) -> Result<()> {
    for hash in Hash::ALL {
        if let Some(verifier) = credentials.get(hash) {
            put_verifier(db, account, hash, verifier)?;
        }
    }
    Ok(())
}
