//! A client for tests: a wire and a strict reader of what comes.

mod component;
mod login;

pub use login::choose;

use crate::{
    subject::Subject,
    xml::{StreamEvent, StreamReader},
};
use std::{collections::VecDeque, io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use waxwing_proto::{ns, sasl::ChannelBindings};

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
    /// Whether it is an external component, by [`Client::attach`].
    pub is_component: bool,
    /// Whether initial presence was sent by [`Client::log_in`].
    pub available: bool,
    /// How often it has asked by `<r/>` and was not answered yet; only where acknowledgements have
    /// been enabled (XEP-0198), and each stanza counts.
    pub questions: Option<usize>,
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
            is_component: false,
            available: false,
            questions: None,
            unfinished: false,
            state: State::Open,
        }
    }

    /// Whether stanzas can be sent and answered.
    pub fn is_live(&self) -> bool {
        let stands = self.jid.is_some() || self.questions.is_some();
        stands && !self.unfinished && self.state == State::Open
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

    fn note_acknowledgements(&mut self, event: &StreamEvent) {
        let StreamEvent::Element(element) = event else {
            return;
        };
        let bound = element.child("bound", ns::BIND2);
        let begins = ["enabled", "resumed"].iter().any(|name| {
            element.is(name, ns::SM)
                || element.child(name, ns::SM).is_some()
                || bound.is_some_and(|bound| bound.child(name, ns::SM).is_some())
        });
        if begins {
            self.questions.get_or_insert_default();
        }
        if let Some(questions) = &mut self.questions
            && element.is("a", ns::SM)
        {
            *questions = questions.saturating_sub(1);
        }
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
                    let event = event.in_client_ns();
                    self.note_acknowledgements(&event);
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

    /// Ends the connection without a word of XMPP, and waits until the server has noticed: it ends
    /// its side when it is done with the session.
    pub async fn hang_up(&mut self, patience: Duration) -> Result<(), String> {
        if let Some(wire) = &mut self.wire {
            // The server may be gone already.
            let _ = wire.shutdown().await;
        }
        self.see_end(patience).await?;
        self.drop_wire();
        Ok(())
    }

    /// Reads on until the server has ended the connection, which it does when it is done with the
    /// session.
    pub async fn see_end(&mut self, patience: Duration) -> Result<(), String> {
        while self.state != State::Cut {
            if self.wire.is_none() {
                return Ok(());
            }
            if self.read(patience).await.is_none() && self.state != State::Cut {
                return Err("the server does not end the connection".into());
            }
        }
        Ok(())
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
