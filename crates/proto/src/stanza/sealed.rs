//! A stanza's immutable wire form.

use super::{Kind, head};
use crate::Jid;
use crate::ns;
use crate::xml::{Limits, Tree};
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;
use std::sync::Arc;

/// A stanza ready to send: a rendered start tag and shared content. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Sealed {
    shared: Arc<Shared>,
    /// Another start tag than the shared one.
    head: Option<Bytes>,
}

/// What all recipients of a stanza have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) kind: Kind,
    pub(super) head: Bytes,
    /// Where, in `head`, the attributes after `to` begin; `None` if that is not known because
    /// `head` is a whole stanza in somebody's own order.
    pub(super) after_to: Option<usize>,
    /// What follows the start tag, end tag included.
    pub(super) rest: SmallVec<[Bytes; 3]>,
}

impl Sealed {
    /// From one whole stanza that we wrote ourselves (`jabber:client` in scope).
    pub fn from_bytes(kind: Kind, xml: Bytes) -> Self {
        Self::new(Shared {
            kind,
            head: xml,
            after_to: None,
            rest: SmallVec::new(),
        })
    }

    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            head: None,
        }
    }

    /// Which stanza.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// The same stanza with another `to`, sharing everything but the start tag.
    #[must_use]
    pub fn with_to(&self, to: &Jid) -> Self {
        let mut copies = self.fan_out(std::slice::from_ref(to));
        copies.next().unwrap_or_else(|| self.clone())
    }

    /// The same stanza once for each `to`, sharing everything but the start tags; these share one
    /// buffer, so that their number costs no allocations.
    pub fn fan_out<'a>(&self, to: &'a [Jid]) -> impl ExactSizeIterator<Item = Self> + use<'a> {
        let shared = self.split();
        let kind = shared.kind;
        let after = shared
            .after_to
            .and_then(|at| shared.head.get(at..))
            .unwrap_or_default();
        let bytes = to
            .iter()
            .map(|to| head::begin_len(kind, Some(to)) + after.len())
            .sum();
        let mut heads = Vec::with_capacity(bytes);
        let mut ends: SmallVec<[usize; 8]> = SmallVec::with_capacity(to.len());
        for to in to {
            head::begin(&mut heads, kind, Some(to));
            heads.extend_from_slice(after);
            ends.push(heads.len());
        }
        let heads = Bytes::from(heads);
        let mut start = 0;
        ends.into_iter().map(move |end| {
            let head = heads.slice(start..end);
            start = end;
            Self {
                shared: Arc::clone(&shared),
                head: Some(head),
            }
        })
    }

    /// A message of the server's with this stanza inside, sharing all of its content. `before` and
    /// `after` are what stands around it there, well-formed together: a wrapper and the
    /// `<forwarded/>` of XEP-0297.
    #[must_use]
    pub fn enclosed(
        &self,
        from: &Jid,
        type_attr: Option<&str>,
        before: Bytes,
        after: Bytes,
    ) -> Self {
        let outer = Kind::Message;
        let mut head = Vec::with_capacity(
            head::begin_len(outer, None)
                + head::attribute_len("from", from.as_str())
                + type_attr.map_or(0, |value| head::attribute_len("type", value))
                + ">".len(),
        );
        head::begin(&mut head, outer, None);
        let after_to = head.len();
        head::attribute(&mut head, "from", from.as_str());
        if let Some(value) = type_attr {
            head::attribute(&mut head, "type", value);
        }
        head.push(b'>');
        // The stanza's namespace is not in scope inside a wrapper: it is declared between the name
        // and the attributes, which are shared.
        let name = head::begin_of_forwarded(self.kind());
        let mut rest = SmallVec::with_capacity(self.shared.rest.len() + 5);
        rest.push(before);
        rest.push(Bytes::from_static(name));
        let mut chunks = self.chunks();
        if let Some(first) = chunks.next() {
            let attributes = head::begin_len(self.kind(), None).min(first.len());
            rest.push(first.slice(attributes..));
        }
        rest.extend(chunks.cloned());
        rest.push(after);
        rest.push(Bytes::from_static(head::end(outer)));
        Self::new(Shared {
            kind: outer,
            head: Bytes::from(head),
            after_to: Some(after_to),
            rest,
        })
    }

    /// The same stanza with one more child at its end, sharing all the rest. The bytes must be
    /// well-formed where `jabber:client` is the default namespace.
    #[must_use]
    pub fn with_child(&self, child: Bytes) -> Self {
        let shared = self.split();
        let own = self.head.as_ref().unwrap_or(&shared.head);
        let end = Bytes::from_static(head::end(shared.kind));
        let mut rest = SmallVec::with_capacity(shared.rest.len() + 2);
        let mut start = own.clone();
        if let Some((_, content)) = shared.rest.split_last() {
            rest.extend(content.iter().cloned());
        } else {
            // An empty element becomes one with an end tag.
            let mut open = Vec::from(own.strip_suffix(b"/>").unwrap_or(own));
            open.push(b'>');
            start = Bytes::from(open);
        }
        rest.push(child);
        rest.push(end);
        // Whatever `to` the start tag has, the attributes after it are the same.
        let after_to = shared.after_to.map(|at| {
            let after = shared.head.len().saturating_sub(at);
            own.len().saturating_sub(after)
        });
        Self::new(Shared {
            kind: shared.kind,
            head: start,
            after_to,
            rest,
        })
    }

    /// The slices in wire order; some may be empty.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        let head = self.head.as_ref().unwrap_or(&self.shared.head);
        std::iter::once(head).chain(&self.shared.rest)
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.chunks().map(Bytes::len).sum()
    }

    /// Never true of a stanza; here because `len` is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the wire form.
    pub fn write_to(&self, out: &mut BytesMut) {
        out.reserve(self.len());
        for chunk in self.chunks() {
            out.put_slice(chunk);
        }
    }

    /// The stanza as one buffer, for storing: an element that stands alone where `jabber:client`
    /// is in scope. Not copied if it is one buffer already.
    pub fn to_bytes(&self) -> Bytes {
        if self.head.is_none() && self.shared.rest.is_empty() {
            return self.shared.head.clone();
        }
        let mut out = Vec::with_capacity(self.len());
        for chunk in self.chunks() {
            out.extend_from_slice(chunk);
        }
        Bytes::from(out)
    }

    /// The same stanza in memory of its own. What was received shares its read buffer, which may be
    /// much larger; so does whatever is kept for long without this.
    #[must_use]
    pub fn detached(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.len());
        let mut at = 0;
        let mut pieces = self.chunks().map(|chunk| {
            bytes.extend_from_slice(chunk);
            let piece = at..at + chunk.len();
            at = piece.end;
            piece
        });
        let head = pieces.next().unwrap_or_default();
        let rest: SmallVec<[_; 3]> = pieces.collect();
        let bytes = Bytes::from(bytes);
        // Whatever `to` the start tag has, the attributes after it are the same.
        let after_to = self.shared.after_to.map(|at| {
            let after = self.shared.head.len().saturating_sub(at);
            head.len().saturating_sub(after)
        });
        Self::new(Shared {
            kind: self.shared.kind,
            head: bytes.slice(head),
            after_to,
            rest: rest.into_iter().map(|piece| bytes.slice(piece)).collect(),
        })
    }

    /// With a start tag in our order, so that `to` can be exchanged.
    fn split(&self) -> Arc<Shared> {
        if self.shared.after_to.is_some() {
            return Arc::clone(&self.shared);
        }
        let kind = self.shared.kind;
        let whole = self.shared.head.clone();
        let limits = Limits {
            bytes_max: usize::MAX,
            depth_max: usize::MAX,
            nodes_max: usize::MAX,
            ..Limits::S2S
        };
        let Ok(tree) = Tree::parse(whole.clone(), ns::CLIENT, &limits) else {
            debug_assert!(false, "a stanza of our own is not well-formed");
            return Arc::clone(&self.shared);
        };
        let root = tree.root();
        let (start, end) = root.content();
        let empty = start == whole.len();
        let mut head = Vec::with_capacity(start);
        head::begin(&mut head, kind, None);
        if let Some(to) = root.attr("to") {
            head::attribute(&mut head, "to", &to);
        }
        let after_to = head.len();
        for (name, written) in root.raw_attributes() {
            if name != Some(b"to") {
                head.push(b' ');
                head.extend_from_slice(written);
            }
        }
        head.extend_from_slice(if empty { b"/>" } else { b">" });
        let mut rest = SmallVec::new();
        if !empty {
            rest.push(whole.slice(start..end));
            rest.push(Bytes::from_static(head::end(kind)));
        }
        Arc::new(Shared {
            kind,
            head: Bytes::from(head),
            after_to: Some(after_to),
            rest,
        })
    }
}
