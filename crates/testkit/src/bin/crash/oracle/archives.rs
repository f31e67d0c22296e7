//! Checks of sequences: the order of messages, and the places of ids.

use super::{Evidence, Outcome, Violation};
use crate::{
    archive::Item,
    entry::{DeviceId, Key, Party},
};
use std::collections::BTreeMap;

/// 5: of one stream to one account or room, later messages are later, in every archive and on every device.
pub(super) fn order(evidence: &Evidence) -> Outcome {
    let mut judged = 0;
    let mut violations = Vec::new();
    let mut judge = |keys: Vec<Key>, place: String| {
        judged += keys.len();
        violations.extend(out_of_order(evidence, &keys, &place));
    };
    for party in evidence.listings.keys() {
        let items = evidence.archive(*party).map(|listing| &listing.items);
        let keys = items.into_iter().flatten().map(|item| item.key);
        judge(keys.collect(), format!("in the archive of {party}"));
    }
    for device in evidence.kinds.keys() {
        let first = evidence.first_pushes(*device).into_iter();
        judge(first.map(|push| push.key).collect(), format!("on {device}"));
    }
    Outcome::Judged(judged, violations)
}

fn out_of_order(evidence: &Evidence, keys: &[Key], place: &str) -> Vec<Violation> {
    let mut last: BTreeMap<(DeviceId, u32, Party), Key> = BTreeMap::new();
    let mut violations = Vec::new();
    for key in keys {
        let Some(sending) = evidence.sent.get(key) else {
            continue;
        };
        let conversation = (key.sender, key.stream, sending.to);
        match last.insert(conversation, *key) {
            Some(before) if before.seq > key.seq => {
                violations.push(Violation::of(*key, format!("is behind {before} {place}")));
            }
            _ => {}
        }
    }
    violations
}

/// 6: pages of every size and direction give one sequence; every id ever given out is in it, and
/// what a device got in one connection came in its order.
///
/// Pages of one message forward ask for what is behind each id, so they show that for every id.
pub(super) fn paging(evidence: &Evidence) -> Outcome {
    if !evidence.abilities.archive {
        return Outcome::NotApplicable("the server has no archive");
    }
    let mut judged = 0;
    let mut violations = Vec::new();
    for (device, id) in &evidence.vanished {
        let what =
            format!("{device} asked for what is behind {id}, which the archive gave it once");
        violations.push(Violation::about(id, what));
    }
    for (party, listings) in &evidence.listings {
        let Some(whole) = evidence.archive(*party) else {
            continue;
        };
        for listing in listings {
            judged += listing.items.len();
            if let Some(difference) = difference(&whole.items, &listing.items) {
                let way = if listing.backward {
                    "backward"
                } else {
                    "forward"
                };
                let what = format!("{party} in pages of {} {way}: {difference}", listing.size);
                violations.push(Violation::about("", what));
            }
        }
        let places: BTreeMap<&str, usize> = whole
            .items
            .iter()
            .enumerate()
            .map(|(place, item)| (item.id.as_str(), place))
            .collect();
        for device in evidence.kinds.keys() {
            violations.extend(out_of_place(evidence, *device, *party, &places));
        }
    }
    Outcome::Judged(judged, violations)
}

fn difference(whole: &[Item], other: &[Item]) -> Option<String> {
    if whole == other {
        return None;
    }
    let place = whole.iter().zip(other).position(|(a, b)| a != b);
    let place = place.unwrap_or_else(|| whole.len().min(other.len()));
    let key = |items: &[Item]| items.get(place).map(|item| item.key.to_string());
    Some(format!(
        "{} messages instead of {}; at {place} there is {:?} instead of {:?}",
        other.len(),
        whole.len(),
        key(other),
        key(whole)
    ))
}

/// Ids given to a device that are not in the archive, or were given in another order: of an account
/// in one connection, of a room ever, because a room tells nobody what is past unless asked.
fn out_of_place(
    evidence: &Evidence,
    device: DeviceId,
    archive: Party,
    places: &BTreeMap<&str, usize>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let of_archive = |key: Key| evidence.archive_for(device, key) == archive;
    let receipts = evidence.received.get(&device).into_iter().flatten();
    for receipt in receipts.filter(|receipt| of_archive(receipt.key)) {
        let id = receipt.id.as_deref();
        if id.is_some_and(|id| !places.contains_key(id)) {
            let what = format!("came to {device} with an id that the archive does not have");
            violations.push(Violation::of(receipt.key, what));
        }
    }
    let mut last: BTreeMap<u32, (usize, Key)> = BTreeMap::new();
    let pushes = evidence.first_pushes(device).into_iter();
    for push in pushes.filter(|push| of_archive(push.key)) {
        let span = match archive {
            Party::Account(_) => push.connection,
            Party::Room(_) => 0,
        };
        let place = push.id.as_deref().and_then(|id| places.get(id));
        let Some(place) = place.copied() else {
            continue;
        };
        match last.insert(span, (place, push.key)) {
            Some((before, key)) if before > place => {
                let what = format!("came to {device} behind {key}, but its id is in front");
                violations.push(Violation::of(push.key, what));
            }
            _ => {}
        }
    }
    violations
}
