//! Ids of archived messages as others see them
//! ([XEP-0359](https://xmpp.org/extensions/xep-0359.html), 0.7.0).
//!
//! The store counts: its ids are times, so they say when something happened and can be guessed. What
//! is shown is one block of AES over the id and a mark of the account, under keys that this
//! installation made for itself. So an id says nothing (§ 6; XEP-0313 § 3), is always the same
//! (§ 3), is read without asking the store, and one that was made up, or is of somebody else's
//! archive, is recognised.

use crate::feature::{Coverage, Disco, Feature, Place, Xep};
use aes::{
    Aes128,
    cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use waxwing_proto::{BareJid, ns, xml::Writer};

/// The feature. Ids that are forged are taken out by [`super::forgery`]; ids of the sender
/// (`<origin-id/>`) are passed on as they are (§ 2.2).
pub const FEATURE: Feature = Feature {
    name: "stanza-id",
    xeps: &[Xep {
        number: 359,
        version: "0.7.0",
        title: "Unique and Stable Stanza IDs",
        coverage: Coverage::Complete,
    }],
    disco: &[Disco {
        place: Place::Account,
        var: ns::STANZA_ID,
    }],
    ..Feature::NONE
};

/// Name of the secret that the keys are made of. Another secret makes all ids that clients know
/// unknown.
pub(crate) const SECRET: &str = "archive-ids";

const BLOCK_BYTES: usize = 16;
/// A block in base64url without padding.
const TEXT_BYTES: usize = 22;

/// Shows ids of archives and reads them again.
pub struct StanzaIds {
    ids: Aes128,
    accounts: Aes128,
}

impl StanzaIds {
    /// For an installation's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        let (ids, accounts) = secret.split_at(BLOCK_BYTES);
        Self {
            ids: cipher(ids),
            accounts: cipher(accounts),
        }
    }

    /// The id of an entry in the account's archive, as it is shown.
    pub fn show(&self, account: &BareJid, id: u64) -> Shown {
        let block = u128::from(id) << 64 | u128::from(self.mark(account));
        let mut block = Array(block.to_be_bytes());
        self.ids.encrypt_block(&mut block);
        let mut text = [0; TEXT_BYTES];
        // INVARIANT: a block fills the text exactly.
        let written = URL_SAFE_NO_PAD.encode_slice(block, &mut text);
        debug_assert_eq!(written, Ok(TEXT_BYTES));
        Shown(text)
    }

    /// The id that was shown so to this account; `None` for all others.
    pub fn read(&self, account: &BareJid, text: &str) -> Option<u64> {
        let mut block = [0; BLOCK_BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(text, &mut block);
        if read != Ok(BLOCK_BYTES) {
            return None;
        }
        let mut block = Array(block);
        self.ids.decrypt_block(&mut block);
        let (id, mark) = halves(&block.0);
        (mark == self.mark(account)).then_some(id)
    }

    /// `<stanza-id/>` for a message in the account's archive (§ 2.1), for `jabber:client`.
    pub fn element(&self, account: &BareJid, id: u64) -> Bytes {
        let by = account.as_str();
        let mut xml = Writer::with_capacity(ns::CLIENT, 80 + by.len());
        xml.start_ns("stanza-id", ns::STANZA_ID)
            .attr("by", by)
            .attr("id", self.show(account, id).as_str())
            .end();
        xml.finish()
    }

    /// What ties an id to its account: CBC-MAC over the address, its length first, so that no
    /// address begins another.
    fn mark(&self, account: &BareJid) -> u64 {
        let address = account.as_str().as_bytes();
        let mut state = Array([0; BLOCK_BYTES]);
        for (byte, length) in state.iter_mut().zip(address.len().to_le_bytes()) {
            *byte = length;
        }
        self.accounts.encrypt_block(&mut state);
        for chunk in address.chunks(BLOCK_BYTES) {
            for (byte, text) in state.iter_mut().zip(chunk) {
                *byte ^= text;
            }
            self.accounts.encrypt_block(&mut state);
        }
        halves(&state.0).0
    }
}

fn halves(block: &[u8; BLOCK_BYTES]) -> (u64, u64) {
    let half = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (first, second) = block.split_at(BLOCK_BYTES / 2);
    (half(first), half(second))
}

fn cipher(key: &[u8]) -> Aes128 {
    let mut block = [0; BLOCK_BYTES];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte = *key;
    }
    Aes128::new(&Array(block))
}

/// An id as it is shown: 22 letters, digits, `-` and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown([u8; TEXT_BYTES]);

impl Shown {
    /// Its text.
    pub fn as_str(&self) -> &str {
        // INVARIANT: base64 is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{StanzaIds, TEXT_BYTES};
    use std::collections::HashSet;
    use waxwing_proto::BareJid;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn only_what_was_shown_to_the_account_is_read() {
        let ids = StanzaIds::new(&[7; 32]);
        let (alice, bob) = (jid("alice@example.org"), jid("bob@example.org"));
        let mut seen = HashSet::new();
        for id in [0, 1, 2, 1_700_000_000_000_000, u64::MAX] {
            let shown = ids.show(&alice, id);
            assert_eq!(shown.as_str().len(), TEXT_BYTES);
            assert_eq!(ids.read(&alice, shown.as_str()), Some(id));
            assert_eq!(ids.read(&bob, shown.as_str()), None);
            assert_ne!(ids.show(&bob, id), shown);
            assert_eq!(StanzaIds::new(&[8; 32]).read(&alice, shown.as_str()), None);
            assert!(seen.insert(shown.as_str().to_owned()));
        }
        let shown = ids.show(&alice, 1);
        let text = shown.as_str();
        let cut = text.get(1..).unwrap();
        for made_up in [
            "",
            "1",
            cut,
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
            "AAAAAAAAAAAAAAAAAAAAAA",
            "ÄÄÄÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(ids.read(&alice, made_up), None, "{made_up}");
        }
    }

    /// A text has one form only: no two name one entry.
    #[test]
    fn every_letter_counts() {
        let ids = StanzaIds::new(&[7; 32]);
        let alice = jid("alice@example.org");
        let shown = ids.show(&alice, 42);
        for at in 0..TEXT_BYTES {
            for letter in ['A', 'B', 'z', '-', '_'] {
                let mut text: Vec<char> = shown.as_str().chars().collect();
                let letter = std::mem::replace(&mut text[at], letter);
                let text: String = text.into_iter().collect();
                let same = text.chars().nth(at) == Some(letter);
                assert_eq!(ids.read(&alice, &text).is_some(), same, "{text}");
            }
        }
    }

    /// Clients keep ids for years: how they are made must not change. The values are those of
    /// another implementation of AES.
    #[test]
    fn ids_never_change() {
        let secret = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let ids = StanzaIds::new(&secret);
        for (account, id, shown) in [
            (
                "romeo@montague.example",
                1_790_000_000_000_000,
                "bRWcFbw_cwkURpHE5VLEYw",
            ),
            ("r@m.example", 1, "GO0swkMu7rdydGl4DC3f7w"),
            (
                "romeo@montague.city.of.verona.ex",
                1,
                "HHpiQh-NMCvc1vIEjMUgBQ",
            ),
        ] {
            assert_eq!(ids.show(&jid(account), id).as_str(), shown, "{account}");
            let element = ids.element(&jid(account), id);
            let expected =
                format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{account}' id='{shown}'/>");
            assert_eq!(std::str::from_utf8(&element).unwrap(), expected);
        }
    }
}
