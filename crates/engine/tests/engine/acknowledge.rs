//! Acknowledgements (XEP-0198): they tell what is on disk, and what is not acknowledged is kept.

use crate::server::{Client, Server, chat};

const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

async fn enable(client: &mut Client) {
    client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    assert!(client.take().contains("<enabled xmlns='urn:xmpp:sm:3'/>"));
}

#[tokio::test]
async fn a_stanza_is_acknowledged_when_it_is_on_disk_and_not_before() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    enable(&mut alice).await;
    alice.send(&format!("<presence/>{ASK}")).await;
    assert!(alice.take().contains("<a xmlns='urn:xmpp:sm:3' h='1'/>"));

    server.store.hold();
    let first = chat("bob@localhost", "1");
    let second = chat("nobody@localhost", "2");
    alice.send(&format!("{first}{second}{ASK}")).await;
    assert!(!alice.take().contains("<a "), "nothing is on disk yet");
    server.store.release();
    alice.run().await;
    let answer = alice.take();
    assert!(
        answer.contains("<a xmlns='urn:xmpp:sm:3' h='3'/>"),
        "{answer}"
    );
}

/// What one client had not acknowledged when the server died waits for the account. Another client
/// that is given it first, and says nothing either, does not keep it from the one that it was for:
/// that one would get it behind newer messages some day.
#[tokio::test]
async fn what_waits_is_for_everybody_until_somebody_has_acknowledged_it() {
    let mut server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut tablet = server.available("bob", "tablet").await;
    enable(&mut tablet).await;
    for id in ["1", "2"] {
        alice.chat("bob@localhost", id).await;
    }
    assert_eq!(tablet.ids().await, ["1", "2"]);
    alice.forget();
    tablet.forget();
    server.crash().await;

    let mut alice = server.available("alice", "pc").await;
    let mut phone = server.bind("bob", "phone").await;
    enable(&mut phone).await;
    phone.send("<presence/>").await;
    assert_eq!(phone.ids().await, ["1", "2"]);
    let mut tablet = server.bind("bob", "tablet").await;
    enable(&mut tablet).await;
    tablet.take();
    tablet.send("<presence/>").await;
    alice.chat("bob@localhost", "3").await;
    tablet.run().await;
    let received = tablet.take();
    assert_eq!(crate::server::ids(&received), ["1", "2", "3"]);
    let stanzas = received.matches("<message").count() + received.matches("<presence").count();
    tablet
        .send(&format!("<a xmlns='urn:xmpp:sm:3' h='{stanzas}'/>"))
        .await;
    assert_eq!(server.waiting("bob").await, [""; 0]);
    // Who was given it twice would have it again here.
    assert_eq!(phone.ids().await, ["3"]);
}

#[tokio::test]
async fn what_a_client_did_not_acknowledge_waits_for_its_return() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut bob = server.available("bob", "phone").await;
    enable(&mut bob).await;
    for id in ["1", "2", "3"] {
        alice.chat("bob@localhost", id).await;
    }
    assert_eq!(bob.ids().await, ["1", "2", "3"]);
    bob.send("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    bob.end().await;
    assert_eq!(server.waiting("bob").await, ["2", "3"]);

    // What waits is forgotten when it is acknowledged, not when it is sent.
    let mut bob = server.bind("bob", "phone").await;
    enable(&mut bob).await;
    bob.send("<presence/>").await;
    assert_eq!(server.waiting("bob").await, ["2", "3"]);
    let received = bob.take();
    let stanzas = received.matches("<message").count() + received.matches("<presence").count();
    assert_eq!(received.matches("<message").count(), 2, "{received}");
    bob.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{stanzas}'/>"))
        .await;
    assert_eq!(server.waiting("bob").await, [""; 0]);
}

#[tokio::test]
async fn a_count_that_was_never_sent_ends_the_stream() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    enable(&mut alice).await;
    alice.send("<a xmlns='urn:xmpp:sm:3' h='7'/>").await;
    let end = alice.take();
    assert!(end.contains("handled-count-too-high"), "{end}");
    assert!(alice.is_closing());
}
