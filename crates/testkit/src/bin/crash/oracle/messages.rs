//! Checks of single messages: lost, made up, doubled, renamed, refused.

use super::{Evidence, Outcome, Receipt, Violation};
use crate::{
    device::Kind,
    entry::{Channel, Key, Party},
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const NO_ROOMS: &str = "nobody is in rooms";
const NO_ARCHIVE: &str = "the server has no archive";

/// 1, first part: accepted ⊆ archives of sender and recipient, or of the room.
pub(super) fn kept_in_archives(evidence: &Evidence) -> Outcome {
    if !evidence.abilities.archive {
        return Outcome::NotApplicable(NO_ARCHIVE);
    }
    let mut violations = Vec::new();
    let accepted = evidence.accepted();
    let mut archives: BTreeMap<Party, BTreeSet<Key>> = BTreeMap::new();
    for party in evidence.listings.keys() {
        let items = evidence.archive(*party).map(|listing| &listing.items);
        let keys = items.into_iter().flatten().map(|item| item.key);
        archives.insert(*party, keys.collect());
    }
    for key in &accepted {
        for party in evidence.parties(*key) {
            if !archives.get(&party).is_some_and(|keys| keys.contains(key)) {
                violations.push(Violation::of(
                    *key,
                    format!("is not in the archive of {party}"),
                ));
            }
        }
    }
    Outcome::Judged(accepted.len(), violations)
}

/// 1, second part: accepted ⊆ what each device of the recipient has got.
pub(super) fn reaches_devices(evidence: &Evidence) -> Outcome {
    reaches(evidence, |to| matches!(to, Party::Account(_)))
}

/// 1, third part: accepted in a room ⊆ what each device in it has got.
pub(super) fn reaches_occupants(evidence: &Evidence) -> Outcome {
    if evidence.occupants.is_empty() {
        return Outcome::NotApplicable(NO_ROOMS);
    }
    reaches(evidence, |to| matches!(to, Party::Room(_)))
}

fn reaches(evidence: &Evidence, meant: fn(Party) -> bool) -> Outcome {
    let accepted = evidence.accepted();
    let mut violations = Vec::new();
    let mut judged = 0;
    for (device, kind) in &evidence.kinds {
        // Without an archive, these cannot make up for what they missed.
        if *kind != Kind::Offline && !evidence.abilities.archive {
            continue;
        }
        let got = evidence.received.get(device).into_iter().flatten();
        let got: BTreeSet<Key> = got.map(|receipt| receipt.key).collect();
        for key in &accepted {
            let to = evidence.sent.get(key).map(|sending| sending.to);
            if !to.is_some_and(|to| meant(to) && evidence.is_for(*device, to)) {
                continue;
            }
            judged += 1;
            if !got.contains(key) {
                violations.push(Violation::of(
                    *key,
                    format!("never reached {device} ({kind:?})"),
                ));
            }
        }
    }
    Outcome::Judged(judged, violations)
}

/// 2: whatever was archived or received was sent, to this account or by it, with this content.
pub(super) fn no_phantom(evidence: &Evidence) -> Outcome {
    let received = evidence.received.iter().flat_map(|(device, receipts)| {
        let copies = receipts.iter().map(|receipt| (receipt.key, receipt.digest));
        copies.map(|copy| (evidence.archives_for(*device).collect::<Vec<_>>(), copy))
    });
    let archived = evidence.listings.iter().flat_map(|(party, listings)| {
        let items = listings.iter().flat_map(|listing| &listing.items);
        items.map(|item| (vec![*party], (item.key, item.digest)))
    });
    let mut judged = 0;
    let mut violations = Vec::new();
    for (places, (key, digest)) in received.chain(archived) {
        judged += 1;
        let what = match evidence.sent.get(&key) {
            None => "was never sent".to_owned(),
            Some(sending) if sending.digest != digest => "has another content".to_owned(),
            Some(_)
                if !evidence
                    .parties(key)
                    .iter()
                    .any(|party| places.contains(party)) =>
            {
                let places: Vec<String> = places.iter().map(Party::to_string).collect();
                format!("is no business of {}", places.join(", "))
            }
            Some(_) => continue,
        };
        violations.push(Violation::of(key, what));
    }
    Outcome::Judged(judged, violations)
}

/// 3: once in each archive; to each device once, unless its acknowledgement may have been lost.
pub(super) fn no_duplicate(evidence: &Evidence) -> Outcome {
    let (judged, violations) = repeats(evidence, false);
    Outcome::Judged(judged, violations)
}

/// Copies of what was sent once, or of what was sent `again`: how many, and which are too many.
fn repeats(evidence: &Evidence, again: bool) -> (usize, Vec<Violation>) {
    let meant = |key: &Key| evidence.sent.get(key).is_some_and(|sending| sending.again) == again;
    let mut judged = 0;
    let mut violations = Vec::new();
    for party in evidence.listings.keys() {
        let items = evidence.archive(*party).map(|listing| &listing.items);
        let keys = items.into_iter().flatten().map(|item| item.key);
        let mut seen = BTreeSet::new();
        for key in keys.filter(meant) {
            judged += 1;
            if !seen.insert(key) {
                let what = format!("is twice in the archive of {party}");
                violations.push(Violation::of(key, what));
            }
        }
    }
    for device in evidence.kinds.keys() {
        for archive in evidence.archives_for(*device) {
            let pushes = evidence.pushes(*device);
            let pushes = pushes.filter(|push| evidence.archive_for(*device, push.key) == archive);
            let pushes: Vec<&Receipt> = pushes.collect();
            judged += pushes.iter().filter(|push| meant(&push.key)).count();
            let places = evidence.places(archive);
            let needless = needless_repeats(&pushes, &places).into_iter();
            violations.extend(needless.filter(|(key, _)| meant(key)).map(|(key, when)| {
                let what = format!("was sent to {device} again, in {when}");
                Violation::of(key, what)
            }));
        }
    }
    (judged, violations)
}

/// A copy may come again in a later connection, because the acknowledgement of the first may have
/// been lost with its connection. It must not come twice in one connection, nor after one that
/// brought what is behind it: that one knew that it had arrived.
fn needless_repeats(pushes: &[&Receipt], places: &BTreeMap<Key, usize>) -> Vec<(Key, String)> {
    let mut last: BTreeMap<Key, u32> = BTreeMap::new();
    // By connection, the last place of what it brought.
    let mut reached: BTreeMap<u32, usize> = BTreeMap::new();
    let mut needless = Vec::new();
    for push in pushes {
        let place = places.get(&push.key).copied().unwrap_or(0);
        let now = push.connection;
        if let Some(before) = last.insert(push.key, now) {
            let mut between = reached.range(before + 1..now.max(before + 1));
            if before == now || between.any(|(_, reached)| *reached > place) {
                needless.push((push.key, format!("connection {now} after {before}")));
            }
        }
        let reached = reached.entry(now).or_default();
        *reached = place.max(*reached);
    }
    needless
}

/// 4: whatever way a message takes, an archive has one id for it.
pub(super) fn same_id(evidence: &Evidence) -> Outcome {
    if !evidence.abilities.stanza_ids {
        return Outcome::NotApplicable("the server does not promise stanza-ids");
    }
    let mut ids: BTreeMap<(Party, Key), BTreeSet<&str>> = BTreeMap::new();
    let mut violations = Vec::new();
    for (device, receipts) in &evidence.received {
        for receipt in receipts {
            match &receipt.id {
                Some(id) => {
                    let place = (evidence.archive_for(*device, receipt.key), receipt.key);
                    ids.entry(place).or_default().insert(id);
                }
                // What a device itself sent is known to its other devices by its origin-id.
                None if receipt.channel == Channel::CarbonSent => {}
                None => {
                    let what = format!("reached {device} without an id");
                    violations.push(Violation::of(receipt.key, what));
                }
            }
        }
    }
    for (party, listings) in &evidence.listings {
        for item in listings.iter().flat_map(|listing| &listing.items) {
            ids.entry((*party, item.key)).or_default().insert(&item.id);
        }
    }
    for ((party, key), ids) in &ids {
        if ids.len() > 1 {
            let what = format!("has several ids for {party}: {ids:?}");
            violations.push(Violation::of(*key, what));
        }
    }
    Outcome::Judged(ids.len(), violations)
}

/// 7: what was answered with an error is in no archive and on no device.
pub(super) fn refused_is_nowhere(evidence: &Evidence) -> Outcome {
    let mut violations = Vec::new();
    for (key, condition) in &evidence.refused {
        let mut receipts = evidence.received.values().flatten();
        let mut items = evidence.listings.values().flatten();
        if receipts.any(|receipt| receipt.key == *key) {
            let what = format!("was delivered and refused ({condition})");
            violations.push(Violation::of(*key, what));
        } else if items.any(|listing| listing.items.iter().any(|item| item.key == *key)) {
            let what = format!("was archived and refused ({condition})");
            violations.push(Violation::of(*key, what));
        }
    }
    Outcome::Judged(evidence.refused.len(), violations)
}

/// 8: what was sent again is like what was sent once.
pub(super) fn resend_adds_nothing(evidence: &Evidence) -> Outcome {
    if !evidence.abilities.archive {
        return Outcome::NotApplicable(NO_ARCHIVE);
    }
    let (judged, violations) = repeats(evidence, true);
    Outcome::Judged(judged, violations)
}
