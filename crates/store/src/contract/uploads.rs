use super::{DAY, create, error, jid};
use crate::{ContentHash, Lifetime, Store, Upload, UploadQuota, UploadUse};
use waxwing_proto::BareJid;

const ENOUGH: UploadQuota = UploadQuota {
    files_max: 100,
    bytes_max: 1000,
};

fn upload(slot: &str, account: &str, content: u8) -> Upload {
    Upload {
        slot: slot.to_owned(),
        account: jid(account),
        content: [content; 32],
        content_bytes: 10,
        media_type: "image/png".to_owned(),
        added: DAY,
        lifetime: Lifetime::Usual,
    }
}

async fn add(store: &impl Store, upload: Upload) {
    store.upload_expect(upload.content).await.unwrap();
    store.upload_add(upload, ENOUGH).await.unwrap();
}

/// Puts something into what is kept of uploads.
pub(crate) async fn fill_uploads(store: &impl Store, account: &BareJid, text: &str) {
    let mut one = upload(text, account.as_str(), 1);
    one.media_type = format!("text/{text}");
    add(store, one).await;
}

async fn strays(store: &impl Store) -> Vec<u8> {
    let strays: Vec<ContentHash> = store.upload_strays(None, 100).await.unwrap();
    strays.iter().map(|stray| stray[0]).collect()
}

async fn is_there(store: &impl Store, slot: &str) -> bool {
    store.upload(slot.to_owned()).await.unwrap().is_some()
}

pub(crate) async fn uploads_are_found_by_their_slots(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    for lifetime in [Lifetime::Usual, Lifetime::Forever, Lifetime::Until(DAY + 5)] {
        let mut one = upload(&format!("{lifetime:?}"), "alice@a.example", 1);
        one.lifetime = lifetime;
        add(store, one.clone()).await;
        let found = store.upload(one.slot.clone()).await.unwrap();
        assert_eq!(found, Some(one));
    }
    assert!(!is_there(store, "other").await);
    let used = store.upload_use(alice).await.unwrap();
    assert_eq!(
        used,
        UploadUse {
            files: 3,
            bytes: 30
        }
    );
    let nobody = store.upload_use(jid("nobody@a.example")).await.unwrap();
    assert_eq!(nobody, UploadUse::default());

    // Whoever does not know whether it was added may add it again.
    add(store, upload("Usual", "alice@a.example", 1)).await;
    for other in [
        upload("Usual", "alice@a.example", 2),
        upload("Usual", "bob@a.example", 1),
    ] {
        assert_eq!(error(store.upload_add(other, ENOUGH).await), "Exists");
    }
    let stranger = upload("new", "nobody@a.example", 1);
    assert_eq!(error(store.upload_add(stranger, ENOUGH).await), "NoAccount");
}

pub(crate) async fn uploads_have_bounds(store: &impl Store) {
    create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    let quota = UploadQuota {
        files_max: 2,
        bytes_max: 25,
    };
    let put = async |slot: &str, account: &str, bytes: u64| {
        let mut one = upload(slot, account, 1);
        one.content_bytes = bytes;
        store.upload_add(one, quota).await
    };
    put("a", "alice@a.example", 10).await.unwrap();
    let large = put("b", "alice@a.example", 16).await;
    assert_eq!(error(large), "Quota(\"upload_bytes_max\")");
    put("b", "alice@a.example", 15).await.unwrap();
    let many = put("c", "alice@a.example", 0).await;
    assert_eq!(error(many), "Quota(\"upload_files_max\")");
    put("c", "bob@a.example", 25).await.unwrap();

    // What has ended makes room.
    assert_eq!(
        store.uploads_expire(DAY, Some(DAY + 1), 1).await.unwrap(),
        1
    );
    put("d", "alice@a.example", 10).await.unwrap();
}

pub(crate) async fn uploads_end(store: &impl Store) {
    create(store, "alice@a.example").await;
    for (slot, content, added, lifetime) in [
        ("old", 1, DAY, Lifetime::Usual),
        ("new", 2, DAY + 10, Lifetime::Usual),
        ("always", 3, DAY, Lifetime::Forever),
        ("short", 4, DAY + 20, Lifetime::Until(DAY + 21)),
        ("long", 5, DAY + 10, Lifetime::Until(DAY + 100)),
        ("same as new", 2, DAY, Lifetime::Usual),
    ] {
        let mut one = upload(slot, "alice@a.example", content);
        (one.added, one.lifetime) = (added, lifetime);
        add(store, one).await;
    }
    let left = async || {
        let mut left = Vec::new();
        for slot in ["old", "new", "always", "short", "long", "same as new"] {
            if is_there(store, slot).await {
                left.push(slot);
            }
        }
        left
    };
    assert_eq!(store.uploads_expire(DAY + 20, None, 9).await.unwrap(), 0);
    assert_eq!(store.uploads_expire(DAY + 21, None, 9).await.unwrap(), 1);
    assert_eq!(
        left().await,
        ["old", "new", "always", "long", "same as new"]
    );
    let expire = |count| store.uploads_expire(DAY + 50, Some(DAY + 10), count);
    assert_eq!(expire(1).await.unwrap(), 1);
    assert_eq!(expire(9).await.unwrap(), 1);
    assert_eq!(left().await, ["new", "always", "long"]);
    assert_eq!(
        strays(store).await,
        [1, 4],
        "the content of `new` is wanted"
    );
    let late = store.uploads_expire(DAY + 50, Some(DAY + 50), 9);
    assert_eq!(late.await.unwrap(), 2);
    assert_eq!(left().await, ["always"]);
}

pub(crate) async fn what_nobody_has_uploaded_is_a_stray(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
    store.upload_expect([9; 32]).await.unwrap();
    store.upload_expect([9; 32]).await.unwrap();
    assert_eq!(strays(store).await, [9]);
    add(store, upload("a", "alice@a.example", 9)).await;
    assert!(strays(store).await.is_empty());
    store.upload_expect([9; 32]).await.unwrap();
    assert!(strays(store).await.is_empty(), "it is wanted already");

    add(store, upload("b", "alice@a.example", 8)).await;
    add(store, upload("c", "alice@a.example", 8)).await;
    add(store, upload("d", "alice@a.example", 7)).await;
    add(store, upload("e", "bob@a.example", 7)).await;
    assert!(store.account_delete(alice).await.unwrap());
    assert_eq!(strays(store).await, [8, 9]);
    assert!(!is_there(store, "a").await);
    assert!(is_there(store, "e").await);
    // A new account of that name has nothing of the old one.
    let alice = create(store, "alice@a.example").await;
    let used = store.upload_use(alice).await.unwrap();
    assert_eq!(used, UploadUse::default());

    let first = store.upload_strays(None, 1).await.unwrap();
    assert_eq!(first, [[8; 32]]);
    let next = store.upload_strays(first.last().copied(), 5).await.unwrap();
    assert_eq!(next, [[9; 32]]);
    store.upload_strays_gone(first).await.unwrap();
    assert_eq!(strays(store).await, [9]);
}
