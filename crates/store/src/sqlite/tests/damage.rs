//! What is not a whole database of ours is refused and left as it is.

use super::*;
use crate::Documents;

/// Opening must fail saying `why`, and change nothing in the folder.
#[track_caller]
fn refuses(folder: &TempDir, why: &str) {
    let before = contents(folder);
    let refused = SqliteStore::open(file(folder)).expect_err(why).to_string();
    assert!(refused.contains(why), "{refused:?} does not tell {why:?}");
    assert!(
        refused.contains("waxwing.db"),
        "{refused:?} does not name the file"
    );
    assert!(
        contents(folder) == before,
        "the folder was changed, refusing because of {why}"
    );
}

fn contents(folder: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        // The index of the log is not data; SQLite makes it anew.
        .filter(|(path, _)| !path.to_string_lossy().ends_with("-shm"))
        .collect();
    files.sort();
    files
}

/// A closed database with an account.
async fn database() -> (TempDir, Vec<u8>) {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    store.close();
    let bytes = fs::read(file(&folder)).unwrap();
    (folder, bytes)
}

/// The first pages of tables and indices.
fn roots(folder: &TempDir) -> Vec<usize> {
    let connection = rusqlite::Connection::open(file(folder)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE rootpage > 1";
    let mut statement = connection.prepare(sql).unwrap();
    let roots = statement.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    roots
        .map(|root| usize::try_from(root.unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn damaged_files_are_refused() {
    let (folder, good) = database().await;
    let page = 4096;
    let mut headless = good.clone();
    headless[..100].fill(0);
    // All tables, but not the schema.
    let mut overwritten = good.clone();
    for root in roots(&folder) {
        overwritten[(root - 1) * page..root * page].fill(0xA5);
    }
    for (bytes, why) in [
        (vec![], "is empty"),
        (vec![0; good.len()], "cannot be read"),
        (b"not a database at all".repeat(500), "cannot be read"),
        (headless, "cannot be read"),
        (good[..page].to_vec(), "cannot be read"),
        (good[..good.len() / 2].to_vec(), "cannot be read"),
        (overwritten, "is damaged"),
    ] {
        fs::write(file(&folder), bytes).unwrap();
        refuses(&folder, why);
    }
    fs::write(file(&folder), good).unwrap();
    assert!(
        open(&folder)
            .account(jid("alice@a.example"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = rusqlite::Connection::open(file(&folder)).unwrap();
    other
        .execute_batch("CREATE TABLE photo (name TEXT)")
        .unwrap();
    drop(other);
    refuses(&folder, "is not a database of Waxwing");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, _) = database().await;
    let newer = rusqlite::Connection::open(file(&folder)).unwrap();
    newer
        .execute("INSERT INTO schema_version (version) VALUES (1000)", [])
        .unwrap();
    drop(newer);
    refuses(&folder, "newer Waxwing");
}

#[tokio::test]
async fn a_log_without_its_database_or_that_is_none_is_refused() {
    let (folder, _) = database().await;
    let log = folder.path().join("waxwing.db-wal");
    fs::write(&log, b"what is this?").unwrap();
    refuses(&folder, "is damaged, and the newest data with it");
    fs::remove_file(file(&folder)).unwrap();
    refuses(&folder, "is missing");
    // A power cut can leave these; nothing was committed to them.
    for (folder, harmless) in [
        (database().await.0, &[][..]),
        (database().await.0, &[0; 4096]),
    ] {
        fs::write(folder.path().join("waxwing.db-wal"), harmless).unwrap();
        assert!(
            open(&folder)
                .account(jid("alice@a.example"))
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// Damage met while running is an error for whoever needs that page, and for nobody else.
#[tokio::test]
async fn a_damaged_page_fails_only_those_who_need_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for account in ["alice@a.example", "bob@a.example"] {
        let account = create(&store, account).await;
        let xml = Some(account.as_str().repeat(2_000).into());
        store
            .document_set(account, "vcard".into(), xml, 1_000_000)
            .await
            .unwrap();
    }
    store.close();
    // The beginning of Alice's document lies in the table's page, the rest in pages that say
    // which one is the next; those of Alice now say there is none.
    let mut bytes = fs::read(file(&folder)).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        if page[4..].starts_with(b"alice") || page[4..40].windows(5).any(|text| text == b"alice") {
            page[..4].fill(0xFF);
        }
    }
    // Not through `open`, which would look at all of it.
    let path = file(&folder);
    fs::write(&path, bytes).unwrap();
    refuses(&folder, "is damaged");
    let mut connection = Connection::open_reader(&path).unwrap();
    let mut read = |account: &str| {
        let sql = "SELECT xml FROM document WHERE account = ?1";
        connection
            .query_first(sql, &[account.into()])
            .map(|row| row.is_some())
    };
    assert!(error(read("alice@a.example")).contains("malformed"));
    assert!(read("bob@a.example").unwrap());
}

#[tokio::test]
async fn a_missing_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = SqliteStore::open(folder.path().join("no/waxwing.db"))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no/waxwing.db"), "{refused}");
}
