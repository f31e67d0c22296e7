//! Messages of STUN (RFC 8489 § 5, § 14), read in place and written.

use super::attribute;
use crate::sasl::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use subtle::ConstantTimeEq as _;

/// What every message has at its place.
const COOKIE: u32 = 0x2112_A442;
/// Bytes of a header.
const HEADER_BYTES: usize = 20;
/// Bytes of a code (HMAC-SHA-1).
const CODE_BYTES: usize = 20;
/// What a checksum is mixed with (§ 14.7).
const CHECKSUM_MASK: u32 = 0x5354_554E;

/// What a message is to its transaction (§ 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It wants an answer.
    Request,
    /// It wants none.
    Indication,
    /// A good answer.
    Success,
    /// A bad one.
    Error,
}

/// A message as it was received; all lengths in it are right.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What it is to its transaction.
    pub class: Class,
    /// What it asks for.
    pub method: u16,
    /// Which transaction.
    pub transaction: [u8; 12],
    /// Whether it has a checksum (§ 14.7), which is right then.
    pub has_checksum: bool,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram that is one message and nothing else; `None` if it is none.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *head;
        let kind = u16::from_be_bytes([t0, t1]);
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let is_one = kind < 0x4000
            && u32::from_be_bytes([c0, c1, c2, c3]) == COOKIE
            && length == rest.len()
            && length.is_multiple_of(4);
        if !is_one {
            return None;
        }
        let mut message = Self {
            class: match kind & 0x0110 {
                0x0000 => Class::Request,
                0x0010 => Class::Indication,
                0x0100 => Class::Success,
                _ => Class::Error,
            },
            method: (kind & 0x000F) | ((kind & 0x00E0) >> 1) | ((kind & 0x3E00) >> 2),
            transaction,
            has_checksum: false,
            bytes,
        };
        message.has_checksum = message.checked()?;
        Some(message)
    }

    /// Whether there is a checksum; `None` if it is wrong, or an attribute has no end.
    fn checked(&self) -> Option<bool> {
        let mut at = HEADER_BYTES;
        while at < self.bytes.len() {
            let (kind, value, next) = self.attribute_at(at)?;
            if kind == attribute::FINGERPRINT {
                // The last one (§ 14.7).
                let is_right = value == checksum(self.bytes.get(..at)?).to_be_bytes();
                return (is_right && next == self.bytes.len()).then_some(true);
            }
            at = next;
        }
        Some(false)
    }

    /// The attribute that begins at a place: its type, its value, and where the next one begins.
    fn attribute_at(&self, at: usize) -> Option<(u16, &'a [u8], usize)> {
        let rest = self.bytes.get(at..)?;
        let ([k0, k1, l0, l1], rest) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let padded = length.next_multiple_of(4);
        let value = rest.get(..padded)?.get(..length)?;
        Some((u16::from_be_bytes([*k0, *k1]), value, at + 4 + padded))
    }

    /// The attributes that count: those before the code and the checksum (§ 14.5).
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let message = *self;
        let mut at = HEADER_BYTES;
        std::iter::from_fn(move || {
            let (kind, value, next) = message.attribute_at(at)?;
            at = next;
            Some((kind, value))
        })
        .take_while(|(kind, _)| !matches!(*kind, attribute::INTEGRITY | attribute::FINGERPRINT))
    }

    /// The first attribute of a type.
    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut attributes = self.attributes();
        attributes.find_map(|(kind, value)| (kind == wanted).then_some(value))
    }

    /// The address in an attribute (§ 14.2).
    pub fn address(&self, value: &[u8]) -> Option<SocketAddr> {
        let ([_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
        let [m0, m1, ..] = COOKIE.to_be_bytes();
        let port = u16::from_be_bytes([p0 ^ m0, p1 ^ m1]);
        let mask = mask(&self.transaction);
        let ip = match family {
            1 => IpAddr::V4(Ipv4Addr::from(masked(address.try_into().ok()?, &mask))),
            2 => IpAddr::V6(Ipv6Addr::from(masked(address.try_into().ok()?, &mask))),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// Whether there is a code.
    pub fn has_code(&self) -> bool {
        self.code().is_some()
    }

    /// Whether there is a code, and it was made with this key (§ 14.5).
    pub fn is_by(&self, key: &[u8]) -> bool {
        let Some((at, code)) = self.code() else {
            return false;
        };
        let Some(covered) = self.bytes.get(..at) else {
            return false;
        };
        code_of(key, covered).is_some_and(|want| bool::from(want.ct_eq(code)))
    }

    fn code(&self) -> Option<(usize, &'a [u8])> {
        let mut at = HEADER_BYTES;
        loop {
            let (kind, value, next) = self.attribute_at(at)?;
            if kind == attribute::INTEGRITY {
                return (value.len() == CODE_BYTES).then_some((at, value));
            }
            at = next;
        }
    }
}

/// The code of a message up to where the code stands; the length that is signed is the one up to the
/// code's end.
fn code_of(key: &[u8], covered: &[u8]) -> Option<Vec<u8>> {
    let ([t0, t1, _, _], rest) = covered.split_first_chunk::<4>()?;
    let length = covered.len() - HEADER_BYTES + 4 + CODE_BYTES;
    let [l0, l1] = u16::try_from(length).ok()?.to_be_bytes();
    Some(Hash::Sha1.hmac(key, &[&[*t0, *t1, l0, l1], rest]))
}

fn mask(transaction: &[u8; 12]) -> [u8; 16] {
    let mut mask = [0; 16];
    let (cookie, rest) = mask.split_at_mut(4);
    cookie.copy_from_slice(&COOKIE.to_be_bytes());
    rest.copy_from_slice(transaction);
    mask
}

fn masked<const N: usize>(mut address: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    for (byte, mask) in address.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    address
}

/// CRC-32 (ITU V.42) with the mask of § 14.7.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = (sum & 1) * 0xEDB8_8320;
            sum = (sum >> 1) ^ carry;
        }
    }
    !sum ^ CHECKSUM_MASK
}

/// A message in the making.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    transaction: [u8; 12],
}

impl Writer {
    /// A message of a class for a method.
    pub fn new(class: Class, method: u16, transaction: [u8; 12]) -> Self {
        let class = match class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        };
        let method = (method & 0x000F) | ((method & 0x0070) << 1) | ((method & 0x0F80) << 2);
        let mut bytes = Vec::with_capacity(128);
        bytes.extend((class | method).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend(transaction);
        Self { bytes, transaction }
    }

    /// Adds an attribute; its padding is zeros.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        // A datagram has no more.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an address, mixed with the header.
    #[must_use]
    pub fn address(self, kind: u16, address: SocketAddr) -> Self {
        let [m0, m1, ..] = COOKIE.to_be_bytes();
        let [p0, p1] = address.port().to_be_bytes();
        let mask = mask(&self.transaction);
        let mut value = vec![0, 1, p0 ^ m0, p1 ^ m1];
        match address.ip() {
            IpAddr::V4(ip) => value.extend(masked(ip.octets(), &mask)),
            IpAddr::V6(ip) => {
                value = vec![0, 2, p0 ^ m0, p1 ^ m1];
                value.extend(masked(ip.octets(), &mask));
            }
        }
        self.attribute(kind, &value)
    }

    /// The message, signed if there is a key, with a checksum if wanted.
    pub fn finish(mut self, key: Option<&[u8]>, has_checksum: bool) -> Vec<u8> {
        if let Some(code) = key.and_then(|key| code_of(key, &self.bytes)) {
            self = self.attribute(attribute::INTEGRITY, &code);
        }
        if has_checksum {
            self.set_length(8);
            let sum = checksum(&self.bytes);
            self = self.attribute(attribute::FINGERPRINT, &sum.to_be_bytes());
        }
        self.set_length(0);
        self.bytes
    }

    fn set_length(&mut self, more: usize) {
        let length = self.bytes.len() - HEADER_BYTES + more;
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(place) = self.bytes.get_mut(2..4) {
            place.copy_from_slice(&length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 5769 § 2.1.
    const REQUEST: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
        \xfa\x87\xdf\xae\x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\
        \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
        \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\
        \xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";
    /// RFC 5769 § 2.3.
    const ANSWER: &[u8] = b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\
        \xfa\x87\xdf\xae\x80\x22\x00\x0btest vector\x20\x00\x20\x00\x14\x00\x02\xa1\x47\
        \x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\x00\x08\x00\x14\
        \xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
        \x80\x28\x00\x04\xc8\xfb\x0b\x4c";
    const KEY: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    #[test]
    fn the_vectors_of_rfc_5769_are_read() {
        let request = Message::read(REQUEST).unwrap();
        assert_eq!((request.class, request.method), (Class::Request, 1));
        assert_eq!(
            request.attribute(attribute::USERNAME),
            Some(&b"evtj:h6vY"[..])
        );
        assert!(request.has_checksum && request.is_by(KEY) && !request.is_by(b"other"));
        let answer = Message::read(ANSWER).unwrap();
        assert_eq!((answer.class, answer.method), (Class::Success, 1));
        let address = answer.attribute(attribute::MAPPED_ADDRESS).unwrap();
        let want = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
            .parse()
            .unwrap();
        assert_eq!(answer.address(address), Some(want));
        assert!(answer.has_checksum && answer.is_by(KEY));
    }

    #[test]
    fn what_is_cut_or_changed_is_nothing() {
        for end in 0..REQUEST.len() {
            assert!(Message::read(&REQUEST[..end]).is_none(), "{end}");
        }
        for at in 0..REQUEST.len() {
            let mut changed = REQUEST.to_vec();
            changed[at] ^= 1;
            let read = Message::read(&changed);
            assert!(read.is_none_or(|read| !read.has_checksum), "{at}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_come(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(message) = Message::read(&bytes) {
                message.attributes().for_each(drop);
                message.is_by(KEY);
            }
        }

        #[test]
        fn what_is_written_is_read(
            method in 0_u16..0x1000, value in proptest::collection::vec(any::<u8>(), 0..100),
            address: [u8; 16], port: u16, sum: bool, transaction: [u8; 12],
        ) {
            let address = SocketAddr::new(Ipv6Addr::from(address).into(), port);
            let bytes = Writer::new(Class::Error, method, transaction)
                .attribute(attribute::DATA, &value)
                .address(attribute::PEER_ADDRESS, address)
                .finish(Some(KEY), sum);
            let read = Message::read(&bytes).unwrap();
            prop_assert_eq!((read.class, read.method), (Class::Error, method));
            prop_assert_eq!(read.attribute(attribute::DATA), Some(&value[..]));
            let peer = read.attribute(attribute::PEER_ADDRESS).unwrap();
            prop_assert_eq!(read.address(peer), Some(address));
            prop_assert!(read.is_by(KEY));
            prop_assert_eq!(read.has_checksum, sum);
        }
    }
}
