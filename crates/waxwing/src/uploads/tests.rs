//! What is on the disk after each step, and after what is interrupted.

use super::*;
use bytes::Bytes;
use waxwing_engine::Settings;
use waxwing_store::{Accounts as _, Credentials, Lifetime, MemoryStore, Uploads as _};

struct World {
    store: Arc<MemoryStore>,
    engine: Engine,
    folder: tempfile::TempDir,
    uploads: Uploads,
    keeper: Option<Keeper>,
}

fn alice() -> BareJid {
    BareJid::parse("alice@localhost").unwrap()
}

fn slot(name: &str, bytes: usize) -> Slot {
    Slot {
        name: name.to_owned(),
        account: alice(),
        bytes: bytes.try_into().unwrap(),
        media_type: None,
        lifetime: Lifetime::Usual,
        expires: i64::MAX,
    }
}

async fn world(uploads: crate::config::Uploads) -> World {
    let store = Arc::new(MemoryStore::new());
    let credentials = Credentials::default();
    store.account_create(alice(), credentials, 0).await.unwrap();
    let settings = Settings::for_domain("localhost");
    let engine = Engine::new(crate::env::system(), store.clone(), settings);
    let engine = engine.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::dev(folder.path().to_owned());
    config.uploads = uploads;
    let (uploads, keeper) = Uploads::open(&config, &engine).unwrap();
    World {
        store,
        engine,
        folder,
        uploads,
        keeper: Some(keeper),
    }
}

impl World {
    fn run(&mut self) {
        tokio::spawn(self.keeper.take().unwrap().run());
    }

    async fn receive(&self, text: &'static str) -> Received {
        let file = self.uploads.begin(1).await.unwrap();
        let chunks = text.as_bytes().chunks(3).map(Bytes::from_static).collect();
        file.write(chunks).await.unwrap().finish().await.unwrap()
    }

    async fn keep(&self, name: &str, text: &'static str) -> Result<(), Failure> {
        let received = self.receive(text).await;
        self.uploads
            .keep(received, slot(name, text.len()), None)
            .await
    }

    async fn text(&self, name: &str) -> Option<String> {
        let upload = self.engine.upload(name).await.unwrap()?;
        let file = self.uploads.read(upload.content).await.unwrap();
        Some(io::read_to_string(file).unwrap())
    }

    /// Files that are complete, and those that are not.
    fn files(&self) -> (usize, usize) {
        let uploads = self.folder.path().join("uploads");
        let count = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        let folders = std::fs::read_dir(uploads.join("files")).unwrap();
        let files = folders.map(|folder| count(&folder.unwrap().path())).sum();
        (files, count(&uploads.join("incoming")))
    }
}

#[tokio::test]
async fn a_file_is_kept_once_for_all_who_have_it() {
    let mut world = world(crate::config::Uploads::default()).await;
    world.run();
    world.keep("a", "the same").await.unwrap();
    world.keep("b", "the same").await.unwrap();
    world.keep("c", "another").await.unwrap();
    assert_eq!(world.files(), (2, 0));
    assert_eq!(world.text("a").await.as_deref(), Some("the same"));
    assert_eq!(world.text("b").await.as_deref(), Some("the same"));
    assert_eq!(world.text("c").await.as_deref(), Some("another"));
    assert_eq!(world.text("d").await, None);

    // The same again, as after an answer that was lost; something else in its place.
    world.keep("c", "another").await.unwrap();
    let taken = world.keep("c", "a third").await;
    assert!(
        matches!(taken, Err(Failure::Store(StoreError::Exists))),
        "{taken:?}"
    );
    assert_eq!(world.text("c").await.as_deref(), Some("another"));
}

#[tokio::test]
async fn what_nobody_has_is_removed() {
    let mut world = world(crate::config::Uploads::default()).await;
    let keeper = world.keeper.take().unwrap();
    let (uploads, other) = {
        let config = Config::dev(world.folder.path().to_owned());
        Uploads::open(&config, &world.engine).unwrap()
    };
    world.uploads = uploads;
    tokio::spawn(other.run());
    world.keep("a", "one").await.unwrap();
    let mut ephemeral = slot("b", 3);
    ephemeral.lifetime = Lifetime::Until(1);
    let received = world.receive("two").await;
    world.uploads.keep(received, ephemeral, None).await.unwrap();
    assert_eq!(world.text("b").await, None, "its time is over");
    keeper.sweep().await.unwrap();
    assert_eq!(world.files(), (2, 0), "somebody has them");

    assert_eq!(world.engine.uploads_expire().await.unwrap(), 1);
    keeper.sweep().await.unwrap();
    assert_eq!(world.files(), (1, 0));
    assert!(world.engine.account_remove(&alice()).await.unwrap());
    keeper.sweep().await.unwrap();
    assert_eq!(world.files(), (0, 0));
    assert!(world.store.upload_strays(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_interrupted_leaves_nothing() {
    let mut world = world(crate::config::Uploads::default()).await;
    let file = world.uploads.begin(3).await.unwrap();
    let file = file.write(vec![Bytes::from_static(b"ha")]).await.unwrap();
    assert_eq!(world.files(), (0, 1));
    drop(file);
    assert_eq!(world.files(), (0, 0));
    drop(world.receive("complete").await);
    assert_eq!(world.files(), (0, 0));

    // The process ends: nothing is dropped.
    std::mem::forget(world.uploads.begin(3).await.unwrap());
    assert_eq!(world.files(), (0, 1));
    let config = Config::dev(world.folder.path().to_owned());
    let (_uploads, keeper) = Uploads::open(&config, &world.engine).unwrap();
    assert_eq!(world.files(), (0, 0));

    // The database refuses: the file has its name already.
    world.run();
    let nobody = Slot {
        account: BareJid::parse("nobody@localhost").unwrap(),
        ..slot("a", 3)
    };
    let received = world.receive("abc").await;
    let refused = world.uploads.keep(received, nobody, None).await;
    assert!(
        matches!(refused, Err(Failure::Store(StoreError::NoAccount))),
        "{refused:?}"
    );
    keeper.sweep().await.unwrap();
    assert_eq!(world.files(), (0, 0));
}

#[tokio::test]
async fn uploads_at_a_time_have_bounds() {
    let two: crate::config::Uploads =
        toml::from_str("account_at_once_max = 2\nat_once_max = 3").unwrap();
    let world = world(two).await;
    let place = |name: &str| world.uploads.place(&BareJid::parse(name).unwrap());
    let first = place("a@localhost");
    let second = place("a@localhost");
    assert!(first.is_some() && second.is_some());
    assert!(place("a@localhost").is_none(), "an account has two places");
    let other = place("b@localhost");
    assert!(other.is_some());
    assert!(place("c@localhost").is_none(), "there are three altogether");
    drop(first);
    assert!(place("a@localhost").is_some());
}

#[tokio::test]
async fn the_disk_is_not_filled() {
    let none = toml::from_str(&format!("disk_free_megabytes_min = {}", u32::MAX)).unwrap();
    let world = world(none).await;
    let refused = world.uploads.begin(1).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert_eq!(world.files(), (0, 0));
}
