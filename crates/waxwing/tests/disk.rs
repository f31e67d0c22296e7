//! Disks that are full, read-only or stuck: nothing is acknowledged that is not kept, people are
//! told, and when the disk works again the server goes on by itself.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of the helpers is a failed test"
)]
#![expect(dead_code, reason = "another test uses the rest of the support")]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::{Client, DOMAIN, Server, Tls, TlsClient, connect};
use tempfile::TempDir;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// A server whose disk can be told how to be.
struct Stage {
    server: Server,
    mode: PathBuf,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = folder.path().join("mode");
        std::fs::write(&mode, "works").unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_waxwing"));
        program
            .env("LD_PRELOAD", library(folder.path()))
            .env("DISK_MODE", &mode);
        let server = Server::start_with("", program);
        for account in ["alice@example.org", "bob@example.org", "carol@example.org"] {
            let added = server.command(&["user", "add", account], "secret\n");
            assert!(added.status.success(), "{added:?}");
        }
        Self {
            server,
            mode,
            _folder: folder,
        }
    }

    /// From now on the disk is like this.
    fn disk(&self, mode: &str) {
        // In one step: the server may read it at any moment.
        let next = self.mode.with_extension("next");
        std::fs::write(&next, mode).unwrap();
        std::fs::rename(&next, &self.mode).unwrap();
    }

    fn log_in(&self, user: &str) -> TlsClient {
        let mut client = Tls::default()
            .connect(connect(self.server.direct_tls))
            .unwrap();
        client.log_in(user, "secret");
        client
    }
}

/// Compiles the disk that fails on command. Without a C compiler the server could not have been
/// built either.
fn library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/disk.c");
    let library = folder.join("disk.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
    library
}

fn message(id: &str) -> String {
    format!("<message to='bob@{DOMAIN}' type='chat' id='{id}'><body>{id}</body></message>")
}

/// The error in answer to `id`, which must come before anything is acknowledged.
fn expect_refusal(client: &mut TlsClient, id: &str) {
    let told = client.expect("</message>");
    assert!(
        told.contains("type='error'") && told.contains(&format!("id='{id}'")),
        "{told}"
    );
    assert!(!told.contains("<a "), "acknowledged before: {told}");
}

/// What must be the same for a full and a read-only disk.
fn refuses_until_it_works_again(mode: &str, condition: &str) {
    let mut stage = Stage::new();
    let mut alice = stage.log_in("alice");
    alice.send(ENABLE);
    alice.expect("<enabled xmlns='urn:xmpp:sm:3'/>");
    alice.send(&format!("{}{ASK}", message("before")));
    alice.expect("<a xmlns='urn:xmpp:sm:3' h='1'/>");

    stage.disk(mode);
    alice.send(&format!("{}{ASK}", message("refused")));
    expect_refusal(&mut alice, "refused");
    let block = format!("<block xmlns='urn:xmpp:blocking'><item jid='eve@{DOMAIN}'/></block>");
    alice.send(&format!("<iq type='set' id='block'>{block}</iq>"));
    let told = alice.expect("</iq>");
    assert!(
        told.contains("type='error'") && told.contains(condition),
        "{told}"
    );
    alice.ping();
    // Who can be let in without writing anything is.
    stage.log_in("carol").ping();
    stage.server.expect_log("writes are refused");

    stage.disk("works");
    alice.send(&format!("{}{ASK}", message("after")));
    alice.expect("<a xmlns='urn:xmpp:sm:3' h='5'/>");
    stage.server.expect_log("writes are put on disk again");
    alice.send(&format!("<iq type='set' id='again'>{block}</iq>"));
    let told = alice.expect("id='again'");
    assert!(told.contains("type='result'"), "{told}");

    let mut bob = stage.log_in("bob");
    bob.send("<presence/>");
    for id in ["before", "after"] {
        let received = bob.expect("</message>");
        assert!(received.contains(&format!("id='{id}'")), "{received}");
    }
}

#[test]
fn a_full_disk_refuses_messages_and_settings_until_there_is_room() {
    refuses_until_it_works_again("full", "resource-constraint");
}

#[test]
fn a_read_only_disk_refuses_messages_and_settings_until_it_can_be_written() {
    refuses_until_it_works_again("read-only", "internal-server-error");
}

#[test]
fn a_slow_disk_delays_acknowledgements_and_nobody_else() {
    let stage = Stage::new();
    let mut alice = stage.log_in("alice");
    alice.send(ENABLE);
    alice.expect("<enabled xmlns='urn:xmpp:sm:3'/>");
    let mut carol = stage.log_in("carol");
    let mut bob = stage.log_in("bob");

    stage.disk("stuck");
    alice.send(&format!("{}{ASK}", message("slow")));
    // Others are served meanwhile; so the server had time for Alice as well.
    for _ in 0..3 {
        carol.ping();
        bob.ping();
    }
    assert_silent(&alice);

    stage.disk("works");
    alice.expect("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    bob.send("<presence/>");
    let received = bob.expect("</message>");
    assert!(received.contains("id='slow'"), "{received}");
}

/// Nothing has come that was not read.
fn assert_silent(client: &TlsClient) {
    let Client(tls) = client;
    tls.sock.set_nonblocking(true).unwrap();
    let peeked = tls.sock.peek(&mut [0]).unwrap_err();
    assert_eq!(peeked.kind(), std::io::ErrorKind::WouldBlock);
    tls.sock.set_nonblocking(false).unwrap();
}
