//! Addresses (RFC 7622): localpart, domainpart and resourcepart, prepared and enforced once.
//!
//! An address in hand is valid and in the form in which addresses are compared. All three types
//! are one shared text and a few offsets: cloning, `to_bare` and `to_domain` allocate nothing.
//! They hash, compare and order as their text does, so maps keyed by them are looked up by
//! `&str` (for example by [`FullJid::bare_str`]).

mod parts;
mod prepare;

use parts::Parts;
use std::borrow::Borrow;
use std::fmt;

pub use prepare::{prepare_domain, prepare_local, prepare_resource, skeleton};

/// Octets of each part, at most, after preparation (RFC 7622 § 3.2 to § 3.4).
pub const PART_BYTES_MAX: usize = 1023;

/// Any address: a domain, a bare JID or a full JID. Cloning is cheap (shared storage).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid(Parts);

/// An address without a resourcepart: `localpart@domainpart` or a domainpart alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Parts);

/// An address with a resourcepart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(Parts);

/// Why a text is not an address (RFC 7622 § 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JidError {
    /// A part is empty where it must not be.
    Empty,
    /// A part is longer than 1023 octets after preparation.
    TooLong,
    /// The localpart breaks RFC 7622 § 3.3.
    Localpart,
    /// The domainpart breaks RFC 7622 § 3.2.
    Domainpart,
    /// The resourcepart breaks RFC 7622 § 3.4.
    Resourcepart,
    /// A full JID was wanted and there is no resourcepart, or a bare JID and there is one.
    Resource,
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a part of the address is empty",
            Self::TooLong => "a part of the address is longer than 1023 octets",
            Self::Localpart => "the part before @ has a character that it may not have",
            Self::Domainpart => "the domain is not a valid one",
            Self::Resourcepart => "the part after / has a character that it may not have",
            Self::Resource => "the address must have a resource, or must not have one",
        })
    }
}

impl std::error::Error for JidError {}

impl Jid {
    /// Parses and prepares an address.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Parts::parse(text).map(Self)
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
    /// The resourcepart, if any.
    pub fn resource(&self) -> Option<&str> {
        self.0.resource()
    }
    /// Whether there is a resourcepart.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }
    /// The address without its resourcepart.
    pub fn to_bare(&self) -> BareJid {
        BareJid(self.0.bare())
    }
    /// The full JID, if this is one.
    pub fn to_full(&self) -> Option<FullJid> {
        self.is_full().then(|| FullJid(self.0.clone()))
    }
    /// The bare JID, if this has no resourcepart.
    pub fn into_bare(self) -> Option<BareJid> {
        (!self.is_full()).then_some(BareJid(self.0))
    }
    /// The domain alone, as an address.
    pub fn to_domain(&self) -> BareJid {
        BareJid(self.0.domain_only())
    }
    /// The bare address as text, without allocation.
    pub fn bare_str(&self) -> &str {
        self.0.bare_str()
    }
}

impl BareJid {
    /// Parses and prepares an address that must have no resourcepart.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.into_bare().ok_or(JidError::Resource)
    }
    /// Prepares the parts.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        Parts::prepare(local, domain, None).map(Self)
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
    /// The domain alone, as an address.
    #[must_use]
    pub fn to_domain(&self) -> BareJid {
        BareJid(self.0.domain_only())
    }
    /// This address with a resourcepart, which is prepared.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = prepare_resource(resource)?;
        Ok(FullJid(Parts::join(
            self.local(),
            self.domain(),
            Some(&resource),
        )))
    }
}

impl FullJid {
    /// Parses and prepares an address that must have a resourcepart.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.to_full().ok_or(JidError::Resource)
    }
    /// The address as prepared text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
    /// The localpart, if any.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }
    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
    /// The resourcepart.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
    /// The address without its resourcepart.
    pub fn to_bare(&self) -> BareJid {
        BareJid(self.0.bare())
    }
    /// The domain alone, as an address.
    pub fn to_domain(&self) -> BareJid {
        BareJid(self.0.domain_only())
    }
    /// The bare address as text, without allocation.
    pub fn bare_str(&self) -> &str {
        self.0.bare_str()
    }
}

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Self {
        Self(jid.0)
    }
}

impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Self {
        Self(jid.0)
    }
}

impl From<&BareJid> for Jid {
    fn from(jid: &BareJid) -> Self {
        Self(jid.0.clone())
    }
}

impl From<&FullJid> for Jid {
    fn from(jid: &FullJid) -> Self {
        Self(jid.0.clone())
    }
}

impl From<FullJid> for BareJid {
    fn from(jid: FullJid) -> Self {
        Self(jid.0.bare())
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        // Equality, order and hash are those of the text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                self.as_str() == text
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                self.as_str() == *text
            }
        }
    )*};
}
text!(Jid, BareJid, FullJid);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn parts(text: &str) -> Result<(Option<String>, String, Option<String>), JidError> {
        let jid = Jid::parse(text)?;
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Ok((
            owned(jid.local()),
            jid.domain().to_owned(),
            owned(jid.resource()),
        ))
    }

    /// RFC 7622 § 3.5, tables 1 and 2. Row 20 (a leading space in the resourcepart) is left out:
    /// erratum 4560, `OpaqueString` allows it.
    #[test]
    fn rfc_7622_examples() {
        let local = |local: &str| Ok((Some(local.to_owned()), "example.com".to_owned(), None));
        for (given, expected) in [
            ("juliet@example.com", local("juliet")),
            (
                "juliet@example.com/foo",
                Ok((
                    Some("juliet".into()),
                    "example.com".into(),
                    Some("foo".into()),
                )),
            ),
            (
                "juliet@example.com/foo bar",
                Ok((
                    Some("juliet".into()),
                    "example.com".into(),
                    Some("foo bar".into()),
                )),
            ),
            (
                "juliet@example.com/foo@bar",
                Ok((
                    Some("juliet".into()),
                    "example.com".into(),
                    Some("foo@bar".into()),
                )),
            ),
            ("foo\\20bar@example.com", local("foo\\20bar")),
            ("fussball@example.com", local("fussball")),
            ("fußball@example.com", local("fußball")),
            ("π@example.com", local("π")),
            ("Σ@example.com", local("σ")),
            ("σ@example.com", local("σ")),
            ("ς@example.com", local("ς")),
            (
                "king@example.com/♚",
                Ok((Some("king".into()), "example.com".into(), Some("♚".into()))),
            ),
            ("example.com", Ok((None, "example.com".into(), None))),
            (
                "example.com/foobar",
                Ok((None, "example.com".into(), Some("foobar".into()))),
            ),
            (
                "a.example.com/b@example.net",
                Ok((None, "a.example.com".into(), Some("b@example.net".into()))),
            ),
            ("\"juliet\"@example.com", Err(JidError::Localpart)),
            ("foo bar@example.com", Err(JidError::Localpart)),
            ("@example.com/", Err(JidError::Empty)),
            ("henryⅣ@example.com", Err(JidError::Localpart)),
            ("♚@example.com", Err(JidError::Localpart)),
            ("juliet@", Err(JidError::Empty)),
            ("/foobar", Err(JidError::Empty)),
        ] {
            assert_eq!(parts(given), expected, "{given}");
        }
    }

    #[test]
    fn prepared_text() {
        for (given, expected) in [
            ("Juliet@Example.COM/Balcony", "juliet@example.com/Balcony"),
            ("example.com.", "example.com"),
            ("example.com./r", "example.com/r"),
            ("a@b/ c ", "a@b/ c "),
            ("a@b/c/d@e/", "a@b/c/d@e/"),
            ("room@muc.example/😀🤔🫠", "room@muc.example/😀🤔🫠"),
            (
                "ＡＬＩＣＥ@ＥＸＡＭＰＬＥ．ＣＯＭ/Ａ",
                "alice@example.com/Ａ",
            ),
            ("xn--fuball-cta.example", "fußball.example"),
            ("FUSSBALL.example。", "fussball.example"),
            ("BÜCHER.example", "bücher.example"),
            ("a@127.0.0.1/r", "a@127.0.0.1/r"),
            ("a@[::1]/r", "a@[::1]/r"),
            ("[2001:0DB8::0001]", "[2001:db8::1]"),
            ("a@b/e\u{301}", "a@b/é"),
        ] {
            assert_eq!(Jid::parse(given).expect(given), expected);
        }
    }

    #[test]
    fn refused() {
        let long = "a".repeat(PART_BYTES_MAX + 1);
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "a";
        for (given, expected) in [
            ("", JidError::Empty),
            ("@", JidError::Empty),
            ("@b", JidError::Empty),
            ("a@b/", JidError::Empty),
            (".", JidError::Empty),
            ("a@b@c", JidError::Domainpart),
            ("a..b", JidError::Domainpart),
            ("b..", JidError::Domainpart),
            (".b", JidError::Domainpart),
            ("-b", JidError::Domainpart),
            ("b-", JidError::Domainpart),
            ("ab--c", JidError::Domainpart),
            ("a_b", JidError::Domainpart),
            ("a b", JidError::Domainpart),
            ("a:5222", JidError::Domainpart),
            ("♚.example", JidError::Domainpart),
            ("xn--i-7iq.example", JidError::Domainpart),
            ("xn--a.example", JidError::Domainpart),
            ("[::1", JidError::Domainpart),
            ("[127.0.0.1]", JidError::Domainpart),
            ("[fe80::1%eth0]", JidError::Domainpart),
            ("a&b@c", JidError::Localpart),
            ("a＠b@c", JidError::Localpart),
            ("a\u{7f}b@c", JidError::Localpart),
            ("a\u{200b}b@c", JidError::Localpart),
            ("a@b/\u{7}", JidError::Resourcepart),
            ("a@b/\u{2028}", JidError::Resourcepart),
            (&format!("{long}@b"), JidError::TooLong),
            (&format!("a@b/{long}"), JidError::TooLong),
            (&format!("a@{long_label}"), JidError::Domainpart),
            (&long_name, JidError::Domainpart),
            (&format!("{}@b", "é".repeat(600)), JidError::TooLong),
        ] {
            assert_eq!(Jid::parse(given), Err(expected), "{given}");
        }
        let longest = "a".repeat(PART_BYTES_MAX);
        assert!(Jid::parse(&format!("{longest}@b/{longest}")).is_ok());
    }

    #[test]
    fn parts_share_the_text() {
        let full = FullJid::parse("Juliet@example.com/balcony").expect("valid");
        assert_eq!(full.to_bare(), "juliet@example.com");
        assert_eq!(full.to_domain(), "example.com");
        assert_eq!(
            full.to_bare().to_domain(),
            BareJid::parse("example.com").expect("valid")
        );
        assert_eq!(full.to_domain().local(), None);
        assert_eq!(full.bare_str(), "juliet@example.com");
        assert_eq!(full.resource(), "balcony");
        assert!(Arc::ptr_eq(&full.0.text, &full.to_bare().0.text));
        let again = full.to_bare().with_resource("balcony").expect("valid");
        assert_eq!(again, full);
        assert_eq!(Jid::from(&full).to_full(), Some(full.clone()));
        assert_eq!(Jid::from(full.to_bare()).to_full(), None);
        assert_eq!(BareJid::parse("a@b/c"), Err(JidError::Resource));
        assert_eq!(FullJid::parse("a@b"), Err(JidError::Resource));
        let accounts = HashMap::from([(BareJid::from(full.clone()), 1)]);
        assert_eq!(accounts.get(full.bare_str()), Some(&1));
    }

    #[test]
    fn lookalikes_share_a_skeleton() {
        assert_eq!(skeleton("аlice"), skeleton("alice"), "Cyrillic а");
        assert_eq!(skeleton("раураl"), skeleton("paypal"));
        assert_ne!(skeleton("alice"), skeleton("alicia"));
    }

    proptest! {
        #[test]
        fn never_panics_and_is_stable(text in "\\PC{0,8}[@/.]?\\PC{0,8}[@/]?\\PC{0,8}") {
            if let Ok(jid) = Jid::parse(&text) {
                prop_assert_eq!(Jid::parse(jid.as_str()), Ok(jid.clone()));
                let mut joined = jid.local().map_or(String::new(), |local| format!("{local}@"));
                joined.push_str(jid.domain());
                prop_assert_eq!(&joined, jid.bare_str());
            }
        }

        #[test]
        fn the_fast_path_agrees_with_preparation(
            local in "[ -~]{0,6}", domain in "[a-zA-Z0-9.-]{0,6}", resource in "[ -~]{1,6}"
        ) {
            prop_assume!(!local.contains(['/', '@']));
            let text = format!("{local}@{domain}/{resource}");
            prop_assert_eq!(
                Parts::parse(&text).ok().map(Jid),
                Parts::prepare(Some(&local), &domain, Some(&resource)).ok().map(Jid)
            );
        }
    }
}
