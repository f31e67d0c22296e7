//! A client that logs in and then only moves prepared bytes.

use crate::{Result, secure::DOMAIN};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::BytesMut;
use memchr::memmem;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpSocket,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use waxwing_proto::sasl::{
    Hash,
    client::{ClientBinding, ScramClient, plain},
};

const PASSWORD: &str = "correct horse battery staple";

/// A server and how to reach it.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Direct TLS, or none.
    pub(crate) tls: Option<TlsConnector>,
    /// The bare relay instead of an XMPP server.
    pub(crate) relay: bool,
}

/// What came in one read.
pub(crate) struct Heard {
    /// Messages that ended.
    pub(crate) messages: usize,
    /// An acknowledgement is asked for.
    pub(crate) asked: bool,
    /// Stanzas that the server has handled.
    pub(crate) acknowledged: Option<u32>,
}

/// The `h` of an `<a/>`, with whichever quotes the server writes.
fn acknowledged(element: &[u8]) -> Option<u32> {
    let (_, rest) = element.split_at_checked(memmem::find(element, b" h=")? + 4)?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that is ready for messages.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    tls: bool,
    input: BytesMut,
}

impl Client {
    /// A client that is logged in, over any stream.
    #[cfg(test)]
    pub(crate) fn over(stream: tokio::io::DuplexStream) -> Self {
        Self {
            stream: Box::new(stream),
            tls: false,
            input: BytesMut::new(),
        }
    }

    /// Connects from 127.0.0.`host`, and logs in as `name`, or greets the relay with a partner.
    pub(crate) async fn ready(peer: &Peer, name: &str, partner: &str, host: u8) -> Result<Self> {
        let mut client = Self::connect(peer, host).await?;
        if peer.relay {
            client
                .send(format!("{name} {partner}\n").as_bytes())
                .await?;
            client.until(&[b"ok\n"]).await?;
        } else {
            client.log_in(name).await?;
        }
        client.input = BytesMut::new();
        Ok(client)
    }

    /// Makes the account unless it exists (XEP-0077).
    pub(crate) async fn register(peer: &Peer, name: &str) -> Result<()> {
        if peer.relay {
            return Ok(());
        }
        let mut client = Self::connect(peer, 1).await?;
        client.open().await?;
        let request = format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>{PASSWORD}</password></query></iq>"
        );
        client.send(request.as_bytes()).await?;
        let answers: [&[u8]; 3] = [b"result", b"conflict", b"error"];
        match client.until(&answers).await? {
            0 | 1 => Ok(()),
            _ => Err(client.complaint("registration")),
        }
    }

    async fn connect(peer: &Peer, host: u8) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, host], 0)))?;
        let stream = socket.connect(peer.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &peer.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from(DOMAIN)?, stream).await?),
        };
        Ok(Self {
            stream,
            tls: peer.tls.is_some(),
            input: BytesMut::new(),
        })
    }

    /// RFC 6120 § 4 to § 7.
    async fn log_in(&mut self, name: &str) -> Result<()> {
        let (user, resource) = name.split_once('/').unwrap_or((name, "load"));
        self.open().await?;
        // Where it is offered without TLS, which ours never does, because passwords are kept as they
        // are and the other mechanisms cost a server thousands of rounds of a hash.
        if !self.tls && memmem::find(&self.input, b">PLAIN<").is_some() {
            self.authenticate_plainly(user).await?;
        } else {
            self.authenticate(user, resource).await?;
        }
        self.open().await?;
        let bind = format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        );
        self.send(bind.as_bytes()).await?;
        self.until(&[b"</iq>"]).await?;
        if memmem::find(&self.input, b"</jid>").is_none() {
            return Err(self.complaint("binding"));
        }
        Ok(())
    }

    /// With PLAIN.
    async fn authenticate_plainly(&mut self, user: &str) -> Result<()> {
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
            BASE64.encode(plain(user, PASSWORD))
        );
        self.send(auth.as_bytes()).await?;
        self.succeeds().await
    }

    /// With SCRAM-SHA-1, which every server has.
    async fn authenticate(&mut self, user: &str, resource: &str) -> Result<()> {
        let nonce = format!("nonce-of-{user}-{resource}");
        let binding = ClientBinding::Unsupported;
        let mut scram = ScramClient::new(Hash::Sha1, binding, user, PASSWORD, &nonce);
        let first = BASE64.encode(scram.first());
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>"
        );
        self.send(auth.as_bytes()).await?;
        if self.until(&[b"</challenge>", b"</failure>"]).await? != 0 {
            return Err(self.complaint("login"));
        }
        let last = scram.last(&BASE64.decode(self.text())?)?;
        let response = format!(
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
            BASE64.encode(last)
        );
        self.send(response.as_bytes()).await?;
        self.succeeds().await
    }

    async fn succeeds(&mut self) -> Result<()> {
        // Who has nothing to say with it may write it either way.
        let ends: [&[u8]; 3] = [b"</success>", b"<success ", b"</failure>"];
        match self.until(&ends).await? {
            0 | 1 => Ok(()),
            _ => Err(self.complaint("login")),
        }
    }

    async fn open(&mut self) -> Result<()> {
        let header = format!(
            "<stream:stream to='{DOMAIN}' xmlns='jabber:client' version='1.0' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        self.send(header.as_bytes()).await?;
        self.until(&[b"</stream:features>"]).await?;
        Ok(())
    }

    /// Sends prepared bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Waits for messages and counts their ends.
    pub(crate) async fn count(&mut self, end: &[u8]) -> Result<usize> {
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(self.complaint("the server closed the stream"));
        }
        let mut ends = memmem::find_iter(&self.input, end);
        let mut count = 0;
        let mut last = 0;
        for at in ends.by_ref() {
            count += 1;
            last = at + end.len();
        }
        // A partial end may wait in the rest.
        let _counted = self.input.split_to(last);
        if count > 0 && self.input.is_empty() {
            self.input.clear();
        }
        Ok(count)
    }

    /// Becomes available and asks for stream management with resumption (XEP-0198), so that what
    /// comes from here on counts from zero.
    pub(crate) async fn manage(&mut self) -> Result<()> {
        self.send(b"<presence/>").await?;
        // Its own presence comes back, whole before anything else is sent.
        self.until(&[b"</presence>", b"/>"]).await?;
        let enable = b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
        self.send(enable).await?;
        if self.until(&[b"<enabled ", b"<failed "]).await? != 0 {
            return Err(self.complaint("stream management"));
        }
        while !self.input.ends_with(b">") {
            self.read().await?;
        }
        self.input.clear();
        Ok(())
    }

    /// Waits for something and says what it was. Nothing is lost if it is not waited for to the end.
    pub(crate) async fn hear(&mut self) -> Result<Heard> {
        self.read().await?;
        let whole = memchr::memrchr(b'>', &self.input).map_or(0, |at| at + 1);
        let input = self.input.split_to(whole);
        if memmem::find(&input, b"</stream:stream>").is_some() {
            self.input = input;
            return Err(self.complaint("the server closed the stream"));
        }
        Ok(Heard {
            messages: memmem::find_iter(&input, b"</message>").count(),
            asked: memmem::find(&input, b"<r ").is_some(),
            acknowledged: memmem::rfind(&input, b"<a ")
                .and_then(|at| acknowledged(input.get(at..)?)),
        })
    }

    /// Waits for something and gives what is whole of it.
    pub(crate) async fn take(&mut self) -> Result<BytesMut> {
        self.read().await?;
        let mut whole = 0;
        for end in [&b"</message>"[..], b"</iq>", b"</presence>"] {
            let at = memmem::rfind(&self.input, end).map_or(0, |at| at + end.len());
            whole = whole.max(at);
        }
        Ok(self.input.split_to(whole))
    }

    /// Asks and reads until the answer to this id has come whole; gives everything that came.
    pub(crate) async fn ask(&mut self, request: &str, id: &str) -> Result<BytesMut> {
        self.send(request.as_bytes()).await?;
        let marks = [format!("id='{id}'"), format!("id=\"{id}\"")];
        self.input.clear();
        loop {
            self.read().await?;
            let answered = marks
                .iter()
                .any(|mark| memmem::find(&self.input, mark.as_bytes()).is_some());
            if answered && self.input.ends_with(b"</iq>") {
                return Ok(self.input.split());
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(self.complaint("the server closed the stream")),
            _ => Ok(()),
        }
    }

    /// Reads until one of these has come; says which. What came is kept for [`Self::text`].
    pub(crate) async fn until(&mut self, ends: &[&[u8]]) -> Result<usize> {
        self.input.clear();
        loop {
            for (index, end) in ends.iter().enumerate() {
                if memmem::find(&self.input, end).is_some() {
                    return Ok(index);
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(self.complaint("the server closed the stream"));
            }
        }
    }

    /// The text of the first element in what came last.
    fn text(&self) -> &[u8] {
        let mut parts = self
            .input
            .as_ref()
            .split(|byte| matches!(byte, b'<' | b'>'));
        parts.nth(2).unwrap_or_default()
    }

    fn complaint(&self, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        format!("{what}: {}", String::from_utf8_lossy(&self.input)).into()
    }
}
