//! Records of messages, and the stanzas they share.

use super::{
    Executor, Ids, SPAN_BITS, accounts, ids::outward, offline, outgoing, resends, rooms, sessions,
    text,
};
use crate::{
    Entry, Message, Micros, Outcome, Record, Result, StoreError, Waiting, archive::origin_hash,
};

const INSERT: &str =
    "INSERT INTO message (id, received, origin, holders, stanza) VALUES (?1, ?2, ?3, ?4, ?5)";
const ADD_ENTRY: &str = "INSERT INTO archive_entry (account, id, contact, resource, flags) \
     VALUES (?1, ?2, ?3, ?4, ?5)";
const ADD_SPAN: &str = "INSERT INTO archive_span (account, contact, span) VALUES (?1, ?2, ?3) \
     ON CONFLICT (account, contact, span) DO NOTHING";
const REMOVE_UNHELD_ENTRIES: &str = "DELETE FROM message WHERE holders <= 1 AND id IN \
     (SELECT id FROM archive_entry WHERE account = ?1 AND id <= ?2 AND tombstone IS NULL)";
const RELEASE_ENTRIES: &str = "UPDATE message SET holders = holders - 1 WHERE id IN \
     (SELECT id FROM archive_entry WHERE account = ?1 AND id <= ?2 AND tombstone IS NULL)";
const REMOVE_UNHELD: &str = "DELETE FROM message WHERE id = ?1 AND holders <= 1";
const RELEASE: &str = "UPDATE message SET holders = holders - 1 WHERE id = ?1";
const HOLD: &str = "UPDATE message SET holders = holders + 1 WHERE id = ?1";

pub(super) fn record(db: &mut dyn Executor, ids: &mut Ids, record: &Record) -> Result<Outcome> {
    match record {
        Record::Wait(wait) => Ok(Outcome {
            id: wait.id,
            duplicate: false,
            waiting: offline::add_archived(db, wait.id, &wait.waiting)?,
        }),
        Record::Session(change) => {
            sessions::update(db, &change.account, &change.key, &change.update)?;
            Ok(Outcome::default())
        }
        Record::Message(message) => {
            let before = *ids;
            let done = keep(db, ids, message);
            if !matches!(&done, Ok(outcome) if !outcome.duplicate) {
                // The id was not used.
                *ids = before;
            }
            done
        }
    }
}

fn keep(db: &mut dyn Executor, ids: &mut Ids, message: &Message) -> Result<Outcome> {
    if let Some(handled) = &message.handled {
        accounts::require(db, &handled.account)?;
    }
    let id = ids.next(db, message.at)?;
    let resend = message.resend.as_ref();
    let resend = resend.map(|resend| Ok((accounts::number(db, &resend.account)?, resend.key)));
    let resend = resend.transpose()?;
    if let Some((account, hash)) = resend
        && let Some(first) = resends::find(db, account, hash, id)?
    {
        count(db, message)?;
        return Ok(Outcome {
            id: outward(first)?,
            duplicate: true,
            waiting: false,
        });
    }
    for entry in message.entries() {
        accounts::require(db, &entry.account)?;
    }
    let place = joins_queue(db, message)?;
    let departure = message.outgoing.as_ref();
    if let Some(departure) = departure {
        outgoing::admit(db, message.stanza.len(), departure)?;
    }
    count(db, message)?;
    // Nothing refuses it from here on.
    if let Some((account, hash)) = resend {
        resends::add(db, id, account, hash)?;
    }
    let mut holders = 0;
    if let Some(place) = place {
        offline::add(db, id, message.stanza.len(), &place.account)?;
        holders += 1;
    }
    if let Some(departure) = departure {
        outgoing::add(db, id, message.stanza.len(), &departure.route)?;
        holders += 1;
    }
    for entry in message.entries() {
        add_entry(db, id, entry)?;
        holders += 1;
    }
    if let (Some(subject), Some(entry)) = (&message.subject, &message.recipient) {
        rooms::set_subject(db, &entry.account, subject)?;
    }
    if let Some(text) = &message.text {
        text::add(db, id, message.entries(), text)?;
    }
    if holders > 0 {
        let origin = message.origin.as_deref().map(origin_hash);
        insert(db, id, message.at, origin, holders, &message.stanza)?;
    }
    Ok(Outcome {
        id: outward(id)?,
        duplicate: false,
        waiting: place.is_some(),
    })
}

fn count(db: &mut dyn Executor, message: &Message) -> Result<()> {
    let handled = message.handled.as_ref();
    handled.map_or(Ok(()), |handled| sessions::count(db, handled))
}

/// The offline queue that the message is put into, counted there.
fn joins_queue<'a>(db: &mut dyn Executor, message: &'a Message) -> Result<Option<&'a Waiting>> {
    let Some(place) = &message.waiting else {
        return Ok(None);
    };
    match offline::admit(db, message.stanza.len(), place) {
        Ok(()) => Ok(Some(place)),
        Err(StoreError::Quota(_)) if message.is_archived_for(&place.account) => Ok(None),
        Err(error) => Err(error),
    }
}

fn add_entry(db: &mut dyn Executor, id: i64, entry: &Entry) -> Result<()> {
    let number = accounts::number(db, &entry.account)?;
    let contact = entry.with.bare_str();
    let flags = (i64::from(entry.flags) << 1) | i64::from(entry.outgoing);
    let params = [
        number.into(),
        id.into(),
        contact.into(),
        entry.with.resource().unwrap_or_default().into(),
        flags.into(),
    ];
    db.execute(ADD_ENTRY, &params)?;
    if !db.known().has_span(number, contact, id) {
        let params = [number.into(), contact.into(), (id >> SPAN_BITS).into()];
        db.execute(ADD_SPAN, &params)?;
        db.known().learn_span(number, contact, id);
    }
    Ok(())
}

pub(super) fn insert(
    db: &mut dyn Executor,
    id: i64,
    at: Micros,
    origin: Option<i64>,
    holders: i64,
    stanza: &[u8],
) -> Result<()> {
    let params = [
        id.into(),
        at.into(),
        origin.into(),
        holders.into(),
        stanza.into(),
    ];
    db.execute(INSERT, &params).map(drop)
}

/// One holder of one message more.
pub(super) fn hold(db: &mut dyn Executor, id: i64) -> Result<()> {
    db.execute(HOLD, &[id.into()]).map(drop)
}

/// One holder of one message less.
pub(super) fn release(db: &mut dyn Executor, id: i64) -> Result<()> {
    if db.execute(REMOVE_UNHELD, &[id.into()])? == 0 {
        db.execute(RELEASE, &[id.into()])?;
    }
    Ok(())
}

/// The entries of an account up to an id hold nothing any more; they must be removed next.
pub(super) fn release_entries(db: &mut dyn Executor, number: i64, last: i64) -> Result<()> {
    let params = [number.into(), last.into()];
    db.execute(REMOVE_UNHELD_ENTRIES, &params)?;
    db.execute(RELEASE_ENTRIES, &params).map(drop)
}

/// An account that is about to be removed holds nothing any more.
pub(super) fn release_account(db: &mut dyn Executor, number: i64) -> Result<()> {
    release_entries(db, number, i64::MAX)?;
    offline::remove_span(db, number, 0, i64::MAX)
}
