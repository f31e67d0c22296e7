//! A client for tests: a wire, a strict reader of what comes, and the steps of a login.

use crate::{
    scenario::{Depth, Login},
    subject::Subject,
    xml::{Element, Escaped, StreamEvent, StreamReader},
};
use std::{collections::VecDeque, io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use waxwing_proto::{
    ns,
    sasl::{
        self, BindingType, ChannelBindings, Hash,
        client::{ClientBinding, ScramClient},
    },
};

/// What carries a stream.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// A connection and what it can be bound to.
pub struct Connected {
    /// Carries the stream.
    pub wire: Box<dyn Wire>,
    /// Channel bindings, empty without TLS.
    pub bindings: ChannelBindings,
}

/// What a client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part of the stream.
    Stream(StreamEvent),
    /// The connection has ended.
    Cut,
    /// The connection has ended, but not TLS: a peer that is gone, or somebody between.
    Torn,
    /// What came is not XML as XMPP wants it.
    Broken(String),
}

/// One connection to the server.
pub struct Client {
    wire: Option<Box<dyn Wire>>,
    bindings: ChannelBindings,
    reader: StreamReader,
    /// Received and not yet looked at.
    pub inbox: VecDeque<Event>,
    /// Address, once bound.
    pub jid: Option<String>,
    /// Whether initial presence was sent by [`Client::log_in`].
    pub available: bool,
    /// Whether an element was begun that is not complete.
    pub unfinished: bool,
    state: State,
}

/// How far the server's side has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Open,
    /// Its end tag has come.
    Closed,
    /// The connection has ended, or cannot be read on.
    Cut,
}

impl Client {
    /// A client over a fresh connection; nothing is sent yet.
    pub fn new(connected: Connected) -> Self {
        Self {
            wire: Some(connected.wire),
            bindings: connected.bindings,
            reader: StreamReader::default(),
            inbox: VecDeque::new(),
            jid: None,
            available: false,
            unfinished: false,
            state: State::Open,
        }
    }

    /// Whether stanzas can be sent and answered.
    pub fn is_live(&self) -> bool {
        self.jid.is_some() && !self.unfinished && self.state == State::Open
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let wire = self
            .wire
            .as_mut()
            .ok_or("the connection has been dropped")?;
        wire.write_all(bytes).await.map_err(|e| e.to_string())?;
        wire.flush().await.map_err(|e| e.to_string())
    }

    /// The next event; `None` if there is none within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Event> {
        if let Some(event) = self.inbox.pop_front() {
            return Some(event);
        }
        self.read(patience).await
    }

    /// Reads past what is in the inbox.
    pub async fn read(&mut self, patience: Duration) -> Option<Event> {
        let deadline = Instant::now() + patience;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match self.reader.next_event() {
                Ok(Some(event)) => {
                    if event == StreamEvent::Close {
                        self.state = self.state.max(State::Closed);
                    }
                    return Some(Event::Stream(event));
                }
                Ok(None) => {}
                Err(reason) => {
                    // Report once; what follows cannot be read.
                    self.reader = StreamReader::default();
                    self.state = State::Cut;
                    return Some(Event::Broken(reason));
                }
            }
            if self.state == State::Cut {
                return None;
            }
            let wire = self.wire.as_mut()?;
            match timeout_at(deadline, wire.read(&mut buffer)).await {
                Err(_) => return None,
                // RFC 6120 § 4.4: TLS ends with close_notify, or it may have been cut by others.
                Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.state = State::Cut;
                    return Some(Event::Torn);
                }
                Ok(Ok(0) | Err(_)) => {
                    self.state = State::Cut;
                    return Some(Event::Cut);
                }
                Ok(Ok(count)) => self.reader.push(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Lets the connection go without a word.
    pub fn drop_wire(&mut self) {
        self.wire = None;
        self.state = State::Cut;
    }

    /// A stream header went or will go: what comes next is a new document.
    pub fn expect_new_stream(&mut self) {
        self.reader = StreamReader::default();
    }

    /// After `<proceed/>`: the handshake.
    pub async fn start_tls(&mut self, subject: &Subject) -> Result<(), String> {
        if self.reader.has_unread() {
            return Err("the server sent more in clear after <proceed/>".into());
        }
        let wire = self.wire.take().ok_or("the connection has been dropped")?;
        let connected = subject.upgrade(wire).await?;
        self.wire = Some(connected.wire);
        self.bindings = connected.bindings;
        self.expect_new_stream();
        Ok(())
    }

    /// Logs in as far as `login` says. `Ok(Some(condition))` is a SASL failure.
    pub async fn log_in(
        &mut self,
        subject: &Subject,
        (user, resource): (&str, &str),
        login: &Login,
    ) -> Result<Option<String>, String> {
        let domain = subject.domain();
        let patience = subject.patience();
        let mut features = self.open_stream(domain, patience).await?;
        if login.starttls {
            features
                .child("starttls", ns::TLS)
                .ok_or("STARTTLS is not offered")?;
            self.send(format!("<starttls xmlns='{}'/>", ns::TLS).as_bytes())
                .await?;
            self.element(patience, "proceed", ns::TLS).await?;
            self.start_tls(subject).await?;
            features = self.open_stream(domain, patience).await?;
        }
        let password = login
            .password
            .clone()
            .unwrap_or_else(|| subject.password(user));
        let mechanism = choose(&features, login.mechanism.as_deref())?;
        if let Some(failure) = self
            .authenticate(&mechanism, user, &password, patience)
            .await?
        {
            return Ok(Some(failure));
        }
        let features = self.open_stream(domain, patience).await?;
        if login.depth >= Depth::Bound {
            features
                .child("bind", ns::BIND)
                .ok_or("resource binding is not offered")?;
            self.bind(resource, patience).await?;
        }
        if login.depth >= Depth::Available {
            self.become_available(login.priority, patience).await?;
        }
        Ok(None)
    }

    /// Sends a header; gives the features.
    pub async fn open_stream(
        &mut self,
        domain: &str,
        patience: Duration,
    ) -> Result<Element, String> {
        self.send(header(domain).as_bytes()).await?;
        match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Open(_))) => {}
            other => return Err(format!("no stream header: {other:?}")),
        }
        self.element(patience, "features", ns::STREAM).await
    }

    /// The next thing must be this element.
    async fn element(
        &mut self,
        patience: Duration,
        name: &str,
        ns: &str,
    ) -> Result<Element, String> {
        match self.next(patience).await {
            Some(Event::Stream(StreamEvent::Element(element))) if element.is(name, ns) => {
                Ok(element)
            }
            Some(Event::Stream(StreamEvent::Element(element))) => {
                Err(format!("<{name}> expected, got\n{element}"))
            }
            other => Err(format!("<{name}> expected, got {other:?}")),
        }
    }

    /// SASL of RFC 6120 with a mechanism that [`choose`] gave; `Ok(Some(condition))` is a failure of
    /// it. A new stream follows.
    pub async fn authenticate(
        &mut self,
        mechanism: &str,
        user: &str,
        password: &str,
        patience: Duration,
    ) -> Result<Option<String>, String> {
        let mut scram = self.scram(mechanism, user, password)?;
        let initial = match &scram {
            Some(scram) => scram.first(),
            None => sasl::client::plain(user, password),
        };
        let auth = format!(
            "<auth xmlns='{}' mechanism='{mechanism}'>{}</auth>",
            ns::SASL,
            sasl::encode(&initial)
        );
        self.send(auth.as_bytes()).await?;
        loop {
            let Some(Event::Stream(StreamEvent::Element(element))) = self.next(patience).await
            else {
                return Err("no answer to <auth/>".into());
            };
            let data = sasl::decode(element.text().trim()).map_err(|e| format!("{e:?}"))?;
            match (element.name.1.as_str(), &mut scram) {
                ("challenge", Some(scram)) => {
                    let response = scram.last(&data).map_err(|e| e.to_string())?;
                    let response = format!(
                        "<response xmlns='{}'>{}</response>",
                        ns::SASL,
                        sasl::encode(&response)
                    );
                    self.send(response.as_bytes()).await?;
                }
                ("success", Some(scram)) => {
                    scram.finish(&data).map_err(|e| e.to_string())?;
                    self.expect_new_stream();
                    return Ok(None);
                }
                ("success", None) => {
                    self.expect_new_stream();
                    return Ok(None);
                }
                ("failure", _) => {
                    let condition = element.children().next().map(|child| child.name.1.clone());
                    return Ok(Some(condition.unwrap_or_default()));
                }
                _ => return Err(format!("unexpected during SASL:\n{element}")),
            }
        }
    }

    fn scram(
        &self,
        mechanism: &str,
        user: &str,
        password: &str,
    ) -> Result<Option<ScramClient>, String> {
        let (family, plus) = match mechanism.strip_suffix("-PLUS") {
            Some(family) => (family, true),
            None => (mechanism, false),
        };
        let hash = match family {
            "PLAIN" => return Ok(None),
            "SCRAM-SHA-1" => Hash::Sha1,
            "SCRAM-SHA-256" => Hash::Sha256,
            "SCRAM-SHA-512" => Hash::Sha512,
            _ => return Err(format!("the test client does not know {mechanism}")),
        };
        let binding = if plus {
            let (kind, data) = [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
                .into_iter()
                .find_map(|kind| Some((kind, self.bindings.data(kind)?.to_owned())))
                .ok_or("there is nothing to bind to")?;
            ClientBinding::Bound(kind, data)
        } else {
            ClientBinding::Unsupported
        };
        // Only the server's nonce needs to be fresh in a test.
        let nonce = "fyko+d2lbbFgONRv9qkxdawL";
        Ok(Some(ScramClient::new(hash, binding, user, password, nonce)))
    }

    /// Binds the resource, or one of the server's choice if it is empty (RFC 6120 § 7).
    pub async fn bind(&mut self, resource: &str, patience: Duration) -> Result<(), String> {
        let wish = if resource.is_empty() {
            String::new()
        } else {
            format!("<resource>{}</resource>", Escaped(resource))
        };
        let request = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'>{wish}</bind></iq>",
            ns::BIND
        );
        self.send(request.as_bytes()).await?;
        let result = self.element(patience, "iq", ns::CLIENT).await?;
        let jid = result
            .child("bind", ns::BIND)
            .and_then(|bind| bind.child("jid", ns::BIND))
            .ok_or_else(|| format!("binding failed:\n{result}"))?;
        self.jid = Some(jid.text());
        Ok(())
    }

    async fn become_available(
        &mut self,
        priority: Option<i8>,
        patience: Duration,
    ) -> Result<(), String> {
        let get = format!(
            "<iq type='get' id='roster'><query xmlns='{}'/></iq>",
            ns::ROSTER
        );
        self.send(get.as_bytes()).await?;
        let result = self.element(patience, "iq", ns::CLIENT).await?;
        if result.attr("type") != Some("result") {
            return Err(format!("no roster:\n{result}"));
        }
        let presence = match priority {
            None => "<presence/>".to_owned(),
            Some(priority) => format!("<presence><priority>{priority}</priority></presence>"),
        };
        self.available = true;
        self.send(presence.as_bytes()).await
    }
}

/// The header of a client's stream.
pub fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='{}' \
         xmlns:stream='{}'>",
        ns::CLIENT,
        ns::STREAM
    )
}

/// The mechanism wished for, or the best one that is offered and quick.
pub fn choose(features: &Element, wish: Option<&str>) -> Result<String, String> {
    let offered: Vec<String> = features
        .child("mechanisms", ns::SASL)
        .ok_or("SASL is not offered")?
        .children()
        .map(Element::text)
        .collect();
    let wanted: &[&str] = match &wish {
        Some(wish) => &[wish],
        None => &["SCRAM-SHA-256", "SCRAM-SHA-1"],
    };
    wanted
        .iter()
        .find(|name| offered.iter().any(|offer| offer == *name))
        .map(|name| (*name).to_owned())
        .ok_or_else(|| format!("{wanted:?} not offered, but {offered:?}"))
}
