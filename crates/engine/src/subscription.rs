//! Subscription states (RFC 6121 § 3).
