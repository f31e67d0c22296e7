//! The reference implementation.
/// All in memory.
#[derive(Debug, Default)]
pub struct MemoryStore;
