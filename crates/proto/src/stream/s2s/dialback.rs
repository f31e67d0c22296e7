//! Server dialback: keys and elements ([XEP-0220](https://xmpp.org/extensions/xep-0220.html) 1.1.1,
//! [XEP-0185](https://xmpp.org/extensions/xep-0185.html) 1.0).

use super::{Pair, domain};
use crate::ns;
use crate::sasl::Hash;
use crate::stanza::{Condition, StanzaError};
use crate::stream::hex;
use crate::xml::{Element, Writer};
use bytes::Bytes;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// What the keys of this installation are made of. Not to be seen in logs.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// From random octets, the same for all nodes of an installation and for as long as it lives:
    /// any of them may be asked about a key that another one made.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hex(&Hash::Sha256.digest(random)))
    }

    /// The key with which `originating` shows `receiving` that it opened the stream of this id
    /// (XEP-0185 § 3). The spaces keep three texts apart that others choose.
    pub fn key(&self, receiving: &str, originating: &str, id: &str) -> String {
        let text = [receiving, " ", originating, " ", id].map(str::as_bytes);
        hex(&Hash::Sha256.hmac(self.0.as_bytes(), &text))
    }

    /// Whether we made this key; compared in constant time.
    fn made(&self, receiving: &str, originating: &str, id: &str, key: &str) -> bool {
        let own = self.key(receiving, originating, id);
        own.as_bytes().ct_eq(key.trim_ascii().as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The authoritative server made it.
    Valid,
    /// It did not.
    Invalid,
    /// It could not be asked, or could not say (XEP-0220 § 2.4).
    Failed(Condition),
}

/// A dialback element. Its addresses are `to` and `from` as prepared domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) step: Step,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) content: Content,
}

/// Which of the two elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `<db:result/>`
    Result,
    /// `<db:verify/>` with the id of the stream that it is about.
    Verify(String),
}

/// A question or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// With a key.
    Key(String),
    /// With a type.
    Verdict(Verdict),
}

impl Message {
    /// Reads an element of the dialback namespace; `None` if it cannot be understood.
    pub(super) fn read(root: Element<'_>) -> Option<Self> {
        let step = match root.name() {
            "result" => Step::Result,
            "verify" => Step::Verify(root.attr("id").filter(|id| !id.is_empty())?.into_owned()),
            _ => return None,
        };
        let content = match root.attr("type").as_deref() {
            None => Content::Key(root.text().into_owned()),
            Some("valid") => Content::Verdict(Verdict::Valid),
            Some("invalid") => Content::Verdict(Verdict::Invalid),
            Some("error") => {
                let error = root.children().find(|child| child.name() == "error");
                let condition = error.and_then(Condition::of);
                let condition = condition.unwrap_or(Condition::UndefinedCondition);
                Content::Verdict(Verdict::Failed(condition))
            }
            Some(_) => return None,
        };
        Some(Self {
            step,
            from: domain(&root.attr("from")?)?,
            to: domain(&root.attr("to")?)?,
            content,
        })
    }

    /// The answer: the addresses change places.
    pub(super) fn answer(self, verdict: Verdict) -> Bytes {
        let answer = Self {
            step: self.step,
            from: self.to,
            to: self.from,
            content: Content::Verdict(verdict),
        };
        answer.element()
    }

    /// The element, for a stream whose header declares the prefix `db`.
    pub(super) fn element(&self) -> Bytes {
        let mut xml = Writer::new(ns::CLIENT);
        match &self.step {
            Step::Result => xml.start("db:result"),
            Step::Verify(_) => xml.start("db:verify"),
        };
        xml.attr("from", &self.from).attr("to", &self.to);
        if let Step::Verify(id) = &self.step {
            xml.attr("id", id);
        }
        match &self.content {
            Content::Key(key) => {
                xml.text(key);
            }
            Content::Verdict(Verdict::Valid) => {
                xml.attr("type", "valid");
            }
            Content::Verdict(Verdict::Invalid) => {
                xml.attr("type", "invalid");
            }
            Content::Verdict(Verdict::Failed(condition)) => {
                xml.attr("type", "error");
                StanzaError::new(*condition).write(&mut xml);
            }
        }
        xml.finish()
    }
}

/// `<db:result/>` with our key, on the stream of this id.
pub(super) fn claim(secret: &Secret, pair: &Pair, id: &str) -> Bytes {
    let message = Message {
        step: Step::Result,
        from: pair.local.clone(),
        to: pair.remote.clone(),
        content: Content::Key(secret.key(&pair.remote, &pair.local, id)),
    };
    message.element()
}

/// What we, the authoritative server of `to`, say about a key that somebody gave `from`.
pub(super) fn judge(secret: &Secret, from: &str, to: &str, id: &str, key: &str) -> Verdict {
    if secret.made(from, to, id, key) {
        Verdict::Valid
    } else {
        Verdict::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_specification() {
        // XEP-0185 § 4.1, whose secret is a text.
        let secret = Secret(hex(&Hash::Sha256.digest(b"s3cr3tf0rd14lb4ck")));
        let key = secret.key("xmpp.example.com", "example.org", "D60000229F");
        assert_eq!(
            key,
            "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"
        );
        let made = |from, to, id, key: &str| judge(&secret, from, to, id, key) == Verdict::Valid;
        assert!(made("xmpp.example.com", "example.org", "D60000229F", &key));
        assert!(!made("example.org", "xmpp.example.com", "D60000229F", &key));
        assert!(!made("xmpp.example.com", "example.org", "D60000229E", &key));
        assert!(!made(
            "xmpp.example.com",
            "example.org",
            "D60000229F",
            &key[1..]
        ));
        assert!(!made("xmpp.example.com", "example.org", "D60000229F", ""));
    }
}
