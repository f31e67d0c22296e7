//! What an answer consists of: a few bytes, or a part of a file, read as the client takes it.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, ReadBuf};

/// Bytes read from a file at once; an answer holds no more of it than two of these.
const CHUNK_BYTES: usize = 64 * 1024;

/// The body of an answer.
pub(super) enum Content {
    /// All of it.
    Bytes(Bytes),
    /// A part of a file.
    File(FilePart),
}

/// What is left to be read of a file.
pub(super) struct FilePart {
    file: tokio::fs::File,
    left: u64,
}

impl FilePart {
    /// `bytes` bytes from `start` on.
    pub(super) fn new(mut file: File, start: u64, bytes: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK_BYTES);
        Ok(Self { file, left: bytes })
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::zeroed(wanted.min(CHUNK_BYTES));
        let mut buffer = ReadBuf::new(&mut chunk);
        let read = ready!(Pin::new(&mut self.file).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        if let Err(error) = read {
            return Poll::Ready(Some(Err(error)));
        }
        if count == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        chunk.truncate(count);
        self.left = self
            .left
            .saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        Poll::Ready(Some(Ok(chunk.freeze())))
    }
}

impl Content {
    /// How long it is, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::File(part) => part.left,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File(part) => {
                let chunk = ready!(part.poll_chunk(cx));
                Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes())
    }
}
