//! A server in memory, and people at wires: what of a connection is not the engine's, as tasks of
//! the model checker.

use crate::environment::{CountingRandom, FixedClock, PASSWORD, START, plain};
use bytes::BytesMut;
use shuttle::{
    future::{JoinHandle, spawn},
    sync::Mutex,
};
use std::{
    future::poll_fn,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};
use waxwing_engine::{Connection, Engine, Env, Event, Settings, Status, env};
use waxwing_proto::{
    BareJid,
    sasl::{ChannelBindings, Verifiers},
    stream::{TlsInfo, Transport},
};
use waxwing_store::{
    Accounts as _, MemoryStore, Micros, Offline as _, RosterItem, Rosters as _, Subscription,
};

const SM: &str = "urn:xmpp:sm:3";
/// Who there is. Everybody sees everybody else.
const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Made once: it is slow on purpose.
static VERIFIERS: LazyLock<Verifiers> =
    LazyLock::new(|| Verifiers::derive(PASSWORD, b"sixteen bytes of", 8).unwrap());

/// A server for `localhost`.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<MemoryStore>,
    clock: Arc<AtomicI64>,
}

impl Server {
    /// One that does nothing by itself before [`Server::run`].
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        for name in NAMES {
            let created = store.account_create(account(name), VERIFIERS.clone(), START);
            created.await.unwrap();
        }
        for (name, contact) in [("bob", "alice"), ("bob", "carol")] {
            befriend(&store, name, contact).await;
            befriend(&store, contact, name).await;
        }
        let mut settings = Settings::for_domain("localhost");
        settings.limits.scram_iterations = 8;
        let clock = Arc::new(AtomicI64::new(START));
        let env = Env::new(FixedClock(clock.clone()), CountingRandom(AtomicU64::new(1)));
        let engine = Engine::new(env, store.clone(), settings).await.unwrap();
        Self {
            engine,
            store,
            clock,
        }
    }

    /// From now on it delivers, and ends what has expired.
    pub(crate) fn run(&self) {
        drop(spawn(self.engine.clone().run()));
    }

    /// So much time passes.
    pub(crate) fn pass(&self, time: std::time::Duration) {
        let micros = Micros::try_from(time.as_micros()).unwrap();
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }

    /// Somebody who has logged in and not bound a resource. Nothing happens at the wire before
    /// [`Person::serve`].
    pub(crate) async fn log_in(&self, name: &str) -> Person {
        let bindings = ChannelBindings::default();
        let transport = Transport::Tls(TlsInfo {
            bindings,
            ..TlsInfo::default()
        });
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let wire = Arc::new(Wire::default());
        let mut person = Person {
            connection: Some(Connection::new(&self.engine, peer, transport)),
            wire,
            task: None,
        };
        let header = "<stream:stream xmlns='jabber:client' to='localhost' version='1.0' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        for xml in [header, &plain(name, PASSWORD), header] {
            person.say(xml).await;
        }
        person.take();
        person
    }

    /// Somebody who is here, under the name of a resource.
    pub(crate) async fn available(&self, name: &str, resource: &str) -> Person {
        let mut person = self.log_in(name).await;
        person.say(&bind(resource)).await;
        person.say("<presence/>").await;
        person.take();
        person
    }

    /// The same with a session that can be resumed; gives its id.
    pub(crate) async fn resumable(&self, name: &str, resource: &str) -> (Person, String) {
        let mut person = self.log_in(name).await;
        person.say(&bind(resource)).await;
        person
            .say(&format!("<enable xmlns='{SM}' resume='true'/>"))
            .await;
        let enabled = person.wire.lock().received.clone();
        let id = enabled.split(" id='").nth(2).unwrap_or_default();
        let id = id.split('\'').next().unwrap_or_default().to_owned();
        assert!(!id.is_empty(), "{enabled}");
        person.say("<presence/>").await;
        (person, id)
    }

    /// The ids of the messages that wait for an account.
    pub(crate) async fn waiting(&self, name: &str) -> Vec<String> {
        let all = self.store.offline(account(name), 0, 1000).await.unwrap();
        let all = all.iter();
        all.flat_map(|message| ids(&String::from_utf8_lossy(&message.stanza)))
            .collect()
    }
}

/// A client at its wire.
pub(crate) struct Person {
    /// Until somebody serves it.
    connection: Option<Connection>,
    pub(crate) wire: Arc<Wire>,
    task: Option<JoinHandle<()>>,
}

impl Person {
    /// Says something before anybody serves the connection, and waits for all that comes of it.
    async fn say(&mut self, xml: &str) {
        let connection = self.connection.as_mut().unwrap();
        let mut input = BytesMut::from(xml);
        connection.handle(&mut input).await;
        self.wire.write(connection);
        while let Some(event) = now(connection) {
            connection.on_event(event).await;
            connection.handle(&mut input).await;
            self.wire.write(connection);
        }
    }

    /// A task serves the connection from now on.
    pub(crate) fn serve(&mut self) {
        let connection = self.connection.take().unwrap();
        self.task = Some(spawn(serve(connection, self.wire.clone())));
    }

    /// Sends something, which the server reads when it does.
    pub(crate) fn send(&self, xml: &str) {
        let mut state = self.wire.lock();
        state.sent.extend_from_slice(xml.as_bytes());
        state.wake_server();
    }

    /// Everything that was received and not yet taken.
    fn take(&self) -> String {
        std::mem::take(&mut self.wire.lock().received)
    }

    /// Waits until what was received satisfies `done`, or the server has closed the stream.
    pub(crate) async fn until(&self, done: impl Fn(&str) -> bool) -> String {
        poll_fn(|cx| {
            let mut state = self.wire.lock();
            if state.over || done(&state.received) {
                return Poll::Ready(state.received.clone());
            }
            state.client = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until the server has nothing to do for the connection, and gives what was received. Only
    /// when nobody else does anything.
    pub(crate) async fn at_rest(&self) -> String {
        poll_fn(|cx| {
            let mut state = self.wire.lock();
            if state.over || state.idle && state.sent.is_empty() {
                return Poll::Ready(state.received.clone());
            }
            state.client = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Reads nothing more; the server knows nothing of that. Gives what was received.
    pub(crate) fn turn_away(&self) -> String {
        let mut state = self.wire.lock();
        state.away = true;
        state.received.clone()
    }

    /// Closes the stream, and reads on until the server has.
    pub(crate) fn close(&self) {
        self.send("</stream:stream>");
    }

    /// The connection breaks, and the server notices when it looks.
    pub(crate) fn cut(&self) {
        let mut state = self.wire.lock();
        state.away = true;
        state.cut = true;
        state.wake_server();
    }

    /// Waits until the server has done with the connection. Gives what was received.
    pub(crate) async fn ended(self) -> String {
        if let Some(task) = self.task {
            task.await.unwrap();
        }
        self.wire.lock().received.clone()
    }
}

/// What is between a client and the task that serves it.
#[derive(Default)]
pub(crate) struct Wire(Mutex<Ends>);

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Ends {
    /// What the client has sent and the server has not read.
    sent: BytesMut,
    received: String,
    /// The client does not read any more.
    away: bool,
    /// The server's end is broken.
    cut: bool,
    /// The server waits for something.
    idle: bool,
    /// The server has closed its end.
    over: bool,
    server: Option<Waker>,
    client: Option<Waker>,
}

impl Ends {
    fn wake_server(&mut self) {
        if let Some(waker) = self.server.take() {
            waker.wake();
        }
    }

    fn wake_client(&mut self) {
        if let Some(waker) = self.client.take() {
            waker.wake();
        }
    }
}

impl Wire {
    fn lock(&self) -> shuttle::sync::MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }

    fn write(&self, connection: &mut Connection) {
        // As the shell does: what writes nothing has nothing written.
        if connection.output().is_empty() {
            return;
        }
        let mut ends = self.lock();
        for bytes in connection.output().drain(..) {
            if !ends.away {
                ends.received.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        ends.wake_client();
        drop(ends);
        connection.written();
    }

    /// What has been sent, or nothing if the connection has broken.
    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<BytesMut>> {
        let mut ends = self.lock();
        ends.idle = false;
        if ends.cut {
            return Poll::Ready(None);
        }
        if !ends.sent.is_empty() {
            return Poll::Ready(Some(ends.sent.split()));
        }
        ends.server = Some(cx.waker().clone());
        Poll::Pending
    }
}

enum Turn {
    Event(Event),
    Read(Option<BytesMut>),
}

/// What the shell's task does for a connection.
async fn serve(mut connection: Connection, wire: Arc<Wire>) {
    let mut input = BytesMut::new();
    loop {
        connection.handle(&mut input).await;
        wire.write(&mut connection);
        if connection.status() == Status::Closing {
            break;
        }
        if !input.is_empty() && connection.wants_input() {
            continue;
        }
        let wants_input = connection.wants_input();
        let turn = {
            let mut event = pin!(connection.event());
            poll_fn(|cx| {
                if let Poll::Ready(event) = event.as_mut().poll(cx) {
                    return Poll::Ready(Turn::Event(event));
                }
                if wants_input && let Poll::Ready(read) = wire.poll_read(cx) {
                    return Poll::Ready(Turn::Read(read));
                }
                let mut ends = wire.lock();
                ends.idle = true;
                ends.wake_client();
                Poll::Pending
            })
            .await
        };
        match turn {
            Turn::Event(event) => {
                connection.on_event(event).await;
                wire.write(&mut connection);
            }
            Turn::Read(Some(bytes)) => input.extend_from_slice(&bytes),
            Turn::Read(None) => break,
        }
    }
    {
        let mut ends = wire.lock();
        ends.over = true;
        ends.wake_client();
    }
    connection.end().await;
}

/// An event that is there.
fn now(connection: &mut Connection) -> Option<Event> {
    let mut event = pin!(connection.event());
    match event.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

pub(crate) fn resume(id: &str, h: usize) -> String {
    format!("<resume xmlns='{SM}' previd='{id}' h='{h}'/>")
}

pub(crate) fn acknowledge(h: usize) -> String {
    format!("<a xmlns='{SM}' h='{h}'/>")
}

pub(crate) fn bind(resource: &str) -> String {
    let bind = "urn:ietf:params:xml:ns:xmpp-bind";
    let wish = format!("<resource>{resource}</resource>");
    format!("<iq type='set' id='bind'><bind xmlns='{bind}'>{wish}</bind></iq>")
}

pub(crate) fn chat(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>Hi</body></message>")
}

pub(crate) fn ping(to: &str, id: &str) -> String {
    format!("<iq type='get' id='{id}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

/// How many stanzas came after acknowledgements were enabled or resumed, as the client counts them
/// (XEP-0198 § 4).
pub(crate) fn count(received: &str) -> usize {
    let sm = ["<enabled ", "<resumed "];
    let start = sm.iter().find_map(|tag| received.find(tag));
    let rest = start.map_or("", |start| &received[start..]);
    let stanzas = ["<message", "<iq", "<presence"];
    stanzas.iter().map(|tag| rest.matches(tag).count()).sum()
}

/// The ids of the messages and requests, in order, without errors; and of the errors.
pub(crate) fn sorted(received: &str) -> (Vec<String>, Vec<String>) {
    let (mut stanzas, mut errors) = (Vec::new(), Vec::new());
    for kind in received.split('<') {
        if !kind.starts_with("message ") && !kind.starts_with("iq ") {
            continue;
        }
        let attr = |name: &str| {
            let value = kind.split(&format!(" {name}=")).nth(1)?;
            value.split(['\'', '"']).nth(1).map(str::to_owned)
        };
        let (id, kind) = (attr("id").unwrap_or_default(), attr("type"));
        match kind.as_deref() {
            Some("error") => errors.push(id),
            Some("result") => {}
            _ => stanzas.push(id),
        }
    }
    (stanzas, errors)
}

/// The ids of messages and requests that are no errors, in order.
pub(crate) fn ids(received: &str) -> Vec<String> {
    sorted(received).0
}

/// How many of the client's stanzas the server says to have handled.
pub(crate) fn handled(received: &str) -> Option<usize> {
    let resumed = received.split("<resumed ").nth(1)?.split('>').next()?;
    let h = resumed
        .split(" h='")
        .nth(1)
        .or(resumed.strip_prefix("h='"))?;
    h.split('\'').next()?.parse().ok()
}

async fn befriend(store: &MemoryStore, name: &str, contact: &str) {
    let version = store.roster(account(name)).await.unwrap().version;
    let item = RosterItem {
        jid: account(contact),
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::Both,
        ask: false,
        approved: false,
        request: None,
        listed: true,
    };
    let put = store.roster_put(account(name), version, item, 9);
    put.await.unwrap();
}

fn account(name: &str) -> BareJid {
    BareJid::parse(&format!("{name}@localhost")).unwrap()
}
