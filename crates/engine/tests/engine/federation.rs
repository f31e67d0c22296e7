//! Two servers: what is sent arrives in order, whatever happens to the connections between them.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use crate::{
    network::{self, Proof, settle},
    server::{Client, Server},
};
use std::time::Duration;
use waxwing_proto::stream::s2s::Policy;
use waxwing_store::Outgoing as _;

const BOB: &str = "bob@there.example";

/// How many messages wait on disk for the other server.
async fn waiting(server: &Server) -> usize {
    let routes = server.store.outgoing_routes(None, 10).await.unwrap();
    let mut count = 0;
    for route in routes {
        count += server.store.outgoing(route, 0, 1000).await.unwrap().len();
    }
    count
}

async fn chat_from(client: &mut Client, ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        client.chat(BOB, &format!("m{id}")).await;
    }
    settle().await;
}

fn names(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    ids.into_iter().map(|id| format!("m{id}")).collect()
}

// proves: RFC6120-10.1-c RFC6120-10.4-a
#[tokio::test(start_paused = true)]
async fn a_chat_both_ways_however_servers_show_who_they_are() {
    for proof in [Proof::External, Proof::Dialback] {
        let (here, there, _cable) = network::two(proof).await;
        let mut alice = here.available("alice", "phone").await;
        let mut bob = there.available("bob", "laptop").await;
        chat_from(&mut alice, 1..=3).await;
        assert_eq!(bob.ids().await, names(1..=3));
        bob.chat("alice@localhost/phone", "answer").await;
        settle().await;
        assert_eq!(alice.ids().await, ["answer"]);
        assert_eq!((waiting(&here).await, waiting(&there).await), (0, 0));
    }
}

// proves: RFC6120-10.4.3-c
#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_server_that_is_down_and_nothing_else_does() {
    let (here, there, cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    cable.send_replace(false);
    chat_from(&mut alice, 1..=2).await;
    alice
        .send(&format!(
            "<iq type='get' to='{BOB}' id='q'><a xmlns='u'/></iq>"
        ))
        .await;
    let state = format!(
        "<message type='chat' to='{BOB}' id='s'>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    );
    alice.send(&state).await;
    settle().await;
    alice.run().await;
    let errors = alice.take();
    assert_eq!(
        errors.matches("<remote-server-timeout").count(),
        2,
        "{errors}"
    );
    assert!(
        errors.contains("id='q'") && errors.contains("id='s'"),
        "{errors}"
    );
    assert_eq!(waiting(&here).await, 2);
    // It stays away for longer than a few attempts.
    tokio::time::sleep(Duration::from_mins(3)).await;
    chat_from(&mut alice, 3..=99).await;
    cable.send_replace(true);
    tokio::time::sleep(Duration::from_mins(5)).await;
    chat_from(&mut alice, 100..=101).await;
    assert_eq!(bob.ids().await, names(1..=101));
    assert_eq!(waiting(&here).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_to_us_is_not_kept_waiting() {
    let (here, there, cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    cable.send_replace(false);
    chat_from(&mut alice, 1..=1).await;
    tokio::time::sleep(Duration::from_mins(30)).await;
    cable.send_replace(true);
    bob.chat("alice@localhost", "hello").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bob.ids().await, names(1..=1));
}

#[tokio::test(start_paused = true)]
async fn cut_connections_lose_nothing_and_keep_the_order() {
    let (here, there, cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    for round in 0..20 {
        for id in 0..10 {
            alice.chat(BOB, &format!("m{}", round * 10 + id)).await;
            if id == round % 10 {
                cable.send_replace(true);
            }
        }
    }
    tokio::time::sleep(Duration::from_mins(20)).await;
    let mut got = bob.ids().await;
    // What was not acknowledged before a cut comes twice, the repetition in order, too.
    let mut first = Vec::new();
    got.retain(|id| {
        !first.contains(id) && {
            first.push(id.clone());
            true
        }
    });
    assert_eq!(first, names(0..200));
    assert_eq!(waiting(&here).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_survives_the_server() {
    let (mut here, there, cable) = network::two(Proof::Dialback).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    cable.send_replace(false);
    chat_from(&mut alice, 1..=3).await;
    alice.forget();
    here.crash().await;
    cable.send_replace(true);
    network::join(&here, &there, Proof::Dialback, &cable);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(bob.ids().await, names(1..=3));
}

#[tokio::test(start_paused = true)]
async fn who_waited_a_day_is_told() {
    let (here, _there, cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    cable.send_replace(false);
    chat_from(&mut alice, 1..=1).await;
    here.pass(Duration::from_hours(23)).await;
    chat_from(&mut alice, 2..=2).await;
    assert_eq!(alice.ids().await, [""; 0]);
    here.pass(Duration::from_hours(2)).await;
    alice.run().await;
    let error = alice.take();
    assert!(
        error.contains("id='m1'") && error.contains("<remote-server-timeout"),
        "{error}"
    );
    assert!(!error.contains("m2"), "{error}");
    assert_eq!(waiting(&here).await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_blocked_or_does_not_exist_is_not_waited_for() {
    let (here, _there, _cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut policies = here.engine.settings().federation.policies.clone();
    policies
        .domains
        .insert("there.example".to_owned(), Policy::Block);
    here.engine.set_federation_policies(policies);
    chat_from(&mut alice, 1..=1).await;
    alice.run().await;
    let error = alice.take();
    assert!(error.contains("<not-allowed"), "{error}");
    assert_eq!(waiting(&here).await, 0);
    alice
        .send("<iq type='get' to='nowhere.example' id='q'><a xmlns='u'/></iq>")
        .await;
    settle().await;
    alice.run().await;
    let error = alice.take();
    assert!(error.contains("<remote-server-not-found"), "{error}");
}

// proves: RFC6120-10.5-a
#[tokio::test(start_paused = true)]
async fn what_is_for_our_domain_goes_nowhere_else() {
    let here = Server::with_settings(network::federating).await;
    let mut alice = here.available("alice", "phone").await;
    for to in ["nobody@localhost", "nobody@localhost/phone", "localhost/x"] {
        alice.chat(to, "m1").await;
        let request = format!("<iq type='get' to='{to}' id='q1'><a xmlns='u'/></iq>");
        alice.send(&request).await;
        let presence = format!("<presence to='{to}' type='subscribe'/>");
        alice.send(&presence).await;
    }
    settle().await;
    let dial = tokio::time::timeout(Duration::from_mins(1), here.engine.next_dial());
    assert!(dial.await.is_err(), "somebody wants a connection");
    assert_eq!(waiting(&here).await, 0);
}

/// What both have received once nothing moves any more.
async fn between(here: &mut Client, there: &mut Client) -> (String, String) {
    settle().await;
    here.run().await;
    there.run().await;
    (here.take(), there.take())
}

// proves: RFC6121-3.1.2-d RFC6121-3.3.2-b
#[tokio::test(start_paused = true)]
async fn subscriptions_begin_and_end_across_servers() {
    let (here, there, _cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    let to_bob = |kind: &str| format!("<presence type='{kind}' to='{BOB}'/>");
    alice.send(&to_bob("subscribe")).await;
    let (_, asked) = between(&mut alice, &mut bob).await;
    assert!(asked.contains("type='subscribe'"), "{asked}");
    bob.send("<presence type='subscribed' to='alice@localhost'/>")
        .await;
    let (seen, _) = between(&mut alice, &mut bob).await;
    assert!(seen.contains("from='bob@there.example/laptop'"), "{seen}");
    alice.send(&to_bob("unsubscribe")).await;
    let (seen, _) = between(&mut alice, &mut bob).await;
    assert!(seen.contains("type='unavailable'"), "{seen}");
    bob.send("<presence><show>dnd</show></presence>").await;
    let (seen, _) = between(&mut alice, &mut bob).await;
    assert!(!seen.contains("dnd"), "{seen}");
}

// proves: RFC6121-3.1.2-h
#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_is_sent_again_with_the_next_device() {
    let (here, there, cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    cable.send_replace(false);
    let request = format!("<presence type='subscribe' to='{BOB}'/>");
    alice.send(&request).await;
    settle().await;
    cable.send_replace(true);
    tokio::time::sleep(Duration::from_mins(1)).await;
    bob.run().await;
    assert!(!bob.take().contains("subscribe"), "presence does not wait");
    let _tablet = here.available("alice", "tablet").await;
    settle().await;
    bob.run().await;
    let asked = bob.take();
    assert!(
        asked.contains("type='subscribe'") && asked.contains("from='alice@localhost'"),
        "{asked}"
    );
}

// proves: RFC6121-4.3-a
#[tokio::test(start_paused = true)]
async fn a_new_device_learns_who_is_there() {
    let (here, there, _cable) = network::two(Proof::External).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    alice
        .send(&format!("<presence type='subscribe' to='{BOB}'/>"))
        .await;
    settle().await;
    bob.send("<presence type='subscribed' to='alice@localhost'/>")
        .await;
    settle().await;
    let mut tablet = here.bind("alice", "tablet").await;
    tablet.send("<presence/>").await;
    settle().await;
    tablet.run().await;
    let seen = tablet.take();
    assert!(
        seen.contains("to='alice@localhost' from='bob@there.example/laptop'"),
        "{seen}"
    );
}

#[tokio::test(start_paused = true)]
async fn contacts_of_two_servers_see_each_other() {
    let (here, there, _cable) = network::two(Proof::Dialback).await;
    let mut alice = here.available("alice", "phone").await;
    let mut bob = there.available("bob", "laptop").await;
    alice
        .send(&format!("<presence type='subscribe' to='{BOB}'/>"))
        .await;
    settle().await;
    bob.run().await;
    assert!(bob.take().contains("type='subscribe'"));
    bob.send("<presence type='subscribed' to='alice@localhost'/>")
        .await;
    settle().await;
    alice.run().await;
    let seen = alice.take();
    assert!(seen.contains("from='bob@there.example/laptop'"), "{seen}");
    bob.send("<presence><show>away</show></presence>").await;
    settle().await;
    alice.run().await;
    let seen = alice.take();
    assert!(seen.contains("<show>away</show>"), "{seen}");
    bob.end().await;
    settle().await;
    alice.run().await;
    let seen = alice.take();
    assert!(seen.contains("type='unavailable'"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_much_is_refused_until_the_minute_is_over() {
    let here = Server::with_settings(|settings| {
        network::federating(settings);
        settings.limits.answer_bytes_per_minute_max = 2000;
    })
    .await;
    let there = Server::of("there.example", network::federating).await;
    let cable = tokio::sync::watch::Sender::new(true);
    network::join(&here, &there, Proof::External, &cable);
    let mut bob = there.available("bob", "laptop").await;
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    for _ in 0..20 {
        let request = format!("<iq type='get' to='localhost' id='q'>{info}</iq>");
        bob.send(&request).await;
        settle().await;
    }
    bob.run().await;
    let seen = bob.take();
    let (answers, refusals) = (
        seen.matches("type='result'").count(),
        seen.matches("<resource-constraint").count(),
    );
    assert!(
        answers > 0 && refusals > 0 && answers + refusals == 20,
        "{seen}"
    );
    let refused = here.engine.metrics().s2s_answers_refused.value();
    assert_eq!(refused, u64::try_from(refusals).unwrap());
    tokio::time::sleep(Duration::from_mins(1)).await;
    bob.send(&format!("<iq type='get' to='localhost' id='q'>{info}</iq>"))
        .await;
    settle().await;
    bob.run().await;
    assert!(bob.take().contains("type='result'"));
}
