//! The binary from outside: sockets, TLS, signals, accounts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of the helpers is a failed test"
)]

mod support;

use rustls::version::{TLS12, TLS13};
use std::process::Command;
use support::{Client, DOMAIN, Server, Tls, certificate, connect};

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

#[test]
fn a_person_logs_in_over_starttls_and_over_direct_tls() {
    let server = Server::start("");
    let added = server.command(&["user", "add", "alice@example.org"], "secret\n");
    assert!(added.status.success(), "{added:?}");

    let mut plain = Client(connect(server.starttls));
    let features = plain.open();
    assert!(features.contains("<starttls"), "{features}");
    assert!(
        !features.contains("mechanism"),
        "no login in clear: {features}"
    );
    plain.send(STARTTLS);
    plain.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let mut client = Tls::default().connect(plain.0).unwrap();
    client.log_in("alice", "secret");
    client.ping();

    let mut other = Tls::default().connect(connect(server.direct_tls)).unwrap();
    other.log_in("alice", "secret");
    other.ping();
    assert!(
        server
            .page("/metrics")
            .contains("waxwing_sockets{listener=\"direct_tls\"} 1")
    );
    other.send("</stream:stream>");
    assert!(other.rest().contains("</stream:stream>"));
}

#[test]
fn channel_binding_goes_with_the_version_of_tls() {
    let server = Server::start("");
    for (version, exporter) in [(&TLS13, true), (&TLS12, false)] {
        let tls = Tls {
            version: Some(version),
            ..Tls::default()
        };
        let mut client = tls.connect(connect(server.direct_tls)).unwrap();
        let features = client.open();
        assert_eq!(features.contains("tls-exporter"), exporter, "{features}");
        assert!(features.contains("tls-server-end-point"), "{features}");
        assert!(features.contains("SCRAM-SHA-256-PLUS"), "{features}");
    }
}

#[test]
fn what_follows_starttls_in_clear_ends_the_stream() {
    let server = Server::start("");
    let mut client = Client(connect(server.starttls));
    client.open();
    client.send(&format!(
        "{STARTTLS}<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
    ));
    let rest = client.rest();
    assert!(
        !rest.contains("<stream:features") && !rest.contains("urn:ietf:params:xml:ns:xmpp-sasl"),
        "{rest}"
    );
}

#[test]
fn another_protocol_is_refused_by_alpn() {
    let server = Server::start("");
    let offer = |alpn| {
        Tls {
            alpn,
            ..Tls::default()
        }
        .connect(connect(server.direct_tls))
    };
    for alpn in [&[][..], &["xmpp-client"], &["http/1.1", "xmpp-client"]] {
        let mut client = offer(alpn).unwrap_or_else(|e| panic!("{alpn:?}: {e}"));
        assert_eq!(
            client.0.conn.alpn_protocol(),
            (!alpn.is_empty()).then_some(&b"xmpp-client"[..])
        );
        client.open();
    }
    for alpn in [&["http/1.1"][..], &["h2", "http/1.1"], &["xmpp-server"]] {
        let error = offer(alpn)
            .err()
            .unwrap_or_else(|| panic!("{alpn:?} accepted"));
        assert!(
            error.to_string().contains("NoApplicationProtocol"),
            "{alpn:?}: {error}"
        );
    }
    // HTTP without TLS on either port gets no page.
    for port in [server.starttls, server.direct_tls] {
        let mut client = Client(connect(port));
        client.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
        let answer = client.rest();
        assert!(!answer.starts_with("HTTP"), "{answer}");
    }
}

// proves: RFC6120-5.4.3.2-a
#[test]
fn a_failed_handshake_ends_the_connection_without_an_end_tag() {
    let server = Server::start("");
    let mut client = Client(connect(server.starttls));
    client.open();
    client.send(STARTTLS);
    client.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    client.send("this is no handshake of any version of TLS");
    let rest = client.rest();
    assert!(!rest.contains("</stream:stream>"), "{rest}");
    // The others do not notice.
    Client(connect(server.starttls)).open();
}

#[test]
fn a_stop_says_goodbye_and_exits_with_0() {
    let mut server = Server::start("");
    server.command(&["user", "add", "alice@example.org"], "secret\n");
    let mut alice = Tls::default().connect(connect(server.direct_tls)).unwrap();
    alice.log_in("alice", "secret");
    let mut stranger = Client(connect(server.starttls));
    stranger.open();
    server.signal("TERM");
    for rest in [alice.rest(), stranger.rest()] {
        assert!(rest.contains("<system-shutdown"), "{rest}");
        assert!(rest.ends_with("</stream:stream>"), "{rest}");
    }
    drop((alice, stranger));
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        !server.log().contains("did not say goodbye"),
        "{}",
        server.log()
    );
}

#[test]
fn a_new_certificate_is_taken_without_dropping_anybody() {
    let mut server = Server::start("");
    server.command(&["user", "add", "alice@example.org"], "secret\n");
    let dial = |server: &Server| Tls::default().connect(connect(server.direct_tls)).unwrap();
    let mut alice = dial(&server);
    alice.log_in("alice", "secret");
    let old = alice.certificate();

    let new = certificate();
    server.write_certificate(&new);
    server.signal("HUP");
    server.expect_log("read again");
    assert_eq!(dial(&server).certificate(), *new.cert.der());
    assert_ne!(old, *new.cert.der());

    // Without a signal.
    let newer = certificate();
    server.write_certificate(&newer);
    server.expect_log("new certificates are in use");
    assert_eq!(dial(&server).certificate(), *newer.cert.der());

    server.break_certificate();
    server.signal("HUP");
    let error = server.expect_log("not reloaded");
    assert!(error.contains("example.org.crt"), "{error}");
    assert_eq!(dial(&server).certificate(), *newer.cert.der());
    alice.ping();
    assert!(
        server
            .page("/metrics")
            .contains("waxwing_reload_failures_total 1")
    );
}

#[test]
fn a_broken_file_is_refused_at_reload() {
    let mut server = Server::start("");
    server.write_settings("[limits]\nstanza_bytes_max = \"big\"");
    server.signal("HUP");
    let line = server.expect_log("not reloaded");
    assert!(line.contains("waxwing.toml:10:20"), "{line}");
    server.write_settings("[limits]\nstanza_bytes_max = 20000");
    server.signal("HUP");
    assert!(
        server
            .expect_log("next start")
            .contains("settings=\"limits\"")
    );
    Client(connect(server.starttls)).open();
}

// proves: RFC6120-13.12-e
#[test]
fn strangers_of_one_address_are_bounded_and_people_are_not() {
    let server = Server::start("[limits]\nunauthenticated_per_address_max = 2");
    server.command(&["user", "add", "alice@example.org"], "secret\n");
    let dial = || Tls::default().connect(connect(server.direct_tls));
    let mut people: Vec<_> = (0..4)
        .map(|_| dial().unwrap())
        .map(|mut client| {
            client.log_in("alice", "secret");
            client
        })
        .collect();
    let mut strangers = [dial().unwrap(), dial().unwrap()];
    assert!(dial().is_err(), "a third stranger");
    for client in &mut strangers {
        client.open();
    }
    for client in &mut people {
        client.ping();
    }
    assert!(
        server
            .page("/metrics")
            .contains("waxwing_sockets_refused_total 1")
    );
}

#[test]
fn without_files_accepting_waits_and_people_stay() {
    // 64 are reserved, so 3 connections are possible, of which each of two listeners holds one in
    // advance of the next connection.
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -n 67; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_waxwing"),
    ]);
    let mut server = Server::start_with("", shell);
    let mut first = Client(connect(server.starttls));
    first.open();
    let mut second = Client(connect(server.starttls));
    server.expect_log("no place for another connection");
    first.send("</stream:stream>");
    first.rest();
    drop(first);
    second.open();
    assert!(server.page("/health").ends_with("ok\n"));
    let listed = server.command(&["user", "add", "alice@example.org"], "secret\n");
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn accounts_change_while_people_are_connected() {
    let server = Server::start("");
    let run = |arguments: &[&str], input: &str| {
        let output = server.command(arguments, input);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let dial = || Tls::default().connect(connect(server.direct_tls)).unwrap();
    assert!(run(&["user", "add", "alice@example.org"], "one\n").0);
    let (ok, text) = run(&["user", "add", "alice@example.org"], "one\n");
    assert!(!ok && text.contains("exists"), "{text}");
    let (ok, text) = run(&["user", "add", "alice@other.org"], "one\n");
    assert!(!ok && text.contains("it has example.org"), "{text}");

    let mut alice = dial();
    alice.log_in("alice", "one");
    assert!(run(&["user", "passwd", "alice@example.org"], "two\n").0);
    assert!(alice.rest().contains("</stream:stream>"));

    let mut alice = dial();
    alice.log_in("alice", "two");
    assert_eq!(
        run(&["user", "list"], ""),
        (true, "alice@example.org\n".to_owned())
    );
    let (ok, text) = run(&["user", "devices", "alice@example.org"], "");
    assert!(ok && text.lines().count() == 2, "{text}");
    let id = text.lines().nth(1).and_then(|line| line.split(' ').next());
    let sign_out = ["user", "sign-out", "alice@example.org", id.unwrap()];
    let (ok, text) = run(&sign_out, "");
    assert!(ok && text.contains("Signed out: 1."), "{text}");
    assert!(alice.rest().contains("</stream:stream>"));
    let (ok, text) = run(&sign_out, "");
    assert!(!ok && text.contains("has no device"), "{text}");
    let (ok, text) = run(&["user", "devices", "nobody@example.org"], "");
    assert!(!ok && text.contains("there is no account"), "{text}");

    let mut alice = dial();
    alice.log_in("alice", "two");
    let (ok, text) = run(&["user", "del", "alice@example.org"], "");
    assert!(!ok && text.contains("nothing was deleted"), "{text}");
    assert!(run(&["user", "del", "alice@example.org", "--yes"], "").0);
    assert!(alice.rest().contains("</stream:stream>"));
    assert_eq!(run(&["user", "list"], ""), (true, String::new()));

    let (ok, text) = run(&["user", "add", "bob@example.org", "--generate"], "");
    assert!(ok, "{text}");
    let password = text.trim_end().rsplit(' ').next().unwrap().to_owned();
    dial().log_in("bob", &password);
    assert!(!server.page("/metrics").contains("alice"));
}

/// Seen as a panic of the sender's stream: the last of a full batch of events was taken and never
/// carried out.
#[test]
fn many_messages_at_once_are_all_kept_and_the_stream_goes_on() {
    let server = Server::start("");
    for account in ["alice@example.org", "bob@example.org"] {
        server.command(&["user", "add", account], "secret\n");
    }
    let dial = || Tls::default().connect(connect(server.direct_tls)).unwrap();
    let mut alice = dial();
    alice.log_in("alice", "secret");
    let message = |number: usize| {
        format!("<message to='bob@{DOMAIN}' type='chat' id='m{number}'><body>Hi</body></message>")
    };
    alice.send(&(0..900).map(message).collect::<String>());
    alice.ping();
    assert!(server.page("/metrics").contains("waxwing_panics_total 0\n"));

    let mut bob = dial();
    bob.log_in("bob", "secret");
    bob.send("<presence/>");
    for number in 0..900 {
        let received = bob.expect("</message>");
        assert!(received.contains(&format!("id='m{number}'")), "{received}");
    }
}

#[test]
fn a_second_server_does_not_take_the_data() {
    let server = Server::start("");
    let second = server.command(&["run"], "");
    let text = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success());
    assert!(
        text.contains("another server runs with this data folder"),
        "{text}"
    );
    Client(connect(server.starttls)).open();
}

#[test]
fn check_explains_what_is_wrong() {
    let mut server = Server::start("");
    let good = server.command(&["check"], "");
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{text}");
    assert!(text.contains("ports: not tried: the server runs"), "{text}");
    server.break_certificate();
    let bad = server.command(&["check"], "");
    let text = String::from_utf8(bad.stdout).unwrap();
    assert!(!bad.status.success());
    assert!(
        text.contains("FAIL  certificate of example.org") && text.contains("PEM"),
        "{text}"
    );
    server.signal("TERM");
    server.wait();
    server.write_settings("plain_on_loopback = [\"127.0.0.1:5999\", \"127.0.0.1:5999\"]");
    let text = String::from_utf8(server.command(&["check"], "").stdout).unwrap();
    assert!(
        text.contains("FAIL  port 127.0.0.1:5999: two listeners have it"),
        "{text}"
    );
}

#[test]
fn a_port_for_servers_that_is_taken_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waxwing.toml");
    let data = folder.path().join("data");
    let text = format!(
        "domains = [\"{DOMAIN}\"]\ndata = \"{}\"\n[tls]\nself_signed = true\n\
         [listen]\nstarttls = []\ndirect_tls = []\nmetrics = []\nservers_direct_tls = []\n\
         servers = [\"{address}\"]\n",
        data.display()
    );
    for command in ["run", "check"] {
        let run = |text: &str| {
            std::fs::write(&config, text).unwrap();
            let done = Command::new(env!("CARGO_BIN_EXE_waxwing"))
                .args([command, "--config"])
                .arg(&config)
                .output()
                .unwrap();
            let said = [done.stdout, done.stderr].concat();
            (done.status, String::from_utf8(said).unwrap())
        };
        let (status, said) = run(&text);
        assert!(!status.success(), "{said}");
        assert!(
            said.contains(&format!("{address}: cannot listen")),
            "{said}"
        );
        assert!(said.contains("listen.servers"), "{said}");
        assert!(said.contains("federation.enabled = false"), "{said}");
    }
    let text = format!("{text}[federation]\nenabled = false\n");
    std::fs::write(&config, text).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_waxwing"))
        .args(["check", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn the_report_of_keys_reads_the_database() {
    let server = Server::start("");
    let run = |arguments: &[&str], input: &str| {
        let output = server.command(arguments, input);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    for name in ["alice", "bob"] {
        let address = format!("{name}@{DOMAIN}");
        assert!(run(&["user", "add", &address], "one\n").0);
    }
    let (ok, text) = run(&["omemo", "report"], "");
    assert!(ok && text.starts_with("0 accounts with keys"), "{text}");
    let mut alice = Tls::default().connect(connect(server.direct_tls)).unwrap();
    alice.log_in("alice", "one");
    let space = "eu.siacs.conversations.axolotl";
    let list = format!("<list xmlns='{space}'><device id='1'/><device id='2'/></list>");
    let keys = "<prekeys><preKeyPublic preKeyId='1'>QQ==</preKeyPublic></prekeys>";
    let bundle = format!("<bundle xmlns='{space}'>{keys}</bundle>");
    for (node, payload) in [("devicelist", list), ("bundles:1", bundle)] {
        let item = format!("<item id='current'>{payload}</item>");
        let publish = format!("<publish node='{space}.{node}'>{item}</publish>");
        alice.send(&format!(
            "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{publish}</pubsub></iq>"
        ));
        let answer = alice.expect("</iq>");
        assert!(answer.contains("type='result'"), "{answer}");
    }
    // The server may run meanwhile: the report only reads.
    let dead = "alice@example.org  OMEMO 0.3  device 2  is listed and has no keys\n\
                1 accounts with keys, 2 devices, 1 of them with a fault.\n";
    assert_eq!(run(&["omemo", "report"], ""), (true, dead.to_owned()));
    let one = run(&["omemo", "report", "alice@example.org"], "");
    assert_eq!(one, (true, dead.to_owned()));
    let (ok, text) = run(&["omemo", "report", "bob@example.org"], "");
    assert!(ok && text.starts_with("0 accounts with keys"), "{text}");
    let (ok, text) = run(&["omemo", "report", "nobody@example.org"], "");
    assert!(!ok && text.contains("there is no account"), "{text}");
}

#[test]
fn check_looks_at_components() {
    let mut server = Server::start("");
    server.signal("TERM");
    server.wait();
    server.write_settings(
        "components = [\"0.0.0.0:5998\"]\n[component.\"irc.example.org\"]\nsecret = \
         \"0123456789abcdef\"\n[component.\"sms.example.org\"]\nsecret_file = \"missing\"",
    );
    let checked = server.command(&["check"], "");
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(!checked.status.success());
    for line in [
        "ok    component irc.example.org: has a secret",
        "FAIL  component sms.example.org: missing: ",
        "warn  listen.components: 0.0.0.0:5998 can be reached by others",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn a_backup_of_a_running_server_can_be_restored() {
    let mut server = Server::start("");
    let run = |server: &Server, arguments: &[&str]| {
        let done = server.command(arguments, "hunter2hunter2\n");
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(text).unwrap())
    };
    run(&server, &["user", "add", "alice@example.org"]);
    let copy = server.config().with_file_name("copy");
    let copy_name = copy.to_str().unwrap();
    let (done, text) = run(&server, &["backup", copy_name]);
    assert!(
        done && text.contains("has a copy of the database"),
        "{text}"
    );
    run(&server, &["user", "add", "later@example.org"]);
    let (done, text) = run(&server, &["backup", copy_name]);
    assert!(!done && text.contains("replaces nothing"), "{text}");
    let nowhere = server.config().with_file_name("none").join("copy");
    let (done, text) = run(&server, &["backup", nowhere.to_str().unwrap()]);
    assert!(!done && text.contains("No such file"), "{text}");

    server.signal("TERM");
    server.wait();
    let database = server
        .config()
        .with_file_name("data")
        .join("waxwing.sqlite");
    let (_, list) = run(&server, &["user", "list"]);
    assert_eq!(list, "alice@example.org\nlater@example.org\n");
    std::fs::rename(&copy, &database).unwrap();
    let (done, text) = run(&server, &["check"]);
    assert!(done && text.contains("waxwing.sqlite: whole"), "{text}");
    let (_, list) = run(&server, &["user", "list"]);
    assert_eq!(list, "alice@example.org\n");

    // A page in the middle: of what, only looking through it tells.
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    let (done, text) = run(&server, &["check"]);
    assert!(!done && text.contains("FAIL  database"), "{text}");
    let (done, text) = run(&server, &["backup", copy_name]);
    assert!(!done && text.contains("no backup was made"), "{text}");
    assert!(!copy.exists());
    std::fs::remove_file(&database).unwrap();
    let (done, text) = run(&server, &["backup", copy_name]);
    assert!(!done && text.contains("there is no database yet"), "{text}");
    let (done, text) = run(&server, &["check", "--quick"]);
    assert!(
        done && text.contains("will be made at the first start"),
        "{text}"
    );
}

#[test]
fn secrets_and_addresses_stay_out_of_the_log() {
    let mut server = Server::start("[log]\nlevel = \"trace\"");
    server.command(&["user", "add", "alice@example.org"], "hunter2hunter2\n");
    let mut alice = Tls::default().connect(connect(server.direct_tls)).unwrap();
    alice.log_in("alice", "hunter2hunter2");
    alice.send("<message to='alice@example.org'><body>marker-of-a-secret</body></message>");
    alice.ping();
    alice.send("</stream:stream>");
    alice.rest();
    server.signal("TERM");
    server.wait();
    let encoded = waxwing_proto::sasl::encode(b"\0alice\0hunter2hunter2");
    for secret in ["hunter2", "marker-of-a-secret", &encoded] {
        assert!(
            !server.log().contains(secret),
            "{secret} in {}",
            server.log()
        );
    }
    for line in server.log().lines().filter(|line| line.contains("INFO")) {
        assert!(!line.contains("peer="), "{line}");
    }
}
