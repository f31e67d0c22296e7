//! User avatars ([XEP-0084](https://xmpp.org/extensions/xep-0084.html), 1.1.4) as pictures of vCards
//! and hashes in presence, and the other way round
//! ([XEP-0398](https://xmpp.org/extensions/xep-0398.html), 1.0.0).
//!
//! There is one picture: the one that the account's nodes have. A vCard shows it to those who may read
//! the nodes (XEP-0398 § 5.2), and writing a vCard with a picture publishes it; so the two cannot differ,
//! whatever happens in between. The hash goes into presence for those who may read the picture.
//!
//! Pictures are never decoded, and so not converted: what clients publish is what they get. Of a
//! picture in a vCard the header is read, which gives its type and its measures.

use super::pubsub::{self, Readers};
use crate::{
    Engine,
    feature::{Coverage, Disco, Feature, Place, Xep},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::StanzaError,
    xml::{Element, Limits, Tree, Writer},
};
use waxwing_store::{Store, StoreError};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "avatar",
    xeps: &[
        Xep {
            number: 84,
            version: "1.1.4",
            title: "User Avatar",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 153,
            version: "1.1.1",
            title: "vCard-Based Avatars",
            coverage: Coverage::Complete,
        },
        Xep {
            number: 398,
            version: "1.0.0",
            title: "User Avatar to vCard-Based Avatars Conversion",
            coverage: Coverage::Complete,
        },
    ],
    disco: &[Disco {
        place: Place::Account,
        var: ns::VCARD_CONVERSION,
    }],
    ..Feature::NONE
};

/// Bytes of a picture that is taken from a vCard: what an item can hold in base64.
const PICTURE_BYTES_MAX: usize = 180 * 1024;
/// Pixels of such a picture, in width and in height: whoever shows it holds all of them in memory.
const PICTURE_SIDE_MAX: usize = 4096;

/// What presence must know of an account's avatar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avatar {
    /// SHA-1 of the picture, in hexadecimal digits.
    pub(crate) hash: Box<str>,
    readers: Readers,
}

impl Avatar {
    /// Whether those who see the account's presence may see it; or anybody else.
    pub(crate) fn is_for(&self, contact: bool) -> bool {
        match self.readers {
            Readers::All => true,
            Readers::Contacts => contact,
            Readers::Chosen => false,
        }
    }
}

/// The avatar of an account, if it shows one.
pub(crate) async fn of(store: &dyn Store, account: &BareJid) -> Result<Option<Avatar>, StoreError> {
    let newest = pubsub::newest(store, account, ns::AVATAR_METADATA).await?;
    Ok(newest.and_then(|(item, readers)| {
        let info = Info::read(item.payload)?;
        Some(Avatar {
            hash: info.id.into(),
            readers,
        })
    }))
}

/// The node that says what the avatar is has changed, or may have.
pub(crate) async fn changed(engine: &Engine, owner: &BareJid) {
    let before = engine.registry().view(owner).ok();
    engine.registry().changed(owner);
    let Ok(view) = engine.view(owner).await else {
        return;
    };
    if before.is_none_or(|before| before.avatar != view.avatar) {
        crate::presence::show_avatar(engine, owner, &view).await;
    }
}

/// The picture of an account as the element `PHOTO` of its vCard, if it has one and `who` may see it.
pub(crate) async fn photo(
    engine: &Engine,
    owner: &BareJid,
    who: &Jid,
) -> Result<Option<Bytes>, StanzaError> {
    let items = pubsub::items(engine, owner, ns::AVATAR_METADATA).await?;
    let Some(info) = items
        .into_iter()
        .next_back()
        .and_then(|item| Info::read(item.payload))
    else {
        return Ok(None);
    };
    for node in [ns::AVATAR_METADATA, ns::AVATAR_DATA] {
        if !pubsub::may_read(engine, owner, node, who).await? {
            return Ok(None);
        }
    }
    let data = pubsub::items(engine, owner, ns::AVATAR_DATA).await?;
    let data = data.into_iter().find(|item| item.id == info.id);
    Ok(data.and_then(|item| {
        let tree = Tree::parse(item.payload, "", &Limits::C2S).ok()?;
        let bytes = decoded(&tree.root().text())?;
        // XEP-0398 § 3
        (hash(&bytes) == info.id).then(|| element(&info.kind, &bytes))
    }))
}

/// Makes the picture of a vCard the avatar of its owner, or none. Gives whether the picture was
/// taken; one that is not is the vCard's own affair.
pub(crate) async fn publish(
    engine: &Engine,
    from: &Jid,
    vcard: Element<'_>,
) -> Result<bool, StanzaError> {
    let owner = from.to_bare();
    let photo = vcard.child("PHOTO", ns::VCARD);
    let data = photo.and_then(|photo| photo.child("BINVAL", ns::VCARD));
    let picture = data.and_then(|data| Picture::check(decoded(&data.text())?));
    let shown = of(engine.store(), &owner).await;
    let shown = shown.map_err(|failure| crate::error::from_store(engine, &failure))?;
    match &picture {
        Some(picture)
            if shown
                .as_ref()
                .is_none_or(|shown| *shown.hash != *picture.id) =>
        {
            let data = (picture.id.clone(), picture.data());
            pubsub::publish(engine, from, ns::AVATAR_DATA, data).await?;
            let metadata = (picture.id.clone(), picture.metadata());
            pubsub::publish(engine, from, ns::AVATAR_METADATA, metadata).await?;
            changed(engine, &owner).await;
        }
        None if shown.is_some() => {
            // XEP-0084 § 3.5
            let mut xml = Writer::new("");
            xml.empty("metadata", ns::AVATAR_METADATA);
            let none = ("current".to_owned(), xml.finish());
            pubsub::publish(engine, from, ns::AVATAR_METADATA, none).await?;
            changed(engine, &owner).await;
        }
        _ => {}
    }
    Ok(picture.is_some())
}

/// What the metadata say of the picture that is on the data node (XEP-0084 § 4.2).
#[derive(Debug, PartialEq, Eq)]
struct Info {
    id: String,
    kind: String,
}

impl Info {
    fn read(payload: Bytes) -> Option<Self> {
        let tree = Tree::parse(payload, "", &Limits::C2S).ok()?;
        let metadata = tree.root();
        if !metadata.is("metadata", ns::AVATAR_METADATA) {
            return None;
        }
        let mut infos = metadata
            .children()
            .filter(|child| child.is("info", ns::AVATAR_METADATA) && child.attr("url").is_none());
        let info = infos.next()?;
        let id = info.attr("id")?.to_ascii_lowercase();
        let is_hash = id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self {
            id,
            kind: info.attr("type").unwrap_or_default().into_owned(),
        })
    }
}

/// A picture that can be an avatar.
#[derive(Debug)]
struct Picture {
    bytes: Vec<u8>,
    id: String,
    kind: &'static str,
    width: usize,
    height: usize,
}

impl Picture {
    /// Reads the header of a picture. XEP-0153 § 4: what it is decides, not what it is said to be.
    fn check(bytes: Vec<u8>) -> Option<Self> {
        use imagesize::{Compression, ImageType};
        if bytes.len() > PICTURE_BYTES_MAX {
            return None;
        }
        let kind = match imagesize::image_type(&bytes).ok()? {
            ImageType::Png => "image/png",
            ImageType::Jpeg => "image/jpeg",
            ImageType::Gif => "image/gif",
            ImageType::Webp => "image/webp",
            ImageType::Heif(Compression::Av1) => "image/avif",
            _ => return None,
        };
        let size = imagesize::blob_size(&bytes).ok()?;
        let fits = |side| (1..=PICTURE_SIDE_MAX).contains(&side);
        (fits(size.width) && fits(size.height)).then(|| Self {
            id: hash(&bytes),
            kind,
            width: size.width,
            height: size.height,
            bytes,
        })
    }

    fn data(&self) -> Bytes {
        let mut xml = Writer::new("");
        xml.start_ns("data", ns::AVATAR_DATA)
            .text(&STANDARD.encode(&self.bytes))
            .end();
        xml.finish()
    }

    fn metadata(&self) -> Bytes {
        let mut xml = Writer::new("");
        xml.start_ns("metadata", ns::AVATAR_METADATA)
            .start("info")
            .attr("bytes", &self.bytes.len().to_string())
            .attr("height", &self.height.to_string())
            .attr("id", &self.id)
            .attr("type", self.kind)
            .attr("width", &self.width.to_string())
            .end()
            .end();
        xml.finish()
    }
}

/// The element `PHOTO` with a picture in it, to stand in a vCard.
fn element(kind: &str, bytes: &[u8]) -> Bytes {
    let mut xml = Writer::new(ns::VCARD);
    xml.start("PHOTO");
    if !kind.is_empty() {
        xml.leaf("TYPE", kind);
    }
    xml.leaf("BINVAL", &STANDARD.encode(bytes)).end();
    xml.finish()
}

/// Base64 with line breaks and blanks, which XEP-0153 § 4 and XEP-0084 § 4.1 allow.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD.decode(text).ok()
}

/// The hash of a picture (XEP-0153 § 4.1): SHA-1 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(bytes) {
        // INVARIANT: writing into a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a PNG file (its specification, § 11.2.2), which says how large it is.
    fn png(width: u32, height: u32, bytes: usize) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        file.extend(width.to_be_bytes());
        file.extend(height.to_be_bytes());
        file.resize(bytes.max(file.len()), 0);
        file
    }

    #[test]
    fn pictures_have_bounds() {
        let side = u32::try_from(PICTURE_SIDE_MAX).unwrap();
        for (file, taken) in [
            (png(64, 48, 100), Some("image/png")),
            (png(side, side, 100), Some("image/png")),
            (png(side + 1, 1, 100), None),
            (png(1, side + 1, 100), None),
            (png(0, 1, 100), None),
            (png(1, 1, PICTURE_BYTES_MAX), Some("image/png")),
            (png(1, 1, PICTURE_BYTES_MAX + 1), None),
            (b"GIF89a\x02\0\x01\0\0\0\0".to_vec(), Some("image/gif")),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), None),
            (b"\x89PNG\r\n\x1a\n".to_vec(), None),
            (Vec::new(), None),
        ] {
            let found = Picture::check(file.clone());
            assert_eq!(found.as_ref().map(|picture| picture.kind), taken);
            if let Some(picture) = found {
                assert_eq!(picture.id, hash(&file));
                let info = Info::read(picture.metadata()).unwrap();
                assert_eq!(
                    (info.id, info.kind.as_str()),
                    (picture.id.clone(), picture.kind)
                );
            }
        }
    }

    #[test]
    fn the_picture_that_is_here_is_found_among_several() {
        let id = "111f4b3c50d7b0df729d299bc6f8e9ef9066971f";
        let metadata = |content: &str| {
            let xml = format!("<metadata xmlns='urn:xmpp:avatar:metadata'>{content}</metadata>");
            Info::read(Bytes::from(xml)).map(|info| info.id)
        };
        let elsewhere = format!(
            "<info id='{}' url='https://a.example/'/>",
            id.replace('1', "2")
        );
        for (content, found) in [
            (
                format!("<info id='{id}' type='image/png' bytes='1'/>"),
                Some(id),
            ),
            (
                format!("{elsewhere}<info id='{}'/>", id.to_uppercase()),
                Some(id),
            ),
            (elsewhere.clone(), None),
            ("<info id='x'/>".to_owned(), None),
            ("<stop/>".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(metadata(&content).as_deref(), found, "{content}");
        }
    }
}
