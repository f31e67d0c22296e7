//! What is archived and for how long.

use super::{Executor, Param, accounts, address, bound, damaged};
use crate::{
    ArchiveDefault, ArchivePreferences, Keep, Micros, Result, Retention, StoreError, quota,
};
use waxwing_proto::{BareJid, Jid};

const PREFERENCE: &str = "SELECT mode, keep_days FROM archive_preference WHERE account = ?1";
const SET: &str = "INSERT INTO archive_preference (account, mode, keep_days) VALUES (?1, ?2, ?3) \
     ON CONFLICT (account) DO UPDATE SET mode = excluded.mode, keep_days = excluded.keep_days";
const RULES: &str = "SELECT jid, archived FROM archive_rule WHERE account = ?1 ORDER BY jid";
const ADD_RULE: &str = "INSERT INTO archive_rule (account, jid, archived) VALUES (?1, ?2, ?3)";
const CLEAR_RULES: &str = "DELETE FROM archive_rule WHERE account = ?1";
/// Accounts with an archive, with what each wishes and its oldest entry.
const OLDEST: &str = "SELECT a.jid, p.keep_days, \
     (SELECT min(e.id) FROM archive_entry e WHERE e.account = a.number) \
     FROM account a LEFT JOIN archive_preference p ON p.account = a.number \
     WHERE a.jid > ?1 ORDER BY a.jid LIMIT ?2";
/// Accounts looked at in one query.
const ACCOUNTS_AT_ONCE: usize = 500;
const FOREVER: i64 = -1;

pub(super) fn preferences(
    db: &mut dyn Executor,
    account: &BareJid,
) -> Result<Option<ArchivePreferences>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(None);
    };
    let Some(mut row) = db.query_first(PREFERENCE, &[number.into()])? else {
        return Ok(None);
    };
    let mut preferences = ArchivePreferences {
        default: match row.int()? {
            0 => ArchiveDefault::Always,
            1 => ArchiveDefault::Never,
            2 => ArchiveDefault::Roster,
            _ => return Err(damaged("an archiving mode is unknown")),
        },
        keep: keep(row.int_or_null()?)?,
        ..ArchivePreferences::default()
    };
    for mut row in db.query(RULES, &[number.into()])? {
        let jid: Jid = address(&row.text()?)?;
        if row.flag()? {
            preferences.always.push(jid);
        } else {
            preferences.never.push(jid);
        }
    }
    Ok(Some(preferences))
}

/// Replaces the preferences, which are normalized.
pub(super) fn set(
    db: &mut dyn Executor,
    account: &BareJid,
    preferences: &ArchivePreferences,
    rules_max: u32,
) -> Result<()> {
    let number = accounts::number(db, account)?;
    if bound(preferences.rules()) > i64::from(rules_max) {
        return Err(StoreError::Quota(quota::ARCHIVE_RULES));
    }
    let mode = match preferences.default {
        ArchiveDefault::Always => 0,
        ArchiveDefault::Never => 1,
        ArchiveDefault::Roster => 2,
    };
    let days = match preferences.keep {
        Keep::Unset => None,
        Keep::Days(days) => Some(i64::from(days)),
        Keep::Forever => Some(FOREVER),
    };
    db.execute(SET, &[number.into(), Param::Int(mode), days.into()])?;
    db.execute(CLEAR_RULES, &[number.into()])?;
    for (list, archived) in [(&preferences.always, true), (&preferences.never, false)] {
        for jid in list {
            let params = [number.into(), jid.as_str().into(), archived.into()];
            db.execute(ADD_RULE, &params)?;
        }
    }
    Ok(())
}

pub(super) fn due(
    db: &mut dyn Executor,
    retention: Retention,
    after: Option<&BareJid>,
    count: u32,
) -> Result<Vec<(BareJid, Micros)>> {
    let size = usize::try_from(count).unwrap_or(usize::MAX);
    let mut due = Vec::new();
    // Every address sorts after the empty text.
    let mut after = after.map_or("", BareJid::as_str).to_owned();
    loop {
        let rows = db.query(
            OLDEST,
            &[after.as_str().into(), bound(ACCOUNTS_AT_ONCE).into()],
        )?;
        let is_last = rows.len() < ACCOUNTS_AT_ONCE;
        for mut row in rows {
            if due.len() >= size {
                return Ok(due);
            }
            after = row.text()?;
            let cutoff = retention.cutoff(keep(row.int_or_null()?)?);
            let oldest = row.int_or_null()?;
            if let (Some(cutoff), Some(oldest)) = (cutoff, oldest)
                && oldest < cutoff
            {
                due.push((address(&after)?, cutoff));
            }
        }
        if is_last {
            return Ok(due);
        }
    }
}

fn keep(days: Option<i64>) -> Result<Keep> {
    match days {
        None => Ok(Keep::Unset),
        Some(FOREVER) => Ok(Keep::Forever),
        Some(days) => u32::try_from(days)
            .map(Keep::Days)
            .map_err(|_| damaged("a number of days is out of its range")),
    }
}
