//! Publications: commit, then notify, then result; in the order of the commits.

use crate::server::{Client, Server};
use futures_util::FutureExt as _;
use waxwing_store::StoreError;

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// A resource whose client is interested in the node `urn:x`.
async fn interested(server: &Server, name: &str, resource: &str) -> Client {
    let mut client = server.bind(name, resource).await;
    let caps = "http://jabber.org/protocol/caps";
    let caps = format!("<c xmlns='{caps}' hash='sha-1' node='urn:test' ver='x'/>");
    client.send(&format!("<presence>{caps}</presence>")).await;
    let asked = client.take();
    let id = after(&asked, "<iq type='get' id='");
    let info = "http://jabber.org/protocol/disco#info";
    let info = format!("<query xmlns='{info}'><feature var='urn:x+notify'/></query>");
    let answer = format!("<iq type='result' id='{id}' to='localhost'>{info}</iq>");
    client.send(&answer).await;
    client.take();
    client
}

fn publish(id: &str) -> String {
    let item = format!("<item id='{id}'><x xmlns='urn:x'/></item>");
    let publish = format!("<publish node='urn:x'>{item}</publish>");
    format!("<iq type='set' id='pub-{id}'><pubsub xmlns='{PUBSUB}'>{publish}</pubsub></iq>")
}

/// The rest of an attribute's value.
fn after<'a>(received: &'a str, beginning: &str) -> &'a str {
    let rest = received.split(beginning).nth(1).unwrap_or_default();
    let value = rest.split('\'').next().unwrap_or_default();
    assert!(!value.is_empty(), "{received}");
    value
}

/// The ids of the items that a client was told of, in order.
fn told(received: &str) -> Vec<&str> {
    let items = received.split("<item id='").skip(1);
    let ids = items.filter_map(|item| item.split_once('\''));
    ids.map(|(id, _)| id).collect()
}

#[tokio::test]
async fn nobody_hears_of_what_is_not_on_disk() {
    let server = Server::start().await;
    let mut phone = interested(&server, "alice", "phone").await;
    let mut tablet = interested(&server, "alice", "tablet").await;
    phone.take();
    server.store.hold();
    {
        let request = publish("1");
        let published = phone.send(&request);
        let mut published = std::pin::pin!(published);
        assert!(published.as_mut().now_or_never().is_none());
        tablet.run().await;
        assert_eq!(told(&tablet.take()), [""; 0]);
        server.store.release();
        published.await;
    }
    assert!(phone.take().contains("type='result' id='pub-1'"));
    tablet.run().await;
    assert_eq!(told(&tablet.take()), ["1"]);

    server.store.fail_next(StoreError::Full);
    phone.send(&publish("2")).await;
    assert!(phone.take().contains("<resource-constraint"));
    tablet.run().await;
    assert_eq!(told(&tablet.take()), [""; 0], "what failed never was");
}

/// Two sessions publish at once; whichever is on disk first is told first, also when the task of
/// the other one comes to it before.
#[tokio::test]
async fn notifications_come_in_the_order_of_the_commits() {
    let server = Server::start().await;
    let mut watch = interested(&server, "alice", "watch").await;
    let mut phone = server.available("alice", "phone").await;
    let mut tablet = server.available("alice", "tablet").await;
    phone.send(&publish("0")).await;
    watch.run().await;
    watch.take();
    server.store.hold();
    let requests = [publish("1"), publish("2")];
    let first = phone.send(&requests[0]);
    let second = tablet.send(&requests[1]);
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    server.store.release();
    assert!(
        second.as_mut().now_or_never().is_none(),
        "it waits its turn"
    );
    first.await;
    second.await;
    watch.run().await;
    assert_eq!(told(&watch.take()), ["1", "2"]);
}

/// A node that changes between the decision and the commit is decided about anew.
#[tokio::test]
async fn a_decision_is_never_carried_out_on_another_node() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut other = server.available("alice", "tablet").await;
    alice.send(&publish("0")).await;
    server.store.hold();
    let owner = format!("{PUBSUB}#owner");
    let delete = format!(
        "<iq type='set' id='d'><pubsub xmlns='{owner}'><delete node='urn:x'/></pubsub></iq>"
    );
    let deleted = other.send(&delete);
    let mut deleted = std::pin::pin!(deleted);
    assert!(deleted.as_mut().now_or_never().is_none());
    let retract = "<retract node='urn:x'><item id='0'/></retract>";
    let retract = format!("<iq type='set' id='r'><pubsub xmlns='{PUBSUB}'>{retract}</pubsub></iq>");
    {
        let retracted = alice.send(&retract);
        let mut retracted = std::pin::pin!(retracted);
        assert!(retracted.as_mut().now_or_never().is_none());
        server.store.release();
        deleted.await;
        retracted.await;
    }
    assert!(alice.take().contains("<item-not-found"));
}

/// A client that resumes does not say again what it is interested in.
#[tokio::test]
async fn interests_outlive_the_server() {
    let mut server = Server::start().await;
    let mut bob = interested(&server, "alice", "phone").await;
    let sm = "urn:xmpp:sm:3";
    bob.send(&format!("<enable xmlns='{sm}' resume='true'/>"))
        .await;
    let enabled = bob.take();
    assert!(enabled.contains("<enabled"), "{enabled}");
    bob.forget();
    server.crash().await;
    let mut tablet = server.available("alice", "tablet").await;
    tablet.send(&publish("1")).await;
    let id = after(&enabled, " id='");
    let mut phone = server.connect();
    phone.authenticate("alice").await;
    phone
        .send(&format!("<resume xmlns='{sm}' previd='{id}' h='0'/>"))
        .await;
    let received = phone.take();
    assert!(received.contains("<resumed"), "{received}");
    tablet.send(&publish("2")).await;
    phone.run().await;
    let received = received + &phone.take();
    assert_eq!(told(&received), ["1", "2"], "{received}");
}
