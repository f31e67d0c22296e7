use super::{DAY, create, empty_queue, error, jid, message};
use crate::{
    ArchiveFilter, ArchivePreferences, Archived, ClientSeen, Entry, Handled, Message, Outcome,
    PageFrom, PageRequest, Push, Record, Resend, SessionKey, SmSession, Stanzas, Store, StoreError,
    Ticket, Token, Wait, Waiting,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

/// A message from `from` to `to`, both with an archive.
pub(crate) fn archived(from: &str, to: &str, at: i64, text: &str) -> Message {
    let address = |text: &str| Jid::parse(text).unwrap();
    let entry = |account: &str, with: &str, outgoing| Entry {
        account: address(account).to_bare(),
        with: address(with),
        outgoing,
        flags: 0,
    };
    Message {
        origin: Some(format!("id of {text}")),
        sender: Some(entry(from, to, true)),
        recipient: Some(entry(to, from, false)),
        ..Message::new(at, Bytes::copy_from_slice(text.as_bytes()))
    }
}

pub(crate) fn submit(store: &impl Store, message: Message) -> Ticket {
    store.submit(Record::from(message))
}

pub(crate) fn session(id: &str) -> SmSession {
    SmSession {
        id: id.into(),
        generation: 1,
        resource: "phone".into(),
        handled: 0,
        acknowledged: 0,
        expires: None,
        state: Bytes::from_static(b"state"),
    }
}

pub(crate) fn token(verifier: &str, expires: i64) -> Token {
    Token {
        verifier: Bytes::copy_from_slice(verifier.as_bytes()),
        mechanism: "HT-SHA-256-EXPR".into(),
        expires,
        counter: 0,
    }
}

pub(crate) fn push(service: &str, node: &str, client: &str) -> Push {
    Push {
        service: Jid::parse(service).unwrap(),
        node: node.into(),
        client: client.into(),
        options: Bytes::from_static(b"<x/>"),
        failures: 0,
        retry: None,
    }
}

/// Puts something into everything of archives, sessions and clients that an account has.
pub(crate) async fn fill_archive(store: &impl Store, account: &BareJid, marker: &str) {
    let waiting = Waiting {
        account: account.clone(),
        messages_max: 1_000,
        bytes_max: 1_000_000,
    };
    let message = Message {
        recipient: None,
        waiting: Some(waiting),
        resend: Some(Resend {
            account: account.clone(),
            key: *b"sixteen bytes ..",
        }),
        ..archived(
            account.as_str(),
            &format!("{marker}@b.example/r"),
            DAY,
            marker,
        )
    };
    assert!(submit(store, message).await.unwrap().waiting);
    let preferences = ArchivePreferences {
        never: vec![Jid::parse(&format!("{marker}@c.example")).unwrap()],
        ..ArchivePreferences::default()
    };
    let set = store.archive_set_preferences(account.clone(), preferences, 10);
    set.await.unwrap();
    let kept = SmSession {
        state: Bytes::copy_from_slice(marker.as_bytes()),
        ..session(marker)
    };
    store
        .session_put(account.clone(), kept.clone(), 10)
        .await
        .unwrap();
    let stanzas = Stanzas {
        at: DAY,
        stanzas: vec![Bytes::copy_from_slice(marker.as_bytes())],
        stanzas_max: 10,
        bytes_max: 1_000,
    };
    let keep = store.session_keep(account.clone(), kept.key(), stanzas);
    keep.await.unwrap();
    let seen = ClientSeen {
        id: marker.into(),
        software: marker.into(),
        device: marker.into(),
        at: DAY,
    };
    store.client_seen(account.clone(), seen, 10).await.unwrap();
    let put = store.token_put(account.clone(), marker.into(), token(marker, DAY));
    put.await.unwrap();
    let registered = push("push.example", marker, marker);
    store
        .push_put(account.clone(), registered, 10)
        .await
        .unwrap();
}

/// The newest page of an archive.
pub(crate) async fn last_page(store: &impl Store, account: &BareJid) -> Vec<Archived> {
    let request = PageRequest {
        max: 1_000,
        bytes_max: usize::MAX,
        from: PageFrom::Last,
        flip: false,
        count: false,
    };
    let page = store.archive_page(account.clone(), ArchiveFilter::default(), request);
    page.await.unwrap().entries
}

/// What an archive has, as text.
pub(crate) async fn texts(store: &impl Store, account: &BareJid) -> Vec<String> {
    let page = last_page(store, account).await;
    page.into_iter()
        .map(|entry| String::from_utf8(entry.stanza.to_vec()).unwrap())
        .collect()
}

pub(crate) async fn a_message_is_in_both_archives_under_one_id(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let mut first = archived("alice@a.example/pc", "bob@a.example", DAY, "hello");
    first.recipient.as_mut().unwrap().flags = u32::MAX;
    let outcome = submit(store, first).await.unwrap();
    let wanted = Outcome {
        id: u64::try_from(DAY).unwrap(),
        duplicate: false,
        waiting: false,
    };
    assert_eq!(outcome, wanted, "an id is the time of its record");
    let sent = Archived {
        id: outcome.id,
        with: jid("bob@a.example").into(),
        outgoing: true,
        flags: 0,
        retracted: false,
        stanza: "hello".into(),
    };
    let received = Archived {
        with: Jid::parse("alice@a.example/pc").unwrap(),
        outgoing: false,
        flags: u32::MAX,
        ..sent.clone()
    };
    assert_eq!(last_page(store, &alice).await, [sent]);
    assert_eq!(last_page(store, &bob).await, [received]);

    // Ids rise with those of all other records.
    let waiting = store
        .submit(message("bob@a.example", DAY, "w"))
        .await
        .unwrap();
    let again = archived("bob@a.example", "alice@a.example", DAY - 5, "yes");
    let again = submit(store, again).await.unwrap();
    assert_eq!([waiting.id, again.id], [outcome.id + 1, outcome.id + 2]);
    assert_eq!(texts(store, &alice).await, ["hello", "yes"]);
}

pub(crate) async fn a_message_to_oneself_is_one_entry(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let note = archived("alice@a.example/pc", "alice@a.example/tablet", DAY, "note");
    submit(store, note).await.unwrap();
    let page = last_page(store, &alice).await;
    assert_eq!(page.len(), 1);
    assert!(page[0].outgoing);
}

pub(crate) async fn an_archived_message_can_wait(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let to_bob = |text: &str, archive: bool| {
        let mut message = archived("alice@a.example", "bob@a.example", DAY, text);
        message.waiting = Some(Waiting {
            account: jid("bob@a.example"),
            messages_max: 2,
            bytes_max: 8,
        });
        message.recipient = message.recipient.filter(|_| archive);
        submit(store, message)
    };
    let one = to_bob("one", true).await.unwrap();
    assert!(one.waiting);
    let two = to_bob("two", false).await.unwrap();
    assert!(two.waiting);
    let three = to_bob("", true).await.unwrap();
    assert!(!three.waiting, "there is no room, but it is archived");
    assert_eq!(
        error(to_bob("", false).await),
        "Quota(\"offline_messages_max\")"
    );
    assert_eq!(
        texts(store, &alice).await,
        ["one", "two", ""],
        "all or nothing"
    );

    let waiting = store.offline(bob.clone(), 0, 10).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|w| (w.id, &w.stanza[..])).collect();
    assert_eq!(waiting, [(one.id, &b"one"[..]), (two.id, b"two")]);
    store
        .offline_remove(bob.clone(), vec![one.id])
        .await
        .unwrap();
    assert_eq!(
        error(to_bob("123456", false).await),
        "Quota(\"offline_bytes_max\")",
        "what waits and is archived counts"
    );
    empty_queue(store, &bob).await;
    assert_eq!(store.offline_count(bob.clone()).await.unwrap(), 0);
    assert_eq!(texts(store, &bob).await, ["one", ""], "the archive stays");

    // The other way round: what is purged from the archive goes on waiting.
    to_bob("four", true).await.unwrap();
    for account in [&alice, &bob] {
        store
            .archive_purge(account.clone(), None, 100)
            .await
            .unwrap();
    }
    let waiting = store.offline(bob.clone(), 0, 10).await.unwrap();
    assert_eq!(waiting[0].stanza, "four");
    empty_queue(store, &bob).await;
}

/// Puts an archived message into the queue of its archive's account.
pub(crate) fn wait(
    store: &impl Store,
    account: &BareJid,
    id: u64,
    messages_max: u32,
    bytes_max: u64,
) -> Ticket {
    store.submit(Record::Wait(Box::new(Wait {
        id,
        waiting: Waiting {
            account: account.clone(),
            messages_max,
            bytes_max,
        },
    })))
}

pub(crate) async fn an_archived_message_can_wait_later(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let send = |text: &str| {
        submit(
            store,
            archived("alice@a.example", "bob@a.example", DAY, text),
        )
    };
    // In one commit with the message itself, and before one that only waits.
    let tickets = [send("one"), send("two"), send("333"), send("4")];
    let mut ids = Vec::new();
    for ticket in tickets {
        ids.push(ticket.await.unwrap().id);
    }
    store
        .submit(message("bob@a.example", DAY, "w"))
        .await
        .unwrap();
    let outcome = async |account: &BareJid, id, messages, bytes| {
        let outcome = wait(store, account, id, messages, bytes).await.unwrap();
        assert_eq!((outcome.id, outcome.duplicate), (id, false));
        outcome.waiting
    };
    assert!(outcome(&bob, ids[1], 9, 99).await);
    assert!(outcome(&bob, ids[1], 0, 0).await, "it waits already");
    assert!(!outcome(&bob, ids[2], 2, 99).await, "no room");
    assert!(!outcome(&bob, ids[2], 9, 6).await, "not enough bytes");
    assert!(outcome(&bob, ids[2], 9, 7).await, "to the byte");
    assert!(!outcome(&bob, ids[0] - 1, 9, 99).await, "no such entry");
    assert!(!outcome(&bob, u64::MAX, 9, 99).await);
    let error = error(wait(store, &jid("nobody@a.example"), ids[0], 9, 99).await);
    assert_eq!(error, "NoAccount");

    let waiting = async || {
        let waiting = store.offline(bob.clone(), 0, 10).await.unwrap();
        let waiting = waiting.into_iter();
        waiting
            .map(|w| (w.id, w.at, String::from_utf8(w.stanza.to_vec()).unwrap()))
            .collect::<Vec<_>>()
    };
    let wanted = [
        (ids[1], DAY, "two".to_owned()),
        (ids[2], DAY, "333".to_owned()),
        (ids[3] + 1, DAY, "w".to_owned()),
    ];
    assert_eq!(waiting().await, wanted, "in the order of ids, as archived");

    let retract = |id| store.archive_retract(bob.clone(), id, "gone".into());
    retract(ids[0]).await.unwrap();
    assert!(
        !outcome(&bob, ids[0], 9, 99).await,
        "a tombstone does not wait"
    );
    store.archive_purge(bob.clone(), None, 100).await.unwrap();
    assert!(!outcome(&bob, ids[3], 9, 99).await, "it is in Alice's only");
    assert_eq!(waiting().await, wanted, "what was purged goes on waiting");
    store.archive_purge(alice, None, 100).await.unwrap();
    assert_eq!(waiting().await, wanted, "even when nobody else has it");
    assert!(outcome(&bob, ids[2], 0, 0).await);
    store
        .offline_remove(bob.clone(), vec![ids[1]])
        .await
        .unwrap();
    assert_eq!(waiting().await, wanted[1..]);
    empty_queue(store, &bob).await;
    assert_eq!(store.offline_count(bob).await.unwrap(), 0);
}

pub(crate) async fn a_resend_gives_the_first_id(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let send = |at: i64, key: u8, account: &BareJid| {
        let text = key.to_string();
        let mut message = archived("alice@a.example", "bob@a.example", at, &text);
        message.resend = Some(Resend {
            account: account.clone(),
            key: [key; 16],
        });
        message.waiting = Some(Waiting {
            account: jid("bob@a.example"),
            messages_max: 100,
            bytes_max: 100,
        });
        submit(store, message)
    };
    let first = send(DAY, 1, &alice).await.unwrap();
    let other = send(DAY + 10, 2, &alice).await.unwrap();
    let others = send(DAY + 20, 1, &bob).await.unwrap();
    assert!(!others.duplicate, "another sender");
    // Two at once, which may share a commit.
    for again in [
        send(DAY + 30, 1, &alice),
        send(DAY + 86_400_000_000, 1, &alice),
    ] {
        let wanted = Outcome {
            id: first.id,
            duplicate: true,
            waiting: false,
        };
        assert_eq!(again.await.unwrap(), wanted);
    }
    assert_eq!(texts(store, &alice).await, ["1", "2", "1"]);
    assert_eq!(store.offline_count(bob.clone()).await.unwrap(), 3);
    let next = store
        .submit(message("bob@a.example", DAY, "w"))
        .await
        .unwrap();
    assert_eq!(next.id, others.id + 1, "resends use no ids");

    let late = send(DAY + 86_400_000_001, 1, &alice).await.unwrap();
    assert!(!late.duplicate, "a day is over");
    let again = send(DAY, 1, &alice).await.unwrap();
    assert_eq!(
        (again.id, again.duplicate),
        (late.id, true),
        "of the newer one"
    );

    let until = i64::try_from(late.id).unwrap();
    assert_eq!(
        store.resends_forget(until, 1).await.unwrap(),
        1,
        "the oldest"
    );
    assert!(
        !send(DAY, 2, &alice).await.unwrap().duplicate,
        "{}",
        other.id
    );
    assert_eq!(store.resends_forget(until, 10).await.unwrap(), 1);
    assert!(
        send(DAY, 1, &alice).await.unwrap().duplicate,
        "not old enough"
    );
}

pub(crate) async fn a_count_is_committed_with_its_message(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    store
        .session_put(alice.clone(), session("s"), 10)
        .await
        .unwrap();
    let send = |generation: u64, id: &str, count: u32, to: &str| {
        let mut message = archived("alice@a.example", to, DAY, "m");
        message.handled = Some(Handled {
            account: jid("alice@a.example"),
            session: SessionKey {
                id: id.into(),
                generation,
            },
            count,
        });
        message.resend = Some(Resend {
            account: jid("alice@a.example"),
            key: [1; 16],
        });
        submit(store, message)
    };
    let handled = async || {
        let session = store.session(alice.clone(), "s".into()).await.unwrap();
        session.unwrap().handled
    };
    send(1, "s", 1, "bob@a.example").await.unwrap();
    assert_eq!(handled().await, 1);
    let resent = send(1, "s", u32::MAX, "bob@a.example").await.unwrap();
    assert!(resent.duplicate);
    assert_eq!(handled().await, u32::MAX, "a resend is handled, too");

    store.resends_forget(i64::MAX, 10).await.unwrap();
    assert_eq!(
        error(send(1, "s", 7, "nobody@a.example").await),
        "NoAccount"
    );
    assert_eq!(handled().await, u32::MAX, "all or nothing");
    store
        .session_take(alice.clone(), session("s").key())
        .await
        .unwrap();
    for (generation, id) in [(1, "s"), (3, "s"), (1, "t")] {
        assert_eq!(
            error(send(generation, id, 7, "bob@a.example").await),
            "Conflict",
            "{id} {generation}"
        );
    }
    assert_eq!(
        texts(store, &alice).await,
        ["m"],
        "nothing from a stream that was replaced"
    );
    send(2, "s", 7, "bob@a.example").await.unwrap();
    assert_eq!(handled().await, 7);
    assert_eq!(texts(store, &alice).await, ["m", "m"]);
}

pub(crate) async fn a_record_is_kept_as_a_whole_or_not_at_all(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let lost = archived("alice@a.example", "nobody@a.example", DAY, "m");
    let tickets = [
        submit(
            store,
            archived("alice@a.example", "x@b.example", DAY, "never"),
        ),
        submit(store, lost),
    ];
    for ticket in tickets {
        assert_eq!(error(ticket.await), "NoAccount");
    }
    let mut outgoing = archived("alice@a.example", "x@b.example", DAY, "m");
    outgoing.recipient = None;
    submit(store, outgoing.clone()).await.unwrap();
    assert_eq!(texts(store, &alice).await, ["m"]);
    outgoing.sender = None;
    let unkept = submit(store, outgoing).await.unwrap();
    assert!(
        unkept.id > 0,
        "nobody keeps it, but it has its place in the order"
    );

    let mut nobodys = archived("alice@a.example", "x@b.example", DAY, "m");
    nobodys.recipient = None;
    for damage in 0..2 {
        let mut nobodys = nobodys.clone();
        let nobody = jid("nobody@a.example");
        if damage == 0 {
            nobodys.resend = Some(Resend {
                account: nobody,
                key: [0; 16],
            });
        } else {
            nobodys.handled = Some(Handled {
                account: nobody,
                session: session("s").key(),
                count: 1,
            });
        }
        let refused = submit(store, nobodys).await;
        assert!(matches!(refused, Err(StoreError::NoAccount)), "{refused:?}");
    }
    assert_eq!(texts(store, &alice).await, ["m"]);
}
