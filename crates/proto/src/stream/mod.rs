//! Stream machines (RFC 6120 § 4).
