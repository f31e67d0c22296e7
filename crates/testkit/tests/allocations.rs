//! The allocation budget of the routing path (`ARCHITECTURE.md`): one 1:1 message between two local
//! sessions that nobody keeps, from the sender's bytes to the recipient's, costs at most this many.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use waxwing_engine::{Connection, Engine, Env, Settings, env};
use waxwing_proto::{
    BareJid,
    sasl::Verifiers,
    stream::{TlsInfo, Transport},
};
use waxwing_store::{Accounts, MemoryStore, Micros};

const ALLOCATIONS_MAX: u64 = 8;

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

const MESSAGE: &str = "<message to='bob@localhost/desk' type='chat' id='5c0a1f'>\
    <body>Wherefore art thou, Romeo? Deny thy father and refuse thy name.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='5c0a1f'/>\
    <request xmlns='urn:xmpp:receipts'/>\
    <markable xmlns='urn:xmpp:chat-markers:0'/>\
    <no-store xmlns='urn:xmpp:hints'/></message>";

#[test]
fn a_message_between_two_local_sessions_stays_within_its_budget() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _timers = runtime.enter();
    let engine = engine();
    let mut alice = log_in(&engine, "alice", "AGFsaWNlAHB3");
    let mut bob = log_in(&engine, "bob", "AGJvYgBwdw==");
    // The first message warms up what is made once and kept.
    for round in 0..3 {
        let mut input = BytesMut::from(MESSAGE);
        let mut received = Vec::with_capacity(16);
        let used = measure(|| {
            finish(alice.handle(&mut input));
            let event = finish(bob.event());
            finish(bob.on_event(event));
        });
        received.extend(bob.output().drain(..));
        let text = received.concat();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains("from='alice@localhost/desk'"), "{text}");
        assert!(
            text.contains("Wherefore") && text.ends_with("</message>"),
            "{text}"
        );
        assert!(
            round == 0 || used.count_total <= ALLOCATIONS_MAX,
            "{} allocations, {} bytes; the budget is {ALLOCATIONS_MAX} allocations",
            used.count_total,
            used.bytes_total,
        );
    }
}

fn engine() -> Engine {
    let store = Arc::new(MemoryStore::new());
    for user in ["alice", "bob"] {
        let account = BareJid::parse(&format!("{user}@localhost")).unwrap();
        let credentials = Verifiers::derive("pw", b"sixteen bytes of", 2).unwrap();
        finish(store.account_create(account, credentials, 0)).unwrap();
    }
    let mut settings = Settings::for_domain("localhost");
    settings.limits.scram_iterations = 2;
    finish(Engine::new(Env::new(Still, Still), store, settings)).unwrap()
}

/// A client that is bound and available, over a transport without bytes.
fn log_in(engine: &Engine, user: &str, plain: &str) -> Connection {
    let mut connection = Connection::new(
        engine,
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        Transport::Tls(TlsInfo::default()),
    );
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                <resource>desk</resource></bind></iq>";
    for step in [HEADER, &auth, HEADER, bind, "<presence/>"] {
        let mut input = BytesMut::from(step);
        finish(connection.handle(&mut input));
        assert!(input.is_empty(), "{user}: {step} was not taken");
    }
    // Its own presence comes back.
    while let Poll::Ready(event) = poll_once(connection.event()) {
        finish(connection.on_event(event));
    }
    let sent: Vec<Bytes> = connection.output().drain(..).collect();
    let sent = sent.concat();
    assert!(
        String::from_utf8_lossy(&sent).contains(&format!("{user}@localhost/desk</jid>")),
        "{user} is not bound: {}",
        String::from_utf8_lossy(&sent)
    );
    connection
}

/// Runs a future that does not have to wait for anything outside.
fn finish<F: Future>(future: F) -> F::Output {
    match poll_once(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing else can make this go on"),
    }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// No time passes, and chance counts.
struct Still;

impl env::Clock for Still {
    fn now(&self) -> Micros {
        1_767_225_600_000_000
    }
}

impl env::Random for Still {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}
