//! Presence on its way to somebody (RFC 6121 § 8.5).
use super::Handover;
use crate::Engine;

/// Delivers.
pub(super) fn hand_over(_engine: &Engine, _handover: &Handover) {}
