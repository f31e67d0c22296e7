//! The frames of WebSocket (RFC 6455 § 5), as a server reads and writes them.

use base64::Engine as _;
use bytes::{Buf as _, Bytes, BytesMut};
use sha1::{Digest as _, Sha1};

/// Parts that one message may come in; clients send a stanza in one.
const FRAGMENTS_MAX: u32 = 64;
/// Bytes of a control frame's content (§ 5.5).
const CONTROL_BYTES_MAX: usize = 125;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The answer to `Sec-WebSocket-Key` (§ 4.2.2); `None` if that is none.
pub fn accept(key: &str) -> Option<String> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let nonce = base64.decode(key).ok()?;
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    (nonce.len() == 16).then(|| base64.encode(digest))
}

/// Why a connection is closed (§ 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseCode {
    Normal,
    Protocol,
    NotText,
    TooBig,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// A whole message.
    Text(Bytes),
    /// Wants a [`pong`] with the same content.
    Ping(Bytes),
    Pong,
    /// It closes the connection.
    Close,
}

/// Cuts a client's bytes into messages.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The parts of an unfinished message.
    begun: Option<BytesMut>,
    fragments: u32,
}

impl Decoder {
    /// The next whole message or control frame of at most `bytes_max`; `None` when more bytes are
    /// needed. After an error nothing can be read any more.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        bytes_max: usize,
    ) -> Result<Option<Received>, CloseCode> {
        loop {
            let Some(head) = Head::read(input)? else {
                return Ok(None);
            };
            let begun = self.begun.as_ref().map_or(0, BytesMut::len);
            // Refused before it is waited for.
            if begun.saturating_add(head.len) > bytes_max.max(CONTROL_BYTES_MAX) {
                return Err(CloseCode::TooBig);
            }
            if input.len() < head.begin_len + head.len {
                return Ok(None);
            }
            input.advance(head.begin_len);
            let mut payload = input.split_to(head.len);
            unmask(&mut payload, head.mask);
            match head.opcode {
                PING => return Ok(Some(Received::Ping(payload.freeze()))),
                PONG => return Ok(Some(Received::Pong)),
                CLOSE => return Ok(Some(Received::Close)),
                _ => {
                    if let Some(message) = self.part(&head, payload)? {
                        return Ok(Some(Received::Text(message)));
                    }
                }
            }
        }
    }

    /// Takes a part of a message; the message if it is the last one (§ 5.4).
    fn part(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Bytes>, CloseCode> {
        let message = match (head.opcode, self.begun.take()) {
            (TEXT, None) => {
                self.fragments = 1;
                payload
            }
            (CONTINUATION, Some(mut begun)) => {
                self.fragments += 1;
                if self.fragments > FRAGMENTS_MAX {
                    return Err(CloseCode::TooBig);
                }
                begun.extend_from_slice(&payload);
                begun
            }
            (BINARY, None) => return Err(CloseCode::NotText),
            _ => return Err(CloseCode::Protocol),
        };
        if head.fin {
            return Ok(Some(message.freeze()));
        }
        self.begun = Some(message);
        Ok(None)
    }
}

/// The beginning of a frame.
struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Bytes of this beginning.
    begin_len: usize,
    /// Bytes of the content.
    len: usize,
}

impl Head {
    /// `None` when more bytes are needed.
    fn read(input: &[u8]) -> Result<Option<Self>, CloseCode> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let (fin, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0F);
        let is_known = matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG);
        // No extension was agreed on, and clients must mask (§ 5.1, 5.2).
        if reserved != 0 || !is_known || second & 0x80 == 0 {
            return Err(CloseCode::Protocol);
        }
        let short = second & 0x7F;
        let (len, least, rest, long) = match (short, rest) {
            (126, &[a, b, ref rest @ ..]) => (u64::from(u16::from_be_bytes([a, b])), 126, rest, 2),
            (127, rest) if rest.len() >= 8 => {
                let (len, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], rest));
                (u64::from_be_bytes(*len), 0x1_0000, rest, 8)
            }
            (126 | 127, _) => return Ok(None),
            _ => (u64::from(short), 0, rest, 0),
        };
        let is_control = opcode & 0x8 != 0;
        if len < least || (is_control && (!fin || short > 125)) {
            return Err(CloseCode::Protocol);
        }
        let &[a, b, c, d, ..] = rest else {
            return Ok(None);
        };
        Ok(Some(Self {
            fin,
            opcode,
            mask: [a, b, c, d],
            begin_len: 2 + long + 4,
            len: usize::try_from(len).map_err(|_| CloseCode::TooBig)?,
        }))
    }
}

/// What is before a whole text message of this many bytes.
pub(crate) fn text_head(len: usize) -> Bytes {
    Bytes::from(head(TEXT, len))
}

/// The answer to a ping.
pub(crate) fn pong(content: &[u8]) -> Bytes {
    let mut frame = head(PONG, content.len());
    frame.extend_from_slice(content);
    Bytes::from(frame)
}

/// Closes the connection.
pub(crate) fn close(code: CloseCode) -> Bytes {
    let mut frame = head(CLOSE, 2);
    let code: u16 = match code {
        CloseCode::Normal => 1000,
        CloseCode::Protocol => 1002,
        CloseCode::NotText => 1003,
        CloseCode::TooBig => 1009,
    };
    frame.extend_from_slice(&code.to_be_bytes());
    Bytes::from(frame)
}

fn head(opcode: u8, len: usize) -> Vec<u8> {
    let mut head = Vec::with_capacity(10);
    head.push(0x80 | opcode);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => head.push(len),
        (_, Ok(len)) => {
            head.push(126);
            head.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend_from_slice(&u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    head
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    // Eight at a time, which the compiler can make one operation.
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame with a mask.
    pub(crate) fn masked(first: u8, content: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = head(0, content.len());
        frame[0] = first;
        frame[1] |= 0x80;
        frame.extend_from_slice(&mask);
        let at = frame.len();
        frame.extend_from_slice(content);
        unmask(&mut frame[at..], mask);
        frame
    }

    #[test]
    fn the_key_of_the_specification() {
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        for key in ["", "c2hvcnQ=", "no base64 at all", "dGhlIHNhbXBsZSBub25jZQ"] {
            assert_eq!(accept(key), None, "{key}");
        }
    }

    /// All that comes of these bytes, fed whole and byte by byte.
    fn check(bytes: &[u8], want: &[Result<Received, CloseCode>]) {
        for step in [bytes.len().max(1), 1] {
            let (mut decoder, mut input, mut got) = (Decoder::default(), BytesMut::new(), vec![]);
            'all: for piece in bytes.chunks(step) {
                input.extend_from_slice(piece);
                while let Some(next) = decoder.next(&mut input, 1_000).transpose() {
                    let failed = next.is_err();
                    got.push(next);
                    if failed {
                        break 'all;
                    }
                }
            }
            assert_eq!(got, want, "{bytes:x?} by {step}");
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the decoder gives it")]
    fn text(text: &str) -> Result<Received, CloseCode> {
        Ok(Received::Text(Bytes::copy_from_slice(text.as_bytes())))
    }

    #[test]
    fn messages_and_control_frames() {
        // RFC 6455 § 5.7.
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        check(&hello, &[text("Hello")]);
        check(&masked(0x81, b""), &[text("")]);
        let ping = Ok(Received::Ping(Bytes::from_static(b"Hel")));
        let parts = [
            masked(0x01, b"Hel"),
            masked(0x89, b"Hel"),
            masked(0x80, b"lo, and goodbye"),
            masked(0x88, b""),
        ];
        let want = [ping, text("Hello, and goodbye"), Ok(Received::Close)];
        check(&parts.concat(), &want);
        for len in [125, 126, 300, 1_000] {
            let long = "x".repeat(len);
            check(&masked(0x81, long.as_bytes()), &[text(&long)]);
        }
    }

    #[test]
    fn what_no_client_may_send() {
        let protocol = &[Err(CloseCode::Protocol)];
        check(&[0x81, 0x05, b'H'], protocol); // no mask
        check(&masked(0xC1, b"x"), protocol); // a reserved bit
        check(&masked(0x83, b"x"), protocol); // an unknown opcode
        check(&masked(0x80, b"x"), protocol); // continues nothing
        check(&masked(0x09, b"x"), protocol); // a ping in parts
        check(&masked(0x89, &[b'x'; 126]), protocol); // a long ping
        check(&[0x81, 0xFE, 0, 5, 0, 0, 0, 0], protocol); // a length in more bytes than it needs
        check(&[masked(0x01, b"a"), masked(0x81, b"b")].concat(), protocol);
        check(&masked(0x82, b"x"), &[Err(CloseCode::NotText)]);
        let large = &[Err(CloseCode::TooBig)];
        check(&masked(0x81, &[b'x'; 1_001]), large);
        // Not waited for, whatever it says.
        check(&[0x81, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], large);
        check(
            &[masked(0x01, &[b'x'; 600]), masked(0x80, &[b'x'; 600])].concat(),
            large,
        );
        let mut crumbs = masked(0x01, b"");
        for _ in 0..FRAGMENTS_MAX {
            crumbs.extend(masked(0x00, b""));
        }
        check(&crumbs, large);
    }
}
