use super::{DAY, archived, create, error, jid, last_page, submit, texts};
use crate::{
    ARCHIVE_COUNT_MAX, ARCHIVE_IDS_MAX, ArchiveDefault, ArchiveFilter, ArchivePage,
    ArchivePreferences, Keep, PageFrom, PageRequest, Resend, Retention, Store,
};
use waxwing_proto::{BareJid, Jid};

const ALL: PageRequest = PageRequest {
    max: 100,
    bytes_max: usize::MAX,
    from: PageFrom::First,
    flip: false,
    count: true,
};

/// An archive with messages named 0 to 9 at seconds, with Bob's phone, Bob's tablet and Carol in
/// turn; every second one was sent. Gives the ids.
async fn ten(store: &impl Store) -> (BareJid, Vec<u64>) {
    let alice = create(store, "alice@a.example").await;
    let mut ids = Vec::new();
    let others = [
        "bob@b.example/phone",
        "bob@b.example/tablet",
        "carol@b.example",
    ];
    for (number, other) in (0..10).zip(others.into_iter().cycle()) {
        let at = DAY + i64::from(number) * 1_000_000;
        let text = number.to_string();
        let mut message = archived("alice@a.example", other, at, &text);
        message.recipient = None;
        let entry = message.sender.as_mut().unwrap();
        entry.outgoing = number % 2 == 0;
        entry.flags = number;
        ids.push(submit(store, message).await.unwrap().id);
    }
    (alice, ids)
}

/// The texts of a page, whether it is complete, the count and the index.
fn outline(page: &ArchivePage) -> (String, bool, Option<u32>, Option<u32>) {
    let entries = page.entries.iter();
    let texts = entries.map(|entry| std::str::from_utf8(&entry.stanza).unwrap());
    (texts.collect(), page.complete, page.count, page.index)
}

async fn texts_of(store: &impl Store, account: &BareJid, filter: ArchiveFilter) -> String {
    let page = store.archive_page(account.clone(), filter, ALL).await;
    let page = page.unwrap();
    let count = u32::try_from(page.entries.len()).ok();
    assert_eq!(page.count, count, "the count is that of the page");
    outline(&page).0
}

/// What a query asks for.
type Ask<'a> = &'a dyn Fn(&mut ArchiveFilter);

pub(crate) async fn archives_are_filtered(store: &impl Store) {
    let (alice, ids) = ten(store).await;
    let with = |jid: &str| Some(Jid::parse(jid).unwrap());
    let second = |second: i64| Some(DAY + second * 1_000_000);
    let id = |number: usize| Some(ids[number]);
    let cases: [(Ask<'_>, &str); 21] = [
        (&|_| (), "0123456789"),
        (&|ask| ask.with = with("bob@b.example"), "0134679"),
        (&|ask| ask.with = with("bob@b.example/phone"), "0369"),
        (&|ask| ask.with = with("carol@b.example"), "258"),
        (&|ask| ask.with = with("carol@b.example/phone"), ""),
        (&|ask| ask.with = with("alice@a.example"), ""),
        (&|ask| ask.start = second(3), "3456789"),
        (&|ask| ask.start = second(3).map(|at| at + 1), "456789"),
        (&|ask| ask.end = second(3), "0123"),
        (&|ask| (ask.start, ask.end) = (second(3), second(3)), "3"),
        (&|ask| (ask.start, ask.end) = (second(4), second(3)), ""),
        (
            &|ask| (ask.start, ask.end) = (Some(i64::MIN), Some(i64::MAX)),
            "0123456789",
        ),
        (&|ask| ask.after_id = id(3), "456789"),
        (&|ask| ask.before_id = id(3), "012"),
        (&|ask| (ask.after_id, ask.before_id) = (id(3), id(5)), "4"),
        (&|ask| ask.ids = Some(vec![ids[7], ids[2], ids[7]]), "27"),
        (&|ask| ask.ids = Some(vec![]), ""),
        (
            &|ask| (ask.ids, ask.with) = (Some(ids.clone()), with("carol@b.example")),
            "258",
        ),
        (&|ask| ask.flags_all = 2, "2367"),
        (&|ask| (ask.flags_all, ask.flags_none) = (2, 1), "26"),
        (
            &|ask| (ask.flags_none, ask.with) = (8, with("bob@b.example")),
            "013467",
        ),
    ];
    for (ask, wanted) in cases {
        let mut filter = ArchiveFilter::default();
        ask(&mut filter);
        let found = texts_of(store, &alice, filter.clone()).await;
        assert_eq!(found, wanted, "{filter:?}");
    }
    let nobody = jid("nobody@a.example");
    assert_eq!(texts_of(store, &nobody, ArchiveFilter::default()).await, "");
}

pub(crate) async fn archives_are_paged(store: &impl Store) {
    let (alice, ids) = ten(store).await;
    let bob = ArchiveFilter {
        with: Some(jid("bob@b.example").into()),
        ..ArchiveFilter::default()
    };
    let of_ids = ArchiveFilter {
        ids: Some(ids.clone()),
        ..bob.clone()
    };
    // Bob's are 0 1 3 4 6 7 9.
    for (from, max, wanted) in [
        (PageFrom::First, 3, ("013", false, Some(7), Some(0))),
        (PageFrom::After(ids[3]), 3, ("467", false, Some(7), Some(3))),
        (PageFrom::After(ids[2]), 3, ("346", false, Some(7), Some(2))),
        (PageFrom::After(ids[6]), 2, ("79", true, Some(7), Some(5))),
        (PageFrom::After(ids[9]), 2, ("", true, Some(7), None)),
        (PageFrom::Last, 3, ("679", false, Some(7), Some(4))),
        (PageFrom::Last, 7, ("0134679", true, Some(7), Some(0))),
        (PageFrom::Before(ids[6]), 2, ("34", false, Some(7), Some(2))),
        (PageFrom::Before(ids[3]), 2, ("01", true, Some(7), Some(0))),
        (PageFrom::Before(ids[0]), 2, ("", true, Some(7), None)),
        (PageFrom::First, 0, ("", false, Some(7), None)),
    ] {
        // Each stanza has one byte; one entry there always is.
        let by_bytes = (max > 0).then_some((100, max as usize));
        let bounds = [(max, usize::MAX)].into_iter().chain(by_bytes);
        for ((max, bytes_max), flip) in bounds.flat_map(|at| [(at, false), (at, true)]) {
            for filter in [&bob, &of_ids] {
                let request = PageRequest {
                    max,
                    bytes_max,
                    from,
                    flip,
                    ..ALL
                };
                let page = store.archive_page(alice.clone(), filter.clone(), request);
                let mut page = page.await.unwrap();
                if flip {
                    page.entries.reverse();
                }
                let (texts, complete, count, index) = outline(&page);
                let found = (texts.as_str(), complete, count, index);
                assert_eq!(found, wanted, "{request:?} {filter:?}");
            }
        }
    }
    let uncounted = PageRequest {
        count: false,
        ..ALL
    };
    let page = store.archive_page(alice, bob, uncounted).await.unwrap();
    assert_eq!((page.count, page.index), (None, None));
}

pub(crate) async fn unknown_ids_are_told(store: &impl Store) {
    let (alice, ids) = ten(store).await;
    let known = Some(ids[0]);
    let none = ArchiveFilter::default;
    let other = create(store, "other@a.example").await;
    let others = archived("other@a.example", "x@b.example", DAY, "m");
    let others = crate::Message {
        recipient: None,
        ..others
    };
    let others = submit(store, others).await.unwrap().id;
    for unknown in [0, ids[0] + 1, others, u64::MAX] {
        for filter in [
            ArchiveFilter {
                after_id: Some(unknown),
                ..none()
            },
            ArchiveFilter {
                before_id: Some(unknown),
                after_id: known,
                ..none()
            },
            ArchiveFilter {
                ids: Some(vec![ids[0], unknown]),
                ..none()
            },
        ] {
            let page = store.archive_page(alice.clone(), filter, ALL).await;
            assert_eq!(error(page), "NoItem", "{unknown}");
        }
        for from in [PageFrom::After(unknown), PageFrom::Before(unknown)] {
            let request = PageRequest { from, ..ALL };
            let page = store.archive_page(alice.clone(), none(), request).await;
            assert_eq!(error(page), "NoItem", "{unknown}");
        }
    }
    let many = vec![ids[0]; ARCHIVE_IDS_MAX + 1];
    let filter = ArchiveFilter {
        ids: Some(many),
        ..none()
    };
    assert_eq!(
        error(store.archive_page(other, filter, ALL).await),
        "Quota(\"archive_ids_max\")"
    );
}

pub(crate) async fn the_ends_of_an_archive_are_known(store: &impl Store) {
    let (alice, ids) = ten(store).await;
    let ends = async || store.archive_ends(alice.clone()).await.unwrap();
    assert_eq!(ends().await, Some((ids[0], ids[9])));
    assert_eq!(
        store.archive_purge(alice.clone(), None, 3).await.unwrap(),
        3
    );
    assert_eq!(ends().await, Some((ids[3], ids[9])));
    assert_eq!(
        store.archive_purge(alice.clone(), None, 100).await.unwrap(),
        7
    );
    assert_eq!(ends().await, None);
    assert_eq!(store.archive_ends(jid("x@a.example")).await.unwrap(), None);
}

pub(crate) async fn counts_end_somewhere(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let mut tickets = Vec::new();
    for at in 0..=i64::from(ARCHIVE_COUNT_MAX) {
        let mut message = archived("alice@a.example", "x@b.example", DAY + at, "m");
        message.recipient = None;
        tickets.push(submit(store, message));
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let count = async |from| {
        let request = PageRequest {
            max: 1,
            from,
            ..ALL
        };
        let page = store.archive_page(alice.clone(), ArchiveFilter::default(), request);
        let page = page.await.unwrap();
        (page.count, page.index)
    };
    assert_eq!(count(PageFrom::First).await, (None, None));
    assert_eq!(count(PageFrom::Last).await, (None, None));
    store.archive_purge(alice.clone(), None, 1).await.unwrap();
    assert_eq!(
        count(PageFrom::Last).await,
        (Some(ARCHIVE_COUNT_MAX), Some(ARCHIVE_COUNT_MAX - 1))
    );
    assert_eq!(
        count(PageFrom::First).await,
        (Some(ARCHIVE_COUNT_MAX), Some(0))
    );
}

pub(crate) async fn a_retracted_message_leaves_a_tombstone(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
        let at = DAY + i64::try_from(number).unwrap();
        let mut message = archived("alice@a.example/pc", "bob@a.example", at, text);
        message.waiting = Some(crate::Waiting {
            account: bob.clone(),
            messages_max: 10,
            bytes_max: 100,
        });
        ids.push(submit(store, message).await.unwrap().id);
    }
    let retract = async |account: &BareJid, id: u64, text: &'static str| {
        let retract = store.archive_retract(account.clone(), id, text.into());
        retract.await.unwrap()
    };
    assert!(retract(&bob, ids[1], "gone").await);
    assert!(!retract(&bob, ids[1] + 100, "gone").await, "no such entry");
    assert!(!retract(&bob, u64::MAX, "gone").await, "no such entry");
    assert_eq!(
        texts(store, &alice).await,
        ["one", "two", "three"],
        "Alice's own"
    );
    assert_eq!(texts(store, &bob).await, ["one", "gone", "three"]);
    let entry = last_page(store, &bob).await.remove(1);
    assert_eq!((entry.id, entry.retracted), (ids[1], true));
    assert_eq!(entry.with, Jid::parse("alice@a.example/pc").unwrap());
    let waiting = store.offline(bob.clone(), 0, 10).await.unwrap();
    assert!(waiting.iter().all(|message| message.archived));
    let waiting: Vec<_> = waiting.iter().map(|message| message.id).collect();
    assert_eq!(waiting, [ids[0], ids[2]], "not delivered any more");
    assert_eq!(store.offline_count(bob.clone()).await.unwrap(), 2);

    // The stanza goes with its last holder; tombstones stay, and can be replaced.
    assert!(retract(&bob, ids[1], "gone for ever").await);
    assert!(retract(&alice, ids[1], "gone").await);
    assert!(retract(&alice, ids[1], "gone again").await);
    assert_eq!(texts(store, &alice).await, ["one", "gone again", "three"]);
    assert_eq!(texts(store, &bob).await, ["one", "gone for ever", "three"]);
    assert_eq!(store.archive_purge(bob.clone(), None, 2).await.unwrap(), 2);
    assert_eq!(texts(store, &bob).await, ["three"]);
    assert_eq!(texts(store, &alice).await, ["one", "gone again", "three"]);
}

pub(crate) async fn messages_are_found_by_the_senders_id(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    let mut ids = Vec::new();
    for (from, to, origin) in [
        ("alice@a.example/pc", "bob@a.example", Some("a")),
        ("bob@a.example/phone", "alice@a.example", Some("a")),
        ("alice@a.example/pc", "bob@a.example/phone", Some("b")),
        ("alice@a.example/pc", "bob@a.example", None),
    ] {
        let mut message = archived(from, to, DAY, "m");
        message.origin = origin.map(Into::into);
        ids.push(submit(store, message).await.unwrap().id);
    }
    let find = async |with: &str, origin: &str| {
        let found = store.archive_find(alice.clone(), jid(with), origin.into());
        let found = found.await.unwrap();
        found.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(
        find("bob@a.example", "a").await,
        [ids[1], ids[0]],
        "newest first"
    );
    assert_eq!(find("bob@a.example", "b").await, [ids[2]]);
    assert!(find("bob@a.example", "c").await.is_empty());
    assert!(find("carol@a.example", "a").await.is_empty());
    let retract = store.archive_retract(alice.clone(), ids[1], "x".into());
    assert!(retract.await.unwrap());
    assert_eq!(
        find("bob@a.example", "a").await,
        [ids[0]],
        "not the retracted"
    );
    let nobody = store.archive_find(jid("x@a.example"), alice.clone(), "a".into());
    assert!(nobody.await.unwrap().is_empty());
}

pub(crate) async fn archives_are_purged_from_the_oldest(store: &impl Store) {
    let (alice, ids) = ten(store).await;
    let before = |index: usize| i64::try_from(ids[index]).ok();
    let purge = async |before, count| {
        let purge = store.archive_purge(alice.clone(), before, count);
        purge.await.unwrap()
    };
    assert_eq!(purge(before(0), 10).await, 0);
    assert_eq!(purge(before(4), 3).await, 3);
    assert_eq!(
        texts_of(store, &alice, ArchiveFilter::default()).await,
        "3456789"
    );
    assert_eq!(purge(before(4), 3).await, 1);
    assert_eq!(purge(before(4), 3).await, 0);
    assert_eq!(purge(None, 0).await, 0);
    let after = ArchiveFilter {
        after_id: Some(ids[3]),
        ..ArchiveFilter::default()
    };
    let page = store.archive_page(alice.clone(), after, ALL).await;
    assert_eq!(
        error(page),
        "NoItem",
        "a client that knows more begins anew"
    );
    let bob = ArchiveFilter {
        with: Some(jid("bob@b.example").into()),
        ..ArchiveFilter::default()
    };
    assert_eq!(texts_of(store, &alice, bob).await, "4679");
}

pub(crate) async fn old_archives_are_due(store: &impl Store) {
    const DAY_LONG: i64 = 86_400_000_000;
    for name in ["alice", "bob", "carol", "dave", "eve"] {
        create(store, &format!("{name}@a.example")).await;
    }
    // Eve has none.
    for day in [0, 5] {
        for name in ["alice", "bob", "carol", "dave"] {
            let account = format!("{name}@a.example");
            let at = DAY + day * DAY_LONG;
            let mut message = archived(&account, "x@b.example", at, "m");
            message.recipient = None;
            submit(store, message).await.unwrap();
        }
    }
    for (name, keep) in [("bob", Keep::Days(2)), ("carol", Keep::Forever)] {
        let preferences = ArchivePreferences {
            keep,
            ..ArchivePreferences::default()
        };
        let account = jid(&format!("{name}@a.example"));
        let set = store.archive_set_preferences(account, preferences, 0);
        set.await.unwrap();
    }
    let due = async |days_default, days_max, after: Option<&str>, count| {
        let retention = Retention {
            now: DAY + 6 * DAY_LONG,
            days_default,
            days_max,
        };
        let due = store.archive_due(retention, after.map(jid), count);
        let due = due.await.unwrap().into_iter();
        due.map(|(account, cutoff)| {
            let days = (cutoff - DAY) / DAY_LONG;
            format!("{} {days}", account.local().unwrap())
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(due(None, None, None, 9).await, ["bob 4"]);
    assert_eq!(
        due(Some(3), None, None, 9).await,
        ["alice 3", "bob 4", "dave 3"]
    );
    assert_eq!(due(Some(3), None, None, 1).await, ["alice 3"]);
    assert_eq!(
        due(Some(3), None, Some("alice@a.example"), 1).await,
        ["bob 4"]
    );
    assert_eq!(
        due(None, Some(5), None, 9).await,
        ["alice 1", "bob 4", "carol 1", "dave 1"]
    );
    assert!(
        due(Some(6), Some(6), Some("bob@a.example"), 9)
            .await
            .is_empty()
    );
}

pub(crate) async fn archiving_preferences_are_kept(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let read = async || store.archive_preferences(alice.clone()).await.unwrap();
    assert_eq!(read().await, None);
    let jids = |texts: &[&str]| -> Vec<Jid> {
        texts.iter().map(|text| Jid::parse(text).unwrap()).collect()
    };
    let given = ArchivePreferences {
        default: ArchiveDefault::Roster,
        always: jids(&["b.example", "a@b.example/r", "b.example", "c@b.example"]),
        never: jids(&["c@b.example", "a@b.example"]),
        keep: Keep::Days(30),
    };
    let kept = ArchivePreferences {
        always: jids(&["a@b.example/r", "b.example"]),
        never: jids(&["a@b.example", "c@b.example"]),
        ..given.clone()
    };
    let set = |preferences| store.archive_set_preferences(alice.clone(), preferences, 4);
    set(given).await.unwrap();
    assert_eq!(read().await.as_ref(), Some(&kept));
    let mut more = kept.clone();
    more.never.extend(jids(&["d@b.example"]));
    assert_eq!(error(set(more).await), "Quota(\"archive_rules_max\")");
    assert_eq!(read().await, Some(kept));
    for default in [ArchiveDefault::Never, ArchiveDefault::Always] {
        for keep in [
            Keep::Forever,
            Keep::Unset,
            Keep::Days(0),
            Keep::Days(u32::MAX),
        ] {
            let preferences = ArchivePreferences {
                default,
                keep,
                ..ArchivePreferences::default()
            };
            set(preferences.clone()).await.unwrap();
            assert_eq!(read().await, Some(preferences));
        }
    }
}

pub(crate) async fn archive_writes_need_the_account(store: &impl Store) {
    let nobody = || jid("nobody@a.example");
    let preferences = ArchivePreferences::default();
    let mut resent = archived("nobody@a.example", "x@b.example", DAY, "m");
    resent.sender = None;
    resent.recipient = None;
    resent.resend = Some(Resend {
        account: nobody(),
        key: [0; 16],
    });
    let errors = [
        error(store.archive_retract(nobody(), 1, "x".into()).await),
        error(store.archive_purge(nobody(), None, 1).await),
        error(
            store
                .archive_set_preferences(nobody(), preferences, 9)
                .await,
        ),
        error(submit(store, resent).await),
    ];
    assert_eq!(errors, ["NoAccount"; 4]);
    assert_eq!(store.archive_preferences(nobody()).await.unwrap(), None);
}
