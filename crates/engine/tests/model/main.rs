//! A session changes hands while messages come for it (XEP-0198 § 5): the real engine, on the wire,
//! under the model checker [shuttle](https://docs.rs/shuttle).
//!
//! Every connection is a task; the checker decides at each lock and each shared number who goes on.
//! Whatever it decides, each message arrives exactly once, in the order of its sender, and nobody
//! who has lost the session is heard. Somebody who waits for what never comes is a deadlock, which
//! the checker sees.
//!
//! `cargo xtask test model` runs it; nothing is in here in a normal build.
#![cfg(shuttle)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a model that cannot be set up fails"
)]

#[path = "../engine/environment.rs"]
mod environment;
mod world;

use shuttle::{
    Config, Runner,
    future::block_on,
    rand::{Rng as _, thread_rng},
    scheduler::{PctScheduler, RandomScheduler},
};
use std::{collections::BTreeSet, future::Future, mem::ManuallyDrop, time::Duration};
use world::{Person, Server, acknowledge, bind, chat, count, handled, ids, ping, resume, sorted};

/// Schedules of each scenario, by each of the two ways to choose them.
const SCHEDULES: usize = 150;
/// The same ones each time; other ones by `WAXWING_MODEL_SEED`.
const SEED: u64 = 198;

/// Plays a scenario in many orders.
fn check<F: Future<Output = ()>>(scenario: impl Fn() -> F + Send + Sync + Copy + 'static) {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let schedules = number("WAXWING_MODEL_SCHEDULES").unwrap_or(SCHEDULES);
    let seed = number("WAXWING_MODEL_SEED").map_or(SEED, |seed| seed as u64);
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    // Timers can be made; their time never comes. Who waits for them must not be told at the end.
    let mut clock = tokio::runtime::Builder::new_current_thread();
    let clock = ManuallyDrop::new(clock.enable_time().build().unwrap());
    let _entered = clock.enter();
    waxwing_engine::sync::let_time_pass(false);
    let play = move || block_on(scenario());
    Runner::new(
        RandomScheduler::new_from_seed(seed, schedules),
        config.clone(),
    )
    .run(play);
    Runner::new(PctScheduler::new_from_seed(seed, 3, schedules), config).run(play);
}

/// The others, and what they send to bob.
struct Senders(Vec<Person>);

/// What they send, in the order of each.
const SENT: [&[&str]; 2] = [&["a1", "a2", "aq", "a3"], &["c1", "cq", "c2"]];

impl Senders {
    /// They have sent everything; the server has not yet read it.
    async fn new(server: &Server) -> Self {
        let (full, bare) = ("bob@localhost/phone", "bob@localhost");
        let alice = server.available("alice", "pc").await;
        let stanzas = [
            chat(bare, "a1"),
            chat(full, "a2"),
            ping(full, "aq"),
            chat(bare, "a3"),
        ];
        alice.send(&stanzas.concat());
        let carol = server.available("carol", "pc").await;
        carol.send(&[chat(bare, "c1"), ping(full, "cq"), chat(full, "c2")].concat());
        Self(vec![alice, carol])
    }

    fn serve(&mut self) {
        for person in &mut self.0 {
            person.serve();
        }
    }

    /// Waits until they have gone; gives what they received, and of what they were told that bob
    /// has not got it.
    async fn ended(self) -> (Vec<String>, Vec<String>) {
        let (mut stanzas, mut errors) = (Vec::new(), Vec::new());
        for person in self.0 {
            // What comes before this is handled then.
            person.send(&ping("localhost", "done"));
            let done = person.until(|received| received.contains("id='done'"));
            done.await;
            person.cut();
            let (received, refused) = sorted(&person.ended().await);
            stanzas.extend(received);
            errors.extend(refused);
        }
        (stanzas, errors)
    }
}

/// Everything that is sent.
fn all() -> BTreeSet<String> {
    let all = SENT.iter().flat_map(|ids| ids.iter());
    all.map(|id| (*id).to_owned()).collect()
}

/// Each once, and the messages of each sender in their order.
fn once_in_order(got: &[String]) {
    for sent in SENT {
        let got: Vec<_> = got
            .iter()
            .filter(|id| sent.contains(&id.as_str()))
            .collect();
        let once: BTreeSet<_> = got.iter().collect();
        assert_eq!(once.len(), got.len(), "{got:?}");
        // A request that comes during a resumption may come behind the messages after it.
        let messages = got.into_iter().filter(|id| !id.ends_with('q'));
        assert!(messages.is_sorted(), "{sent:?}");
    }
}

fn chance(one_of: u32) -> bool {
    thread_rng().gen_ratio(1, one_of)
}

/// bob leaves his connection at some moment, which the server may notice or not; gives what he has
/// got, and how many stanzas that were.
fn leave(old: &Person, enabled: usize) -> (String, usize) {
    let received = old.turn_away();
    let h = enabled + count(&received);
    if chance(2) {
        old.cut();
    }
    (received, h)
}

#[test]
fn a_resumed_session_has_everything_once() {
    check(|| async {
        let server = Server::new().await;
        let mut senders = Senders::new(&server).await;
        let (mut old, id) = server.resumable("bob", "phone").await;
        let mut new = server.log_in("bob").await;
        server.run();
        for message in ["b1", "b2", "b3"] {
            old.send(&chat("alice@localhost", message));
        }
        old.serve();
        senders.serve();
        new.serve();
        if chance(2) {
            // He has got something, and says so.
            let received = old.until(|received| !ids(received).is_empty()).await;
            old.send(&acknowledge(count(&received)));
        }
        let (first, h) = leave(&old, 0);
        new.send(&resume(&id, h));
        let mut got: Vec<_> = ids(&first);
        let before = got.clone();
        let second = new
            .until(|received| {
                let mut got = before.clone();
                got.extend(ids(received));
                received.contains("<resumed ") && got.len() >= all().len()
            })
            .await;
        got.extend(ids(&second));
        once_in_order(&got);
        assert_eq!(got.iter().cloned().collect::<BTreeSet<_>>(), all());

        // What he said on the old connection was heard exactly as far as he was told.
        old.cut();
        old.ended().await;
        // His first stanza was his presence.
        let heard = handled(&second).unwrap() - 1;
        let alice = &senders.0[0];
        alice.until(|received| ids(received).len() >= heard).await;
        new.cut();
        new.ended().await;
        let (received, errors) = senders.ended().await;
        assert_eq!(errors, [""; 0]);
        let received: Vec<_> = received
            .into_iter()
            .filter(|id| id.starts_with('b'))
            .collect();
        let told = ["b1", "b2", "b3"][..heard].to_vec();
        assert_eq!(received, told);
        assert_eq!(server.waiting("bob").await, [""; 0]);

        // And nothing is left.
        let mut last = server.log_in("bob").await;
        last.serve();
        last.send(&resume(&id, h + count(&second)));
        let third = last.until(|received| received.contains("<resumed ")).await;
        last.cut();
        assert_eq!(ids(&third), [""; 0]);
        assert_eq!(ids(&last.ended().await), [""; 0]);
    });
}

/// What bob's account has got in the end, wherever: what his last client is given, and what waits.
async fn the_rest(server: &Server, id: &str, h: usize) -> Vec<String> {
    let mut last = server.log_in("bob").await;
    last.serve();
    last.send(&resume(id, h));
    if last.at_rest().await.contains("<failed ") {
        last.send(&bind("tablet"));
        last.send("<presence/>");
        last.at_rest().await;
    }
    last.cut();
    let mut got = ids(&last.ended().await);
    got.extend(server.waiting("bob").await);
    got
}

/// Somebody has waited in vain for the answer and asks again on another connection; the first
/// request may be handled before the second, at the same time, or when the second has been answered.
#[test]
fn of_two_who_resume_one_has_the_session() {
    check(|| async {
        let server = Server::new().await;
        let mut senders = Senders::new(&server).await;
        let (mut old, id) = server.resumable("bob", "phone").await;
        let mut new = [server.log_in("bob").await, server.log_in("bob").await];
        server.run();
        old.serve();
        senders.serve();
        let (mut got, mut h) = {
            let (first, h) = leave(&old, 0);
            (ids(&first), h)
        };
        for person in &mut new {
            person.serve();
        }
        let [lost, first] = new;
        lost.send(&resume(&id, h));
        lost.turn_away();
        if chance(2) {
            lost.cut();
        }
        first.send(&resume(&id, h));
        let (_, errors) = senders.ended().await;
        old.cut();
        old.ended().await;
        // The one that is given up is older, so it does not take the session from the other one.
        // The one that is given up is older, so it does not take the session from the other one.
        lost.cut();
        lost.ended().await;
        let answer =
            |received: &str| received.contains("<resumed ") || received.contains("<failed ");
        first.until(answer).await;
        first.cut();
        let received = first.ended().await;
        assert!(received.contains("<resumed "), "{received}");
        got.extend(ids(&received));
        h += count(&received);
        // A request may be answered as if nobody were here, but then it has not arrived.
        got.extend(errors);
        got.extend(the_rest(&server, &id, h).await);
        once_in_order(&got);
        assert_eq!(got.iter().cloned().collect::<BTreeSet<_>>(), all());
    });
}

/// While one client resumes the session, another one binds its address, which ends the session
/// (RFC 6120 § 7.7.2.2); or the server's patience with it is over.
fn nothing_is_lost(expire: bool) {
    check(move || async move {
        let server = Server::new().await;
        let mut senders = Senders::new(&server).await;
        let (mut old, id) = server.resumable("bob", "phone").await;
        let mut new = server.log_in("bob").await;
        let mut other = server.log_in("bob").await;
        if expire {
            old.cut();
            server.pass(Duration::from_hours(24 * 365));
        }
        old.serve();
        server.run();
        senders.serve();
        new.serve();
        other.serve();
        let (first, h) = leave(&old, 0);
        new.send(&resume(&id, h));
        if !expire {
            other.send(&bind("phone"));
            if chance(2) {
                // What the old stream had not acknowledged comes to who has replaced it.
                other.send("<presence/>");
            }
        }
        let (_, errors) = senders.ended().await;
        old.cut();
        old.ended().await;
        new.cut();
        let second = new.ended().await;
        other.send("<presence/>");
        other.close();
        let third = other.ended().await;
        let mut got = ids(&first);
        got.extend(ids(&second));
        once_in_order(&got);
        got.extend(ids(&third));
        got.extend(errors);
        got.extend(the_rest(&server, &id, h + count(&second)).await);
        // Of requests the one who is replaced says nothing.
        let promised = |id: &String| !id.ends_with('q');
        let got: BTreeSet<_> = got.into_iter().filter(promised).collect();
        assert_eq!(got, all().into_iter().filter(promised).collect());
    });
}

/// The old stream may not let go in time: then the session is taken from it, and whatever it does
/// after that is not heard. What the archive has may then arrive twice.
fn the_old_stream_is_not_heard() {
    check(|| async {
        waxwing_engine::sync::let_time_pass(true);
        let server = Server::new().await;
        let (mut old, id) = server.resumable("bob", "phone").await;
        let mut alice = server.available("alice", "pc").await;
        let mut new = server.log_in("bob").await;
        server.run();
        for message in ["b1", "b2", "b3"] {
            old.send(&chat("alice@localhost", message));
        }
        alice.serve();
        old.serve();
        new.serve();
        let h = count(&old.turn_away());
        new.send(&resume(&id, h));
        let received = new.until(|received| received.contains("<resumed ")).await;
        // His presence may not have been counted.
        let heard = handled(&received).unwrap().saturating_sub(1);
        let told = &["b1", "b2", "b3"][..heard];
        old.cut();
        old.ended().await;
        new.cut();
        new.ended().await;
        let got = alice.until(|received| ids(received).len() >= heard).await;
        assert_eq!(ids(&got), told);
        alice.cut();
        assert_eq!(ids(&alice.ended().await), told);
        assert_eq!(server.waiting("alice").await, [""; 0]);
    });
}

#[test]
fn a_stream_that_does_not_let_go_is_not_heard() {
    the_old_stream_is_not_heard();
}

/// The checker does find what it looks for.
#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn without_generations_a_stream_that_does_not_let_go_is_heard() {
    waxwing_store::sync::break_ownership(true);
    the_old_stream_is_not_heard();
}

#[test]
fn nothing_is_lost_when_a_session_is_replaced_while_it_is_resumed() {
    nothing_is_lost(false);
}

#[test]
fn nothing_is_lost_when_a_session_expires_while_it_is_resumed() {
    nothing_is_lost(true);
}
