//! The tests that each back end must pass.
