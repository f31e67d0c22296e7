//! The allocation budget of the routing path (`ARCHITECTURE.md`): one 1:1 message between two local
//! sessions that nobody keeps, from the sender's bytes to the recipient's, costs at most this many; and
//! a message to a room costs the same for however many it goes to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use allocation_counter::measure;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
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
    let engine = engine(&["alice", "bob"].map(String::from));
    let mut alice = log_in(&engine, "alice");
    let mut bob = log_in(&engine, "bob");
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

/// Beyond the entry in each occupant's queue, for which there is room already.
#[test]
fn a_message_to_a_room_costs_no_allocation_for_each_occupant() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _timers = runtime.enter();
    assert_eq!(said_to(20), said_to(200));
}

/// Allocations of a message that somebody says to so many others, from its bytes to their queues.
fn said_to(others: usize) -> u64 {
    let people: Vec<String> = (0..=others)
        .map(|number| format!("person{number}"))
        .collect();
    let engine = engine(&people);
    let mut sessions: Vec<Connection> = people.iter().map(|name| log_in(&engine, name)).collect();
    let tell = |session: &mut Connection, text: &str| {
        let mut input = BytesMut::from(text);
        finish(session.handle(&mut input));
    };
    for (session, name) in sessions.iter_mut().zip(&people) {
        tell(session, &entrance(name));
        if name == "person0" {
            tell(session, INSTANT_ROOM);
        }
    }
    for session in &mut sessions {
        while let Poll::Ready(event) = poll_once(session.event()) {
            finish(session.on_event(event));
        }
        session.output().clear();
    }
    // The first message makes what is kept: the list of those who are there, and room in the queues.
    let speaker = sessions.first_mut().unwrap();
    tell(speaker, SPEECH);
    let mut input = BytesMut::from(SPEECH);
    let used = measure(|| finish(speaker.handle(&mut input)));
    for session in &mut sessions {
        while let Poll::Ready(event) = poll_once(session.event()) {
            finish(session.on_event(event));
        }
        let heard: Vec<Bytes> = session.output().drain(..).collect();
        let heard = heard.concat();
        let heard = String::from_utf8_lossy(&heard);
        assert_eq!(
            heard.matches("Did my heart love till now?").count(),
            2,
            "{heard}"
        );
    }
    used.count_total
}

const SPEECH: &str = "<message to='room@groups.localhost' type='groupchat' id='5c0a1f'>\
    <body>Did my heart love till now?</body><no-store xmlns='urn:xmpp:hints'/></message>";

const INSTANT_ROOM: &str = "<iq to='room@groups.localhost' type='set' id='i1'>\
    <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>";

fn entrance(nick: &str) -> String {
    format!(
        "<presence to='room@groups.localhost/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
}

fn engine(users: &[String]) -> Engine {
    let store = Arc::new(MemoryStore::new());
    for user in users {
        let account = BareJid::parse(&format!("{user}@localhost")).unwrap();
        let credentials = Verifiers::derive("pw", b"sixteen bytes of", 2).unwrap();
        finish(store.account_create(account, credentials, 0)).unwrap();
    }
    let mut settings = Settings::for_domain("localhost");
    settings.limits.scram_iterations = 2;
    finish(Engine::new(Env::new(Still, Still), store, settings)).unwrap()
}

/// A client that is bound and available, over a transport without bytes.
fn log_in(engine: &Engine, user: &str) -> Connection {
    let mut connection = Connection::new(
        engine,
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        Transport::Tls(TlsInfo::default()),
    );
    let plain = BASE64.encode(format!("\0{user}\0pw"));
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
