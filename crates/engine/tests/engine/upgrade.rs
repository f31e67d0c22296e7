//! An account of another server, which kept a verifier for SHA-1 only, gets the others (XEP-0480).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use crate::server::{Client, Server, account};
use waxwing_proto::sasl::{
    self, Hash, Verifiers,
    client::{ClientBinding, ScramClient},
};
use waxwing_store::Accounts as _;

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let after = text.split_once(start).map_or("", |(_, after)| after);
    after.split_once(end).map_or("", |(inner, _)| inner)
}

async fn server() -> Server {
    let server = Server::start().await;
    let verifiers = Verifiers::derive("secret", b"sixteen bytes of", 8).unwrap();
    let only_sha1 = Verifiers {
        sha1: verifiers.sha1,
        ..Verifiers::default()
    };
    let created = server.store.account_create(account("eve"), only_sha1, 0);
    created.await.unwrap();
    server
}

/// Logs in with SCRAM; gives what follows the proof.
async fn log_in(client: &mut Client, hash: Hash, more: &str) -> String {
    client.open().await;
    client.take();
    let binding = ClientBinding::Unsupported;
    let mut scram = ScramClient::new(hash, binding, "eve", "secret", "fyko+d2lbbFgONRv9qkx");
    let first = sasl::encode(&scram.first());
    let mechanism = match hash {
        Hash::Sha1 => "SCRAM-SHA-1",
        Hash::Sha256 => "SCRAM-SHA-256",
        Hash::Sha512 => "SCRAM-SHA-512",
    };
    client
        .send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
             <initial-response>{first}</initial-response>{more}</authenticate>"
        ))
        .await;
    let received = client.take();
    let challenge = between(&received, "<challenge xmlns='urn:xmpp:sasl:2'>", "<");
    let last = scram.last(&sasl::decode(challenge).unwrap()).unwrap();
    let last = sasl::encode(&last);
    client
        .send(&format!(
            "<response xmlns='urn:xmpp:sasl:2'>{last}</response>"
        ))
        .await;
    client.take()
}

const BOTH: &str = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>\
                    <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>";

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_to_brings_the_verifiers_that_are_missing() {
    let server = server().await;
    let mut client = server.connect();
    let mut received = log_in(&mut client, Hash::Sha1, BOTH).await;
    for (hash, task) in [
        (Hash::Sha256, "UPGR-SCRAM-SHA-256"),
        (Hash::Sha512, "UPGR-SCRAM-SHA-512"),
    ] {
        assert!(received.contains("<continue"), "{received}");
        assert!(
            received.contains(&format!("<task>{task}</task>")),
            "{received}"
        );
        client
            .send(&format!("<next xmlns='urn:xmpp:sasl:2' task='{task}'/>"))
            .await;
        received = client.take();
        let iterations = between(&received, "iterations='", "'").parse().unwrap();
        let salt = between(&received, "<salt", "</salt>");
        let salt = salt.split_once('>').map_or("", |(_, salt)| salt);
        let salted = hash.salted(b"secret", &sasl::decode(salt).unwrap(), iterations);
        let salted = sasl::encode(&salted);
        client
            .send(&format!(
                "<task-data xmlns='urn:xmpp:sasl:2'>\
                 <hash xmlns='urn:xmpp:scram-upgrade:0'>{salted}</hash></task-data>"
            ))
            .await;
        received = client.take();
    }
    assert!(received.contains("<success"), "{received}");
    assert_eq!(server.engine.metrics().verifiers_added.value(), 2);
    for hash in Hash::ALL {
        let received = log_in(&mut server.connect(), hash, BOTH).await;
        assert!(
            received.contains("<success"),
            "{hash:?}, and nothing to do: {received}"
        );
    }
}

/// Never forced: who does not ask is not asked, and the missing one looks like a wrong password.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_want_to_logs_in_as_before() {
    let server = server().await;
    let received = log_in(&mut server.connect(), Hash::Sha1, "").await;
    assert!(received.contains("<success"), "{received}");
    let received = log_in(&mut server.connect(), Hash::Sha256, "").await;
    assert!(received.contains("<not-authorized"), "{received}");
}
