//! Commit, then deliver, then acknowledge (ADR 0004).

use crate::server::{Server, chat};
use futures_util::FutureExt as _;
use waxwing_store::StoreError;

/// bob is away, so a message to him is recorded; until that is on disk nothing that alice sent
/// after it may be seen, while other streams go on.
#[tokio::test]
async fn a_held_commit_holds_back_what_its_stream_sent_after_it_and_nothing_else() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut carol = server.available("carol", "desk").await;
    let mut dave = server.available("dave", "desk").await;
    server.store.hold();

    alice.chat("bob@localhost", "stored").await;
    alice.send(&composing("carol@localhost", "behind")).await;
    alice
        .send("<iq to='carol@localhost/desk' type='result' id='answer'/>")
        .await;
    assert_eq!(carol.ids().await, [""; 0], "nothing may overtake");

    dave.send(&composing("carol@localhost", "other")).await;
    assert_eq!(
        carol.ids().await,
        ["other"],
        "another stream waits for nobody"
    );

    assert_eq!(server.store.release_some(1), 1);
    assert_eq!(alice.ids().await, [""; 0], "success is silent");
    assert_eq!(carol.ids().await, ["behind", "answer"]);
    assert_eq!(server.waiting("bob").await, ["stored"]);
}

/// A message that nobody keeps.
fn composing(to: &str, id: &str) -> String {
    let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    format!("<message to='{to}' type='chat' id='{id}'>{state}</message>")
}

#[tokio::test]
async fn an_answer_of_the_server_waits_for_the_commits_before_it() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    server.store.hold();
    alice.chat("bob@localhost", "stored").await;
    let ping = "<iq to='localhost' type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>";
    let answered = async {
        alice.send(ping).await;
        alice.ids().await
    };
    let mut answered = std::pin::pin!(answered);
    assert!(answered.as_mut().now_or_never().is_none());
    server.store.release();
    assert_eq!(answered.await, ["ping"]);
    assert_eq!(server.waiting("bob").await, ["stored"]);
}

#[tokio::test]
async fn a_failed_commit_bounces_exactly_its_message() {
    let table = [
        (StoreError::Full, "resource-constraint"),
        (
            StoreError::Quota("offline_messages_max"),
            "service-unavailable",
        ),
        (StoreError::Overloaded("waiting"), "resource-constraint"),
        (StoreError::NoAccount, "service-unavailable"),
        (StoreError::Backend("cable".into()), "internal-server-error"),
    ];
    for (failure, condition) in table {
        let server = Server::start().await;
        let mut alice = server.available("alice", "phone").await;
        let mut carol = server.available("carol", "desk").await;
        server.store.hold();
        for id in ["one", "two", "three"] {
            alice.chat("bob@localhost", id).await;
        }
        alice.chat("carol@localhost", "behind").await;
        server.store.release_some(1);
        server.store.fail_next(failure.clone());
        server.store.release();

        alice.run().await;
        let received = alice.take();
        assert!(received.contains(condition), "{failure}: {received}");
        assert_eq!(received.matches("<message").count(), 1, "{received}");
        assert!(received.contains("id='two'") || received.contains("id=\"two\""));
        assert!(!received.contains("cable"), "ours to know: {received}");
        assert_eq!(server.waiting("bob").await, ["one", "three"]);
        assert_eq!(carol.ids().await, ["behind"], "{failure}");
    }
}

/// A client that sends faster than its messages reach the disk is slowed down by its socket.
#[tokio::test]
async fn the_socket_is_not_read_while_too_many_stanzas_wait() {
    let server = Server::with(|limits| limits.pending_stanzas_max = 4).await;
    let mut alice = server.available("alice", "phone").await;
    server.store.hold();
    let all: String = (0..10)
        .map(|number| chat("bob@localhost", &number.to_string()))
        .collect();
    alice.send(&all).await;
    assert!(!alice.connection.wants_input());
    assert_eq!(server.store.held(), 4);
    assert_eq!(alice.unread(), chat("bob@localhost", "0").len() * 6);

    server.store.release_some(1);
    alice.run().await;
    assert_eq!(server.store.held(), 4, "one went, one came");

    server.store.release();
    alice.run().await;
    assert!(alice.connection.wants_input());
    assert_eq!(alice.unread(), 0);
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(server.waiting("bob").await, expected);
}

/// The client goes while its message is on the way to the disk: it was read, so it counts.
#[tokio::test]
async fn what_was_read_is_done_although_the_sender_has_gone() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut carol = server.available("carol", "desk").await;
    server.store.hold();
    alice.chat("bob@localhost", "stored").await;
    alice.chat("carol@localhost", "behind").await;
    let release = async {
        tokio::task::yield_now().await;
        server.store.release();
    };
    tokio::join!(alice.end(), release);
    assert_eq!(server.waiting("bob").await, ["stored"]);
    assert_eq!(carol.ids().await, ["behind"]);
}
