//! Bounds on what one element may cost, enforced while tokenising.

/// Bounds on one top-level element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the element on the wire; at most 2^31 - 1, whatever is asked for.
    pub bytes_max: usize,
    /// Nesting depth; the top-level element has depth 1.
    pub depth_max: usize,
    /// Elements and runs of text together.
    pub nodes_max: usize,
    /// Attributes (namespace declarations included) of one element.
    pub attributes_max: usize,
    /// Bytes of one qualified name; at most 65 535, whatever is asked for.
    pub name_bytes_max: usize,
}

impl Limits {
    /// Before authentication.
    pub const PRE_AUTH: Self = Self {
        bytes_max: 10_000,
        depth_max: 16,
        nodes_max: 256,
        attributes_max: 32,
        name_bytes_max: 256,
    };
    /// Authenticated client streams.
    pub const C2S: Self = Self {
        bytes_max: 256 * 1024,
        depth_max: 64,
        nodes_max: 8192,
        attributes_max: 256,
        name_bytes_max: 1024,
    };
    /// Authenticated server streams.
    pub const S2S: Self = Self {
        bytes_max: 512 * 1024,
        ..Self::C2S
    };

    /// The bounds that the index can represent: 32-bit offsets, 16-bit name lengths.
    pub(super) fn representable(self) -> Self {
        Self {
            bytes_max: self.bytes_max.min(0x7FFF_FFFF),
            name_bytes_max: self.name_bytes_max.min(0xFFFF),
            ..self
        }
    }
}
