//! Rooms.

use super::{create, jid};
use crate::{
    ArchiveFilter, Entry, Message, Micros, NewRoom, PageFrom, PageRequest, Record, RoomAffiliation,
    RoomChange, RoomList, RoomOptions, RoomPerson, Store, StoreError,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, Jid};

const SERVICE: &str = "groups.example";

fn options(config: &'static str, listed: Option<&str>, temporary: bool) -> RoomOptions {
    RoomOptions {
        config: Bytes::from_static(config.as_bytes()),
        listed: listed.map(str::to_owned),
        temporary,
    }
}

fn person(address: &str, affiliation: Option<RoomAffiliation>, nick: Option<&str>) -> RoomPerson {
    RoomPerson {
        jid: jid(address),
        affiliation,
        nick: nick.map(str::to_owned),
        version: 0,
    }
}

async fn make(store: &impl Store, room: &BareJid, options: RoomOptions) {
    let new = NewRoom {
        at: 1,
        secret: [7; 32],
        options,
        people: vec![person("a@example", Some(RoomAffiliation::Owner), None)],
    };
    store.room_create(room.clone(), new).await.unwrap();
}

fn said(room: &BareJid, at: Micros, text: &str) -> Message {
    let stanza = format!("<message><body>{text}</body></message>");
    let mut message = Message::new(at, Bytes::from(stanza));
    message.recipient = Some(Entry {
        account: room.clone(),
        with: Jid::parse(&format!("{room}/a")).unwrap(),
        outgoing: false,
        flags: 0,
    });
    message
}

async fn archived(store: &impl Store, room: &BareJid) -> usize {
    let request = PageRequest {
        max: 100,
        bytes_max: 100_000,
        from: PageFrom::First,
        flip: false,
        count: false,
    };
    let page = store.archive_page(room.clone(), ArchiveFilter::default(), request);
    page.await.unwrap().entries.len()
}

pub(crate) async fn rooms_are_read_as_written(store: &impl Store) {
    let room = jid("room@groups.example");
    assert_eq!(store.room(room.clone()).await.unwrap(), None);
    make(store, &room, options("1", None, false)).await;
    let kept = store.room(room.clone()).await.unwrap().unwrap();
    assert_eq!((kept.secret, &kept.config[..]), ([7; 32], &b"1"[..]));
    assert_eq!(kept.subject, None);
    let owner = person("a@example", Some(RoomAffiliation::Owner), None);
    assert_eq!(kept.people, std::slice::from_ref(&owner));

    let again = NewRoom {
        at: 2,
        secret: [8; 32],
        options: options("2", None, false),
        people: Vec::new(),
    };
    let exists = store.room_create(room.clone(), again).await;
    assert!(matches!(exists, Err(StoreError::Exists)), "{exists:?}");

    let change = RoomChange {
        options: Some(options("3", Some("Name"), false)),
        people: vec![
            person("z@example", None, Some("zoe")),
            person("b@example", Some(RoomAffiliation::Outcast), None),
            person("c@example", Some(RoomAffiliation::Member), Some("c c")),
        ],
        people_since: None,
    };
    store.room_change(room.clone(), change).await.unwrap();
    let change = RoomChange {
        options: None,
        people: vec![
            person("b@example", None, None),
            person("c@example", Some(RoomAffiliation::Admin), None),
            person("nobody@example", None, None),
        ],
        people_since: None,
    };
    store.room_change(room.clone(), change).await.unwrap();
    let kept = store.room(room).await.unwrap().unwrap();
    assert_eq!(&kept.config[..], b"3");
    let wanted = [
        owner,
        person("c@example", Some(RoomAffiliation::Admin), None),
        person("z@example", None, Some("zoe")),
    ];
    assert_eq!(kept.people, wanted);
    let nowhere = jid("no@groups.example");
    let missing = store.room_change(nowhere, RoomChange::default()).await;
    assert!(matches!(missing, Err(StoreError::NoAccount)), "{missing:?}");
}

pub(crate) async fn a_room_is_no_account(store: &impl Store) {
    let room = jid("room@groups.example");
    make(store, &room, options("1", None, false)).await;
    assert!(store.account(room.clone()).await.unwrap().is_none());
    let listed = store.accounts(SERVICE.to_owned(), None, 10).await.unwrap();
    assert!(listed.is_empty(), "{listed:?}");
    // Nor is an account a room, and its name cannot become one.
    create(store, "a@example").await;
    assert_eq!(store.room(jid("a@example")).await.unwrap(), None);
    assert!(!store.room_delete(jid("a@example"), None).await.unwrap());
    let change = store.room_change(jid("a@example"), RoomChange::default());
    assert!(matches!(change.await, Err(StoreError::NoAccount)));
}

pub(crate) async fn a_room_has_an_archive_and_a_subject(store: &impl Store) {
    let room = jid("room@groups.example");
    let early = store.submit(Record::from(said(&room, 1, "early"))).await;
    assert!(matches!(early, Err(StoreError::NoAccount)), "{early:?}");
    make(store, &room, options("1", None, false)).await;
    store
        .submit(Record::from(said(&room, 2, "hi")))
        .await
        .unwrap();
    let mut subject = said(&room, 3, "subject");
    subject.subject = Some(Bytes::from_static(b"S"));
    store.submit(Record::from(subject)).await.unwrap();
    assert_eq!(archived(store, &room).await, 2);
    let kept = store.room(room.clone()).await.unwrap().unwrap();
    assert_eq!(kept.subject.as_deref(), Some(&b"S"[..]));
    // An account has no subject, and the message is kept as a whole or not at all.
    create(store, "a@example").await;
    let mut wrong = said(&jid("a@example"), 4, "x");
    wrong.subject = Some(Bytes::new());
    let wrong = store.submit(Record::from(wrong)).await;
    assert!(matches!(wrong, Err(StoreError::NoAccount)), "{wrong:?}");
    assert_eq!(archived(store, &jid("a@example")).await, 0);
}

pub(crate) async fn a_destroyed_room_leaves_its_name(store: &impl Store) {
    let room = jid("room@groups.example");
    make(store, &room, options("1", None, false)).await;
    store
        .submit(Record::from(said(&room, 2, "hi")))
        .await
        .unwrap();
    let by = Some((jid("a@example"), 5));
    assert!(store.room_delete(room.clone(), by.clone()).await.unwrap());
    assert_eq!(store.room(room.clone()).await.unwrap(), None);
    assert_eq!(store.room_destroyed(room.clone()).await.unwrap(), by);
    assert!(!store.room_delete(room.clone(), by.clone()).await.unwrap());
    assert_eq!(archived(store, &room).await, 0);
    assert_eq!(store.rooms_forget(5).await.unwrap(), 0);
    make(store, &room, options("1", None, false)).await;
    assert_eq!(store.room_destroyed(room.clone()).await.unwrap(), None);
    assert_eq!(archived(store, &room).await, 0, "it is another room");
    assert!(store.room_delete(room.clone(), by).await.unwrap());
    assert_eq!(store.rooms_forget(6).await.unwrap(), 1);
    assert_eq!(store.room_destroyed(room.clone()).await.unwrap(), None);
    make(store, &room, options("1", None, true)).await;
    assert!(store.room_delete(room.clone(), None).await.unwrap());
    assert_eq!(store.room_destroyed(room).await.unwrap(), None);
}

pub(crate) async fn rooms_are_listed(store: &impl Store) {
    for (room, options) in [
        ("b@groups.example", options("1", Some("Bees"), false)),
        ("a@groups.example", options("1", Some(""), true)),
        ("c@groups.example", options("1", None, true)),
        ("d@other.example", options("1", Some("D"), true)),
    ] {
        make(store, &jid(room), options).await;
    }
    let list = async |which, after: Option<&str>, count| -> Vec<(String, String)> {
        let after = after.map(jid);
        let found = store.rooms(SERVICE.to_owned(), which, after, count);
        let found = found.await.unwrap().into_iter();
        found
            .map(|(jid, name)| (jid.local().unwrap().to_owned(), name))
            .collect()
    };
    let own = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        let names = names.iter();
        names
            .map(|(jid, name)| ((*jid).to_owned(), (*name).to_owned()))
            .collect()
    };
    let listed = own(&[("a", ""), ("b", "Bees")]);
    assert_eq!(list(RoomList::Listed, None, 10).await, listed);
    assert_eq!(list(RoomList::Listed, None, 1).await, listed[..1]);
    let after = list(RoomList::Listed, Some("a@groups.example"), 10).await;
    assert_eq!(after, listed[1..]);
    let temporary = own(&[("a", ""), ("c", "")]);
    assert_eq!(list(RoomList::Temporary, None, 10).await, temporary);
}

pub(crate) async fn versions_of_people_are_kept(store: &impl Store) {
    let room = jid("room@groups.example");
    make(store, &room, options("1", None, false)).await;
    let versioned = |address: &str, affiliation, version| RoomPerson {
        version,
        ..person(address, affiliation, None)
    };
    let member = Some(RoomAffiliation::Member);
    let people = vec![
        versioned("b@example", None, 2),
        versioned("c@example", member, 3),
        versioned("d@example", None, 4),
    ];
    let change = RoomChange {
        people: people.clone(),
        ..RoomChange::default()
    };
    store.room_change(room.clone(), change).await.unwrap();
    let kept = store.room(room.clone()).await.unwrap().unwrap();
    assert_eq!(kept.people.get(1..), Some(&people[..]));
    assert_eq!(kept.people_since, 0);
    // Who has no affiliation any more is forgotten at some time; the others stay.
    let change = RoomChange {
        people_since: Some(3),
        ..RoomChange::default()
    };
    store.room_change(room.clone(), change).await.unwrap();
    let kept = store.room(room.clone()).await.unwrap().unwrap();
    assert_eq!(kept.people.get(1..), Some(&people[1..]));
    assert_eq!(kept.people_since, 3);
}
