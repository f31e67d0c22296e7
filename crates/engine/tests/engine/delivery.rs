//! Somebody comes or goes at the worst moment: no message is lost, none is shown twice.

use crate::server::Server;
use futures_util::FutureExt as _;

#[tokio::test]
async fn who_comes_between_record_and_commit_gets_the_message_once() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    server.store.hold();
    alice.chat("bob@localhost", "m1").await;
    let mut bob = server.available("bob", "laptop").await;
    server.store.release();
    alice.run().await;
    assert_eq!(bob.ids().await, ["m1"]);
    assert_eq!(bob.ids().await, [""; 0]);
    assert_eq!(server.waiting("bob").await, [""; 0]);
}

#[tokio::test]
async fn who_reads_the_queue_before_the_sender_hears_of_the_commit_gets_the_message_once() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    server.store.hold();
    alice.chat("bob@localhost", "m1").await;
    server.store.release();
    let mut bob = server.bind("bob", "laptop").await;
    bob.take();
    bob.send("<presence/>").await;
    assert_eq!(bob.take().matches("<message").count(), 1);
    alice.run().await;
    bob.run().await;
    assert_eq!(bob.take(), "");
    assert_eq!(server.waiting("bob").await, [""; 0]);
}

/// carol's message waits for a commit, and bob's behind it: bob leaves meanwhile.
#[tokio::test]
async fn who_goes_before_the_hand_over_finds_the_message_when_back() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let bob = server.available("bob", "laptop").await;
    server.store.hold();
    alice.chat("carol@localhost", "m1").await;
    alice.chat("bob@localhost", "m2").await;
    alice.chat("bob@localhost/laptop", "m3").await;
    server.store.release_some(1);
    // bob's leaving writes when he was last here; his going must not wait for our test.
    let release = async {
        tokio::task::yield_now().await;
        server.store.release();
    };
    tokio::join!(bob.end(), release);
    alice.run().await;
    assert_eq!(alice.take(), "");
    assert_eq!(server.waiting("bob").await, ["m2", "m3"]);
    let stored = server.stored("bob").await;
    assert!(stored[0].contains("xml:lang='de'"), "{stored:?}");
    assert!(
        stored[0].contains("from='alice@localhost/phone'"),
        "{stored:?}"
    );
}

/// The first message found bob here, waited for carol's commit, and must be stored after all; the
/// second found him gone.
#[tokio::test]
async fn what_is_stored_late_is_not_overtaken_by_what_is_stored_at_once() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let bob = server.available("bob", "laptop").await;
    server.store.hold();
    alice.chat("carol@localhost", "c").await;
    alice.chat("bob@localhost", "m1").await;
    drop(bob);
    alice.chat("bob@localhost/laptop", "m2").await;
    alice.chat("bob@localhost", "m3").await;
    assert_eq!(server.store.release_some(1), 1);
    server.store.release();
    alice.run().await;
    assert_eq!(server.waiting("bob").await, ["m1", "m2", "m3"]);
}

#[tokio::test]
async fn messages_that_a_session_did_not_take_are_kept_for_the_next() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let bob = server.available("bob", "laptop").await;
    alice.chat("bob@localhost", "m1").await;
    alice.chat("bob@localhost/laptop", "m2").await;
    alice
        .send("<message to='bob@localhost' type='headline' id='h'><body>News</body></message>")
        .await;
    bob.end().await;
    assert_eq!(server.waiting("bob").await, ["m1", "m2"]);
    assert_eq!(alice.ids().await, [""; 0]);

    let mut bob = server.bind("bob", "laptop").await;
    bob.take();
    bob.send("<presence/>").await;
    let received = bob.take();
    assert_eq!(received.matches("<message").count(), 2, "{received}");
    assert_eq!(received.matches("urn:xmpp:delay").count(), 2, "{received}");
}

/// The connection died unnoticed, the client is back under the same address before the server
/// gives the old one up: what the old one had not taken was sent to nobody else.
#[tokio::test]
async fn messages_that_a_replaced_session_did_not_take_go_to_its_successor() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let stuck = server.available("bob", "laptop").await;
    alice.chat("bob@localhost", "m1").await;
    let mut bob = server.available("bob", "laptop").await;
    assert_eq!(bob.ids().await, [""; 0]);
    stuck.end().await;
    assert_eq!(bob.ids().await, ["m1"]);
    assert_eq!(server.waiting("bob").await, [""; 0]);
}

/// Two resources got the message; one of them went without reading it. The other one has it.
#[tokio::test]
async fn a_message_that_another_resource_got_is_not_kept_again() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut laptop = server.available("bob", "laptop").await;
    let phone = server.available("bob", "phone").await;
    laptop.run().await;
    laptop.take();
    alice.chat("bob@localhost", "m1").await;
    assert_eq!(laptop.ids().await, ["m1"]);
    phone.end().await;
    laptop.run().await;
    assert!(!laptop.take().contains("<message"));
    assert_eq!(server.waiting("bob").await, [""; 0]);
}

/// Two resources got the message, and both went without reading it.
#[tokio::test]
async fn a_message_that_all_its_resources_lost_is_kept_once() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let laptop = server.available("bob", "laptop").await;
    let phone = server.available("bob", "phone").await;
    alice.chat("bob@localhost", "m1").await;
    laptop.end().await;
    phone.end().await;
    assert_eq!(server.waiting("bob").await, ["m1"]);
}

#[tokio::test]
async fn a_full_outbox_ends_that_session_only_and_loses_nothing() {
    let server = Server::with(|limits| limits.outbox_stanzas_max = 8).await;
    let mut alice = server.available("alice", "phone").await;
    let mut bob = server.available("bob", "laptop").await;
    let mut carol = server.available("carol", "desk").await;
    for number in 0..10 {
        alice.chat("bob@localhost", &number.to_string()).await;
    }
    alice.chat("carol@localhost", "after").await;
    assert_eq!(alice.ids().await, [""; 0]);
    assert_eq!(carol.ids().await, ["after"]);

    bob.run().await;
    let received = bob.take();
    assert_eq!(received.matches("<message").count(), 0, "{received}");
    assert!(received.contains("resource-constraint"), "{received}");
    assert!(bob.is_closing());
    bob.end().await;
    let all: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(server.waiting("bob").await, all);
    assert_eq!(server.engine.metrics().outbox_overflows.value(), 1);
    assert!(!alice.is_closing() && !carol.is_closing());
}

#[tokio::test]
async fn a_full_outbox_that_nobody_reads_any_more_keeps_the_order() {
    let server = Server::with(|limits| limits.outbox_stanzas_max = 3).await;
    let mut alice = server.available("alice", "phone").await;
    let bob = server.available("bob", "laptop").await;
    for number in 0..5 {
        alice.chat("bob@localhost", &number.to_string()).await;
    }
    let all = ["0", "1", "2", "3", "4"];
    assert_eq!(
        server.waiting("bob").await,
        all,
        "bob's task hangs in a write"
    );
    bob.end().await;
    assert_eq!(server.waiting("bob").await, all);
}

/// A handler panics: the task is gone, and the session is only dropped.
#[tokio::test]
async fn a_session_that_is_dropped_leaves_the_table_and_loses_nothing() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let bob = server.available("bob", "laptop").await;
    alice.chat("bob@localhost", "m1").await;
    drop(bob);
    alice.chat("bob@localhost", "m2").await;
    assert_eq!(server.waiting("bob").await, ["m1", "m2"]);
    assert_eq!(server.engine.metrics().sessions.value(), 1);
}

/// bob goes while the message to him is on its way to the disk: it waits for him, and alice's other
/// device sees it in the order of ids all the same.
#[tokio::test]
async fn a_message_that_finds_nobody_is_copied_in_its_turn() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut tablet = server.available("alice", "tablet").await;
    tablet
        .send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        .await;
    tablet.take();
    let mut carol = server.available("carol", "desk").await;
    let bob = server.available("bob", "laptop").await;
    server.store.hold();
    alice.chat("bob@localhost", "1").await;
    carol.chat("alice@localhost/tablet", "2").await;
    let release = async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        server.store.release();
    };
    tokio::join!(bob.end(), release);
    assert_eq!(tablet.ids().await, ["1", "2"]);
    assert_eq!(server.waiting("bob").await, ["1"]);
}

/// bob goes while messages to him are on their way to the disk, and is back between the first and the
/// second: he gets them in their order.
#[tokio::test]
async fn a_message_that_found_nobody_is_not_overtaken() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut carol = server.available("carol", "desk").await;
    let laptop = server.available("bob", "laptop").await;
    let mut bob = server.bind("bob", "phone").await;
    bob.take();
    server.store.hold();
    alice.chat("bob@localhost", "1").await;
    carol.chat("bob@localhost", "2").await;
    // It leaves the table, and then waits for what it writes.
    let mut ending = std::pin::pin!(laptop.end());
    assert!(ending.as_mut().now_or_never().is_none());
    assert_eq!(server.store.release_some(1), 1);
    assert_eq!(alice.ids().await, [""; 0], "nobody was there");
    let mut bob = server.available("bob", "laptop").await;
    assert_eq!(server.store.release_some(1), 1);
    assert_eq!(
        bob.ids().await,
        [""; 0],
        "the first is not on disk in his queue"
    );
    server.store.release();
    ending.await;
    assert_eq!(bob.ids().await, ["1", "2"]);
}
