//! The bare relay: reads frames from one socket and writes them to another, and does nothing else.
//! What it costs is what the kernel, tokio and TLS cost; no server of this shape can cost less.
//!
//! A client begins with a line, its own name and its partner's; after that, every `</message>` ends
//! a frame that goes to the partner. Built like the server: one task per connection, a queue to it.

use crate::{Result, secure};
use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use std::{
    collections::HashMap,
    future::poll_fn,
    mem::MaybeUninit,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// What ends a frame.
pub(crate) const END: &[u8] = b"</message>";

type Table = Arc<Mutex<HashMap<String, UnboundedSender<Bytes>>>>;

/// Serves on two ports of loopback and prints them.
pub(crate) async fn serve(folder: &Path) -> Result<()> {
    let table = Table::default();
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    let tls = TcpListener::bind("127.0.0.1:0").await?;
    let lines = format!("plain {}\ntls {}\n", plain.local_addr()?, tls.local_addr()?);
    // In one piece, and so in one write: who has read the line it wanted may close the pipe.
    print!("{lines}");
    let acceptor = secure::server(folder)?;
    let plain_table = table.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = plain.accept().await {
            let _as_the_server_does = socket.set_nodelay(true);
            tokio::spawn(connection(socket, plain_table.clone()));
        }
    });
    loop {
        let (socket, _) = tls.accept().await?;
        socket.set_nodelay(true)?;
        let (acceptor, table) = (acceptor.clone(), table.clone());
        tokio::spawn(async move {
            // In a box, as in the server: a session does not carry the handshake's size.
            if let Ok(stream) = Box::pin(acceptor.accept(socket)).await {
                connection(stream, table).await?;
            }
            Result::Ok(())
        });
    }
}

async fn connection(mut stream: impl AsyncRead + AsyncWrite + Unpin, table: Table) -> Result<()> {
    let mut input = BytesMut::new();
    let (own, partner) = names(&mut stream, &mut input).await?;
    let (sender, mut queue) = unbounded_channel();
    lock(&table).insert(own, sender);
    stream.write_all(b"ok\n").await?;
    stream.flush().await?;
    let mut to: Option<UnboundedSender<Bytes>> = None;
    input = BytesMut::new();
    loop {
        tokio::select! {
            biased;
            Some(frame) = queue.recv() => write(&mut stream, frame, &mut queue).await?,
            read = read(&mut stream, &mut input) => {
                if read? == 0 {
                    return Ok(());
                }
                let to = match &to {
                    Some(found) => found,
                    None => to.insert(lock(&table).get(&partner).ok_or("no partner")?.clone()),
                };
                while let Some(end) = memmem::find(&input, END) {
                    to.send(input.split_to(end + END.len()).freeze())?;
                }
            }
        }
    }
}

/// Reads into a buffer that exists only while there is something in it; while nothing has come, no
/// memory waits for it.
async fn read(stream: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) -> Result<usize> {
    let count = poll_fn(|cx| {
        let mut scratch = [const { MaybeUninit::uninit() }; 16_384];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut scratch))?;
        input.extend_from_slice(scratch.filled());
        Poll::Ready(std::io::Result::Ok(scratch.filled().len()))
    });
    Ok(count.await?)
}

/// Writes a frame and all that wait behind it in one go.
async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    first: Bytes,
    queue: &mut UnboundedReceiver<Bytes>,
) -> Result<()> {
    let mut output = BytesMut::from(first);
    while output.len() < 65_536
        && let Ok(frame) = queue.try_recv()
    {
        output.extend_from_slice(&frame);
    }
    while output.has_remaining() {
        stream.write_buf(&mut output).await?;
    }
    Ok(stream.flush().await?)
}

async fn names(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> Result<(String, String)> {
    loop {
        if let Some(end) = memchr::memchr(b'\n', input) {
            let line = input.split_to(end + 1);
            let line = std::str::from_utf8(&line)?;
            let (own, partner) = line.trim().split_once(' ').ok_or("not a greeting")?;
            return Ok((own.to_owned(), partner.to_owned()));
        }
        if stream.read_buf(input).await? == 0 {
            return Err("closed before the greeting".into());
        }
    }
}

fn lock<T>(table: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
