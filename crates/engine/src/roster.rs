//! Rosters (RFC 6121 § 2).
