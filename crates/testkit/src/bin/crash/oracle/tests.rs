//! A good epoch passes, and each fault in it is found by its check and no other.

use super::*;
use crate::{
    archive::{Abilities, Item, Listing, SIZES},
    device::Kind,
    entry::{DeviceId, Digest, Entry, Party, Word as _},
};

const PHONE: DeviceId = DeviceId {
    account: 1,
    index: 0,
};
const TABLET: DeviceId = DeviceId {
    account: 1,
    index: 1,
};

fn key(text: &str) -> Key {
    Key::read(text).unwrap()
}

fn digest(key: Key) -> Digest {
    Digest(u64::from(key.seq))
}

/// Three messages of a0 to a1: live, live and again after a crash, and caught up. Three to a room: seen
/// by both, delivered after the crash, and caught up by one of them.
const JOURNAL: &str = "\
connected a0.d0 1 bound false
connected a1.d0 1 bound false
read 0 roster -
write 0 roster v1
written 0 roster true
sent a0.d0/1/1 a1 0000000000000001 false
acked a0.d0/1/1
sent a0.d0/1/2 a1 0000000000000002 false
recv a1.d0 1 live i1 a0.d0/1/1 0000000000000001
recv a1.d0 1 live i2 a0.d0/1/2 0000000000000002
recv a1.d1 1 carbon-received i1 a0.d0/1/1 0000000000000001
entered a1.d0 0
entered a1.d1 0
sent a1.d0/1/1 r0 0000000000000001 false
recv a1.d0 1 live r1 a1.d0/1/1 0000000000000001
recv a1.d1 1 live r1 a1.d0/1/1 0000000000000001
sent a0.d0/1/5 r0 0000000000000005 false
recv a1.d1 1 live r2 a0.d0/1/5 0000000000000005
sent a1.d0/1/2 r0 0000000000000002 false
sent a0.d0/1/3 a1 0000000000000003 false
sent a0.d0/1/4 a1 0000000000000004 false
write 0 roster v2
killed after-commit:1
cut a1.d0
open 12
first-login 40
connected a0.d0 2 refused true
read 0 roster v2
error a0.d0/1/4 resource-constraint
sent a0.d0/1/2 a1 0000000000000002 true
acked a0.d0/1/2
connected a1.d0 2 resumed true
recv a1.d0 2 late i2 a0.d0/1/2 0000000000000002
recv a1.d0 2 late i3 a0.d0/1/3 0000000000000003
asked a1.d0 0 true
recv a1.d0 2 live r2 a0.d0/1/5 0000000000000005
recv a1.d0 2 live r3 a1.d0/1/2 0000000000000002
connected a1.d1 2 bound true
entered a1.d1 0
recv a1.d1 2 archive r3 a1.d0/1/2 0000000000000002
recv a1.d1 2 archive i2 a0.d0/1/2 0000000000000002
recv a1.d1 2 archive i3 a0.d0/1/3 0000000000000003";

const OF_A1: [&str; 3] = ["a0.d0/1/1", "a0.d0/1/2", "a0.d0/1/3"];
const OF_ROOM: [&str; 3] = ["a1.d0/1/1", "a0.d0/1/5", "a1.d0/1/2"];

fn listings(ids: [&str; 3], keys: [&str; 3]) -> Vec<Listing> {
    let items = |size, backward| Listing {
        size,
        backward,
        items: ids
            .iter()
            .zip(keys)
            .map(|(id, name)| Item {
                id: (*id).to_owned(),
                key: key(name),
                digest: digest(key(name)),
            })
            .collect(),
    };
    let sizes = SIZES.into_iter();
    sizes
        .flat_map(|size| [items(size, false), items(size, true)])
        .collect()
}

fn evidence(journal: &str) -> Evidence {
    let mut evidence = Evidence {
        abilities: Abilities {
            archive: true,
            stanza_ids: true,
        },
        kinds: [(PHONE, Kind::Resuming), (TABLET, Kind::CatchingUp)].into(),
        listings: [
            (Party::Account(0), listings(["s1", "s2", "s3"], OF_A1)),
            (Party::Account(1), listings(["i1", "i2", "i3"], OF_A1)),
            (Party::Room(0), listings(["r1", "r2", "r3"], OF_ROOM)),
        ]
        .into(),
        occupants: [(0, [PHONE, TABLET].into())].into(),
        bounds: Some((
            std::time::Duration::from_secs(1),
            std::time::Duration::from_secs(2),
        )),
        ..Evidence::default()
    };
    let entry = |line| Entry::parse(line).unwrap_or_else(|| panic!("{line}"));
    evidence.sort(journal.lines().map(entry).collect());
    evidence
}

/// The numbers of the checks that find something.
fn found(evidence: &Evidence) -> Vec<&'static str> {
    let finds = |check: &&Check| match (check.judge)(evidence) {
        Outcome::Judged(_, violations) => !violations.is_empty(),
        Outcome::NotApplicable(_) => false,
    };
    CHECKS
        .iter()
        .filter(finds)
        .map(|check| check.number)
        .collect()
}

#[test]
fn a_good_epoch_passes_and_every_check_looks_at_something() {
    let evidence = evidence(JOURNAL);
    for check in CHECKS {
        match (check.judge)(&evidence) {
            Outcome::Judged(count, violations) => {
                assert!(count > 0, "{}", check.name);
                assert_eq!(violations, [], "{}", check.name);
            }
            Outcome::NotApplicable(why) => panic!("{}: {why}", check.name),
        }
    }
}

/// A line of the good journal replaced by others.
fn with(line: &str, instead: &str) -> Evidence {
    assert!(JOURNAL.contains(line), "{line}");
    evidence(&JOURNAL.replace(line, instead))
}

#[test]
fn each_fault_of_a_journal_is_found() {
    let caught_up = "recv a1.d1 2 archive i3 a0.d0/1/3 0000000000000003";
    let late = "recv a1.d0 2 late i3 a0.d0/1/3 0000000000000003";
    let faults: &[(&str, String, &[&str])] = &[
        // The tablet never gets the third, which the phone has seen with an id.
        (caught_up, "cut a1.d1".into(), &["1b"]),
        // Somebody gets what nobody sent, or something else than was sent.
        (caught_up, caught_up.replace("0003", "0033"), &["2"]),
        (
            late,
            format!("{late}\nrecv a1.d0 2 live i3 a0.d0/9/9 0000000000000009"),
            &["1a", "2"],
        ),
        // Twice in one connection.
        (late, format!("{late}\n{late}"), &["3"]),
        // Again although a connection in between brought others.
        (
            late,
            format!("{late}\nrecv a1.d0 3 live i1 a0.d0/1/1 0000000000000001"),
            &["3"],
        ),
        // Another id than the archive's, or none.
        (late, late.replace("i3", "i4"), &["4", "6"]),
        (late, late.replace("i3", "-"), &["4"]),
        // The second in front of the first.
        (
            "recv a1.d0 1 live i1 a0.d0/1/1 0000000000000001\n",
            String::new(),
            &["1b"],
        ),
        (
            "recv a1.d0 1 live i2 a0.d0/1/2 0000000000000002",
            "recv a1.d0 1 live i3 a0.d0/1/3 0000000000000003".into(),
            &["5"],
        ),
        // An id that the archive gave is not known to it.
        ("cut a1.d0", "vanished a1.d0 i2".into(), &["6"]),
        // Refused and delivered all the same.
        ("error a0.d0/1/4", "error a0.d0/1/3".into(), &["7"]),
        // An acknowledged write is gone.
        ("read 0 roster v2", "read 0 roster -".into(), &["9"]),
        // Too late, or not at all.
        ("open 12", "open 1200".into(), &["10"]),
        ("cut a1.d0", "trouble a1.d0 no_answer".into(), &["10"]),
    ];
    for (line, instead, want) in faults {
        assert_eq!(found(&with(line, instead)), *want, "{line} → {instead}");
    }
}

#[test]
fn each_fault_of_an_archive_is_found() {
    type Fault = fn(&mut Vec<Listing>);
    let faults: &[(Fault, &[&str])] = &[
        // Lost from the recipient's archive, in every way of reading.
        (
            |listings| {
                for listing in listings {
                    listing.items.remove(1);
                }
            },
            &["1a", "6"],
        ),
        // Lost in one way of reading.
        (
            |listings| {
                listings[0].items.remove(1);
            },
            &["6"],
        ),
        // Kept twice after it was sent again.
        (
            |listings| {
                for listing in listings {
                    let mut again = listing.items[1].clone();
                    again.id = "i9".into();
                    listing.items.push(again);
                }
            },
            &["4", "5", "8"],
        ),
        // Kept twice without cause.
        (
            |listings| {
                for listing in listings {
                    let mut again = listing.items[2].clone();
                    again.id = "i9".into();
                    listing.items.push(again);
                }
            },
            &["3", "4"],
        ),
        // Kept in another order than delivered.
        (
            |listings| {
                for listing in listings {
                    listing.items.swap(0, 1);
                }
            },
            &["5", "6"],
        ),
        // Kept although it was refused.
        (
            |listings| {
                for listing in listings {
                    let refused = key("a0.d0/1/4");
                    listing.items.push(Item {
                        id: "i4".into(),
                        key: refused,
                        digest: digest(refused),
                    });
                }
            },
            &["7"],
        ),
    ];
    for (number, (fault, want)) in faults.iter().enumerate() {
        let mut evidence = evidence(JOURNAL);
        fault(evidence.listings.get_mut(&Party::Account(1)).unwrap());
        assert_eq!(found(&evidence), *want, "fault {number}");
    }
}

#[test]
fn each_fault_of_a_room_is_found() {
    let own = "recv a1.d0 1 live r1 a1.d0/1/1 0000000000000001";
    let late = "recv a1.d0 2 live r2 a0.d0/1/5 0000000000000005";
    let last = "recv a1.d0 2 live r3 a1.d0/1/2 0000000000000002";
    let faults: &[(&str, String, &[&str])] = &[
        // Somebody who is in the room never gets what another one has seen: the author itself, or who
        // has resumed its session and so does not ask for it.
        (own, "cut a1.d0".into(), &["1c"]),
        (late, "cut a1.d0".into(), &["1c"]),
        // Somebody gets it who is not in the room.
        (
            late,
            format!("{late}\n{}", own.replace("a1.d0 1", "a2.d0 1")),
            &["2"],
        ),
        // Twice in one connection, or again although something newer had come in between.
        (last, format!("{last}\n{last}"), &["3"]),
        (
            last,
            format!("{last}\n{}", own.replace("d0 1 live", "d0 3 live")),
            &["3"],
        ),
        // With an id of the account, and with none.
        (own, own.replace("r1", "i1"), &["4", "6"]),
        (own, own.replace("r1", "-"), &["4"]),
        // In another order than others saw, of two authors and of one.
        (
            &format!("{late}\n{last}"),
            format!("{last}\n{late}"),
            &["6"],
        ),
        (
            own,
            own.replace(
                "r1 a1.d0/1/1 0000000000000001",
                "r3 a1.d0/1/2 0000000000000002",
            ),
            &["1c", "6"],
        ),
        // Not there any more, after resuming or for no reason.
        ("asked a1.d0 0 true", "asked a1.d0 0 false".into(), &["11"]),
        (own, format!("{own}\nremoved a1.d0 0"), &["11"]),
    ];
    for (line, instead, want) in faults {
        assert_eq!(found(&with(line, instead)), *want, "{line} → {instead}");
    }
}

#[test]
fn each_fault_of_a_room_s_archive_is_found() {
    type Fault = fn(&mut Vec<Listing>);
    let faults: &[(Party, Fault, &[&str])] = &[
        // An author has seen its own message, and it is not there after the crash.
        (
            Party::Room(0),
            |listings| {
                for listing in listings {
                    listing.items.remove(0);
                }
            },
            &["1a", "6"],
        ),
        // Another order than all have seen.
        (
            Party::Room(0),
            |listings| {
                for listing in listings {
                    listing.items.swap(0, 1);
                }
            },
            &["6"],
        ),
        // Twice.
        (
            Party::Room(0),
            |listings| {
                for listing in listings {
                    let mut again = listing.items[2].clone();
                    again.id = "r9".into();
                    listing.items.push(again);
                }
            },
            &["3", "4"],
        ),
        // In the archive of somebody who was there, too.
        (
            Party::Account(1),
            |listings| {
                for listing in listings {
                    let said = key(OF_ROOM[0]);
                    listing.items.push(Item {
                        id: "i9".into(),
                        key: said,
                        digest: digest(said),
                    });
                }
            },
            &["2"],
        ),
    ];
    for (number, (party, fault, want)) in faults.iter().enumerate() {
        let mut evidence = evidence(JOURNAL);
        fault(evidence.listings.get_mut(party).unwrap());
        assert_eq!(found(&evidence), *want, "fault {number}");
    }
}

#[test]
fn what_was_refused_was_not_accepted_although_it_is_counted() {
    let sent = "sent a1.d0/1/2 r0 0000000000000002 false";
    let refused = "sent a1.d0/1/3 r0 0000000000000003 false\n\
                   error a1.d0/1/3 not-acceptable\nacked a1.d0/1/3";
    assert_eq!(found(&with(sent, &format!("{sent}\n{refused}"))), [""; 0]);
}

#[test]
fn without_an_archive_its_checks_do_not_pass_but_do_not_apply() {
    let mut evidence = evidence(JOURNAL);
    evidence.abilities = Abilities::default();
    for check in CHECKS
        .iter()
        .filter(|c| ["1a", "4", "6", "8"].contains(&c.number))
    {
        assert!(
            matches!((check.judge)(&evidence), Outcome::NotApplicable(_)),
            "{}",
            check.name
        );
    }
}
