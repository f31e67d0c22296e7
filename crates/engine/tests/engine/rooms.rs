//! Rooms: nothing is reflected before it is on disk, and the order of commits is everybody's.

use crate::server::{Client, Server};

const ROOM: &str = "room@groups.localhost";

/// Somebody in the room, who has heard what there was to hear.
async fn enter(client: &mut Client, nick: &str) {
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    client
        .send(&format!("<presence to='{ROOM}/{nick}'>{x}</presence>"))
        .await;
    client.ids().await;
}

async fn open(client: &mut Client) {
    let form = "<x xmlns='jabber:x:data' type='submit'/>";
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>");
    client
        .send(&format!(
            "<iq to='{ROOM}' type='set' id='open'>{query}</iq>"
        ))
        .await;
    assert_eq!(client.ids().await, ["open"]);
}

/// The ids of the stanzas that have come; those of occupants and archives are longer.
async fn heard(client: &mut Client) -> Vec<String> {
    let mut ids = client.ids().await;
    ids.retain(|id| id.len() < 20);
    ids
}

fn said(id: &str) -> String {
    format!("<message to='{ROOM}' type='groupchat' id='{id}'><body>{id}</body></message>")
}

#[tokio::test]
async fn nobody_hears_what_is_not_on_disk() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut bob = server.available("bob", "desk").await;
    enter(&mut alice, "alice").await;
    open(&mut alice).await;
    enter(&mut bob, "bob").await;
    heard(&mut alice).await;

    server.store.hold();
    alice.send(&said("a1")).await;
    bob.send(&said("b1")).await;
    alice.send(&said("a2")).await;
    assert_eq!(heard(&mut alice).await, [""; 0], "not even its author");
    assert_eq!(heard(&mut bob).await, [""; 0]);

    assert_eq!(server.store.release_some(1), 1);
    assert_eq!(heard(&mut alice).await, ["a1"]);
    assert_eq!(heard(&mut bob).await, ["a1"]);
    server.store.release();
    assert_eq!(
        heard(&mut alice).await,
        ["b1", "a2"],
        "the order of commits"
    );
    assert_eq!(heard(&mut bob).await, ["b1", "a2"]);
}

#[tokio::test]
async fn what_could_not_be_written_is_told_to_its_author_alone() {
    let server = Server::start().await;
    let mut alice = server.available("alice", "phone").await;
    let mut bob = server.available("bob", "desk").await;
    enter(&mut alice, "alice").await;
    open(&mut alice).await;
    enter(&mut bob, "bob").await;
    heard(&mut alice).await;

    server.store.fail_next(waxwing_store::StoreError::Full);
    alice.send(&said("lost")).await;
    alice.send(&said("kept")).await;
    let told = heard(&mut alice).await;
    assert_eq!(told, ["lost", "kept"], "an error, and the next message");
    assert_eq!(heard(&mut bob).await, ["kept"]);
}
