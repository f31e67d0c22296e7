//! Stub.
use crate::Engine;
use bytes::Bytes;
use std::net::IpAddr;
use waxwing_proto::stanza::{Condition, Stanza, StanzaError};

/// Answers before login.
pub async fn before_login(_engine: &Engine, _peer: IpAddr, _host: &str, stanza: &Stanza) -> Bytes {
    StanzaError::new(Condition::NotAllowed)
        .answer(stanza, None, None)
        .unwrap_or_default()
}
