//! Qualified names (XML Namespaces § 4), read as far as the bytes go.

use super::index::{Name, slice};
use super::{XmlError, chars};

/// A name in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameScan {
    start: usize,
    colon: Option<usize>,
}

impl NameScan {
    /// A name that begins here.
    pub(super) fn new(start: usize) -> Self {
        Self { start, colon: None }
    }

    /// Goes on at `at`; gives the name when a byte follows that is no part of it.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        bytes_max: usize,
    ) -> Result<Option<Name>, XmlError> {
        const BAD: XmlError = XmlError::NotWellFormed("character in a name");
        while let Some(&byte) = bytes.get(*at) {
            let first = *at == self.start || self.colon.is_some_and(|colon| colon + 1 == *at);
            let width = if chars::is_ascii_name(byte, first) {
                let window = self.start + bytes_max + 1;
                chars::name_run(slice(bytes, *at, window.min(bytes.len())))
            } else if byte == b':' && !first && self.colon.is_none() {
                self.colon = Some(*at);
                1
            } else if byte < 0x80 {
                if first || byte == b':' {
                    return Err(BAD);
                }
                return Ok(Some(self.done(*at)));
            } else {
                let Some(c) = chars::char_at(bytes, *at) else {
                    return Ok(None);
                };
                if !(if first {
                    chars::is_name_start(c)
                } else {
                    chars::is_name(c)
                }) {
                    return Err(BAD);
                }
                c.len_utf8()
            };
            if *at + width - self.start > bytes_max {
                return Err(XmlError::Limit("bytes of a name"));
            }
            *at += width;
        }
        Ok(None)
    }

    fn done(&self, end: usize) -> Name {
        let local = self.colon.map_or(self.start, |colon| colon + 1);
        Name {
            start: self.start,
            prefix_len: self.colon.map_or(0, |colon| colon - self.start),
            local_len: end - local,
        }
    }
}
