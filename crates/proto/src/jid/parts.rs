//! The one representation of all addresses.

use super::prepare::{is_plain_local, is_plain_name, is_plain_resource};
use super::{JidError, PART_BYTES_MAX, prepare_domain, prepare_local, prepare_resource};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One text `[local@]domain[/resource]`, of which a window is the address. The window starts at
/// `start`; the domain at `domain`, which is `start` when there is no localpart; the bare address
/// ends at `bare_end`, which is `end` when there is no resourcepart.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) text: Arc<str>,
    start: u16,
    domain: u16,
    bare_end: u16,
    end: u16,
}

// The longest text must fit the offsets.
const _: () = assert!(3 * PART_BYTES_MAX + 2 <= u16::MAX as usize);

impl Parts {
    pub(super) fn parse(text: &str) -> Result<Self, JidError> {
        // RFC 7622 § 3.2: first the resource is cut off at the first slash, then the localpart
        // at the first at-sign.
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let plain = is_plain_name(domain)
            && local.is_none_or(is_plain_local)
            && resource.is_none_or(is_plain_resource);
        if !plain {
            return Self::prepare(local, domain, resource);
        }
        let mut shared: Arc<str> = Arc::from(text);
        if bare.bytes().any(|byte| byte.is_ascii_uppercase())
            && let Some(bare) =
                Arc::get_mut(&mut shared).and_then(|text| text.get_mut(..bare.len()))
        {
            bare.make_ascii_lowercase();
        }
        Ok(Self::at(
            shared,
            local.map_or(0, |local| local.len() + 1),
            bare.len(),
        ))
    }

    pub(super) fn prepare(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let local = local.map(prepare_local).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(prepare_resource).transpose()?;
        Ok(Self::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Takes prepared parts.
    pub(super) fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let bytes = local.map_or(0, |local| local.len() + 1)
            + domain.len()
            + resource.map_or(0, |resource| resource.len() + 1);
        let mut text = String::with_capacity(bytes);
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        let domain_start = text.len();
        text.push_str(domain);
        let bare_end = text.len();
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Self::at(Arc::from(text), domain_start, bare_end)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "INVARIANT: each part is checked against PART_BYTES_MAX, see the assertion above"
    )]
    fn at(text: Arc<str>, domain: usize, bare_end: usize) -> Self {
        let end = text.len() as u16;
        Self {
            text,
            start: 0,
            domain: domain as u16,
            bare_end: bare_end as u16,
            end,
        }
    }

    // INVARIANT: the offsets were taken from this very text, at ASCII separators or its ends.
    fn slice(&self, from: u16, to: u16) -> &str {
        &self.text[usize::from(from)..usize::from(to)]
    }

    pub(super) fn as_str(&self) -> &str {
        self.slice(self.start, self.end)
    }

    pub(super) fn bare_str(&self) -> &str {
        self.slice(self.start, self.bare_end)
    }

    pub(super) fn local(&self) -> Option<&str> {
        (self.domain != self.start).then(|| self.slice(self.start, self.domain - 1))
    }

    pub(super) fn domain(&self) -> &str {
        self.slice(self.domain, self.bare_end)
    }

    pub(super) fn resource(&self) -> Option<&str> {
        self.is_full()
            .then(|| self.slice(self.bare_end + 1, self.end))
    }

    pub(super) fn is_full(&self) -> bool {
        self.bare_end != self.end
    }

    pub(super) fn bare(&self) -> Self {
        Self {
            end: self.bare_end,
            ..self.clone()
        }
    }

    pub(super) fn domain_only(&self) -> Self {
        Self {
            start: self.domain,
            end: self.bare_end,
            ..self.clone()
        }
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Parts {}

impl Hash for Parts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Parts {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parts {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}
