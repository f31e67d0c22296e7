//! A stanza that may still be edited.

use super::sealed::Shared;
use super::{Condition, Kind, Sealed, Stanza, StanzaError, head};
use crate::Jid;
use crate::ns;
use crate::xml::{Element, stanza_content};
use bytes::Bytes;
use smallvec::SmallVec;
use std::ops::Range;

/// A stanza with its addresses parsed, on its way through the routing steps. Edits never touch the
/// received bytes: children are added before the end tag or hidden.
#[derive(Debug, Clone)]
pub struct Draft {
    stanza: Stanza,
    from: Option<Jid>,
    to: Option<Jid>,
    lang: Option<Box<str>>,
    added: SmallVec<[Bytes; 2]>,
    /// Where the hidden children stand in the received bytes.
    hidden: SmallVec<[Range<usize>; 2]>,
}

impl Draft {
    /// Parses `to` and `from`; a bad address is `jid-malformed` (RFC 6120 § 8.3.3.8).
    pub fn new(stanza: Stanza) -> Result<Self, StanzaError> {
        let address = |name| match stanza.root().attr(name) {
            None => Ok(None),
            Some(text) => Jid::parse(&text)
                .map(Some)
                .map_err(|_| Condition::JidMalformed),
        };
        let (from, to) = (address("from")?, address("to")?);
        Ok(Self {
            stanza,
            from,
            to,
            lang: None,
            added: SmallVec::new(),
            hidden: SmallVec::new(),
        })
    }
    /// Which stanza.
    pub fn kind(&self) -> Kind {
        self.stanza.kind()
    }
    /// The received stanza (without the edits).
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }
    /// The received element (without the edits).
    pub fn root(&self) -> Element<'_> {
        self.stanza.root()
    }
    /// The sender as it will be sent.
    pub fn from(&self) -> Option<&Jid> {
        self.from.as_ref()
    }
    /// The recipient as it will be sent.
    pub fn to(&self) -> Option<&Jid> {
        self.to.as_ref()
    }
    /// Sets `from`.
    pub fn set_from(&mut self, jid: Jid) {
        self.from = Some(jid);
    }
    /// Sets `to`.
    pub fn set_to(&mut self, jid: Jid) {
        self.to = Some(jid);
    }
    /// Sets `xml:lang` if the stanza has none (RFC 6120 § 8.1.5).
    pub fn default_lang(&mut self, lang: &str) {
        if self.root().lang().is_none() && !lang.is_empty() {
            self.lang = Some(lang.into());
        }
    }
    /// Adds a child after the received ones. The bytes must be well-formed where `jabber:client`
    /// is the default namespace.
    pub fn add(&mut self, child: Bytes) {
        self.added.push(child);
    }
    /// Leaves a direct child out. `child` must be of this draft's root; others are ignored.
    pub fn hide(&mut self, child: Element<'_>) {
        if self.root().children().any(|own| own == child) {
            self.hidden.push(child.span());
        }
    }
    /// [`Self::hide`] for every direct child that `which` is true of. Says how many there are.
    pub fn hide_all(&mut self, which: impl Fn(Element<'_>) -> bool) -> usize {
        let before = self.hidden.len();
        let children = self.stanza.root().children();
        self.hidden.extend(
            children
                .filter(|child| which(*child))
                .map(|child| child.span()),
        );
        self.hidden.len() - before
    }
    /// Freezes the stanza into its wire form for `jabber:client` streams, where its own namespace
    /// is inherited, so that it is as good on `jabber:server` streams.
    ///
    /// The content is the received bytes, unless they would not mean the same below the new start
    /// tag: when they lean on prefixes of the stream's header, when the stanza's own name has a
    /// prefix, or when a child declares a content namespace again. Then it is written anew.
    pub fn seal(mut self) -> Sealed {
        let kind = self.kind();
        let mut rest = SmallVec::new();
        let tree = self.stanza.tree();
        let copied =
            tree.is_self_contained() && !tree.has_mixed_content() && !tree.root().has_prefix();
        self.hidden.sort_unstable_by_key(|span| span.start);
        self.hidden.dedup();
        if copied {
            self.kept(&mut rest);
        } else {
            let hidden = |child: Element<'_>| {
                let start = child.span().start;
                self.hidden
                    .binary_search_by_key(&start, |span| span.start)
                    .is_ok()
            };
            push(
                &mut rest,
                stanza_content(self.root(), |child| !hidden(child)),
            );
        }
        for child in self.added.drain(..) {
            push(&mut rest, child);
        }
        let (head, after_to) = self.head(copied, rest.is_empty());
        if !rest.is_empty() {
            rest.push(Bytes::from_static(head::end(kind)));
        }
        Sealed::new(Shared {
            kind,
            head,
            after_to: Some(after_to),
            rest,
        })
    }

    /// The received content without the hidden children, which are in order.
    fn kept(&self, rest: &mut SmallVec<[Bytes; 3]>) {
        let (mut start, end) = self.root().content();
        let bytes = self.stanza.tree().bytes();
        for span in &self.hidden {
            push(rest, bytes.slice(start..span.start.max(start)));
            start = span.end.max(start);
        }
        push(rest, bytes.slice(start..end.max(start)));
    }

    /// The start tag: `to`, `from`, and every other attribute as it was written. Declarations of
    /// prefixes are kept if the content may use them. Gives the position after `to`, too.
    fn head(&self, copied: bool, empty: bool) -> (Bytes, usize) {
        let kind = self.kind();
        let from = self.from.as_ref().map(Jid::as_str);
        let others = || {
            self.root()
                .raw_attributes()
                .filter(|(name, _)| *name != Some(b"to") && *name != Some(b"from"))
        };
        let bytes = head::begin_len(kind, self.to.as_ref())
            + from.map_or(0, |from| head::attribute_len("from", from))
            + self
                .lang
                .as_ref()
                .map_or(0, |lang| head::attribute_len("xml:lang", lang))
            + others()
                .map(|(_, written)| 1 + written.len())
                .sum::<usize>()
            + if empty { "/>".len() } else { ">".len() };
        let mut out = Vec::with_capacity(bytes);
        head::begin(&mut out, kind, self.to.as_ref());
        let after_to = out.len();
        if let Some(from) = from {
            head::attribute(&mut out, "from", from);
        }
        if copied {
            for (_, written) in others() {
                out.push(b' ');
                out.extend_from_slice(written);
            }
        } else {
            self.write_attributes(&mut out);
        }
        if let Some(lang) = &self.lang {
            head::attribute(&mut out, "xml:lang", lang);
        }
        out.extend_from_slice(if empty { b"/>" } else { b">" });
        (Bytes::from(out), after_to)
    }

    /// The attributes other than the addresses, written anew.
    fn write_attributes(&self, out: &mut Vec<u8>) {
        for (number, attribute) in self.root().attrs().enumerate() {
            match (attribute.ns, attribute.name) {
                ("", "to" | "from") => {}
                ("", name) => head::attribute(out, name, &attribute.value),
                (ns::XML, name) => head::attribute(out, &format!("xml:{name}"), &attribute.value),
                (other, name) => {
                    head::attribute(out, &format!("xmlns:a{number}"), other);
                    head::attribute(out, &format!("a{number}:{name}"), &attribute.value);
                }
            }
        }
    }
}

fn push(rest: &mut SmallVec<[Bytes; 3]>, bytes: Bytes) {
    if !bytes.is_empty() {
        rest.push(bytes);
    }
}
