//! Resumption (XEP-0198 § 5): a session outlives its stream, and the server.

use crate::server::{Client, Server, chat};
use std::time::Duration;

const SM: &str = "urn:xmpp:sm:3";

/// Makes the session resumable; gives its id.
pub(crate) async fn enable(client: &mut Client) -> String {
    client
        .send(&format!("<enable xmlns='{SM}' resume='true'/>"))
        .await;
    let enabled = client.take();
    let id = enabled.split(" id='").nth(1).unwrap_or_default();
    let id = id.split('\'').next().unwrap_or_default().to_owned();
    assert!(!id.is_empty(), "{enabled}");
    id
}

/// A new connection that asks for the session; gives what it is answered, and what else comes.
pub(crate) async fn resume(server: &Server, name: &str, id: &str, h: u32) -> (Client, String) {
    let mut client = server.connect();
    client.authenticate(name).await;
    client
        .send(&format!("<resume xmlns='{SM}' previd='{id}' h='{h}'/>"))
        .await;
    client.run().await;
    let received = client.take();
    (client, received)
}

/// The ids of the messages in what was received, in order.
pub(crate) fn messages(received: &str) -> Vec<String> {
    let all = received.split("<message").skip(1);
    all.map(|message| {
        let id = message.split(" id=").nth(1).unwrap_or_default();
        id.split(['\'', '"']).nth(1).unwrap_or_default().to_owned()
    })
    .collect()
}

#[tokio::test]
async fn what_was_not_acknowledged_and_what_came_since_comes_in_order() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    for id in ["1", "2", "3"] {
        alice.chat("bob@localhost", id).await;
    }
    assert_eq!(bob.ids().await, ["1", "2", "3"]);
    bob.end().await;
    alice.chat("bob@localhost", "4").await;
    alice.chat("bob@localhost/phone", "5").await;
    let ping =
        "<iq type='get' id='ping' to='bob@localhost/phone'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(server.waiting("bob").await, [""; 0], "the session has them");

    let (mut bob, received) = resume(&server, "bob", &id, 1).await;
    let resumed = format!("<resumed xmlns='{SM}' h='0' previd='{id}'/>");
    assert!(received.contains(&resumed), "{received}");
    assert_eq!(messages(&received), ["2", "3", "4", "5"], "{received}");
    alice.chat("bob@localhost", "6").await;
    assert_eq!(bob.ids().await, ["6"]);
    // A stranger may not ask.
    alice.send(ping).await;
    assert!(alice.take().contains("service-unavailable"));

    bob.send(&format!("<a xmlns='{SM}' h='6'/>")).await;
    bob.end().await;
    let (_, received) = resume(&server, "bob", &id, 6).await;
    assert_eq!(messages(&received), [""; 0], "{received}");
}

#[tokio::test]
async fn a_session_survives_the_server() {
    let mut server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    alice.chat("bob@localhost", "2").await;
    assert_eq!(bob.ids().await, ["1", "2"]);
    bob.send(&format!("<a xmlns='{SM}' h='1'/>")).await;
    for id in ["a", "b"] {
        bob.chat("alice@localhost", id).await;
    }
    bob.send(&format!("<r xmlns='{SM}'/>")).await;
    assert!(bob.take().contains("h='2'"));
    alice.forget();
    bob.forget();
    server.crash().await;

    // While bob is away, he counts as here.
    let mut alice = server.available("alice", "pc").await;
    alice.chat("bob@localhost", "3").await;
    assert_eq!(server.waiting("bob").await, [""; 0]);
    let (mut bob, received) = resume(&server, "bob", &id, 1).await;
    let resumed = format!("<resumed xmlns='{SM}' h='2' previd='{id}'/>");
    assert!(received.contains(&resumed), "{received}");
    assert_eq!(messages(&received), ["2", "3"], "{received}");
    alice.chat("bob@localhost", "4").await;
    assert_eq!(bob.ids().await, ["4"]);
}

/// Seen as messages that were acknowledged to their sender and never reached a client that relies on
/// what waits for it.
#[tokio::test]
async fn what_a_client_that_cannot_resume_has_not_acknowledged_waits_after_a_crash() {
    let mut server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "pc").await;
    bob.send(&format!("<enable xmlns='{SM}'/>")).await;
    let enabled = bob.take();
    assert!(
        enabled.contains("<enabled") && !enabled.contains(" id="),
        "{enabled}"
    );
    for id in ["1", "2", "3"] {
        alice.chat("bob@localhost", id).await;
    }
    assert_eq!(bob.ids().await, ["1", "2", "3"]);
    bob.send(&format!("<a xmlns='{SM}' h='1'/>")).await;
    alice.forget();
    bob.forget();
    server.crash().await;
    assert_eq!(server.waiting("bob").await, ["2", "3"]);
    let mut bob = server.bind("bob", "other").await;
    bob.take();
    bob.send("<presence/>").await;
    assert_eq!(bob.ids().await, ["2", "3"]);
}

#[tokio::test]
async fn what_was_said_to_have_arrived_on_resuming_does_not_come_again_after_a_crash() {
    let mut server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    for id in ["1", "2"] {
        alice.chat("bob@localhost", id).await;
    }
    assert_eq!(bob.ids().await, ["1", "2"]);
    bob.end().await;
    let (bob, received) = resume(&server, "bob", &id, 1).await;
    assert_eq!(messages(&received), ["2"], "{received}");
    alice.forget();
    bob.forget();
    server.crash().await;
    let (_, received) = resume(&server, "bob", &id, 1).await;
    assert_eq!(messages(&received), ["2"], "{received}");
}

#[tokio::test]
async fn an_address_and_what_was_set_come_back() {
    let mut server = Server::start().await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        .await;
    bob.take();
    bob.forget();
    server.crash().await;
    let mut tablet = server.available("bob", "tablet").await;
    tablet.chat("alice@localhost", "sent").await;
    let (mut bob, received) = resume(&server, "bob", &id, 1).await;
    assert!(
        received.contains("<sent xmlns='urn:xmpp:carbons:2'>"),
        "{received}"
    );
    tablet.chat("alice@localhost", "later").await;
    bob.run().await;
    assert!(bob.take().contains("id='later'"));
}

#[tokio::test]
async fn only_the_last_who_asks_has_the_session() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    assert_eq!(bob.ids().await, ["1"]);
    // The old stream is still there, and lets go.
    let old = tokio::spawn(async move {
        while !bob.is_closing() {
            bob.wait().await;
        }
        bob.end().await;
    });
    let (mut second, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), ["1"]);
    old.await.unwrap();
    alice.chat("bob@localhost", "2").await;
    assert_eq!(second.ids().await, ["2"]);
    second.end().await;

    // Nobody else can have it, and not under another number.
    let (_, received) = resume(&server, "alice", &id, 0).await;
    assert!(received.contains("<item-not-found"), "{received}");
    let (_, received) = resume(&server, "bob", &id, 99).await;
    assert!(received.contains("<item-not-found"), "{received}");
    assert_eq!(server.waiting("bob").await, ["1", "2"], "nothing is lost");
}

#[tokio::test]
async fn a_session_that_is_closed_or_replaced_leaves_what_it_missed() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    bob.send("</stream:stream>").await;
    bob.end().await;
    assert_eq!(server.waiting("bob").await, ["1"]);
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert!(received.contains("<item-not-found"), "{received}");

    let mut bob = server.available("bob", "phone").await;
    enable(&mut bob).await;
    bob.end().await;
    alice.chat("bob@localhost", "2").await;
    let mut bob = server.bind("bob", "phone").await;
    bob.take();
    bob.send("<presence/>").await;
    bob.run().await;
    assert_eq!(messages(&bob.take()), ["2"]);
}

/// A client that keeps nothing and looks into no archive finds its stream dead and binds its address
/// anew, before the server has noticed: what it had not acknowledged comes, and nothing twice.
#[tokio::test]
async fn a_session_that_is_replaced_while_its_stream_hangs_leaves_what_it_missed() {
    for (chat_between, noticed) in [(false, false), (true, false), (false, true), (true, true)] {
        let server = Server::start().await;
        let mut alice = server.available("alice", "pc").await;
        let mut hanging = server.available("bob", "phone").await;
        enable(&mut hanging).await;
        for id in ["1", "2"] {
            alice.chat("bob@localhost", id).await;
        }
        assert_eq!(hanging.ids().await, ["1", "2"]);
        hanging.send(&format!("<a xmlns='{SM}' h='1'/>")).await;
        let mut bob = server.available("bob", "phone").await;
        bob.take();
        if chat_between {
            alice.chat("bob@localhost", "3").await;
        }
        if noticed {
            hanging.run().await;
            assert!(hanging.is_closing());
        }
        hanging.end().await;
        alice.chat("bob@localhost", "4").await;
        let mut all = bob.ids().await;
        all.sort();
        let wanted: &[&str] = if chat_between {
            &["2", "3", "4"]
        } else {
            &["2", "4"]
        };
        assert_eq!(all, wanted);
    }
}

/// A crash between the take-over and what it writes next: the client had counted more than the list
/// of the stream before has, and was refused its session.
#[tokio::test]
async fn a_resumed_session_is_given_nothing_before_its_beginning_is_on_disk() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    alice.chat("bob@localhost", "1").await;
    assert_eq!(bob.ids().await, ["1"]);
    bob.end().await;
    alice.chat("bob@localhost", "2").await;
    let mut bob = server.connect();
    bob.authenticate("bob").await;
    server.store.hold();
    let request = format!("<resume xmlns='{SM}' previd='{id}' h='1'/>");
    let mut resuming = Box::pin(bob.send(&request));
    for write in ["the row is taken", "without the list"] {
        let waits = tokio::time::timeout(Duration::from_millis(1), &mut resuming).await;
        assert!(waits.is_err(), "{write}");
        assert_eq!(server.store.release_some(1), 1, "{write}");
    }
    server.store.release();
    (&mut resuming).await;
    drop(resuming);
    assert_eq!(bob.ids().await, ["2"]);
}

/// What a session was given from the queue and had not acknowledged comes again, also when another
/// device has acknowledged it meanwhile, and in its place; nothing comes twice.
#[tokio::test]
async fn what_waited_and_was_not_acknowledged_comes_again_to_who_resumes() {
    for taken_by_another in [false, true] {
        let server = Server::start().await;
        let mut alice = server.available("alice", "pc").await;
        let mut bob = server.bind("bob", "phone").await;
        bob.take();
        let id = enable(&mut bob).await;
        alice.chat("bob@localhost", "1").await;
        bob.send("<presence/>").await;
        alice.chat("bob@localhost", "2").await;
        bob.run().await;
        assert_eq!(messages(&bob.take()), ["1", "2"]);
        if taken_by_another {
            let tablet = server.available("bob", "tablet").await;
            assert_eq!(server.waiting("bob").await, [""; 0]);
            tablet.end().await;
        }
        bob.end().await;
        alice.chat("bob@localhost", "3").await;
        let (mut bob, received) = resume(&server, "bob", &id, 0).await;
        assert_eq!(messages(&received), ["1", "2", "3"], "{received}");
        bob.run().await;
        assert_eq!(messages(&bob.take()), [""; 0]);
    }
}

#[tokio::test]
async fn a_resend_after_a_crash_is_taken_once() {
    let mut server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    enable(&mut alice).await;
    let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>";
    let message = chat("bob@localhost", "1").replace("<body>", &format!("{origin}<body>"));
    alice.send(&message).await;
    alice.forget();
    server.crash().await;
    let mut alice = server.available("alice", "pc").await;
    alice.send(&message).await;
    alice.run().await;
    assert_eq!(server.waiting("bob").await, ["1"]);
}

/// The archive has more than a page of what another resource was sent alone.
#[tokio::test]
async fn what_is_for_others_does_not_stop_what_is_missed() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "pc").await;
    let _tablet = server.available("bob", "tablet").await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    bob.end().await;
    for number in 0..120 {
        alice
            .chat("bob@localhost/tablet", &number.to_string())
            .await;
    }
    alice.chat("bob@localhost", "last").await;
    let (_, received) = resume(&server, "bob", &id, 0).await;
    assert_eq!(messages(&received), ["last"], "{received}");
}

/// A client that gave up on one connection and resumed on the next is not thrown off it by what it
/// sent on the first.
#[tokio::test]
async fn a_late_request_on_an_older_connection_does_not_take_the_session_back() {
    let server = Server::start().await;
    let mut bob = server.available("bob", "phone").await;
    let id = enable(&mut bob).await;
    let mut late = server.connect();
    late.authenticate("bob").await;
    bob.end().await;
    let (mut bob, received) = resume(&server, "bob", &id, 0).await;
    assert!(received.contains("<resumed "), "{received}");
    late.send(&format!("<resume xmlns='{SM}' previd='{id}' h='0'/>"))
        .await;
    assert!(late.take().contains("item-not-found"));
    let mut alice = server.available("alice", "pc").await;
    alice.chat("bob@localhost/phone", "1").await;
    assert_eq!(bob.ids().await, ["1"]);
    assert!(!bob.is_closing());
}
