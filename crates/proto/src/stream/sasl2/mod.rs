//! The elements of the extensible SASL profile (XEP-0388, version 1.0.4), with what stands in
//! them: Bind 2 (XEP-0386, version 1.1.0), inline stream management (XEP-0198 § 9), tokens
//! (XEP-0484, version 0.2.0) and upgrades of verifiers (XEP-0480, version 0.2.0).

mod request;

pub(super) use request::{Task, Wishes, read, read_task};

use super::login::{Bound, NewToken};
use crate::ns;
use crate::sasl::{self, Failure, Hash};
use crate::sm::Nonza;
use crate::time::format_datetime;
use crate::xml::Writer;
use bytes::Bytes;

/// The name of the task that gives the server a verifier for this hash (XEP-0480 § 3).
pub(super) fn upgrade_name(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha1 => "UPGR-SCRAM-SHA-1",
        Hash::Sha256 => "UPGR-SCRAM-SHA-256",
        Hash::Sha512 => "UPGR-SCRAM-SHA-512",
    }
}

/// What `<success/>` says.
pub(super) struct Success<'a> {
    pub(super) data: Option<&'a [u8]>,
    /// Full if a resource is bound.
    pub(super) jid: &'a str,
    /// `<resumed/>` or `<failed/>`.
    pub(super) resumption: Option<Nonza>,
    pub(super) bound: Option<Bound>,
    pub(super) token: Option<NewToken>,
}

impl Success<'_> {
    /// `<success/>` (XEP-0388 § 2.6.1).
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut xml = Writer::with_capacity(ns::CLIENT, 512);
        xml.start_ns("success", ns::SASL2);
        if let Some(data) = self.data {
            xml.leaf("additional-data", &sasl::encode(data));
        }
        xml.leaf("authorization-identifier", self.jid);
        if let Some(resumption) = &self.resumption {
            resumption.write(&mut xml);
        }
        if let Some(bound) = &self.bound {
            xml.start_ns("bound", ns::BIND2);
            match &bound.sm {
                None => {}
                Some(Ok(enabled)) => Nonza::Enabled(enabled.clone()).write(&mut xml),
                Some(Err(condition)) => Nonza::failed(*condition).write(&mut xml),
            }
            xml.raw(&bound.more).end();
        }
        if let Some(new) = &self.token {
            xml.start_ns("token", ns::FAST)
                .attr("expiry", &format_datetime(new.expiry_micros))
                .attr("token", new.token.secret())
                .end();
        }
        xml.finish()
    }
}

/// `<challenge/>` (XEP-0388 § 2.5).
pub(super) fn challenge(data: &[u8]) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("challenge", ns::SASL2);
    xml.text(&sasl::encode(data));
    xml.finish()
}

/// `<failure/>` (XEP-0388 § 2.6.2).
pub(super) fn failure(failure: Failure) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("failure", ns::SASL2);
    xml.empty(failure.name(), ns::SASL);
    xml.leaf("text", failure.text());
    xml.finish()
}

/// `<continue/>` with one task (XEP-0388 § 2.6.3, XEP-0480 § 2.2).
pub(super) fn proceed(data: Option<&[u8]>, hash: Hash) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("continue", ns::SASL2);
    if let Some(data) = data {
        xml.leaf("additional-data", &sasl::encode(data));
    }
    xml.start("tasks").leaf("task", upgrade_name(hash));
    xml.finish()
}

/// `<task-data/>` that tells how to make `SaltedPassword` (XEP-0480 § 3).
pub(super) fn salt(salt: &[u8], iterations: u32) -> Bytes {
    let mut xml = Writer::new(ns::CLIENT);
    xml.start_ns("task-data", ns::SASL2);
    xml.start_ns("salt", ns::SCRAM_UPGRADE)
        .attr("iterations", &iterations.to_string())
        .text(&sasl::encode(salt));
    xml.finish()
}
