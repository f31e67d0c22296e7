//! The index of what messages say, where one is kept (XEP-0431).
//!
//! It is SQLite's own (FTS5) and therefore the one part of the store that is not in the common
//! subset of SQL; it is no part of the schema but made and removed by [`index`].

use super::{Executor, accounts};
use crate::{Entry, Result, archive};
use std::fmt::Write as _;

/// `holder` has a word for each archive and one for each conversation in it, so that a search reads
/// what is in the conversation only. Deleted words are overwritten and not only forgotten.
const MAKE: &str = "CREATE VIRTUAL TABLE IF NOT EXISTS message_text \
     USING fts5(holder, body, prefix = '2 3'); \
     INSERT INTO message_text (message_text, rank) VALUES ('secure-delete', 1); \
     CREATE TRIGGER IF NOT EXISTS message_text_gone AFTER DELETE ON message BEGIN \
     DELETE FROM message_text WHERE rowid = old.id; END;";
const REMOVE: &str = "DROP TRIGGER IF EXISTS message_text_gone; DROP TABLE IF EXISTS message_text;";
const IS_KEPT: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'message_text'";
const ADD: &str = "INSERT INTO message_text (rowid, holder, body) VALUES (?1, ?2, ?3)";
const HAS: &str = "SELECT 1 FROM message_text t WHERE t.message_text MATCH ?1 AND t.rowid = ?2";

/// Keeps an index from now on, or removes it.
pub(super) fn index(db: &mut dyn Executor, kept: bool) -> Result<()> {
    if kept {
        return db.script(MAKE);
    }
    if db.query_first(IS_KEPT, &[])?.is_some() {
        db.script(REMOVE)?;
        db.erase_log();
    }
    Ok(())
}

/// Adds a message that has these entries, if any.
pub(super) fn add<'a>(
    db: &mut dyn Executor,
    id: i64,
    entries: impl Iterator<Item = &'a Entry>,
    text: &str,
) -> Result<()> {
    let mut holders = String::new();
    for entry in entries {
        let number = accounts::number(db, &entry.account)?;
        let conversation = conversation(number, entry.with.bare_str());
        // Writing to a string cannot fail.
        let _ = write!(holders, "a{number} {conversation} ");
    }
    if holders.is_empty() {
        return Ok(());
    }
    db.execute(ADD, &[id.into(), holders.as_str().into(), text.into()])
        .map(drop)
}

/// Whether one message says it.
pub(super) fn has(db: &mut dyn Executor, id: i64, expression: &str) -> Result<bool> {
    let row = db.query_first(HAS, &[expression.into(), id.into()])?;
    Ok(row.is_some())
}

/// What finds messages in an archive, or in a conversation there, that have words beginning with
/// each word of `text`; nothing if there is no word in it.
pub(super) fn expression(number: i64, contact: Option<&str>, text: &str) -> Option<String> {
    let holder = match contact {
        Some(contact) => conversation(number, contact),
        None => format!("a{number}"),
    };
    let mut expression = format!("holder : {holder} AND body : (");
    let begin = expression.len();
    for word in archive::words(text) {
        let and = if expression.len() == begin {
            ""
        } else {
            " AND "
        };
        // A word has no quotes.
        let _ = write!(expression, "{and}\"{word}\"*");
    }
    (expression.len() > begin).then(|| expression + ")")
}

fn conversation(number: i64, contact: &str) -> String {
    format!("c{number}x{:016x}", archive::origin_hash(contact))
}
