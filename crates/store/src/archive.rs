//! Message archives (XEP-0313) and their preferences (XEP-0441).
//!
//! The id of an entry is also its time: microseconds since 1970, from the store's clock that never
//! runs backwards. So the order of ids is the order of delivery, and a span of time is a span of
//! ids. Ids are guessable; whoever shows them to clients may wish to disguise them
//! (XEP-0313 § 3).

use crate::{BoxFuture, Micros, Result};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// Up to this many entries a count or an index is exact; beyond it there is none.
pub const ARCHIVE_COUNT_MAX: u32 = 10_000;
/// Entries that may be looked at for a count of those among them that pass a filter; where it takes
/// more, there is none.
pub const ARCHIVE_COUNTED_MAX: u32 = 20_000;
/// Entries of one conversation that [`Archive::archive_find`] looks at, from the newest.
pub const ARCHIVE_FIND_MAX: u32 = 10_000;
/// Ids that one [`ArchiveFilter::ids`] may name.
pub const ARCHIVE_IDS_MAX: usize = 256;

/// The archives of accounts. An archive that does not exist is empty.
pub trait Archive {
    /// A page of the entries that pass the filter. [`crate::StoreError::NoItem`] if an id that the
    /// filter or the request names is not in the archive (XEP-0313 § 4.1.3, § 4.3.2).
    fn archive_page(
        &self,
        account: BareJid,
        filter: ArchiveFilter,
        request: PageRequest,
    ) -> BoxFuture<'_, Result<ArchivePage>>;
    /// The ids, and so the times, of the first and the last entry (XEP-0313 § 5); none if the
    /// archive is empty.
    fn archive_ends(&self, account: BareJid) -> BoxFuture<'_, Result<Option<(u64, u64)>>>;
    /// Entries of the conversation with the bare address `with` whose message was recorded with
    /// this `origin`, newest first, among the newest [`ARCHIVE_FIND_MAX`] of the conversation. Only
    /// a hash of `origin` is compared: whether it is the right message must be read from the
    /// stanza.
    fn archive_find(
        &self,
        account: BareJid,
        with: BareJid,
        origin: String,
    ) -> BoxFuture<'_, Result<Vec<Archived>>>;
    /// Puts `tombstone` in the place of the stanza in this archive (XEP-0424 § 4), and takes the
    /// message out of the account's offline queue. The entry keeps its id and address; the stanza
    /// is gone when nobody else has it. False if there is no such entry.
    fn archive_retract(
        &self,
        account: BareJid,
        id: u64,
        tombstone: Bytes,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Removes entries, oldest first, at most `count`: those from before a time, or all; gives how
    /// many there were. To be called again while it gives `count`, so that a large archive does
    /// not hold up other writes. What waits in the offline queue goes on waiting.
    fn archive_purge(
        &self,
        account: BareJid,
        before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>>;
    /// Accounts whose archive has entries from before what is to be kept of it, with that time,
    /// for [`Archive::archive_purge`]: in address order, after `after`, at most `count`.
    fn archive_due(
        &self,
        retention: Retention,
        after: Option<BareJid>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<(BareJid, Micros)>>>;
    /// The preferences, if any were set.
    fn archive_preferences(
        &self,
        account: BareJid,
    ) -> BoxFuture<'_, Result<Option<ArchivePreferences>>>;
    /// Replaces the preferences; [`crate::StoreError::Quota`] if they have more than `rules_max`
    /// rules.
    fn archive_set_preferences(
        &self,
        account: BareJid,
        preferences: ArchivePreferences,
        rules_max: u32,
    ) -> BoxFuture<'_, Result<()>>;
    /// Keeps an index of what messages say from now on, or removes it and all that is in it; to be
    /// called before the first use of the store. False if this back end cannot keep one.
    fn archive_index(&self, kept: bool) -> BoxFuture<'_, Result<bool>>;
    /// Forgets which resends to recognise from records made before a time, at most `count`; gives
    /// how many there were.
    fn resends_forget(&self, before: Micros, count: u32) -> BoxFuture<'_, Result<u64>>;
}

/// Which entries; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveFilter {
    /// The other party: of any resource if this is a bare address.
    pub with: Option<Jid>,
    /// From this time on.
    pub start: Option<Micros>,
    /// Up to and including this time.
    pub end: Option<Micros>,
    /// After this entry.
    pub after_id: Option<u64>,
    /// Before this entry.
    pub before_id: Option<u64>,
    /// Only these entries; more than [`ARCHIVE_IDS_MAX`] are refused with
    /// [`crate::StoreError::Quota`].
    pub ids: Option<Vec<u64>>,
    /// Words that the message says, in any order, or beginnings of them, whatever their case; only
    /// with [`Archive::archive_index`], and only messages recorded with
    /// [`crate::Message::text`] since then. Without a word in it, none.
    pub text: Option<String>,
    /// Flags that an entry must have.
    pub flags_all: u32,
    /// Flags that an entry must not have.
    pub flags_none: u32,
}

/// Which page of what passes the filter (XEP-0059).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// How many entries at most; 0 to have them counted only.
    pub max: u32,
    /// How many bytes of stanzas at most, though always one entry. With fewer entries than `max`
    /// for this reason the page is not complete.
    pub bytes_max: usize,
    /// Where the page lies.
    pub from: PageFrom,
    /// Newest first (XEP-0313 § 4.3.4); which entries there are is not affected.
    pub flip: bool,
    /// Whether [`ArchivePage::count`] and [`ArchivePage::index`] are wanted. It costs a walk over
    /// [`ARCHIVE_COUNT_MAX`] entries, with a filter over [`ARCHIVE_COUNTED_MAX`], and another for a
    /// page that is not at an end.
    pub count: bool,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom {
    /// At the oldest entry.
    First,
    /// Just after an entry.
    After(u64),
    /// Just before an entry.
    Before(u64),
    /// At the newest entry.
    Last,
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchivePage<E = Archived> {
    /// Its entries, oldest first unless flipped.
    pub entries: Vec<E>,
    /// Nothing follows: later entries for a page from the start, earlier ones for one from the
    /// end.
    pub complete: bool,
    /// How many entries pass the filter, if asked for, not more than [`ARCHIVE_COUNT_MAX`], and
    /// found out by looking at not more than [`ARCHIVE_COUNTED_MAX`].
    pub count: Option<u32>,
    /// How many of them are older than the oldest of this page, if the count is known and the page
    /// is not empty.
    pub index: Option<u32>,
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its id, and its time in microseconds since 1970.
    pub id: u64,
    /// The other party.
    pub with: Jid,
    /// Whether the account sent it.
    pub outgoing: bool,
    /// The flags it was recorded with.
    pub flags: u32,
    /// Whether it was retracted and `stanza` is the tombstone.
    pub retracted: bool,
    /// The stanza as recorded, or the tombstone.
    pub stanza: Bytes,
}

/// What is kept of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The present time.
    pub now: Micros,
    /// Days for accounts that chose nothing; `None` for ever.
    pub days_default: Option<u32>,
    /// Days that nobody can exceed.
    pub days_max: Option<u32>,
}

/// Archiving preferences of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchivePreferences {
    /// For addresses without a rule.
    pub default: ArchiveDefault,
    /// Addresses whose messages are archived, in address order, without repeats.
    pub always: Vec<Jid>,
    /// Addresses whose messages are not, in address order, without repeats. An address in both
    /// lists stays in this one.
    pub never: Vec<Jid>,
    /// How long entries are kept.
    pub keep: Keep,
}

/// The default rule (XEP-0441 § 2.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArchiveDefault {
    /// Archive.
    #[default]
    Always,
    /// Do not archive.
    Never,
    /// Archive if the other party is in the roster.
    Roster,
}

/// How long a person wants entries kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// As the admin sets it.
    #[default]
    Unset,
    /// So many days.
    Days(u32),
    /// For ever, as far as the admin's limit goes.
    Forever,
}

impl Retention {
    /// The time before which nothing is kept for someone with this wish; `None` if all is kept.
    pub fn cutoff(&self, keep: Keep) -> Option<Micros> {
        const DAY: Micros = 86_400_000_000;
        let days = match keep {
            Keep::Unset => self.days_default,
            Keep::Days(days) => Some(days),
            Keep::Forever => None,
        };
        let days = match (days, self.days_max) {
            (Some(days), Some(max)) => days.min(max),
            (days, max) => days.or(max)?,
        };
        Some(self.now.saturating_sub(DAY.saturating_mul(i64::from(days))))
    }
}

impl ArchiveFilter {
    /// The ids that times and ids allow, both ends excluded.
    pub(crate) fn span(&self) -> (i64, i64) {
        let id = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
        let start = self.start.map_or(0, |start| start.saturating_sub(1).max(0));
        let end = self.end.map_or(i64::MAX, |end| end.saturating_add(1));
        (
            start.max(self.after_id.map_or(0, id)),
            end.min(self.before_id.map_or(i64::MAX, id)),
        )
    }

    /// Whether an entry of the archive passes, as far as its text does not matter.
    pub(crate) fn passes(&self, entry: &Archived) -> bool {
        self.admits(entry.id, &entry.with)
            && entry.flags & self.flags_all == self.flags_all
            && entry.flags & self.flags_none == 0
    }

    /// Whether an entry with this id and other party passes, as far as nothing else matters.
    pub(crate) fn admits(&self, id: u64, party: &Jid) -> bool {
        let (after, before) = self.span();
        let with = self.with.as_ref().is_none_or(|with| {
            if with.is_full() {
                with == party
            } else {
                with.as_str() == party.bare_str()
            }
        });
        let ids = self.ids.as_ref().is_none_or(|ids| ids.contains(&id));
        let id = i64::try_from(id).unwrap_or(i64::MAX);
        with && ids && (after < id && id < before)
    }

    /// All ids that must be in the archive for the request to be answered.
    pub(crate) fn named(&self, from: PageFrom) -> impl Iterator<Item = u64> + use<'_> {
        let from = match from {
            PageFrom::After(id) | PageFrom::Before(id) => Some(id),
            PageFrom::First | PageFrom::Last => None,
        };
        let ids = self.ids.iter().flatten().copied();
        ids.chain(from).chain(self.after_id).chain(self.before_id)
    }
}

impl PageRequest {
    /// Whether the page is filled from the newest entry towards the oldest.
    pub(crate) fn is_backwards(&self) -> bool {
        matches!(self.from, PageFrom::Before(_) | PageFrom::Last)
    }

    /// Whether an entry is on the side of the page's end that the page lies on.
    pub(crate) fn reaches(&self, id: u64) -> bool {
        match self.from {
            PageFrom::First | PageFrom::Last => true,
            PageFrom::After(end) => id > end,
            PageFrom::Before(end) => id < end,
        }
    }

    /// How many of the entries, from the first on, the page can take.
    pub(crate) fn fitting<'a, E: Paged + 'a>(&self, entries: impl Iterator<Item = &'a E>) -> usize {
        let mut bytes = 0_usize;
        let entries = entries.take(usize::try_from(self.max).unwrap_or(usize::MAX));
        let fitting = entries.enumerate().take_while(|(at, entry)| {
            bytes = bytes.saturating_add(entry.bytes());
            *at == 0 || bytes <= self.bytes_max
        });
        fitting.count()
    }

    /// The page from all entries that pass, in rising order of ids.
    pub(crate) fn page<E: Paged + Clone>(&self, passing: &[E]) -> ArchivePage<E> {
        let (from, to) = match self.from {
            PageFrom::First | PageFrom::Last => (0, passing.len()),
            PageFrom::After(id) => (
                passing.partition_point(|entry| entry.id() <= id),
                passing.len(),
            ),
            PageFrom::Before(id) => (0, passing.partition_point(|entry| entry.id() < id)),
        };
        let passed = passing.get(from..to).unwrap_or_default();
        let length = if self.is_backwards() {
            self.fitting(passed.iter().rev())
        } else {
            self.fitting(passed.iter())
        };
        let first = if self.is_backwards() {
            to - length
        } else {
            from
        };
        let entries = passing.iter().skip(first).take(length).cloned().collect();
        let known = |count: usize| {
            let count = u32::try_from(count).ok();
            count.filter(|count| self.count && *count <= ARCHIVE_COUNT_MAX)
        };
        let mut page = ArchivePage {
            entries,
            complete: length == to - from,
            count: known(passing.len()),
            index: known(passing.len()).and_then(|_| known(first).filter(|_| length > 0)),
        };
        if self.flip {
            page.entries.reverse();
        }
        page
    }
}

/// What pages are made of.
pub(crate) trait Paged {
    /// Its place: entries are in rising order of their ids.
    fn id(&self) -> u64;
    /// How much of a page it takes.
    fn bytes(&self) -> usize;
}

impl Paged for Archived {
    fn id(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        self.stanza.len()
    }
}

impl ArchivePreferences {
    /// The lists as they are kept: sorted, without repeats, `never` before `always`.
    pub(crate) fn normalize(&mut self) {
        for list in [&mut self.always, &mut self.never] {
            list.sort();
            list.dedup();
        }
        let never = &self.never;
        self.always.retain(|jid| never.binary_search(jid).is_err());
    }

    pub(crate) fn rules(&self) -> usize {
        self.always.len() + self.never.len()
    }
}

/// The words to search for: runs of letters and digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|c: char| !c.is_alphanumeric());
    runs.filter(|word| !word.is_empty())
}

/// What is kept of an `origin` (FNV-1a, 64 bits): stable across releases; need not be strong, as
/// the stanza decides.
pub(crate) fn origin_hash(origin: &str) -> i64 {
    let hash = origin
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    i64::from_ne_bytes(hash.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_hashes_never_change() {
        // The published vectors of FNV-1a.
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325_u64),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(origin_hash(text).cast_unsigned(), hash, "{text}");
        }
    }

    #[test]
    fn the_shorter_retention_counts() {
        const DAY: Micros = 86_400_000_000;
        for (keep, default, max, days) in [
            (Keep::Unset, None, None, None),
            (Keep::Unset, Some(7), None, Some(7)),
            (Keep::Unset, None, Some(30), Some(30)),
            (Keep::Days(60), Some(7), Some(30), Some(30)),
            (Keep::Days(60), Some(7), None, Some(60)),
            (Keep::Forever, Some(7), None, None),
            (Keep::Forever, Some(7), Some(30), Some(30)),
            (Keep::Days(0), None, None, Some(0)),
        ] {
            let retention = Retention {
                now: 100 * DAY,
                days_default: default,
                days_max: max,
            };
            let cutoff = days.map(|days| (100 - days) * DAY);
            assert_eq!(
                retention.cutoff(keep),
                cutoff,
                "{keep:?} {default:?} {max:?}"
            );
        }
    }
}
