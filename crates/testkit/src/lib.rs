//! What the tests of Waxwing need: a client, scenarios with the stage they are acted on, and the
//! join of scenarios and specifications.

pub mod scenario;
pub mod xml;
