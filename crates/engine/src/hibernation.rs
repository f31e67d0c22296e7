//! Sessions that outlive their streams (XEP-0198 § 5).

#[expect(dead_code, reason = "sessions are not resumed yet")]
mod state;

pub(crate) use state::State;
