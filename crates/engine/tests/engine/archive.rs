//! Archives as their owners see them. What is in them is put there directly.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use crate::server::{Client, Server, account};
use waxwing_engine::Archives;
use waxwing_proto::{BareJid, Jid};
use waxwing_store::{
    Archive as _, ArchiveDefault, ArchivePreferences, Commits as _, Entry, Keep, Message, Micros,
    Record,
};

/// 2026-01-01T00:00:00Z.
const START: Micros = 1_767_225_600_000_000;
const SECOND: Micros = 1_000_000;

/// Puts a message into both archives; gives its id.
async fn archive(server: &Server, from: &str, to: &str, content: &str, at: Micros) -> u64 {
    let [sender, recipient] = [from, to].map(|jid| Jid::parse(jid).unwrap());
    let entry = |account: &Jid, with: &Jid, outgoing| Entry {
        account: account.to_bare(),
        with: with.clone(),
        outgoing,
        flags: 0,
    };
    let id = (at - START) / SECOND;
    let stanza =
        format!("<message to='{to}' from='{from}' type='chat' id='{id}'>{content}</message>");
    let message = Message {
        sender: Some(entry(&sender, &recipient, true)),
        recipient: Some(entry(&recipient, &sender, false)),
        ..Message::new(at, stanza.into())
    };
    let record = Record::from(message);
    server.store.submit(record).await.unwrap().id
}

async fn archive_short(server: &Server, from: &str, to: &str, at: Micros) {
    archive(server, from, to, "Hi", at).await;
}

/// alice and bob say `count` things to each other, a second apart.
async fn conversation(server: &Server, count: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let (from, to) = if number % 2 == 0 {
            ("alice@localhost/phone", "bob@localhost")
        } else {
            ("bob@localhost/laptop", "alice@localhost/phone")
        };
        let at = START + i64::from(number) * SECOND;
        let id = archive(server, from, to, &number.to_string(), at).await;
        let shown = server.engine.stanza_ids().show(&account("alice"), id);
        ids.push(shown.to_string());
    }
    ids
}

/// A query and its answer.
async fn query(client: &mut Client, content: &str) -> String {
    client
        .send(&format!(
            "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>{content}</query></iq>"
        ))
        .await;
    client.take()
}

fn form(var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>urn:xmpp:mam:2</value></field><field var='{var}'><value>{value}</value></field></x>"
    )
}

fn set(content: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>")
}

/// The ids of the results, in order.
fn results(answer: &str) -> Vec<String> {
    between(answer, "<result xmlns='urn:xmpp:mam:2' id='", "'")
}

fn between(text: &str, before: &str, after: &str) -> Vec<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split(after).next())
        .map(str::to_owned)
        .collect()
}

fn only(mut found: Vec<String>) -> String {
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test]
async fn a_page_is_its_messages_and_then_its_ends() {
    let server = Server::start().await;
    let ids = conversation(&server, 2).await;
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    let answer = query(&mut alice, "").await;
    let message = |nth: usize, stamp: &str, stanza: &str| {
        format!(
            "<message to='alice@localhost/pc' from='alice@localhost'>\
             <result xmlns='urn:xmpp:mam:2' id='{}' queryid='f27'>\
             <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>\
             <message xmlns='jabber:client' {stanza}</message></forwarded></result></message>",
            ids[nth]
        )
    };
    let expected = [
        message(
            0,
            "2026-01-01T00:00:00Z",
            "to='bob@localhost' from='alice@localhost/phone' type='chat' id='0'>0",
        ),
        message(
            1,
            "2026-01-01T00:00:01Z",
            "to='alice@localhost/phone' from='bob@localhost/laptop' type='chat' id='1'>1",
        ),
        format!(
            "<iq type='result' id='q' to='alice@localhost/pc'>\
             <fin xmlns='urn:xmpp:mam:2' complete='true'>\
             <set xmlns='http://jabber.org/protocol/rsm'><first index='0'>{}</first><last>{}</last>\
             <count>2</count></set></fin></iq>",
            ids[0], ids[1]
        ),
    ];
    assert_eq!(answer, expected.concat());
}

/// Forward and backward, whatever the size of the pages, an archive reads the same.
#[tokio::test]
async fn pages_together_are_the_archive() {
    let server = Server::start().await;
    let ids = conversation(&server, 20).await;
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    for max in [1, 7, 100] {
        for flip in ["", "<flip-page/>"] {
            let (mut forward, mut backward) = (Vec::new(), Vec::new());
            let mut from = String::new();
            loop {
                let content = set(&format!("<max>{max}</max>{from}")) + flip;
                let answer = query(&mut alice, &content).await;
                let mut page = results(&answer);
                if !flip.is_empty() {
                    page.reverse();
                }
                forward.extend(page);
                let last = only(between(&answer, "<last>", "</last>"));
                assert_eq!(forward.last(), Some(&last));
                if answer.contains("complete='true'") {
                    break;
                }
                from = format!("<after>{last}</after>");
            }
            let mut from = "<before/>".to_owned();
            loop {
                let content = set(&format!("<max>{max}</max>{from}")) + flip;
                let answer = query(&mut alice, &content).await;
                let mut page = results(&answer);
                if flip.is_empty() {
                    page.reverse();
                }
                backward.extend(page);
                if answer.contains("complete='true'") {
                    break;
                }
                let first = first(&answer);
                from = format!("<before>{first}</before>");
            }
            backward.reverse();
            assert_eq!(forward, ids, "{max} {flip}");
            assert_eq!(backward, ids, "{max} {flip}");
        }
    }
}

/// The id of the oldest message of a page.
fn first(answer: &str) -> String {
    let tag = only(between(answer, "<first", "</first>"));
    tag.split_once('>').unwrap().1.to_owned()
}

#[tokio::test]
async fn filters_and_counts() {
    let server = Server::start().await;
    let ids = conversation(&server, 4).await;
    archive(
        &server,
        "carol@localhost/x",
        "alice@localhost",
        "c",
        START + 9 * SECOND,
    )
    .await;
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    let bare = |range: std::ops::Range<usize>| ids[range].to_vec();
    for (content, expected) in [
        (form("with", "bob@localhost"), bare(0..4)),
        (
            form("with", "bob@localhost/laptop"),
            vec![ids[1].clone(), ids[3].clone()],
        ),
        (form("with", "alice@localhost"), vec![]),
        (form("with", "dave@localhost"), vec![]),
        (form("end", "2026-01-01T00:00:01Z"), bare(0..2)),
        (form("before-id", &ids[2]), bare(0..2)),
        (form("ids", &ids[2]), bare(2..3)),
        (
            form("include-groupchat", "false") + &set("<max>4</max>"),
            bare(0..4),
        ),
    ] {
        assert_eq!(
            results(&query(&mut alice, &content).await),
            expected,
            "{content}"
        );
    }
    let counted = query(&mut alice, &set("<max>0</max>")).await;
    assert!(counted.contains("<count>5</count></set>"), "{counted}");
    assert!(
        !counted.contains("<first") && !counted.contains("complete"),
        "{counted}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let server = Server::start().await;
    conversation(&server, 2).await;
    let bobs = server
        .engine
        .stanza_ids()
        .show(&account("bob"), 1)
        .to_string();
    let purged = server
        .engine
        .stanza_ids()
        .show(&account("alice"), 1)
        .to_string();
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    for id in [bobs.as_str(), purged.as_str(), "1"] {
        for content in [
            set(&format!("<after>{id}</after>")),
            set(&format!("<before>{id}</before>")),
            form("after-id", id),
            form("before-id", id),
            form("ids", id),
        ] {
            let answer = query(&mut alice, &content).await;
            assert!(answer.contains("type='error'"), "{answer}");
            assert!(answer.contains("<item-not-found"), "{answer}");
        }
    }
    let mut nobody = server.bind("dave", "pc").await;
    nobody.take();
    let answer = query(&mut nobody, "").await;
    assert!(answer.starts_with("<iq type='result'"), "{answer}");
    assert!(answer.contains("complete='true'"), "{answer}");
    assert!(answer.contains("<count>0</count>"), "{answer}");
}

#[tokio::test]
async fn an_archive_is_its_owners_alone() {
    let server = Server::start().await;
    conversation(&server, 1).await;
    let mut carol = server.bind("carol", "pc").await;
    carol.take();
    for (kind, payload) in [
        ("set", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("get", "<query xmlns='urn:xmpp:mam:2'/>"),
        ("get", "<metadata xmlns='urn:xmpp:mam:2'/>"),
        ("get", "<prefs xmlns='urn:xmpp:mam:2'/>"),
        ("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>"),
    ] {
        for to in ["alice@localhost", "nobody@localhost"] {
            carol
                .send(&format!(
                    "<iq type='{kind}' id='q' to='{to}'>{payload}</iq>"
                ))
                .await;
            let answer = carol.take();
            assert!(answer.contains("<forbidden"), "{answer}");
        }
    }
}

#[tokio::test]
async fn metadata_has_the_ends() {
    let server = Server::start().await;
    let ids = conversation(&server, 3).await;
    let ask = "<iq type='get' id='q'><metadata xmlns='urn:xmpp:mam:2'/></iq>";
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    alice.send(ask).await;
    let expected = format!(
        "<metadata xmlns='urn:xmpp:mam:2'><start id='{}' timestamp='2026-01-01T00:00:00Z'/>\
         <end id='{}' timestamp='2026-01-01T00:00:02Z'/></metadata>",
        ids[0], ids[2]
    );
    let answer = alice.take();
    assert!(answer.contains(&expected), "{answer}");
    let mut dave = server.bind("dave", "pc").await;
    dave.take();
    dave.send(ask).await;
    let answer = dave.take();
    assert!(
        answer.contains("<metadata xmlns='urn:xmpp:mam:2'/>"),
        "{answer}"
    );
}

/// Large messages make small pages, and nobody who does not read makes the server hold many.
#[tokio::test]
async fn a_page_has_a_bound_in_bytes() {
    let server = Server::start().await;
    let body = format!("<body>{}</body>", "x".repeat(200 * 1024));
    for at in 0..5 {
        archive(
            &server,
            "alice@localhost/pc",
            "bob@localhost",
            &body,
            START + at,
        )
        .await;
    }
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    let answer = query(&mut alice, "").await;
    assert_eq!(results(&answer).len(), 2);
    assert!(!answer.contains("complete="));
    assert!(answer.contains("<count>5</count>"));

    let one = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>";
    let mut input = bytes::BytesMut::from(one.repeat(10).as_str());
    alice.connection.handle(&mut input).await;
    assert_eq!(input.len(), 9 * one.len());
    assert!(!alice.connection.wants_input());
    alice.run().await;
    alice.take();
    assert!(alice.connection.wants_input());
}

#[tokio::test]
async fn preferences_are_kept_and_seen_by_the_record_step() {
    let server = Server::start().await;
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    let view = async || server.engine.view(&account("alice")).await.unwrap();
    let bob = Jid::parse("bob@localhost/x").unwrap();
    assert!(view().await.archives(&bob));
    alice
        .send("<iq type='get' id='q'><prefs xmlns='urn:xmpp:mam:2'/></iq>")
        .await;
    let answer = alice.take();
    assert!(
        answer.contains("default='always'><always/><never/>"),
        "{answer}"
    );

    let rules = "<always><jid>carol@localhost</jid><jid>carol@localhost</jid></always>\
                 <never><jid>bob@localhost</jid></never>";
    alice
        .send(&format!(
            "<iq type='set' id='q'><prefs xmlns='urn:xmpp:mam:2' default='roster'>{rules}</prefs></iq>"
        ))
        .await;
    let answer = alice.take();
    let once = rules.replacen("<jid>carol@localhost</jid>", "", 1);
    assert!(
        answer.contains(&format!("default='roster'>{once}")),
        "{answer}"
    );
    let kept = server.store.archive_preferences(account("alice")).await;
    assert_eq!(kept.unwrap().unwrap().default, ArchiveDefault::Roster);
    assert!(!view().await.archives(&bob));
    assert!(
        view()
            .await
            .archives(&Jid::parse("carol@localhost").unwrap())
    );
    let stranger: Jid = BareJid::parse("x@other.example").unwrap().into();
    assert!(!view().await.archives(&stranger));
}

#[tokio::test]
async fn preferences_have_a_bound() {
    let server = Server::with(|limits| limits.archive_rules_max = 1).await;
    let mut alice = server.bind("alice", "pc").await;
    alice.take();
    let rules = "<always><jid>a@localhost</jid></always><never><jid>b@localhost</jid></never>";
    alice
        .send(&format!(
            "<iq type='set' id='q'><prefs xmlns='urn:xmpp:mam:2' default='never'>{rules}</prefs></iq>"
        ))
        .await;
    assert!(alice.take().contains("<resource-constraint"));
    let view = server.engine.view(&account("alice")).await.unwrap();
    assert!(view.archives(&Jid::parse("b@localhost").unwrap()));
}

/// Everybody may try, the sender alone has a tombstone put into both archives, and whoever was away
/// gets the retraction instead of the words.
#[tokio::test]
async fn retracted_words_are_gone_from_both_archives_and_from_the_queue() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    alice.chat("bob@localhost", "m1").await;
    alice.chat("bob@localhost", "m2").await;
    let retract = |to: &str, id: &str| {
        format!(
            "<message to='{to}' type='chat' id='{id}'>\
             <retract xmlns='urn:xmpp:message-retract:1' id='m1'/><body>gone</body></message>"
        )
    };
    let mut carol = server.available("carol", "phone").await;
    carol.send(&retract("bob@localhost", "r0")).await;
    let mut bob = server.bind("bob", "pc").await;
    bob.send(&retract("alice@localhost", "r0")).await;
    assert_eq!(server.waiting("bob").await, ["m1", "m2", "r0m1"]);
    alice.take();
    alice.send(&retract("bob@localhost", "r1")).await;
    assert_eq!(server.waiting("bob").await, ["m2", "r0m1", "r1m1"]);

    let tombstone = "<message xmlns='jabber:client' to='bob@localhost' from='alice@localhost/phone' \
                     type='chat' id='m1'><retracted xmlns='urn:xmpp:message-retract:1' id='r1' \
                     stamp='2026-01-01T00:00:00Z'/></message>";
    alice.take();
    let answer = query(&mut alice, "").await;
    assert_eq!(results(&answer).len(), 4);
    assert_eq!(answer.matches(tombstone).count(), 1, "{answer}");
    bob.take();
    let answer = query(&mut bob, "").await;
    assert_eq!(results(&answer).len(), 5);
    assert_eq!(answer.matches(tombstone).count(), 1, "{answer}");
    assert_eq!(answer.matches("<retracted").count(), 1, "{answer}");
}

/// For ever, unless the admin or the person says otherwise; the admin's bound holds for all.
#[tokio::test]
async fn old_messages_end() {
    const DAY: Micros = 86_400 * SECOND;
    for (keep_days, keep_days_max, keep, left) in [
        (None, None, Keep::Unset, 4),
        (Some(30), None, Keep::Unset, 3),
        (None, Some(30), Keep::Unset, 3),
        (Some(30), None, Keep::Forever, 4),
        (Some(30), None, Keep::Days(7), 2),
        (Some(1), Some(30), Keep::Days(300), 3),
        (Some(1), None, Keep::Unset, 1),
    ] {
        let archive = Archives {
            keep_days,
            keep_days_max,
            search: false,
        };
        let server = Server::with_settings(|settings| settings.archive = archive).await;
        for days in [365, 29, 6, 0] {
            let at = START - days * DAY;
            archive_short(&server, "alice@localhost", "bob@localhost", at).await;
        }
        let wish = ArchivePreferences {
            keep,
            ..ArchivePreferences::default()
        };
        let set = server
            .store
            .archive_set_preferences(account("alice"), wish, 0);
        set.await.unwrap();
        let removed = server.engine.archives_expire().await.unwrap();
        let mut alice = server.bind("alice", "pc").await;
        alice.take();
        let answer = query(&mut alice, "").await;
        let case = (keep_days, keep_days_max, keep);
        assert_eq!(results(&answer).len(), left, "{case:?}");
        assert!(removed > 0 || left == 4, "{case:?}");
        assert_eq!(server.engine.archives_expire().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_archive_is_purged_in_batches() {
    let server = Server::start().await;
    for at in 0..2_500 {
        archive_short(&server, "alice@localhost", "bob@localhost", START + at).await;
    }
    let purge = async |before| {
        let alice = account("alice");
        server.engine.archive_purge(&alice, before).await.unwrap()
    };
    assert_eq!(purge(Some(START)).await, 0);
    assert_eq!(purge(Some(START + 1_200)).await, 1_200);
    assert_eq!(purge(None).await, 1_300);
    let ends = server.store.archive_ends(account("bob")).await.unwrap();
    assert!(ends.is_some(), "it is hers alone");
}
