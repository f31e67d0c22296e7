//! Rosters and their versions.

use super::{Executor, Param, Row, accounts, address, bound, damaged};
use crate::{
    ROSTER_REMOVALS_MAX, ROSTER_REQUEST_BYTES_MAX, ROSTER_REQUESTS_MAX, Result, Roster,
    RosterChange, RosterItem, StoreError, Subscription, quota,
};
use waxwing_proto::BareJid;

const VERSIONS: &str = "SELECT roster_version, roster_forgotten FROM account WHERE jid = ?1";
const RAISE: &str = "UPDATE account SET roster_version = roster_version + 1 \
     WHERE jid = ?1 AND roster_version = ?2";
const ITEMS: &str = "SELECT version, contact, name, group_lines, subscription, ask, approved, \
     request, listed FROM roster_item WHERE account = ?1 ORDER BY contact";
const ITEMS_SINCE: &str = "SELECT version, contact, name, group_lines, subscription, ask, \
     approved, request, listed FROM roster_item WHERE account = ?1 AND listed = 1 AND version > ?2";
const REMOVALS_SINCE: &str =
    "SELECT version, contact FROM roster_removal WHERE account = ?1 AND version > ?2";
const LISTED: &str = "SELECT listed FROM roster_item WHERE account = ?1 AND contact = ?2";
const COUNT: &str = "SELECT count(*) FROM roster_item WHERE account = ?1 AND listed = ?2";
const PUT: &str = "INSERT INTO roster_item (account, contact, name, group_lines, subscription, \
     ask, approved, request, listed, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
     ON CONFLICT (account, contact) DO UPDATE SET name = excluded.name, \
     group_lines = excluded.group_lines, subscription = excluded.subscription, \
     ask = excluded.ask, approved = excluded.approved, request = excluded.request, \
     listed = excluded.listed, version = excluded.version";
const REMOVE: &str = "DELETE FROM roster_item WHERE account = ?1 AND contact = ?2";
const REMEMBER: &str = "INSERT INTO roster_removal (account, contact, version) \
     VALUES (?1, ?2, ?3) ON CONFLICT (account, contact) DO UPDATE SET version = excluded.version";
const RELIST: &str = "DELETE FROM roster_removal WHERE account = ?1 AND contact = ?2";
const REMOVALS: &str = "SELECT count(*), min(version) FROM roster_removal WHERE account = ?1";
const FORGET: &str = "DELETE FROM roster_removal WHERE account = ?1 AND version <= ?2";
const SET_FORGOTTEN: &str = "UPDATE account SET roster_forgotten = ?2 WHERE jid = ?1";

pub(super) fn roster(db: &mut dyn Executor, account: &BareJid) -> Result<Roster> {
    let Some(mut row) = db.query_first(VERSIONS, &[account.as_str().into()])? else {
        return Ok(Roster::default());
    };
    let rows = db.query(ITEMS, &[account.as_str().into()])?;
    let items = rows.into_iter().map(|row| item(row).map(|(_, item)| item));
    Ok(Roster {
        version: row.count()?,
        items: items.collect::<Result<_>>()?,
    })
}

pub(super) fn changes(
    db: &mut dyn Executor,
    account: &BareJid,
    since: u64,
) -> Result<Option<Vec<RosterChange>>> {
    let Some(mut row) = db.query_first(VERSIONS, &[account.as_str().into()])? else {
        return Ok((since == 0).then(Vec::new));
    };
    let (version, forgotten) = (row.count()?, row.count()?);
    if since > version || since < forgotten {
        return Ok(None);
    }
    let params = [account.as_str().into(), bound(since).into()];
    let mut changes = Vec::new();
    for row in db.query(ITEMS_SINCE, &params)? {
        let (version, item) = item(row)?;
        changes.push(RosterChange {
            version,
            jid: item.jid.clone(),
            item: Some(item),
        });
    }
    for mut row in db.query(REMOVALS_SINCE, &params)? {
        let version = row.count()?;
        changes.push(RosterChange {
            version,
            jid: address(&row.text()?)?,
            item: None,
        });
    }
    changes.sort_by_key(|change| change.version);
    Ok(Some(changes))
}

pub(super) fn put(
    db: &mut dyn Executor,
    account: &BareJid,
    expected: u64,
    item: &RosterItem,
    items_max: u32,
) -> Result<u64> {
    raise(db, account, expected)?;
    let version = expected + 1;
    if item
        .request
        .as_ref()
        .is_some_and(|request| request.len() > ROSTER_REQUEST_BYTES_MAX)
    {
        return Err(StoreError::Quota(quota::ROSTER_REQUEST_BYTES));
    }
    let contact = [account.as_str().into(), item.jid.as_str().into()];
    let before = db.query_first(LISTED, &contact)?;
    let was_listed = before.map(|mut row| row.flag()).transpose()?;
    if was_listed != Some(item.listed) {
        check_quota(db, account, item.listed, items_max)?;
    }
    if item.listed {
        db.execute(RELIST, &contact)?;
    } else if was_listed == Some(true) {
        remember(db, account, &item.jid, version)?;
    }
    db.execute(
        PUT,
        &[
            account.as_str().into(),
            item.jid.as_str().into(),
            item.name.as_str().into(),
            group_lines(&item.groups).as_str().into(),
            Param::Int(subscription_number(item.subscription)),
            item.ask.into(),
            item.approved.into(),
            item.request.as_deref().map_or(Param::Null, Param::Bytes),
            item.listed.into(),
            bound(version).into(),
        ],
    )?;
    Ok(version)
}

pub(super) fn remove(
    db: &mut dyn Executor,
    account: &BareJid,
    expected: u64,
    contact: &BareJid,
) -> Result<u64> {
    let params = [account.as_str().into(), contact.as_str().into()];
    let before = db.query_first(LISTED, &params)?;
    let Some(was_listed) = before.map(|mut row| row.flag()).transpose()? else {
        return unchanged(db, account, expected);
    };
    raise(db, account, expected)?;
    let version = expected + 1;
    db.execute(REMOVE, &params)?;
    if was_listed {
        remember(db, account, contact, version)?;
    }
    Ok(version)
}

/// The comparison that every change begins with.
fn raise(db: &mut dyn Executor, account: &BareJid, expected: u64) -> Result<()> {
    // No roster has a version past 63 bits.
    let version = i64::try_from(expected).unwrap_or(-1);
    if db.execute(RAISE, &[account.as_str().into(), version.into()])? == 1 {
        return Ok(());
    }
    accounts::require(db, account)?;
    Err(StoreError::Conflict)
}

fn unchanged(db: &mut dyn Executor, account: &BareJid, expected: u64) -> Result<u64> {
    let row = db.query_first(VERSIONS, &[account.as_str().into()])?;
    let version = row.ok_or(StoreError::NoAccount)?.count()?;
    if version == expected {
        Ok(version)
    } else {
        Err(StoreError::Conflict)
    }
}

/// Whether one more listed or unlisted item may be kept.
fn check_quota(
    db: &mut dyn Executor,
    account: &BareJid,
    listed: bool,
    items_max: u32,
) -> Result<()> {
    let (limit, name) = if listed {
        (items_max, quota::ROSTER_ITEMS)
    } else {
        (ROSTER_REQUESTS_MAX, quota::ROSTER_REQUESTS)
    };
    let row = db.query_first(COUNT, &[account.as_str().into(), listed.into()])?;
    if row.ok_or_else(|| damaged("no count"))?.int()? >= i64::from(limit) {
        return Err(StoreError::Quota(name));
    }
    Ok(())
}

/// Remembers a removal, and forgets the oldest when there are too many.
fn remember(
    db: &mut dyn Executor,
    account: &BareJid,
    contact: &BareJid,
    version: u64,
) -> Result<()> {
    let params = [
        account.as_str().into(),
        contact.as_str().into(),
        bound(version).into(),
    ];
    db.execute(REMEMBER, &params)?;
    let row = db.query_first(REMOVALS, &[account.as_str().into()])?;
    let mut row = row.ok_or_else(|| damaged("no count"))?;
    if row.int()? > i64::from(ROSTER_REMOVALS_MAX) {
        let params = [account.as_str().into(), row.int()?.into()];
        db.execute(FORGET, &params)?;
        db.execute(SET_FORGOTTEN, &params)?;
    }
    Ok(())
}

fn item(mut row: Row) -> Result<(u64, RosterItem)> {
    let version = row.count()?;
    let item = RosterItem {
        jid: address(&row.text()?)?,
        name: row.text()?,
        groups: groups(&row.text()?),
        subscription: subscription(row.int()?)?,
        ask: row.flag()?,
        approved: row.flag()?,
        request: row.bytes_or_null()?,
        listed: row.flag()?,
    };
    Ok((version, item))
}

fn subscription_number(subscription: Subscription) -> i64 {
    match subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    }
}

fn subscription(number: i64) -> Result<Subscription> {
    match number {
        0 => Ok(Subscription::None),
        1 => Ok(Subscription::To),
        2 => Ok(Subscription::From),
        3 => Ok(Subscription::Both),
        _ => Err(damaged("a subscription state is unknown")),
    }
}

/// Groups as one text: each ended by a line feed, `\` and line feed escaped by `\`.
fn group_lines(groups: &[String]) -> String {
    let mut lines = String::with_capacity(groups.iter().map(|group| group.len() + 1).sum());
    for group in groups {
        for character in group.chars() {
            if matches!(character, '\\' | '\n') {
                lines.push('\\');
            }
            lines.push(character);
        }
        lines.push('\n');
    }
    lines
}

fn groups(lines: &str) -> Vec<String> {
    let mut groups = Vec::new();
    let mut group = String::new();
    let mut characters = lines.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => group.extend(characters.next()),
            '\n' => groups.push(std::mem::take(&mut group)),
            _ => group.push(character),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_survive_any_text() {
        for case in [
            &[][..],
            &[""],
            &["", ""],
            &["Friends"],
            &["a\nb", "c\\", "\\n", "\n"],
            &["Ünïcode \u{1F980}", "tab\t"],
        ] {
            let case: Vec<String> = case.iter().map(|&group| group.into()).collect();
            assert_eq!(groups(&group_lines(&case)), case);
        }
    }
}
