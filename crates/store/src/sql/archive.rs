//! Archives.

use super::{Executor, Row, accounts, address, bound, damaged, message, offline, text};
use crate::{
    ARCHIVE_COUNT_MAX, ARCHIVE_COUNTED_MAX, ARCHIVE_FIND_MAX, ARCHIVE_IDS_MAX, ArchiveFilter,
    ArchivePage, Archived, Micros, PageFrom, PageRequest, Result, StoreError, archive::origin_hash,
    quota,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// The columns that [`archived`] reads, of some entries.
macro_rules! entries {
    ($from:literal, $($condition:tt)+) => {
        concat!(
            "SELECT e.id, e.contact, e.resource, e.flags, \
             CASE WHEN e.tombstone IS NULL THEN 0 ELSE 1 END, coalesce(e.tombstone, m.stanza) FROM ",
            $from,
            " LEFT JOIN message m ON m.id = e.id WHERE e.account = ?1 AND ",
            $($condition)+
        )
    };
}
/// The conditions on which entries pass, but those of the conversation.
macro_rules! passing {
    ($rest:literal) => {
        concat!(
            "e.id > ?2 AND e.id < ?3 AND (e.flags & ?4) = ?4 AND (e.flags & ?5) = 0 ",
            $rest
        )
    };
}
/// The same within the spans of a conversation; an empty resource is any.
macro_rules! conversation {
    ($rest:literal) => {
        concat!(
            "s.account = ?1 AND s.contact = ?7 AND s.span >= (?2 >> 36) AND s.span <= (?3 >> 36) \
             AND e.id >= (s.span << 36) AND e.id < ((s.span + 1) << 36) \
             AND e.contact = ?7 AND (?8 = '' OR e.resource = ?8) AND ",
            passing!($rest)
        )
    };
}

/// The same of messages that say something; ?9 is what [`text::expression`] gives.
macro_rules! found {
    ($rest:literal) => {
        concat!(
            "t.message_text MATCH ?9 AND t.rowid > ?2 AND t.rowid < ?3 AND e.id = t.rowid \
             AND e.tombstone IS NULL AND (?7 = '' OR e.contact = ?7) \
             AND (?8 = '' OR e.resource = ?8) AND ",
            passing!($rest)
        )
    };
}

/// A span of ids has so many bits; the statements have it as a number.
pub(super) const SPAN_BITS: u32 = 36;
const FORWARDS: &str = entries!("archive_entry e", passing!("ORDER BY e.id LIMIT ?6"));
const BACKWARDS: &str = entries!("archive_entry e", passing!("ORDER BY e.id DESC LIMIT ?6"));
const WITH_FORWARDS: &str = entries!(
    "archive_span s CROSS JOIN archive_entry e",
    conversation!("ORDER BY s.span, e.id LIMIT ?6")
);
const WITH_BACKWARDS: &str = entries!(
    "archive_span s CROSS JOIN archive_entry e",
    conversation!("ORDER BY s.span DESC, e.id DESC LIMIT ?6")
);
/// How many entries are looked at, and how many of them pass: those that do not cost time as well.
const COUNT: &str = "SELECT count(*), coalesce(sum(CASE WHEN (seen.flags & ?4) = ?4 \
     AND (seen.flags & ?5) = 0 THEN 1 ELSE 0 END), 0) \
     FROM (SELECT e.flags FROM archive_entry e \
     WHERE e.account = ?1 AND e.id > ?2 AND e.id < ?3 LIMIT ?6) AS seen";
const WITH_COUNT: &str = "SELECT count(*), coalesce(sum(CASE WHEN seen.contact = ?7 \
     AND (?8 = '' OR seen.resource = ?8) AND (seen.flags & ?4) = ?4 \
     AND (seen.flags & ?5) = 0 THEN 1 ELSE 0 END), 0) \
     FROM (SELECT e.contact, e.resource, e.flags FROM archive_span s CROSS JOIN archive_entry e \
     WHERE e.account = ?1 AND s.account = ?1 AND s.contact = ?7 \
     AND s.span >= (?2 >> 36) AND s.span <= (?3 >> 36) \
     AND e.id >= (s.span << 36) AND e.id < ((s.span + 1) << 36) \
     AND e.id > ?2 AND e.id < ?3 LIMIT ?6) AS seen";
const FOUND_FORWARDS: &str = entries!(
    "message_text t CROSS JOIN archive_entry e",
    found!("ORDER BY t.rowid LIMIT ?6")
);
const FOUND_BACKWARDS: &str = entries!(
    "message_text t CROSS JOIN archive_entry e",
    found!("ORDER BY t.rowid DESC LIMIT ?6")
);
const FOUND_COUNT: &str = concat!(
    "SELECT count(*), count(*) FROM (SELECT 1 FROM message_text t CROSS JOIN archive_entry e \
     WHERE e.account = ?1 AND ",
    found!("LIMIT ?6"),
    ") AS seen"
);
const BY_ID: &str = entries!("archive_entry e", "e.id = ?2");
const EXISTS: &str = "SELECT 1 FROM archive_entry WHERE account = ?1 AND id = ?2";
const FIRST: &str = "SELECT id FROM archive_entry WHERE account = ?1 ORDER BY id LIMIT 1";
const LAST: &str = "SELECT id FROM archive_entry WHERE account = ?1 ORDER BY id DESC LIMIT 1";
const FIND: &str = entries!(
    "archive_entry e",
    "e.tombstone IS NULL AND m.origin = ?4 AND e.id IN (SELECT c.id \
     FROM archive_span s CROSS JOIN archive_entry c WHERE s.account = ?1 AND s.contact = ?2 \
     AND c.account = ?1 AND c.id >= (s.span << 36) AND c.id < ((s.span + 1) << 36) \
     AND c.contact = ?2 ORDER BY s.span DESC, c.id DESC LIMIT ?3) ORDER BY e.id DESC"
);
const RETRACTED: &str = "SELECT CASE WHEN tombstone IS NULL THEN 0 ELSE 1 END \
     FROM archive_entry WHERE account = ?1 AND id = ?2";
const RETRACT: &str = "UPDATE archive_entry SET tombstone = ?3 WHERE account = ?1 AND id = ?2";
const NTH_OLD: &str = "SELECT max(id), count(*) FROM (SELECT id FROM archive_entry \
     WHERE account = ?1 AND id < ?2 ORDER BY id LIMIT ?3) AS old";
const REMOVE: &str = "DELETE FROM archive_entry WHERE account = ?1 AND id <= ?2";

/// What must never read a whole table.
#[cfg(test)]
pub(crate) const QUERIES: &[&str] = &[
    FORWARDS,
    BACKWARDS,
    WITH_FORWARDS,
    WITH_BACKWARDS,
    COUNT,
    WITH_COUNT,
    BY_ID,
    EXISTS,
    FIRST,
    LAST,
    NTH_OLD,
    REMOVE,
];
/// Spans up to one in which an archive has nothing of the conversation any more.
const REMOVE_SPANS: &str = "DELETE FROM archive_span WHERE account = ?1 AND span <= ?2 \
     AND NOT EXISTS (SELECT 1 FROM archive_entry e WHERE e.account = ?1 \
     AND e.contact = archive_span.contact AND e.id >= (archive_span.span << 36) \
     AND e.id < ((archive_span.span + 1) << 36))";

pub(super) fn page(
    db: &mut dyn Executor,
    account: &BareJid,
    filter: &ArchiveFilter,
    request: PageRequest,
) -> Result<ArchivePage> {
    if filter.ids.as_ref().map_or(0, Vec::len) > ARCHIVE_IDS_MAX {
        return Err(StoreError::Quota(quota::ARCHIVE_IDS));
    }
    let number = accounts::find(db, account)?;
    for id in filter.named(request.from) {
        let Some(number) = number else {
            return Err(StoreError::NoItem);
        };
        let id = i64::try_from(id).map_err(|_| StoreError::NoItem)?;
        let found = db.query_first(EXISTS, &[number.into(), id.into()])?;
        found.ok_or(StoreError::NoItem)?;
    }
    let Some(number) = number else {
        return Ok(request.page(&[]));
    };
    let sought = filter.text.as_ref().map(|text| {
        let contact = filter.with.as_ref().map(Jid::bare_str);
        text::expression(number, contact, text)
    });
    let sought = match &sought {
        Some(None) => return Ok(request.page(&[])),
        Some(expression) => expression.as_deref(),
        None => None,
    };
    match &filter.ids {
        Some(ids) => page_of_ids(db, number, (filter, sought), ids, request),
        None => page_of_span(db, number, (filter, sought), request),
    }
}

/// Few entries, of which each is named. All are read, because they are counted, but no more of
/// their stanzas are held than the page can take.
fn page_of_ids(
    db: &mut dyn Executor,
    number: i64,
    (filter, sought): (&ArchiveFilter, Option<&str>),
    ids: &[u64],
    request: PageRequest,
) -> Result<ArchivePage> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    if request.is_backwards() {
        ids.reverse();
    }
    let mut passing = Vec::with_capacity(ids.len());
    let mut bytes_held = 0_usize;
    for id in ids {
        let row = db.query_first(BY_ID, &[number.into(), bound(id).into()])?;
        let Some(mut entry) = row.map(archived).transpose()? else {
            continue;
        };
        if !filter.passes(&entry) {
            continue;
        }
        if let Some(sought) = sought
            && (entry.retracted || !text::has(db, bound(id), sought)?)
        {
            continue;
        }
        if !request.reaches(id) || bytes_held > request.bytes_max {
            entry.stanza = Bytes::new();
        }
        bytes_held = bytes_held.saturating_add(entry.stanza.len());
        passing.push(entry);
    }
    if request.is_backwards() {
        passing.reverse();
    }
    Ok(request.page(&passing))
}

fn page_of_span(
    db: &mut dyn Executor,
    number: i64,
    (filter, sought): (&ArchiveFilter, Option<&str>),
    request: PageRequest,
) -> Result<ArchivePage> {
    let whole = Span::new(number, filter, sought);
    let mut span = whole;
    match request.from {
        PageFrom::After(id) => span.after = span.after.max(bound(id)),
        PageFrom::Before(id) => span.before = span.before.min(bound(id)),
        PageFrom::First | PageFrom::Last => {}
    }
    // One more than fits tells whether anything follows.
    let mut entries = span.entries(db, request)?;
    let fitting = request.fitting(entries.iter());
    let complete = entries.len() == fitting;
    entries.truncate(fitting);
    let oldest = if request.is_backwards() {
        entries.last()
    } else {
        entries.first()
    };
    let (mut count, mut index) = (None, None);
    if request.count {
        count = whole.count(db)?;
        index = match (count, oldest, request.from) {
            (None, ..) | (_, None, _) => None,
            (_, _, PageFrom::First) => Some(0),
            (Some(count), _, PageFrom::Last) => count.checked_sub(length(&entries)),
            (_, Some(oldest), _) => {
                let before = whole.before.min(bound(oldest.id));
                Span { before, ..whole }.count(db)?
            }
        };
    }
    if request.flip != request.is_backwards() {
        entries.reverse();
    }
    Ok(ArchivePage {
        entries,
        complete,
        count,
        index,
    })
}

fn length(entries: &[Archived]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

/// The entries of an archive that pass, but for single ids.
#[derive(Clone, Copy)]
struct Span<'a> {
    number: i64,
    after: i64,
    before: i64,
    flags_all: i64,
    flags_none: i64,
    with: Option<&'a Jid>,
    /// What [`text::expression`] gives.
    sought: Option<&'a str>,
}

impl<'a> Span<'a> {
    fn new(number: i64, filter: &'a ArchiveFilter, sought: Option<&'a str>) -> Self {
        let (after, before) = filter.span();
        Self {
            number,
            after,
            before,
            flags_all: i64::from(filter.flags_all) << 1,
            flags_none: i64::from(filter.flags_none) << 1,
            with: filter.with.as_ref(),
            sought,
        }
    }

    /// From where the page begins up to the first entry behind it.
    fn entries(&self, db: &mut dyn Executor, request: PageRequest) -> Result<Vec<Archived>> {
        let statements = if request.is_backwards() {
            [BACKWARDS, WITH_BACKWARDS, FOUND_BACKWARDS]
        } else {
            [FORWARDS, WITH_FORWARDS, FOUND_FORWARDS]
        };
        let count = i64::from(request.max) + 1;
        self.query(db, statements, count, request.bytes_max)?
            .into_iter()
            .map(archived)
            .collect()
    }

    /// How many, if few enough pass and few enough are to be looked at for it.
    fn count(&self, db: &mut dyn Executor) -> Result<Option<u32>> {
        let all_pass = self.with.is_none()
            && self.sought.is_none()
            && self.flags_all == 0
            && self.flags_none == 0;
        let seen_max = if all_pass {
            ARCHIVE_COUNT_MAX
        } else {
            ARCHIVE_COUNTED_MAX
        };
        let limit = i64::from(seen_max) + 1;
        let row = self
            .query(db, [COUNT, WITH_COUNT, FOUND_COUNT], limit, usize::MAX)?
            .into_iter()
            .next();
        let mut row = row.ok_or_else(|| damaged("no count"))?;
        let (seen, passing): (u32, u32) = (row.number()?, row.number()?);
        Ok((seen <= seen_max && passing <= ARCHIVE_COUNT_MAX).then_some(passing))
    }

    fn query(
        &self,
        db: &mut dyn Executor,
        [all, with, found]: [&'static str; 3],
        limit: i64,
        bytes_max: usize,
    ) -> Result<Vec<Row>> {
        let [number, after, before] = [self.number, self.after, self.before].map(Into::into);
        let [flags_all, flags_none, limit] =
            [self.flags_all, self.flags_none, limit].map(Into::into);
        let contact = self.with.map_or("", Jid::bare_str);
        let resource = self.with.and_then(Jid::resource).unwrap_or_default();
        let params = [
            number,
            after,
            before,
            flags_all,
            flags_none,
            limit,
            contact.into(),
            resource.into(),
            self.sought.unwrap_or_default().into(),
        ];
        let (statement, params) = match (self.with, self.sought) {
            (_, Some(_)) => (found, params.as_slice()),
            (Some(_), None) => (with, params.get(..8).unwrap_or_default()),
            (None, None) => (all, params.get(..6).unwrap_or_default()),
        };
        db.query_bytes(statement, params, bytes_max)
    }
}

pub(super) fn ends(db: &mut dyn Executor, account: &BareJid) -> Result<Option<(u64, u64)>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(None);
    };
    let first = db.query_first(FIRST, &[number.into()])?;
    let last = db.query_first(LAST, &[number.into()])?;
    match (first, last) {
        (Some(mut first), Some(mut last)) => Ok(Some((first.count()?, last.count()?))),
        _ => Ok(None),
    }
}

pub(super) fn find(
    db: &mut dyn Executor,
    account: &BareJid,
    with: &BareJid,
    origin: &str,
) -> Result<Vec<Archived>> {
    let Some(number) = accounts::find(db, account)? else {
        return Ok(Vec::new());
    };
    let params = [
        number.into(),
        with.as_str().into(),
        i64::from(ARCHIVE_FIND_MAX).into(),
        origin_hash(origin).into(),
    ];
    let rows = db.query(FIND, &params)?;
    rows.into_iter().map(archived).collect()
}

pub(super) fn retract(
    db: &mut dyn Executor,
    account: &BareJid,
    id: u64,
    tombstone: &[u8],
) -> Result<bool> {
    let number = accounts::number(db, account)?;
    let id = bound(id);
    let Some(mut row) = db.query_first(RETRACTED, &[number.into(), id.into()])? else {
        return Ok(false);
    };
    let was_retracted = row.flag()?;
    db.execute(RETRACT, &[number.into(), id.into(), tombstone.into()])?;
    offline::remove_span(db, number, id, id)?;
    if !was_retracted {
        message::release(db, id)?;
    }
    db.erase_log();
    Ok(true)
}

pub(super) fn purge(
    db: &mut dyn Executor,
    account: &BareJid,
    before: Option<Micros>,
    count: u32,
) -> Result<u64> {
    let number = accounts::number(db, account)?;
    let params = [
        number.into(),
        before.unwrap_or(i64::MAX).into(),
        bound(count).into(),
    ];
    let row = db.query_first(NTH_OLD, &params)?;
    let mut row = row.ok_or_else(|| damaged("no count"))?;
    let (last, found) = (row.int_or_null()?, row.count()?);
    if let Some(last) = last {
        message::release_entries(db, number, last)?;
        db.execute(REMOVE, &[number.into(), last.into()])?;
        db.execute(REMOVE_SPANS, &[number.into(), (last >> SPAN_BITS).into()])?;
        db.known().forget_accounts();
    }
    if found > 0 && found < u64::from(count) {
        // The last of several calls.
        db.erase_log();
    }
    Ok(found)
}

fn archived(mut row: Row) -> Result<Archived> {
    let id = row.count()?;
    let contact: BareJid = address(&row.text()?)?;
    let resource = row.text()?;
    let with = if resource.is_empty() {
        contact.into()
    } else {
        let full = contact.with_resource(&resource);
        full.map_err(|_| damaged("an address is not valid"))?.into()
    };
    let flags = row.int()?;
    Ok(Archived {
        id,
        with,
        outgoing: flags & 1 != 0,
        flags: u32::try_from(flags >> 1).map_err(|_| damaged("flags"))?,
        retracted: row.flag()?,
        stanza: Bytes::from(row.bytes()?),
    })
}
