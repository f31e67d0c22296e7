//! What a session misses while it has no stream (XEP-0198 § 5): nothing of it is lost, and nothing
//! that came to its client comes again.

use crate::{
    resumption::{enable, messages, resume},
    server::{Client, Server, account},
};
use std::time::Duration;

const SM: &str = "urn:xmpp:sm:3";

/// Longer than any session is kept.
const LONG: Duration = Duration::from_hours(24 * 30);

/// The client keeps no archive.
async fn archive_nothing(client: &mut Client) {
    client
        .send("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>")
        .await;
    assert!(client.take().contains("type='result'"));
}

fn ping(to: &str, id: &str) -> String {
    format!("<iq type='get' id='{id}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

#[tokio::test]
async fn what_came_before_the_session_does_not_come_again() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    alice.chat("bob@localhost", "1").await;
    let mut bob = server.available("bob", "phone").await;
    bob.end().await;
    bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    let (bob, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), [""; 0], "{received}");
    bob.end().await;
    alice.chat("bob@localhost", "2").await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), ["2"], "{received}");
}

#[tokio::test]
async fn a_message_in_no_archive_comes_again_or_waits() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    archive_nothing(&mut bob).await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    assert_eq!(bob.ids().await, ["1"]);
    bob.end().await;
    alice.chat("bob@localhost", "2").await;
    assert_eq!(server.waiting("bob").await, ["2"], "it is in no archive");
    let (mut bob, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), ["1", "2"], "{received}");
    bob.send(&format!("<a xmlns='{SM}' h='0'/></stream:stream>"))
        .await;
    bob.end().await;
    let mut waiting = server.waiting("bob").await;
    waiting.sort();
    assert_eq!(waiting, ["1", "2"], "nobody has acknowledged them");
}

#[tokio::test]
async fn a_session_that_is_replaced_loses_nothing_that_is_in_no_archive() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    archive_nothing(&mut bob).await;
    bob.send("<presence to='alice@localhost/pc'/>").await;
    enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    assert_eq!(bob.ids().await, ["1"]);
    bob.end().await;
    alice.run().await;
    alice.take();
    alice.send(&ping("bob@localhost/phone", "p")).await;
    assert_eq!(alice.take(), "", "the session may come back");
    let mut bob = server.bind("bob", "phone").await;
    bob.take();
    bob.send("<presence/>").await;
    bob.run().await;
    assert_eq!(messages(&bob.take()), ["1"]);
    alice.run().await;
    let told = alice.take();
    assert!(told.contains("service-unavailable"), "{told}");
    assert!(told.contains("unavailable"), "{told}");
}

#[tokio::test]
async fn a_session_that_does_not_read_can_be_resumed_and_is_counted() {
    let server = Server::with(|limits| limits.outbox_stanzas_max = 4).await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    for number in 0..6 {
        alice.chat("bob@localhost", &number.to_string()).await;
    }
    bob.end().await;
    assert_eq!(server.engine.metrics().outbox_overflows.value(), 1);
    let (_, received) = resume(&server, "bob", &id, 0).await;
    let all: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    assert_eq!(messages(&received), all, "{received}");
}

/// What waits for a resource that is not available yet is behind the session's place in the archive.
#[tokio::test]
async fn what_waited_and_is_in_the_archive_comes_once_in_a_stream() {
    for acknowledged in [false, true] {
        let server = Server::start().await;
        let mut alice = server.available("alice", "pc").await;
        let mut bob = server.bind("bob", "phone").await;
        bob.take();
        let id = enable(&mut bob).await;
        alice.chat("bob@localhost", "1").await;
        bob.send("<presence/>").await;
        assert_eq!(bob.ids().await, ["1"]);
        bob.end().await;
        alice.chat("bob@localhost", "2").await;
        let (mut bob, received) = resume(&server, "bob", &id, 0).await;
        assert_eq!(messages(&received), ["1", "2"], "{received}");
        if acknowledged {
            // Presence, two messages.
            bob.send(&format!("<a xmlns='{SM}' h='3'/>")).await;
        }
        let waiting: &[&str] = if acknowledged { &[] } else { &["1"] };
        assert_eq!(server.waiting("bob").await, waiting);
        bob.end().await;
        let h = if acknowledged { 3 } else { 0 };
        let (_, received) = resume(&server, "bob", &id, h).await;
        let again: &[&str] = if acknowledged { &[] } else { &["1", "2"] };
        assert_eq!(messages(&received), again, "{received}");
    }
}

#[tokio::test]
async fn a_request_waits_for_the_session() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    bob.send("<presence to='alice@localhost/pc'/>").await;
    alice.run().await;
    alice.take();
    let id = enable(&mut bob).await;
    bob.end().await;
    alice.send(&ping("bob@localhost/phone", "p1")).await;
    alice.chat("bob@localhost", "m1").await;
    alice.send(&ping("bob@localhost/phone", "p2")).await;
    assert_eq!(alice.take(), "");
    let (mut bob, received) = resume(&server, "bob", &id, 0).await;
    let at = |what: &str| received.find(what).unwrap_or_else(|| panic!("{received}"));
    assert!(at("'p1'") < at("'m1'") && at("'m1'") < at("'p2'"));
    bob.send("<iq type='result' id='p1' to='alice@localhost/pc'/>")
        .await;
    alice.run().await;
    assert!(alice.take().contains("id='p1'"));
    // Acknowledged, they are over.
    bob.send(&format!("<a xmlns='{SM}' h='3'/>")).await;
    bob.end().await;
    let (_, received) = resume(&server, "bob", &id, 3).await;
    assert!(!received.contains("<iq"), "{received}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_expires_leaves_its_messages_and_answers_requests() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    bob.send("<presence to='alice@localhost/pc'/>").await;
    alice.run().await;
    alice.take();
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    bob.run().await;
    bob.end().await;
    alice.chat("bob@localhost", "2").await;
    alice.send(&ping("bob@localhost/phone", "p")).await;
    assert_eq!(alice.take(), "");
    server.pass(LONG).await;
    alice.run().await;
    let told = alice.take();
    assert!(told.contains("service-unavailable"), "{told}");
    assert!(told.contains("type='unavailable'"), "{told}");
    assert!(!told.contains("<message"), "what is archived never bounces");
    assert_eq!(server.waiting("bob").await, ["1", "2"]);
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(received.contains("<item-not-found"), "{received}");
}

#[tokio::test]
async fn only_the_newest_presence_comes() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    for status in ["first", "second"] {
        alice
            .send(&format!(
                "<presence to='bob@localhost/phone'><status>{status}</status></presence>"
            ))
            .await;
    }
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(!received.contains("first"), "{received}");
    assert_eq!(received.matches("second").count(), 1, "{received}");
}

#[tokio::test]
async fn a_roster_push_waits() {
    let server = Server::start().await;
    let mut bob = server.available("bob", "phone").await;
    bob.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    bob.take();
    let id = enable(&mut bob).await;
    bob.end().await;
    let mut tablet = server.available("bob", "tablet").await;
    tablet
        .send(
            "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>\
             <item jid='carol@localhost'/></query></iq>",
        )
        .await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    let pushes = received.matches("jid='carol@localhost'").count();
    assert_eq!(pushes, 1, "{received}");
}

#[tokio::test]
async fn a_stream_that_ends_during_the_replay_loses_and_repeats_nothing() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    bob.send("<presence to='alice@localhost/pc'/>").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    let mut sent = Vec::new();
    for number in 0..130 {
        sent.push(format!("m{number}"));
        alice.chat("bob@localhost", &format!("m{number}")).await;
        if number % 40 == 20 {
            let id = format!("p{number}");
            alice.send(&ping("bob@localhost/phone", &id)).await;
            sent.push(id);
        }
    }
    let mut received = Vec::new();
    let mut h = 0;
    for steps in [1, 2, 1, 9] {
        let mut bob = server.connect();
        bob.authenticate("bob").await;
        bob.push(&format!("<resume xmlns='{SM}' previd='{id}' h='{h}'/>"))
            .await;
        for _ in 0..steps {
            bob.step().await;
        }
        let got = bob.take();
        assert!(got.contains("<resumed"), "{got}");
        let new: Vec<_> = crate::server::ids(&got)
            .into_iter()
            .filter(|id| id.starts_with(['m', 'p']))
            .collect();
        h += new.len();
        received.extend(new);
        bob.end().await;
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn the_order_of_what_was_not_sent_is_kept() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    alice
        .send("<message to='bob@localhost' type='headline' id='2'><body>Hi</body></message>")
        .await;
    alice.chat("bob@localhost", "3").await;
    bob.end().await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), ["1", "2", "3"], "{received}");
}

#[tokio::test]
async fn a_retracted_message_does_not_come_again() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    alice
        .send(
            "<message to='bob@localhost' type='chat' id='secret1'><body>Oops</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='secret1'/></message>",
        )
        .await;
    alice
        .send(
            "<message to='bob@localhost' type='chat' id='r'><body>Gone</body>\
             <retract xmlns='urn:xmpp:message-retract:1' id='secret1'/></message>",
        )
        .await;
    alice.run().await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(!received.contains("Oops"), "{received}");
    assert!(received.contains("Gone"), "{received}");
}

#[tokio::test]
async fn private_messages_and_carbons_come_as_they_would_have() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let _tablet = server.available("bob", "tablet").await;
    bob.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        .await;
    bob.take();
    let id = enable(&mut bob).await;
    bob.end().await;
    alice.chat("bob@localhost/tablet", "shared").await;
    alice
        .send(
            "<message to='bob@localhost/tablet' type='chat' id='own'><body>Hi</body>\
             <private xmlns='urn:xmpp:carbons:2'/></message>",
        )
        .await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(
        received.contains("<received xmlns='urn:xmpp:carbons:2'>"),
        "{received}"
    );
    assert!(received.contains("'shared'"), "{received}");
    assert!(!received.contains("'own'"), "{received}");
}

#[tokio::test]
async fn a_new_password_ends_sessions_without_a_stream() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    alice.chat("bob@localhost", "1").await;
    let all = &server.engine;
    all.end_sessions(
        &account("bob"),
        waxwing_proto::stream::StreamCondition::Reset,
        None,
    )
    .await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(received.contains("<item-not-found"), "{received}");
    assert_eq!(server.waiting("bob").await, ["1"]);
}

#[tokio::test]
async fn the_one_that_has_slept_longest_makes_room() {
    let server = Server::with(|limits| limits.sessions_per_account_max = 2).await;
    let mut ids = Vec::new();
    for resource in ["one", "two"] {
        let mut bob = server.available("bob", resource).await;
        ids.push(enable(&mut bob).await);
        bob.end().await;
        server.tick();
    }
    let three = server.available("bob", "three").await;
    assert!(three.connection.session().is_some());
    let (_, received) = resume(&server, "bob", &ids[0], 0).await;
    assert!(received.contains("<item-not-found"), "{received}");
    let (_, received) = resume(&server, "bob", &ids[1], 0).await;
    assert!(received.contains("<resumed"), "{received}");
}

#[tokio::test]
async fn of_resumable_sessions_the_oldest_makes_room() {
    let server = Server::with(|limits| limits.resumable_sessions_max = 2).await;
    let mut ids = Vec::new();
    for resource in ["one", "two", "three"] {
        let mut bob = server.available("bob", resource).await;
        ids.push(enable(&mut bob).await);
        bob.end().await;
        server.tick();
    }
    for (id, answer) in ids.iter().zip(["<item-not-found", "<resumed", "<resumed"]) {
        let (bob, received) = resume(&server, "bob", id, 0).await;
        assert!(received.contains(answer), "{received}");
        bob.end().await;
    }
}

#[tokio::test]
async fn an_account_goes_with_its_sessions() {
    let server = Server::start().await;
    let mut bob = server.available("bob", "phone").await;
    enable(&mut bob).await;
    bob.end().await;
    assert!(server.engine.account_remove(&account("bob")).await.is_ok());
    assert!(
        server
            .engine
            .registry()
            .resources(&account("bob"))
            .is_empty()
    );
}

#[tokio::test]
async fn what_a_client_can_do_is_asked_again_after_a_crash() {
    let mut server = Server::start().await;
    let mut bob = server.bind("bob", "phone").await;
    bob.send(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://x' \
         ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>",
    )
    .await;
    bob.take();
    let id = enable(&mut bob).await;
    bob.forget();
    server.crash().await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(received.contains("disco#info"), "{received}");
}
