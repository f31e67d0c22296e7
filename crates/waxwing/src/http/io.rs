//! A [`Transport`] as hyper wants it.

use crate::net::transport::{Received, Transport};
use bytes::{Buf as _, BytesMut};
use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a peer may take to end its direction after we have ended ours: closing with unread bytes
/// would reset the connection and could destroy an answer that the peer has not read.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A transport and what was read from it.
pub(super) struct HttpIo {
    transport: Transport,
    input: BytesMut,
    /// Whether the peer has ended its direction.
    ended: bool,
    /// How long the peer may take nothing.
    patience: Duration,
    /// When that ends, while it takes nothing.
    deadline: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

enum Closing {
    No,
    /// Our last bytes are on their way.
    Flushing,
    /// The peer has to end its direction by then.
    Draining(Pin<Box<Sleep>>),
}

impl HttpIo {
    pub(super) fn new(transport: Transport, input: BytesMut, patience: Duration) -> Self {
        Self {
            transport,
            input,
            ended: false,
            patience,
            deadline: None,
            closing: Closing::No,
        }
    }

    /// The transport, and what was read from it and not yet asked for.
    pub(super) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.input)
    }

    /// Waits until the socket may take something, at most for [`Self::patience`].
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(done) = self.transport.poll_writable(cx) {
            self.deadline = None;
            return Poll::Ready(done);
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Reads until there is something, or the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.input.is_empty() && !self.ended {
            ready!(self.transport.poll_readable(cx))?;
            self.ended = self.transport.read(&mut self.input)? == Received::End;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_fill(cx))?;
        let count = this.input.len().min(buffer.remaining());
        buffer.put_slice(this.input.get(..count).unwrap_or_default());
        this.input.advance(count);
        if this.input.is_empty() {
            // An idle connection keeps no buffer.
            this.input = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HttpIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match this.transport.offer(bytes) {
                Ok(0) if !bytes.is_empty() => match this.transport.push() {
                    Ok(()) => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(this.poll_writable(cx))?;
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.transport.push() {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(this.poll_writable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::No) {
            self.transport.say_end();
            self.closing = Closing::Flushing;
        }
        if matches!(self.closing, Closing::Flushing) {
            ready!(self.as_mut().poll_flush(cx))?;
            ready!(self.transport.poll_end(cx))?;
            self.closing = Closing::Draining(Box::pin(sleep(CLOSE_PATIENCE)));
        }
        let this = self.get_mut();
        if let Closing::Draining(deadline) = &mut this.closing
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        while !this.ended {
            this.input.clear();
            if ready!(this.poll_fill(cx)).is_err() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
