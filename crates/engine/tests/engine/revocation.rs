//! Logins that are overtaken: the password changes, or the client is signed out, between the proof
//! of an identity and the session that comes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use crate::server::{Client, Server, account};
use waxwing_proto::sasl::{
    self, Hash, Verifiers,
    client::{ClientBinding, ScramClient, token},
};
use waxwing_store::Tokens as _;

const AGENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let after = text.split_once(start).map_or("", |(_, after)| after);
    after.split_once(end).map_or("", |(inner, _)| inner)
}

/// A SCRAM exchange up to the challenge: the server has read the verifier.
async fn challenged(client: &mut Client, sasl2: bool) -> (ScramClient, Vec<u8>) {
    client.open().await;
    client.take();
    let binding = ClientBinding::Unsupported;
    let scram = ScramClient::new(
        Hash::Sha256,
        binding,
        "alice",
        "secret",
        "fyko+d2lbbFgONRv9qkx",
    );
    let first = sasl::encode(&scram.first());
    let request = if sasl2 {
        format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>\
             <initial-response>{first}</initial-response><user-agent id='{AGENT}'/>\
             <bind xmlns='urn:xmpp:bind:0'/>\
             <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/></authenticate>"
        )
    } else {
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        format!("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>{first}</auth>")
    };
    client.send(&request).await;
    let received = client.take();
    let challenge = between(&received, "<challenge", "</challenge>");
    let challenge = challenge.split_once('>').map_or("", |(_, data)| data);
    (scram, sasl::decode(challenge).unwrap())
}

/// The client's answer to the challenge.
async fn answer(client: &mut Client, scram: &mut ScramClient, challenge: &[u8], sasl2: bool) {
    let last = sasl::encode(&scram.last(challenge).unwrap());
    let ns = if sasl2 {
        "urn:xmpp:sasl:2"
    } else {
        "urn:ietf:params:xml:ns:xmpp-sasl"
    };
    client
        .send(&format!("<response xmlns='{ns}'>{last}</response>"))
        .await;
}

async fn change_password(server: &Server, name: &str) {
    let verifiers = Verifiers::derive("new", b"sixteen bytes of", 8).unwrap();
    let account = account(name);
    let changed = server.engine.password_set(&account, verifiers, None);
    changed.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_by_sasl2_that_a_new_password_overtakes_is_no_login() {
    let server = Server::start().await;
    let mut client = server.connect();
    let (mut scram, challenge) = challenged(&mut client, true).await;
    change_password(&server, "alice").await;
    answer(&mut client, &mut scram, &challenge, true).await;
    let received = client.take();
    assert!(!received.contains("<success"), "{received}");
    assert!(received.contains("<not-authorized"), "{received}");
    assert!(client.is_closing());
    assert!(
        server
            .engine
            .registry()
            .resources(&account("alice"))
            .is_empty()
    );
    let clients = server.store.clients(account("alice")).await.unwrap();
    assert!(clients.iter().all(|client| client.fresh.is_none()));
}

/// What happens to somebody else's account does not matter.
#[tokio::test(start_paused = true)]
async fn a_login_is_not_disturbed_by_another_account() {
    let server = Server::start().await;
    let mut client = server.connect();
    let (mut scram, challenge) = challenged(&mut client, true).await;
    change_password(&server, "bob").await;
    answer(&mut client, &mut scram, &challenge, true).await;
    let received = client.take();
    assert!(received.contains("<success"), "{received}");
    assert!(received.contains("token='secret-token:fast-"), "{received}");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_a_new_password_overtakes_cannot_bind() {
    let server = Server::start().await;
    let mut client = server.connect();
    let (mut scram, challenge) = challenged(&mut client, false).await;
    change_password(&server, "alice").await;
    answer(&mut client, &mut scram, &challenge, false).await;
    client.open().await;
    client.take();
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
    client
        .send(&format!("<iq type='set' id='b1'>{bind}</iq>"))
        .await;
    let received = client.take();
    assert!(received.contains("<not-allowed"), "{received}");
    assert!(
        server
            .engine
            .registry()
            .resources(&account("alice"))
            .is_empty()
    );
}

/// A token for alice's client.
async fn given(server: &Server) -> String {
    let mut client = server.connect();
    let (mut scram, challenge) = challenged(&mut client, true).await;
    answer(&mut client, &mut scram, &challenge, true).await;
    let received = client.take();
    client.end().await;
    between(&received, "token='", "'").to_owned()
}

async fn log_in(client: &mut Client, secret: &str, more: &str) -> String {
    client.open().await;
    client.take();
    let (message, _) = token(secret, "alice", &[]);
    let message = sasl::encode(&message);
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>\
             <initial-response>{message}</initial-response><user-agent id='{AGENT}'/>\
             <fast xmlns='urn:xmpp:fast:0'/>{more}</authenticate>"
        ))
        .await;
    client.take()
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_ends_the_token_and_the_session_at_once() {
    let server = Server::start().await;
    let secret = given(&server).await;
    let mut client = server.connect();
    let received = log_in(&mut client, &secret, "<bind xmlns='urn:xmpp:bind:0'/>").await;
    assert!(received.contains("<success"), "{received}");
    let clients = server.engine.clients(&account("alice")).await.unwrap();
    let [access] = &clients[..] else {
        panic!("one client: {clients:?}")
    };
    assert!(access.is_connected && access.has_tokens);
    let alice = account("alice");
    let signed_out = server.engine.sign_out(&alice, access.id.as_str());
    assert!(signed_out.await.unwrap());
    client.run().await;
    assert!(client.take().contains("<reset"));
    assert!(client.is_closing());
    client.end().await;
    let received = log_in(&mut server.connect(), &secret, "").await;
    assert!(received.contains("<not-authorized"), "{received}");
    assert!(
        server
            .engine
            .clients(&account("alice"))
            .await
            .unwrap()
            .is_empty()
    );
}

/// Guessing tokens is slowed down as guessing passwords is.
#[tokio::test(start_paused = true)]
async fn wrong_tokens_count_as_failed_logins() {
    let server = Server::start().await;
    let secret = given(&server).await;
    let mut client = server.connect();
    let received = log_in(&mut client, "secret-token:fast-wrong", "").await;
    assert!(received.contains("<not-authorized"), "{received}");
    assert_eq!(server.engine.metrics().login_failures.value(), 1);
    let received = log_in(&mut server.connect(), "secret-token:fast-wrong", "").await;
    assert_eq!(received, "", "held back");
    // So many that the address is not heard any more, whatever it says.
    for _ in 0..20 {
        log_in(&mut server.connect(), "secret-token:fast-wrong", "").await;
    }
    let received = log_in(&mut server.connect(), &secret, "").await;
    assert!(!received.contains("<success"), "{received}");
    assert!(server.engine.metrics().login_refusals.value() > 0);
}

/// The store has nothing that a token can be read from.
#[tokio::test(start_paused = true)]
async fn the_token_is_not_kept() {
    let server = Server::start().await;
    let secret = given(&server).await;
    let clients = server.store.clients(account("alice")).await.unwrap();
    let kept = clients[0].fresh.as_ref().unwrap();
    let as_text = sasl::encode(&kept.verifier);
    assert!(!secret.contains(as_text.trim_end_matches('=')));
    assert_ne!(clients[0].id, AGENT, "nor what the client calls itself");
}
