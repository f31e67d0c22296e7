//! The one implementation of the domain in SQL, over an [`Executor`] for each database.
//!
//! Statements are constants in the common subset of SQLite and PostgreSQL (but for [`text`]); values are only ever
//! bound, as `?1, ?2`. When a function that writes returns an error, whatever it did is undone;
//! that is dear, so it looks for what may refuse it before it writes.

mod access;
mod accounts;
mod archive;
mod blocking;
mod documents;
mod ids;
mod known;
mod message;
mod offline;
mod outgoing;
mod preferences;
mod pubsub;
mod pubsub_archive;
mod pubsub_items;
mod resends;
mod rooms;
mod roster;
pub(crate) mod schema;
mod sessions;
mod store;
mod store_archive;
mod store_pubsub;
mod text;
mod uploads;

pub(crate) use ids::Ids;
pub(crate) use known::Known;
#[cfg(test)]
pub(crate) use pubsub_items::QUERIES as ITEM_QUERIES;
pub(crate) use store::Backend;
#[cfg(test)]
pub(crate) use {
    archive::QUERIES as ARCHIVE_QUERIES, offline::QUERIES as OFFLINE_QUERIES,
    outgoing::QUERIES as OUTGOING_QUERIES, pubsub_archive::QUERIES as ITEM_ARCHIVE_QUERIES,
    resends::QUERIES as RESEND_QUERIES, rooms::QUERIES as ROOM_QUERIES,
    uploads::QUERIES as UPLOAD_QUERIES,
};

use crate::{Result, StoreError};
use archive::SPAN_BITS;
use bytes::Bytes;

/// A database connection that runs one statement at a time.
pub(crate) trait Executor {
    /// Runs a statement; gives how many rows it changed.
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64>;
    /// Runs a query; gives its rows.
    fn query(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.query_bytes(sql, params, usize::MAX)
    }
    /// Runs a query; gives its rows up to the one with which their values of bytes pass
    /// `bytes_max`, that one included.
    fn query_bytes(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        bytes_max: usize,
    ) -> Result<Vec<Row>>;
    /// Runs the statements of a migration, with the aliases `BYTES`, `ROWKEY` and `CLUSTERED`
    /// replaced.
    fn script(&mut self, sql: &str) -> Result<()>;
    /// What was deleted must soon be gone from the database's log, too.
    fn erase_log(&mut self);
    /// What was remembered on this connection.
    fn known(&mut self) -> &mut Known;

    /// The first row of a query.
    fn query_first(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<Option<Row>> {
        Ok(self.query(sql, params)?.into_iter().next())
    }
}

/// Work of the store's own, to be done in a transaction of others before it is committed.
pub(crate) fn before_commit(db: &mut dyn Executor) -> Result<()> {
    resends::merge(db)
}

/// A bound value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<Option<i64>> for Param<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Int)
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<Option<&'a str>> for Param<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

/// A value as read.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row as read; its columns are taken from left to right.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(value),
            other => Err(unexpected("an integer", other.as_ref())),
        }
    }

    /// An integer that is never negative in the schema.
    pub(crate) fn count(&mut self) -> Result<u64> {
        let value = self.int()?;
        u64::try_from(value).map_err(|_| damaged(&format!("the count {value} is negative")))
    }

    pub(crate) fn int_or_null(&mut self) -> Result<Option<i64>> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("an integer or null", other.as_ref())),
        }
    }

    /// A number that fits the type in the schema's words.
    pub(crate) fn number<N: TryFrom<i64>>(&mut self) -> Result<N> {
        N::try_from(self.int()?).map_err(|_| damaged("a number is out of its range"))
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(value),
            other => Err(unexpected("text", other.as_ref())),
        }
    }

    pub(crate) fn text_or_null(&mut self) -> Result<Option<String>> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("text or null", other.as_ref())),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(value),
            other => Err(unexpected("bytes", other.as_ref())),
        }
    }

    pub(crate) fn bytes_or_null(&mut self) -> Result<Option<Bytes>> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(Some(value.into())),
            Some(Value::Null) => Ok(None),
            other => Err(unexpected("bytes or null", other.as_ref())),
        }
    }
}

/// An address as kept: prepared before it was written, so anything else is damage.
pub(crate) fn address<J: std::str::FromStr>(text: &str) -> Result<J> {
    text.parse().map_err(|_| damaged("an address is not valid"))
}

/// A count or limit as a bound value; past 63 bits a limit is no limit.
pub(crate) fn bound(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn unexpected(wanted: &str, found: Option<&Value>) -> StoreError {
    // The value itself may be private; its type is enough to find the fault.
    let found = match found {
        None => "no column",
        Some(Value::Null) => "null",
        Some(Value::Int(_)) => "an integer",
        Some(Value::Text(_)) => "text",
        Some(Value::Bytes(_)) => "bytes",
    };
    damaged(&format!("wanted {wanted}, found {found}"))
}

pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Backend(format!("the database is damaged: {what}").into())
}

/// Rewrites `?1` to `$1`, as PostgreSQL wants it, outside quotes.
///
/// Not the other way round: SQLite takes `$1` for a *name* and numbers names by first appearance,
/// so that `$2 || $1` would silently swap.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for the PostgreSQL executor, kept true by tests")
)]
pub(crate) fn dollar_numbered(sql: &str) -> String {
    let mut quote = None;
    let mut characters = sql.chars().peekable();
    let mut out = String::with_capacity(sql.len());
    while let Some(character) = characters.next() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None if character == '?' && characters.peek().is_some_and(char::is_ascii_digit) => {
                out.push('$');
                continue;
            }
            _ => {}
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_rewritten_outside_quotes() {
        for (sqlite, postgres) in [
            ("SELECT ?2 || ?1", "SELECT $2 || $1"),
            (
                "x = ?12 AND y = '?1' AND \"?2\" = ?3",
                "x = $12 AND y = '?1' AND \"?2\" = $3",
            ),
            ("'it''s ?1' || ?1", "'it''s ?1' || $1"),
            ("what?", "what?"),
        ] {
            assert_eq!(dollar_numbered(sqlite), postgres);
        }
    }
}
