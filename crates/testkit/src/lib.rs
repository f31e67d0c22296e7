//! What the tests of Waxwing need: a client, scenarios with the stage they are acted on, and the
//! join of scenarios and specifications.

pub mod client;
pub mod coverage;
pub mod harness;
pub mod peer;
pub mod scenario;
pub mod subject;
pub mod xml;
