//! An engine over a store in memory, and clients that are driven by hand: nothing happens that a
//! test did not ask for.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

pub(crate) use crate::environment::plain;
use crate::environment::{CountingRandom, FixedClock, PASSWORD, START};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use waxwing_engine::{Connection, Engine, Env, Limits, Settings, Status};
use waxwing_proto::{
    BareJid,
    sasl::{ChannelBindings, Verifiers},
    stream::{TlsInfo, Transport},
};
use waxwing_store::{Accounts as _, MemoryStore, Micros, Offline as _};

/// A server for `localhost` with the accounts alice, bob, carol and dave.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryStore>,
    clock: Arc<AtomicI64>,
    runner: tokio::task::AbortHandle,
    domain: &'static str,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other limits than the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with_settings(|settings| change(&mut settings.limits)).await
    }

    /// With other settings than the defaults.
    pub(crate) async fn with_settings(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of("localhost", change).await
    }

    /// For another domain than `localhost`.
    pub(crate) async fn of(domain: &'static str, change: impl FnOnce(&mut Settings)) -> Self {
        let store = Arc::new(MemoryStore::new());
        let verifiers = Verifiers::derive(PASSWORD, b"sixteen bytes of", 8).unwrap();
        for name in ["alice", "bob", "carol", "dave"] {
            let created = store.account_create(account_of(name, domain), verifiers.clone(), START);
            created.await.unwrap();
        }
        let mut settings = Settings::for_domain(domain);
        settings.limits.scram_iterations = 8;
        change(&mut settings);
        let clock = Arc::new(AtomicI64::new(START));
        let env = Env::new(FixedClock(clock.clone()), CountingRandom(AtomicU64::new(1)));
        let engine = Engine::new(env, store.clone(), settings).await.unwrap();
        let runner = tokio::spawn(engine.clone().run()).abort_handle();
        Self {
            engine,
            store,
            clock,
            runner,
            domain,
        }
    }

    /// The clock goes on, and what is due is done; for tests on a paused runtime.
    pub(crate) async fn pass(&self, time: Duration) {
        let micros = Micros::try_from(time.as_micros()).unwrap();
        self.clock.fetch_add(micros, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(61)).await;
        rest().await;
    }

    /// The server dies and starts again: what is on disk is there, and nothing else.
    pub(crate) async fn crash(&mut self) {
        self.runner.abort();
        let settings = self.engine.settings().clone();
        let env = Env::new(
            FixedClock(self.clock.clone()),
            CountingRandom(AtomicU64::new(1 << 32)),
        );
        let store = self.store.clone();
        self.engine = Engine::new(env, store, settings).await.unwrap();
        self.engine.recover().await.unwrap();
        self.runner = tokio::spawn(self.engine.clone().run()).abort_handle();
    }

    /// A minute passes and nothing happens.
    pub(crate) fn tick(&self) {
        self.clock.fetch_add(60_000_000, Ordering::Relaxed);
    }

    /// A connection inside TLS on which nothing was sent.
    pub(crate) fn connect(&self) -> Client {
        let bindings = ChannelBindings::default();
        let transport = Transport::Tls(TlsInfo {
            bindings,
            ..TlsInfo::default()
        });
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Client {
            domain: self.domain,
            connection: Connection::new(&self.engine, peer, transport),
            input: BytesMut::new(),
            received: String::new(),
        }
    }

    /// A bound resource that has sent no presence.
    pub(crate) async fn bind(&self, name: &str, resource: &str) -> Client {
        let mut client = self.connect();
        client.authenticate(name).await;
        let wish = format!("<resource>{resource}</resource>");
        let bind = "urn:ietf:params:xml:ns:xmpp-bind";
        let request = format!("<iq type='set' id='bind'><bind xmlns='{bind}'>{wish}</bind></iq>");
        client.send(&request).await;
        client
    }

    /// An available resource; what its login brought forth is forgotten.
    pub(crate) async fn available(&self, name: &str, resource: &str) -> Client {
        let mut client = self.bind(name, resource).await;
        client.send("<presence/>").await;
        client.take();
        client
    }

    /// The ids of the messages that wait for an account, in order.
    pub(crate) async fn waiting(&self, name: &str) -> Vec<String> {
        let messages = self.stored(name).await;
        messages.iter().map(|stanza| ids(stanza).concat()).collect()
    }

    /// The messages that wait for an account, in order.
    pub(crate) async fn stored(&self, name: &str) -> Vec<String> {
        let messages = self.store.offline(account(name), 0, 1000).await.unwrap();
        messages
            .iter()
            .map(|message| String::from_utf8_lossy(&message.stanza).into_owned())
            .collect()
    }
}

/// A client without a socket.
pub(crate) struct Client {
    domain: &'static str,
    pub(crate) connection: Connection,
    input: BytesMut,
    received: String,
}

impl Client {
    /// Logs in with PLAIN and restarts the stream.
    pub(crate) async fn authenticate(&mut self, name: &str) {
        self.open().await;
        self.send(&plain(name, PASSWORD)).await;
        assert!(self.take().contains("<success"), "{name} cannot log in");
        self.open().await;
        self.take();
    }

    /// Sends a stream header.
    pub(crate) async fn open(&mut self) {
        let header = format!(
            "<stream:stream xmlns='jabber:client' to='{}' version='1.0' xml:lang='de' \
             xmlns:stream='http://etherx.jabber.org/streams'>",
            self.domain
        );
        self.send(&header).await;
    }

    /// Gives the connection bytes and lets it do all it can.
    pub(crate) async fn send(&mut self, xml: &str) {
        self.input.extend_from_slice(xml.as_bytes());
        self.run().await;
    }

    /// Gives the connection bytes, and writes what it answers at once.
    pub(crate) async fn push(&mut self, xml: &str) {
        self.input.extend_from_slice(xml.as_bytes());
        self.connection.handle(&mut self.input).await;
        self.write();
    }

    /// A chat message.
    pub(crate) async fn chat(&mut self, to: &str, id: &str) {
        self.send(&chat(to, id)).await;
    }

    /// Lets the connection do all it can without waiting, as the shell's task does.
    pub(crate) async fn run(&mut self) {
        loop {
            self.connection.handle(&mut self.input).await;
            let held = !self.input.is_empty() && !self.connection.wants_input();
            self.write();
            if held && self.connection.wants_input() {
                continue;
            }
            rest().await;
            let Some(event) = self.connection.event().now_or_never() else {
                return;
            };
            self.connection.on_event(event).await;
            self.write();
        }
    }

    /// Does one thing that is ready, and writes; false if nothing was.
    pub(crate) async fn step(&mut self) -> bool {
        rest().await;
        let Some(event) = self.connection.event().now_or_never() else {
            return false;
        };
        self.connection.on_event(event).await;
        self.write();
        true
    }

    /// Waits for one event and carries it out.
    pub(crate) async fn wait(&mut self) {
        let event = self.connection.event().await;
        self.connection.on_event(event).await;
        self.run().await;
    }

    /// Everything that was received and not yet taken.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.received)
    }

    /// The ids of all that was received and not yet taken.
    pub(crate) async fn ids(&mut self) -> Vec<String> {
        self.run().await;
        ids(&self.take())
    }

    /// Bytes that the connection has not looked at.
    pub(crate) fn unread(&self) -> usize {
        self.input.len()
    }

    /// The server has died: nothing more happens on its side.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }

    /// The transport goes.
    pub(crate) async fn end(self) {
        self.connection.end().await;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.connection.status() == Status::Closing
    }

    fn write(&mut self) {
        // As the shell does: what writes nothing has nothing written.
        if self.connection.output().is_empty() {
            return;
        }
        for bytes in self.connection.output().drain(..) {
            self.received.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.connection.written();
    }
}

/// Lets the server hand over what is on disk.
async fn rest() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn account(name: &str) -> BareJid {
    account_of(name, "localhost")
}

fn account_of(name: &str, domain: &str) -> BareJid {
    BareJid::parse(&format!("{name}@{domain}")).unwrap()
}

pub(crate) fn chat(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>Hi</body></message>")
}

/// The ids of all stanzas, in order.
pub(crate) fn ids(xml: &str) -> Vec<String> {
    let inside = |tag: &&str| tag.starts_with("stanza-id") || tag.starts_with("origin-id");
    let tags = xml.split('<').filter(|tag| !inside(tag));
    tags.filter_map(|tag| tag.split_once(" id=")?.1.split(['\'', '"']).nth(1))
        .map(str::to_owned)
        .collect()
}
