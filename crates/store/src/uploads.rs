//! Uploaded files: under which name a content can be had, and whose it is. The contents themselves
//! are files, which somebody else keeps; here is said which of them are wanted.

use crate::{BoxFuture, Micros, Result};
use waxwing_proto::BareJid;

/// SHA-256 of a content, which is its name.
pub type ContentHash = [u8; 32];

/// What was uploaded. A content that no upload has any more, or has not yet, is a *stray*: its file
/// can go.
pub trait Uploads {
    /// Notes that a file with this content may come to be: it is a stray until an upload has it.
    fn upload_expect(&self, content: ContentHash) -> BoxFuture<'_, Result<()>>;
    /// Adds an upload; its content is no stray then. The same upload again changes nothing, another
    /// one in its slot is [`crate::StoreError::Exists`]. [`crate::StoreError::Quota`] past a bound.
    fn upload_add(&self, upload: Upload, quota: UploadQuota) -> BoxFuture<'_, Result<()>>;
    /// What is in a slot.
    fn upload(&self, slot: String) -> BoxFuture<'_, Result<Option<Upload>>>;
    /// How much an account has.
    fn upload_use(&self, account: BareJid) -> BoxFuture<'_, Result<UploadUse>>;
    /// Removes uploads whose time has come at `now`, and those added before `added_before` that are
    /// not to stay for ever, at most `count`; gives how many there were.
    fn uploads_expire(
        &self,
        now: Micros,
        added_before: Option<Micros>,
        count: u32,
    ) -> BoxFuture<'_, Result<u64>>;
    /// Strays in the order of their hashes, after `after`, at most `count`.
    fn upload_strays(
        &self,
        after: Option<ContentHash>,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<ContentHash>>>;
    /// The files of these strays have gone.
    fn upload_strays_gone(&self, contents: Vec<ContentHash>) -> BoxFuture<'_, Result<()>>;
}

/// One upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it is: a random name.
    pub slot: String,
    /// Whose it is.
    pub account: BareJid,
    /// What it is.
    pub content: ContentHash,
    /// How long that is, in bytes.
    pub content_bytes: u64,
    /// What kind of file (RFC 9110 § 8.3.1).
    pub media_type: String,
    /// When it was added.
    pub added: Micros,
    /// How long it stays.
    pub lifetime: Lifetime,
}

/// How long an upload stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as uploads usually do.
    Usual,
    /// As long as its account.
    Forever,
    /// As usual, but not beyond this time.
    Until(Micros),
}

/// Bounds on what one account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadQuota {
    /// How many uploads.
    pub files_max: u32,
    /// Their bytes; a content in two slots counts twice.
    pub bytes_max: u64,
}

/// How much an account has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadUse {
    /// How many uploads.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
