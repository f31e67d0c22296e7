//! What other servers send, honest ones and others, and all that comes of it.

#![expect(
    clippy::needless_raw_string_hashes,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "expect-test writes the hashes and is used by value; tables of attacks are long"
)]

mod incoming;
mod outgoing;
mod together;

use super::*;
use crate::stream::{TlsInfo, Transport};
use bytes::BytesMut;
use std::collections::HashMap;
use std::sync::Arc;

const HEAD: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' ";

fn settings() -> S2sSettings {
    S2sSettings {
        hosts: ["here.example", "rooms.here.example"]
            .map(str::to_owned)
            .into(),
        policies: Policies {
            default: Policy::Certificate,
            domains: HashMap::from([
                ("blocked.example".to_owned(), Policy::Block),
                ("old.example".to_owned(), Policy::Dialback),
            ]),
        },
        pairs_max: 3,
        ..S2sSettings::new(Secret::new(&[7; 32]))
    }
}

/// TLS with a certificate for these domains.
fn tls(domains: &[&str]) -> TlsInfo {
    TlsInfo {
        peer: Certificate {
            trusted: true,
            dns_names: domains.iter().map(|&name| name.to_owned()).collect(),
            ..Certificate::default()
        },
        ..TlsInfo::default()
    }
}

fn transport(domains: &[&str]) -> Transport {
    Transport::Tls(tls(domains))
}

fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    // The same in every stream.
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
        xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'";
    text.replace(header, "<HEADER")
        .replace(" version='1.0' xml:lang='en'>", ">")
        .replace("urn:ietf:params:xml:ns:xmpp-", "xmpp-")
}

fn log_of(effect: &S2sEffect) -> String {
    match effect {
        S2sEffect::Send(bytes) => format!("< {}", text(bytes)),
        S2sEffect::Stanza(draft) => {
            format!("stanza {}", text(&draft.clone().seal().to_bytes()))
        }
        other => format!("{other:?}"),
    }
}

fn pair(local: &str, remote: &str) -> Pair {
    Pair {
        local: local.to_owned(),
        remote: remote.to_owned(),
    }
}

fn ids() -> crate::stream::Ids {
    Arc::new(|| "id1".to_owned())
}
