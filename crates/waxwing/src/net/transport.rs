//! One socket with or without TLS, driven by readiness.
//!
//! Nothing is allocated for a connection that waits: bytes are read when they are there, into a
//! buffer that the caller drops when it is empty, and output is encrypted when it is written.

use super::tls::{Role, Setup, speaks_http, speaks_server};
use bytes::{Buf as _, Bytes, BytesMut};
use rustls::Connection;
use std::collections::VecDeque;
use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use waxwing_proto::stream::TlsInfo;

/// Bytes taken in one turn: one busy peer must not hold its worker for long.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes that rustls asks the socket for when it holds no part of a record; less came if the socket
/// is empty.
const TLS_READ_BYTES: usize = 4 * 1024;
/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Transport {
    tcp: TcpStream,
    tls: Option<Box<Connection>>,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// Some bytes or none; the peer is still there.
    More,
    /// The peer has ended its direction.
    End,
}

impl Transport {
    /// A socket without TLS.
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// Does the TLS handshake. Computation happens only with a permit of `gate`, so
    /// that a flood of handshakes leaves workers to those who are logged in. What the client sent
    /// right behind its last handshake message is put into `input`.
    pub(crate) async fn start_tls(
        &mut self,
        (setup, role): (&Setup, &Role),
        gate: &Semaphore,
        input: &mut BytesMut,
    ) -> io::Result<TlsInfo> {
        let mut tls = Box::new(setup.connection(role)?);
        let done = handshake(&mut self.tcp, &mut tls, gate).await;
        if let Err(error) = done {
            // The alert tells the peer why; if it does not fit the socket now it is not worth waiting.
            _ = tls.write_tls(&mut Socket(&mut self.tcp));
            return Err(error);
        }
        // The socket may never become readable for these: they have been read already.
        take_plaintext(&mut tls, input)?;
        let info = setup.info(&tls);
        self.tls = Some(tls);
        Ok(info)
    }

    /// Whether the client has asked for HTTP in its handshake.
    pub(crate) fn speaks_http(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| speaks_http(tls))
    }

    /// Whether streams between servers were agreed on in the handshake.
    pub(crate) fn speaks_server(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| speaks_server(tls))
    }

    /// Waits until there may be something to read. Cancel-safe.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.tcp.readable().await
    }

    /// Takes what is there, without waiting. Whatever TLS has decrypted is in `input` afterwards.
    pub(crate) fn read(&mut self, input: &mut BytesMut) -> io::Result<Received> {
        let Some(tls) = &mut self.tls else {
            return read_plain(&self.tcp, input);
        };
        let begin = input.len();
        while input.len() - begin < READ_BYTES_MAX {
            let count = match tls.read_tls(&mut Socket(&mut self.tcp)) {
                Ok(0) => return Ok(Received::End),
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            };
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    _ = tls.write_tls(&mut Socket(&mut self.tcp));
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            };
            take_plaintext(tls, input)?;
            if state.peer_has_closed() {
                return Ok(Received::End);
            }
            if count < TLS_READ_BYTES {
                break;
            }
        }
        Ok(Received::More)
    }

    /// Writes everything in the queue. Fails when the peer takes nothing for `patience`.
    pub(crate) async fn write(
        &mut self,
        queue: &mut VecDeque<Bytes>,
        patience: Duration,
    ) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            while !queue.is_empty() {
                let written = self.tcp.try_write_vectored(&slices(queue));
                match written {
                    Ok(written) => advance(queue, written),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        writable(&self.tcp, patience).await?;
                    }
                    Err(e) => return Err(e),
                }
            }
            return Ok(());
        };
        loop {
            if !queue.is_empty() {
                // One call for many stanzas: rustls puts them into common records, up to its limit.
                let taken = tls.writer().write_vectored(&slices(queue))?;
                advance(queue, taken);
            }
            if !tls.wants_write() && queue.is_empty() {
                return Ok(());
            }
            match tls.write_tls(&mut Socket(&mut self.tcp)) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    writable(&self.tcp, patience).await?;
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether TLS has something of its own to say (a key update), which [`Transport::write`] sends.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Becomes ready when there may be something to read.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_read_ready(cx)
    }

    /// Becomes ready when the socket may take something.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(cx)
    }

    /// Takes some of these bytes without waiting; 0 if TLS holds as much as it may, which
    /// [`Transport::push`] sends.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.writer().write(bytes),
            None => self.tcp.try_write(bytes),
        }
    }

    /// Sends what TLS holds, without waiting.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            tls.write_tls(&mut Socket(&mut self.tcp))?;
        }
        Ok(())
    }

    /// Says that nothing more comes from us; [`Transport::push`] sends it.
    pub(crate) fn say_end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }

    /// Ends our direction of the socket.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.tcp), cx)
    }

    /// Ends our direction and waits for the peer to end its own, at most for `patience`: closing
    /// with unread bytes would reset the connection and could destroy what the peer has not read.
    pub(crate) async fn close(mut self, patience: Duration) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        _ = self.write(&mut VecDeque::new(), patience).await;
        let Self { mut tcp, .. } = self;
        if tokio::io::AsyncWriteExt::shutdown(&mut tcp).await.is_err() {
            return;
        }
        let drained = async {
            let mut waste = [0; 1024];
            while tcp.readable().await.is_ok() {
                match tcp.try_read(&mut waste) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        _ = timeout(patience, drained).await;
    }
}

async fn handshake(tcp: &mut TcpStream, tls: &mut Connection, gate: &Semaphore) -> io::Result<()> {
    loop {
        while tls.wants_write() {
            match tls.write_tls(&mut Socket(&mut *tcp)) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => tcp.writable().await?,
                Err(e) => return Err(e),
            }
        }
        if !tls.is_handshaking() {
            return Ok(());
        }
        tcp.readable().await?;
        let _permit = gate.acquire().await.map_err(io::Error::other)?;
        match tls.read_tls(&mut Socket(&mut *tcp)) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        }
        tls.process_new_packets()
            .map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
    }
}

fn read_plain(tcp: &TcpStream, input: &mut BytesMut) -> io::Result<Received> {
    let mut buffer = [0; 4096];
    match tcp.try_read(&mut buffer) {
        Ok(0) => Ok(Received::End),
        Ok(count) => {
            input.extend_from_slice(buffer.get(..count).unwrap_or_default());
            Ok(Received::More)
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Received::More),
        Err(e) => Err(e),
    }
}

fn take_plaintext(tls: &mut Connection, input: &mut BytesMut) -> io::Result<()> {
    let mut reader = tls.reader();
    loop {
        let chunk = match reader.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(chunk) => chunk,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The peer has closed without close_notify; a stream has its own end tag.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        };
        input.extend_from_slice(chunk);
        let count = chunk.len();
        reader.consume(count);
    }
}

async fn writable(tcp: &TcpStream, patience: Duration) -> io::Result<()> {
    timeout(patience, tcp.writable())
        .await
        .map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}

fn slices(queue: &VecDeque<Bytes>) -> smallvec::SmallVec<[IoSlice<'_>; SLICES_MAX]> {
    queue
        .iter()
        .take(SLICES_MAX)
        .map(|bytes| IoSlice::new(bytes))
        .collect()
}

/// Removes the first `count` bytes.
fn advance(queue: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(front) = queue.front_mut() {
        if front.len() > count {
            front.advance(count);
            return;
        }
        count -= front.len();
        queue.pop_front();
    }
}

/// The socket as rustls wants it: never waits, says `WouldBlock`.
struct Socket<'a>(&'a mut TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not try_read: poll_read knows that a read which did not fill the buffer has emptied the
        // socket, which spares a system call for each stanza. Nobody is woken by this context; those
        // who wait use [`Transport::readable`].
        let mut nobody = Context::from_waker(Waker::noop());
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.0).poll_read(&mut nobody, &mut buffer) {
            Poll::Ready(done) => done.map(|()| buffer.filled().len()),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
