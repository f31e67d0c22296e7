//! The one tokeniser: bytes of one element in, its index out. It stops wherever the bytes end and
//! goes on from there when there are more, so that no byte is looked at twice.

use super::index::{Builder, Name, Table, slice};
use super::name::NameScan;
use super::scope::Scope;
use super::{Limits, XmlError, chars, escape};

/// Bytes of one reference; `&#x10FFFF;` has 10, the rest is for leading zeros.
const REFERENCE_BYTES_MAX: usize = 32;
const CDATA_START: &[u8] = b"<![CDATA[";

/// How far the scan of an element has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the `<` of the outermost element.
    Start,
    /// In the name of a start tag.
    StartName(NameScan),
    /// In a start tag, between attributes. An attribute must follow white space.
    Tag {
        spaced: bool,
    },
    /// In the name of an attribute.
    AttributeName(NameScan),
    /// Between an attribute's name and `=`.
    Equals,
    /// Between `=` and the quote.
    Quote,
    /// In a value, until this quote.
    Value(u8),
    /// After the `/` of `/>`.
    Slash,
    /// Inside an open element.
    Content,
    /// After a `<` inside an open element.
    Markup,
    /// In `<![CDATA[`, which begins at `token`.
    CdataStart,
    Cdata,
    /// In a reference, which begins at `reference`; in a value if there is a quote.
    Reference(Option<u8>),
    /// In the name of an end tag.
    EndName,
    /// Between that name and `>`.
    EndSpace,
    Done,
}

/// Scans one element. Positions count from its first byte.
#[derive(Debug)]
pub(super) struct Scanner {
    builder: Builder,
    name_bytes_max: usize,
    bytes_max: usize,
    state: State,
    /// The first byte not yet looked at.
    at: usize,
    /// Where the value, end tag's name or CDATA section in progress begins.
    token: usize,
    /// The name of the attribute whose value is being read.
    attribute: Name,
    reference: usize,
    /// Whether the character data in progress is already counted as a node.
    in_text: bool,
    /// Whether to stop after the first start tag: a stream's header.
    header: bool,
    /// Whether that header was an empty element.
    closed: bool,
}

impl Scanner {
    pub(super) fn element(limits: Limits) -> Self {
        let limits = limits.representable();
        Self {
            builder: Builder::new(limits),
            name_bytes_max: limits.name_bytes_max,
            bytes_max: limits.bytes_max,
            state: State::Start,
            at: 0,
            token: 0,
            attribute: Name {
                start: 0,
                prefix_len: 0,
                local_len: 0,
            },
            reference: 0,
            in_text: false,
            header: false,
            closed: false,
        }
    }

    /// For a stream's start tag.
    pub(super) fn header(limits: Limits) -> Self {
        Self {
            header: true,
            ..Self::element(limits)
        }
    }

    /// Goes on with the scan of `bytes`, which begin where the element does and are valid UTF-8.
    /// Gives the element's length when its end is reached, and `None` when more is needed.
    pub(super) fn run(&mut self, bytes: &[u8], scope: &Scope) -> Result<Option<usize>, XmlError> {
        let window = bytes.get(..self.bytes_max).unwrap_or(bytes);
        if self.at == 0 {
            self.builder.reserve_for(window.len());
        }
        while self.at < window.len() && self.state != State::Done {
            let before = (self.at, self.state);
            self.step(window, scope)?;
            if before == (self.at, self.state) {
                // Only a character cut by the end of the window makes no progress.
                break;
            }
        }
        if self.state == State::Done {
            return Ok(Some(self.at));
        }
        if bytes.len() > self.bytes_max {
            return Err(XmlError::Limit("bytes of one element"));
        }
        Ok(None)
    }

    /// The index, once [`Self::run`] has given a length.
    pub(super) fn finish(self) -> Table {
        self.builder.finish()
    }

    /// Whether the header was an empty element, so that the stream is over.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    fn step(&mut self, bytes: &[u8], scope: &Scope) -> Result<(), XmlError> {
        match self.state {
            State::Start => self.start(bytes),
            State::StartName(name) => self.start_name(bytes, name),
            State::Tag { spaced } => self.tag(bytes, scope, spaced),
            State::AttributeName(name) => self.attribute_name(bytes, name),
            State::Equals => self.between(bytes, |byte| (byte == b'=').then_some(State::Quote)),
            State::Quote => self.quote(bytes),
            State::Value(quote) => self.value(bytes, quote),
            State::Slash => self.slash(bytes, scope),
            State::Content => self.content(bytes),
            State::Markup => self.markup(bytes),
            State::CdataStart => self.cdata_start(bytes),
            State::Cdata => self.cdata(bytes),
            State::Reference(quote) => self.reference(bytes, quote),
            State::EndName => self.end_name(bytes),
            State::EndSpace => self.end_space(bytes),
            State::Done => Ok(()),
        }
    }

    fn start(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        match bytes.get(self.at) {
            Some(b'<') => self.state = State::Markup,
            _ => return Err(XmlError::NotWellFormed("an element must begin with <")),
        }
        self.at += 1;
        Ok(())
    }

    /// After `<`.
    fn markup(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        let inside = self.at > 1;
        match bytes.get(self.at) {
            Some(b'/') if inside => {
                self.at += 1;
                self.token = self.at;
                self.state = State::EndName;
            }
            Some(b'!') => {
                self.token = self.at - 1;
                self.at += 1;
                self.state = State::CdataStart;
            }
            Some(b'?') => return Err(XmlError::Restricted("processing instruction")),
            _ => {
                self.in_text = false;
                self.state = State::StartName(NameScan::new(self.at));
            }
        }
        Ok(())
    }

    fn start_name(&mut self, bytes: &[u8], mut name: NameScan) -> Result<(), XmlError> {
        self.state = match name.run(bytes, &mut self.at, self.name_bytes_max)? {
            None => State::StartName(name),
            Some(name) => {
                self.builder.open(bytes, name)?;
                State::Tag { spaced: false }
            }
        };
        Ok(())
    }

    fn tag(&mut self, bytes: &[u8], scope: &Scope, spaced: bool) -> Result<(), XmlError> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let space = chars::space_run(rest);
        self.at += space;
        let spaced = spaced || space > 0;
        self.state = State::Tag { spaced };
        match rest.get(space) {
            None => {}
            Some(b'>') => {
                self.at += 1;
                self.builder.opened(bytes, scope, self.at)?;
                self.state = if self.header {
                    State::Done
                } else {
                    State::Content
                };
                if self.header {
                    self.builder.close(self.at);
                }
            }
            Some(b'/') => {
                self.at += 1;
                self.state = State::Slash;
            }
            Some(_) if !spaced => {
                return Err(XmlError::NotWellFormed(
                    "no white space before an attribute",
                ));
            }
            Some(_) => {
                self.state = State::AttributeName(NameScan::new(self.at));
            }
        }
        Ok(())
    }

    fn slash(&mut self, bytes: &[u8], scope: &Scope) -> Result<(), XmlError> {
        if bytes.get(self.at) != Some(&b'>') {
            return Err(XmlError::NotWellFormed("/ without > in a tag"));
        }
        self.at += 1;
        self.closed = self.header;
        self.builder.opened(bytes, scope, self.at)?;
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        let outermost = self.builder.close(self.at);
        self.state = if outermost {
            State::Done
        } else {
            State::Content
        };
    }

    fn attribute_name(&mut self, bytes: &[u8], mut name: NameScan) -> Result<(), XmlError> {
        self.state = match name.run(bytes, &mut self.at, self.name_bytes_max)? {
            None => State::AttributeName(name),
            Some(name) => {
                self.attribute = name;
                State::Equals
            }
        };
        Ok(())
    }

    /// Skips white space, then expects a byte that `accept` gives the next state for.
    fn between(&mut self, bytes: &[u8], accept: fn(u8) -> Option<State>) -> Result<(), XmlError> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let space = chars::space_run(rest);
        self.at += space;
        if let Some(&byte) = rest.get(space) {
            self.state =
                accept(byte).ok_or(XmlError::NotWellFormed("attribute without a value"))?;
            self.at += 1;
        }
        Ok(())
    }

    fn quote(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        self.between(bytes, |byte| {
            matches!(byte, b'\'' | b'"').then_some(State::Value(byte))
        })?;
        self.token = self.at;
        Ok(())
    }

    fn value(&mut self, bytes: &[u8], quote: u8) -> Result<(), XmlError> {
        self.at += chars::value_run(bytes.get(self.at..).unwrap_or_default());
        match bytes.get(self.at) {
            None => Ok(()),
            Some(&byte) if byte == quote => {
                let value = self.token..self.at;
                self.at += 1;
                self.state = State::Tag { spaced: false };
                self.builder.attribute(bytes, self.attribute, value)
            }
            Some(b'\'' | b'"') => {
                self.at += 1;
                Ok(())
            }
            Some(b'&') => {
                self.begin_reference(Some(quote));
                Ok(())
            }
            Some(b'<') => Err(XmlError::NotWellFormed("< in an attribute")),
            Some(_) => self.odd_character(bytes),
        }
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        let run = chars::text_run(bytes.get(self.at..).unwrap_or_default());
        if run > 0 {
            self.text()?;
            self.at += run;
        }
        match bytes.get(self.at) {
            None => Ok(()),
            Some(b'<') => {
                self.at += 1;
                self.state = State::Markup;
                Ok(())
            }
            Some(b'&') => {
                self.text()?;
                self.begin_reference(None);
                Ok(())
            }
            Some(b'>') => {
                if bytes.get(..self.at).unwrap_or_default().ends_with(b"]]") {
                    return Err(XmlError::NotWellFormed("]]> in text"));
                }
                self.text()?;
                self.at += 1;
                Ok(())
            }
            Some(_) => {
                self.text()?;
                self.odd_character(bytes)
            }
        }
    }

    /// Character data: counts its first byte as a node.
    fn text(&mut self) -> Result<(), XmlError> {
        if self.in_text {
            return Ok(());
        }
        self.in_text = true;
        self.builder.text()
    }

    /// A control character, or a character that begins with 0xEF and is U+FFFE, U+FFFF or good.
    fn odd_character(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        match bytes.get(self.at) {
            Some(0xEF) => match chars::char_at(bytes, self.at) {
                None => Ok(()),
                Some(c) if chars::is_char(c) => {
                    self.at += c.len_utf8();
                    Ok(())
                }
                Some(_) => Err(XmlError::NotWellFormed("U+FFFE or U+FFFF")),
            },
            _ => Err(XmlError::NotWellFormed("control character")),
        }
    }

    fn begin_reference(&mut self, quote: Option<u8>) {
        self.reference = self.at;
        self.at += 1;
        self.state = State::Reference(quote);
    }

    fn reference(&mut self, bytes: &[u8], quote: Option<u8>) -> Result<(), XmlError> {
        while let Some(&byte) = bytes.get(self.at) {
            if byte == b';' {
                escape::reference(slice(bytes, self.reference + 1, self.at))?;
                self.at += 1;
                self.state = quote.map_or(State::Content, State::Value);
                return Ok(());
            }
            if byte >= 0x80 {
                // None of those that are allowed has such a byte.
                return Err(XmlError::Restricted("entity reference"));
            }
            if !(byte == b'#' || chars::is_ascii_name(byte, false)) {
                return Err(XmlError::NotWellFormed("& without a reference"));
            }
            if self.at - self.reference >= REFERENCE_BYTES_MAX {
                return Err(XmlError::Limit("bytes of a reference"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn cdata_start(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        while let Some(byte) = bytes.get(self.at) {
            match CDATA_START.get(self.at - self.token) {
                None => break,
                Some(expected) if expected == byte => self.at += 1,
                Some(_) => return Err(XmlError::Restricted("comment or document type")),
            }
        }
        if self.at - self.token == CDATA_START.len() {
            if self.token == 0 {
                return Err(XmlError::BadFormat("text between elements"));
            }
            self.text()?;
            self.state = State::Cdata;
        }
        Ok(())
    }

    fn cdata(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        self.at += chars::cdata_run(bytes.get(self.at..).unwrap_or_default());
        match bytes.get(self.at) {
            None => Ok(()),
            Some(b'>') => {
                if bytes.get(..self.at).unwrap_or_default().ends_with(b"]]") {
                    self.state = State::Content;
                }
                self.at += 1;
                Ok(())
            }
            Some(_) => self.odd_character(bytes),
        }
    }

    fn end_name(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        let expected = self.builder.expected(bytes);
        let have = slice(bytes, self.at, bytes.len());
        let want = expected.get(self.at - self.token..).unwrap_or_default();
        let common = have.len().min(want.len());
        if have.get(..common) != want.get(..common) {
            return Err(XmlError::NotWellFormed("end tag of another element"));
        }
        self.at += common;
        if common == want.len() {
            self.state = State::EndSpace;
        }
        Ok(())
    }

    fn end_space(&mut self, bytes: &[u8]) -> Result<(), XmlError> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let space = chars::space_run(rest);
        self.at += space;
        match rest.get(space) {
            None => Ok(()),
            Some(b'>') => {
                self.at += 1;
                self.in_text = false;
                self.close();
                Ok(())
            }
            Some(_) => Err(XmlError::NotWellFormed("end tag of another element")),
        }
    }
}
