//! Nodes of accounts and contacts at another server (XEP-0163 § 4, XEP-0442).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use crate::{
    network::{self, Cable, Proof, settle},
    server::{Client, Server},
};
use std::time::Duration;

const BOB: &str = "bob@there.example";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const INFO: &str = "http://jabber.org/protocol/disco#info";
/// The hash of a client, `client/pc//Test`, with the one feature `urn:x+notify`.
const HASH: &str = "BoNoNv08S3KwGUCq77dlPKByIy0=";

/// Takes what has come.
async fn received(client: &mut Client) -> String {
    settle().await;
    client.run().await;
    client.take()
}

/// One side sees the other.
async fn let_in(who: (&mut Client, &str), by: (&mut Client, &str)) {
    let ask = format!("<presence type='subscribe' to='{}'/>", by.1);
    who.0.send(&ask).await;
    assert!(received(by.0).await.contains("type='subscribe'"));
    let allow = format!("<presence type='subscribed' to='{}'/>", who.1);
    by.0.send(&allow).await;
    received(who.0).await;
    received(by.0).await;
}

async fn two() -> (Server, Server, Cable, Client, Client) {
    let (here, there, cable) = network::two(Proof::External).await;
    let alice = here.available("alice", "phone").await;
    let bob = there.available("bob", "laptop").await;
    (here, there, cable, alice, bob)
}

/// Sends presence that names a hash, and answers whoever asks about it.
async fn show(client: &mut Client, ver: &str) -> String {
    let caps = "http://jabber.org/protocol/caps";
    let caps = format!("<c xmlns='{caps}' hash='sha-1' node='urn:test' ver='{ver}'/>");
    client.send(&format!("<presence>{caps}</presence>")).await;
    let mut all = String::new();
    for _ in 0..3 {
        let news = received(client).await;
        for question in news.split("<iq").skip(1).filter(|iq| iq.contains(INFO)) {
            let value = |name: &str| {
                let rest = question.split(&format!("{name}='")).nth(1).unwrap();
                rest.split('\'').next().unwrap().to_owned()
            };
            let identity = "<identity category='client' type='pc' name='Test'/>";
            let info = format!("{identity}<feature var='urn:x+notify'/>");
            let (id, to) = (value(" id"), value(" from"));
            let answer = format!(
                "<iq type='result' id='{id}' to='{to}'><query xmlns='{INFO}'>{info}</query></iq>"
            );
            client.send(&answer).await;
        }
        all += &news;
    }
    all
}

async fn publish(client: &mut Client, id: &str) {
    let item = format!("<item id='{id}'><x xmlns='urn:x'/></item>");
    let publish = format!("<publish node='urn:x'>{item}</publish>");
    let request = format!("<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'>{publish}</pubsub></iq>");
    client.send(&request).await;
    assert!(received(client).await.contains("type='result'"));
}

/// The ids of the items that a client was told of, in order.
fn told(received: &str) -> Vec<&str> {
    let items = received.split("<item id='").skip(1);
    let ids = items.filter_map(|item| item.split_once('\''));
    ids.map(|(id, _)| id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_contact_of_another_server_is_told_what_its_client_wants() {
    let (here, there, _cable, mut alice, mut bob) = two().await;
    let_in((&mut bob, BOB), (&mut alice, "alice@localhost")).await;
    let_in((&mut alice, "alice@localhost"), (&mut bob, BOB)).await;
    publish(&mut alice, "1").await;
    assert_eq!(
        told(&received(&mut bob).await),
        [""; 0],
        "it has not said what it wants"
    );
    assert_eq!(told(&show(&mut bob, HASH).await), ["1"]);
    assert_eq!(here.engine.metrics().pubsub_far.value(), 1);
    publish(&mut alice, "2").await;
    let news = received(&mut bob).await;
    assert!(news.contains("to='bob@there.example/laptop'"), "{news}");
    assert_eq!(told(&news), ["2"]);
    assert_eq!(
        told(&show(&mut bob, HASH).await),
        [""; 0],
        "nothing is sent twice"
    );
    bob.end().await;
    settle().await;
    assert_eq!(here.engine.metrics().pubsub_far.value(), 0);
    publish(&mut alice, "3").await;
    let mut bob = there.bind("bob", "tablet").await;
    assert_eq!(
        told(&show(&mut bob, HASH).await),
        ["3"],
        "the last one, and without a question"
    );

    // Whom the account has blocked, or does not show itself to any more, hears nothing.
    let cancel = format!("<presence type='unsubscribed' to='{BOB}'/>");
    alice.send(&cancel).await;
    received(&mut bob).await;
    publish(&mut alice, "4").await;
    assert_eq!(told(&received(&mut bob).await), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_see_the_account_or_names_another_hash_is_told_nothing() {
    let (here, _there, _cable, mut alice, mut bob) = two().await;
    let_in((&mut alice, "alice@localhost"), (&mut bob, BOB)).await;
    publish(&mut alice, "1").await;
    // It is asked, because the account sees it; but not the other way round.
    assert_eq!(told(&show(&mut bob, HASH).await), [""; 0]);
    publish(&mut alice, "2").await;
    assert_eq!(told(&received(&mut bob).await), [""; 0]);
    // Let in, it has what it missed.
    bob.send("<presence type='subscribe' to='alice@localhost'/>")
        .await;
    received(&mut alice).await;
    alice
        .send(&format!("<presence type='subscribed' to='{BOB}'/>"))
        .await;
    assert_eq!(told(&received(&mut bob).await), ["2"]);
    // An answer that does not make the hash counts for nothing.
    assert_eq!(told(&show(&mut bob, "another").await), [""; 0]);
    publish(&mut alice, "3").await;
    assert_eq!(told(&received(&mut bob).await), [""; 0]);
    assert!(here.engine.metrics().caps_unverified.value() > 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_node_is_read_from_another_server_as_items_and_as_an_archive() {
    let (_here, _there, _cable, mut alice, mut bob) = two().await;
    publish(&mut alice, "1").await;
    let ask = async |bob: &mut Client| {
        let items = format!("<pubsub xmlns='{PUBSUB}'><items node='urn:x'/></pubsub>");
        let archive = "<query xmlns='urn:xmpp:mam:2' node='urn:x'/>";
        let to = "to='alice@localhost'";
        bob.send(&format!("<iq type='get' id='i' {to}>{items}</iq>"))
            .await;
        bob.send(&format!("<iq type='set' id='a' {to}>{archive}</iq>"))
            .await;
        received(bob).await
    };
    let refused = ask(&mut bob).await;
    assert_eq!(refused.matches("<item-not-found").count(), 2, "{refused}");
    let form_type = format!("<field var='FORM_TYPE'><value>{PUBSUB}#node_config</value></field>");
    let field = "<field var='pubsub#access_model'><value>open</value></field>";
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{form_type}{field}</x>");
    let configure = format!("<configure node='urn:x'>{form}</configure>");
    let request =
        format!("<iq type='set' id='c'><pubsub xmlns='{PUBSUB}#owner'>{configure}</pubsub></iq>");
    alice.send(&request).await;
    assert!(received(&mut alice).await.contains("type='result'"));
    let read = ask(&mut bob).await;
    assert_eq!(told(&read), ["1", "1"], "{read}");
    let message = read.find("<forwarded").unwrap();
    assert!(message < read.find("<fin").unwrap(), "{read}");
}

/// XEP-0357 § 6 and 7: app servers are at other servers as a rule.
#[tokio::test(start_paused = true)]
async fn an_app_server_of_another_server_is_asked_to_wake_a_device() {
    let (here, _there, _cable, mut alice, mut bob) = two().await;
    // So that requests of that domain come to this client.
    bob.send("<presence to='localhost'/>").await;
    alice
        .send(&format!(
            "<iq type='set' id='e'><enable xmlns='urn:xmpp:push:0' jid='{BOB}/laptop' node='n'/></iq>"
        ))
        .await;
    assert!(received(&mut alice).await.contains("type='result'"));
    alice.end().await;
    let mut carol = here.available("carol", "pc").await;
    carol.chat("alice@localhost", "1").await;
    let push = received(&mut bob).await;
    assert!(push.contains("<publish node='n'>"), "{push}");
    let id = push.split("id='").nth(1).unwrap();
    let id = id.split('\'').next().unwrap();
    bob.send(&format!("<iq type='result' to='localhost' id='{id}'/>"))
        .await;
    // Longer than an app server may take to answer.
    here.pass(Duration::from_mins(2)).await;
    let metrics = here.engine.metrics();
    assert_eq!(
        (metrics.pushes.value(), metrics.push_failures.value()),
        (1, 0)
    );
}
