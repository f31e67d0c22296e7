//! Time before login.

use crate::server::{Server, plain};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_log_in_is_closed() {
    let server = Server::start().await;
    let start = Instant::now();
    let mut silent = server.connect();
    silent.wait().await;
    assert_eq!(start.elapsed().as_secs(), 30);
    let received = silent.take();
    assert!(received.contains("<connection-timeout"), "{received}");
    assert!(silent.is_closing());
    assert_eq!(server.engine.metrics().login_timeouts.value(), 1);
}

/// Logging in without binding is not enough to stay (slowloris with a password).
#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_bind_is_closed() {
    let server = Server::start().await;
    let start = Instant::now();
    let mut client = server.connect();
    client.authenticate("alice").await;
    tokio::time::advance(Duration::from_secs(20)).await;
    client.wait().await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(client.take().contains("<connection-timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_session_has_no_deadline() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    tokio::time::advance(Duration::from_hours(1)).await;
    alice.run().await;
    assert_eq!(alice.take(), "");
    assert!(!alice.is_closing());
}

#[tokio::test(start_paused = true)]
async fn each_failed_login_is_answered_later_and_the_third_ends_the_stream() {
    let server = Server::start().await;
    let mut client = server.connect();
    client.open().await;
    client.take();
    let wrong = plain("alice", "wrong");

    client.send(&wrong).await;
    let received = client.take();
    assert!(received.contains("<not-authorized"), "at once: {received}");

    let start = Instant::now();
    client.send(&wrong).await;
    assert_eq!(client.take(), "", "held back");
    assert!(
        !client.connection.wants_input(),
        "nothing is heard meanwhile"
    );
    client.wait().await;
    assert_eq!(start.elapsed().as_millis(), 200);
    assert!(client.take().contains("<not-authorized"));

    let start = Instant::now();
    client.send(&wrong).await;
    client.wait().await;
    assert_eq!(start.elapsed().as_millis(), 400);
    let received = client.take();
    assert!(received.contains("<not-authorized"), "{received}");
    assert!(received.contains("<policy-violation"), "{received}");
    assert!(client.is_closing());
}

/// The wait for an answer does not make the deadline for logging in forgotten.
#[tokio::test(start_paused = true)]
async fn failing_does_not_prolong_the_time_to_log_in() {
    let server = Server::start().await;
    let start = Instant::now();
    let mut client = server.connect();
    client.open().await;
    for _ in 0..2 {
        client.send(&plain("alice", "wrong")).await;
    }
    client.wait().await;
    client.wait().await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(client.take().contains("<connection-timeout"));
}

/// A missing account and a wrong password: the same bytes at the same time.
#[tokio::test(start_paused = true)]
async fn nothing_tells_a_missing_account_from_a_wrong_password() {
    let mut seen = Vec::new();
    for name in ["alice", "nobody"] {
        let server = Server::start().await;
        let start = Instant::now();
        let mut client = server.connect();
        client.open().await;
        client.take();
        let mut answers = String::new();
        for _ in 0..2 {
            client.send(&plain(name, "wrong")).await;
            answers += &client.take();
        }
        client.wait().await;
        answers += &client.take();
        seen.push((answers, start.elapsed().as_millis()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0.matches("<failure").count(), 2);
}
