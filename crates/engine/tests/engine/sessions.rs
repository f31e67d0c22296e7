//! How many sessions an account has, and who gets an address.

use crate::server::Server;

#[tokio::test]
async fn a_session_whose_address_is_taken_is_told_so_and_ends() {
    let server = Server::start().await;
    let mut old = server.available("alice", "phone").await;
    let mut bob = server.available("bob", "laptop").await;
    let mut new = server.available("alice", "phone").await;
    old.run().await;
    let received = old.take();
    assert!(received.contains("<conflict"), "{received}");
    assert!(received.ends_with("</stream:stream>"), "{received}");
    assert!(old.is_closing());
    // The end of the old one must not take the new one with it.
    old.end().await;
    bob.chat("alice@localhost/phone", "m1").await;
    assert_eq!(new.ids().await, ["m1"]);
    assert_eq!(bob.ids().await, [""; 0]);
}

#[tokio::test]
async fn an_account_has_twenty_sessions_at_a_time() {
    let server = Server::start().await;
    let mut sessions = Vec::new();
    for number in 0..20 {
        sessions.push(server.bind("alice", &format!("r{number}")).await);
    }
    let mut surplus = server.bind("alice", "r20").await;
    let received = surplus.take();
    assert!(received.contains("<resource-constraint"), "{received}");
    assert!(surplus.connection.session().is_none());
    assert_eq!(server.engine.metrics().session_refusals.value(), 1);

    let replaced = server.bind("alice", "r0").await;
    assert!(
        replaced.connection.session().is_some(),
        "an address may be replaced"
    );
    let other = server.bind("bob", "r0").await;
    assert!(
        other.connection.session().is_some(),
        "the bound is for each account"
    );

    sessions.pop().unwrap().end().await;
    let next = server.bind("alice", "r21").await;
    assert!(next.connection.session().is_some(), "one has gone");
}

#[tokio::test]
async fn a_refused_client_may_bind_when_there_is_room() {
    let server = Server::with(|limits| limits.sessions_per_account_max = 1).await;
    let first = server.bind("alice", "phone").await;
    let mut second = server.bind("alice", "laptop").await;
    assert!(second.connection.session().is_none());
    first.end().await;
    second
        .send(
            "<iq type='set' id='again'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )
        .await;
    assert!(second.connection.session().is_some(), "{}", second.take());
}
