//! Namespace declarations that surround an element: those of its stream's header.

use crate::ns;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

type Text = Cow<'static, str>;

/// What is declared outside an element; one per stream, shared by the stream's trees.
#[derive(Debug, Default)]
pub(super) struct Scope {
    bindings: Vec<(Text, Text)>,
}

/// The scopes of nearly every stream, so that an idle stream holds none of its own.
static USUAL: LazyLock<[Arc<Scope>; 6]> = LazyLock::new(|| {
    let scope = |default: &'static str, stream: bool| {
        let mut bindings = Vec::new();
        if !default.is_empty() {
            bindings.push((Cow::Borrowed(""), Cow::Borrowed(default)));
        }
        if stream {
            bindings.push((Cow::Borrowed("stream"), Cow::Borrowed(ns::STREAM)));
        }
        Arc::new(Scope { bindings })
    };
    [
        scope("", false),
        scope(ns::CLIENT, false),
        scope(ns::SERVER, false),
        scope(ns::STREAM, false),
        scope(ns::CLIENT, true),
        scope(ns::SERVER, true),
    ]
});

impl Scope {
    /// Nothing is declared.
    pub(super) fn empty() -> Arc<Self> {
        Self::new(&[])
    }

    /// The default namespace alone.
    pub(super) fn default_ns(name: &str) -> Arc<Self> {
        if name.is_empty() {
            Self::empty()
        } else {
            Self::new(&[("", name)])
        }
    }

    /// These prefixes (empty for the default namespace) and namespaces.
    pub(super) fn new(bindings: &[(&str, &str)]) -> Arc<Self> {
        let same = |scope: &&Arc<Self>| {
            scope.bindings.len() == bindings.len()
                && bindings.iter().all(|&(prefix, name)| {
                    scope
                        .find(prefix.as_bytes())
                        .is_some_and(|at| scope.name(at) == name)
                })
        };
        if let Some(scope) = USUAL.iter().find(same) {
            return Arc::clone(scope);
        }
        let own = |text: &str| Cow::Owned(text.to_owned());
        let bindings = bindings
            .iter()
            .map(|&(prefix, name)| (own(prefix), own(name)));
        Arc::new(Self {
            bindings: bindings.collect(),
        })
    }

    /// Which binding a prefix (empty for the default namespace) has.
    pub(super) fn find(&self, prefix: &[u8]) -> Option<usize> {
        self.bindings
            .iter()
            .position(|(bound, _)| bound.as_bytes() == prefix)
    }

    /// The namespace of a binding.
    pub(super) fn name(&self, at: usize) -> &str {
        self.bindings.get(at).map_or("", |(_, name)| name)
    }
}
