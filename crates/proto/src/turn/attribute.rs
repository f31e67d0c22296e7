//! The types of attributes and methods that are used here (RFC 8489 § 18.3, RFC 8656 § 17, § 18).

/// The name to log in with.
pub const USERNAME: u16 = 0x0006;
/// The code of a message (HMAC-SHA-1).
pub const INTEGRITY: u16 = 0x0008;
/// What was wrong.
pub const ERROR_CODE: u16 = 0x0009;
/// Attributes that were not understood.
pub const UNKNOWN: u16 = 0x000A;
/// The number of a channel.
pub const CHANNEL_NUMBER: u16 = 0x000C;
/// How long something lives, in seconds.
pub const LIFETIME: u16 = 0x000D;
/// The address of a peer.
pub const PEER_ADDRESS: u16 = 0x0012;
/// What a peer is sent, or has sent.
pub const DATA: u16 = 0x0013;
/// What passwords are for.
pub const REALM: u16 = 0x0014;
/// What makes a code good for a while only.
pub const NONCE: u16 = 0x0015;
/// The address that peers send to.
pub const RELAYED_ADDRESS: u16 = 0x0016;
/// Which kind of address is wanted.
pub const FAMILY: u16 = 0x0017;
/// That the port is to be even, and perhaps that the next is to be kept.
pub const EVEN_PORT: u16 = 0x0018;
/// How data is to travel to peers.
pub const TRANSPORT: u16 = 0x0019;
/// The address that a message came from.
pub const MAPPED_ADDRESS: u16 = 0x0020;
/// The checksum.
pub const FINGERPRINT: u16 = 0x8028;

/// Methods.
pub mod method {
    /// Where do I come from?
    pub const BINDING: u16 = 0x001;
    /// An address to be had for peers.
    pub const ALLOCATE: u16 = 0x003;
    /// How long it is to live.
    pub const REFRESH: u16 = 0x004;
    /// Data to a peer.
    pub const SEND: u16 = 0x006;
    /// Data from a peer.
    pub const DATA: u16 = 0x007;
    /// Peers that may send.
    pub const CREATE_PERMISSION: u16 = 0x008;
    /// A short way to a peer.
    pub const CHANNEL_BIND: u16 = 0x009;
}
