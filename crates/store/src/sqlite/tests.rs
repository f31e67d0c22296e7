mod damage;
mod durability;
mod known;
mod tables;

use super::*;
use crate::{
    Accounts, Commits, Offline, Store,
    contract::{
        DAY, agrees_with_memory, create, credentials, error, jid, message, model_calls,
        only_the_owner_is_heard, ownership_steps,
    },
};
use proptest::prelude::*;
use std::{cell::RefCell, fs, sync::mpsc};
use tempfile::TempDir;

mod contract_of_sqlite {
    crate::contract::contract_tests! { super::fresh() }
}

/// A store in a folder that goes with the second value.
fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder), folder)
}

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(file(folder)).unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("waxwing.db")
}

/// Keeps the writer busy until the sender is dropped; returns when it has begun.
fn occupy_writer(store: &SqliteStore) -> mpsc::Sender<()> {
    let (begun_sender, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    drop(store.write(0, move |_| {
        begun_sender.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    }));
    begun.recv().unwrap();
    release
}

/// What another process would see.
fn count_on_disk(folder: &TempDir, account: &str) -> i64 {
    let connection = rusqlite::Connection::open(file(folder)).unwrap();
    let sql = "SELECT count(*) FROM offline_entry JOIN account ON number = account WHERE jid = ?1";
    connection
        .query_row(sql, [account], |row| row.get(0))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn answers_as_memory_does(calls in model_calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (store, _folder) = fresh();
        runtime.block_on(agrees_with_memory(&store, calls));
    }

    #[test]
    fn only_the_owner_of_a_session_is_heard(steps in ownership_steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (store, _folder) = fresh();
        let busy = RefCell::new(None);
        let hold = |held: bool| {
            if held != busy.borrow().is_some() {
                *busy.borrow_mut() = held.then(|| occupy_writer(&store));
            }
        };
        runtime.block_on(only_the_owner_is_heard(&store, &steps, hold));
    }
}

#[tokio::test]
async fn writes_that_wait_share_a_commit_and_complete_in_order() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    let release = occupy_writer(&store);
    let tickets: Vec<_> = (0..50)
        .map(|at| store.submit(message("alice@a.example", DAY + at, "m")))
        .collect();
    assert_eq!(count_on_disk(&folder, "alice@a.example"), 0);
    drop(release);
    let mut last = 0;
    for ticket in tickets {
        let id = ticket.await.unwrap().id;
        assert!(id > last);
        last = id;
        assert_eq!(
            count_on_disk(&folder, "alice@a.example"),
            50,
            "all before the first is told"
        );
    }
}

#[tokio::test]
async fn waiting_writes_are_bounded_in_number_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        items_max: 3,
        bytes_max: 100,
        ..Bounds::WRITES
    };
    let store = SqliteStore::open_with(&file(&folder), bounds).unwrap();
    create(&store, "alice@a.example").await;
    for (stanza, admitted) in [("m".repeat(10), 3), ("m".repeat(60), 1)] {
        let release = occupy_writer(&store);
        let tickets: Vec<_> = (0..5)
            .map(|_| store.submit(message("alice@a.example", DAY, &stanza)))
            .collect();
        drop(release);
        let mut refused = Vec::new();
        for ticket in tickets {
            refused.extend(ticket.await.err().map(|error| format!("{error:?}")));
        }
        assert_eq!(
            refused,
            vec!["Overloaded(\"store_writes_waiting_max\")"; 5 - admitted]
        );
    }
    assert_eq!(count_on_disk(&folder, "alice@a.example"), 4);
}

#[tokio::test]
async fn closing_does_what_waits_and_refuses_what_comes() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    let release = occupy_writer(&store);
    let ticket = store.submit(message("alice@a.example", DAY, "m"));
    drop(release);
    store.close();
    ticket.await.unwrap();
    let late = store.submit(message("alice@a.example", DAY, "m")).await;
    assert!(error(late).contains("closed"));
    assert!(error(store.account(jid("alice@a.example")).await).contains("closed"));
    assert!(
        !folder.path().join("waxwing.db-wal").exists(),
        "the log is in the file"
    );
    assert_eq!(count_on_disk(&folder, "alice@a.example"), 1);
}

#[tokio::test]
async fn two_stores_on_one_file_give_unique_rising_ids() {
    let (one, folder) = fresh();
    let two = open(&folder);
    create(&one, "alice@a.example").await;
    create(&two, "bob@a.example").await;
    let submit = |store: &SqliteStore, account: &str| -> Vec<_> {
        (0..20)
            .map(|_| store.submit(message(account, DAY, "m")))
            .collect()
    };
    let mut all = Vec::new();
    for _ in 0..5 {
        let tickets = [
            submit(&one, "bob@a.example"),
            submit(&two, "alice@a.example"),
        ];
        for tickets in tickets {
            let mut ids = Vec::new();
            for ticket in tickets {
                ids.push(ticket.await.unwrap().id);
            }
            assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
            all.extend(ids);
        }
    }
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "an id was given twice");
    assert_eq!(
        one.offline_count(jid("alice@a.example")).await.unwrap(),
        100
    );
}

#[tokio::test]
async fn a_panic_in_a_write_or_read_ends_that_one_only() {
    let (store, _folder) = fresh();
    create(&store, "alice@a.example").await;
    assert!(
        store
            .write::<()>(0, |_| panic!("a fault of ours"))
            .await
            .is_err()
    );
    for _ in 0..4 {
        assert!(
            store
                .read::<()>(|_| panic!("a fault of ours"))
                .await
                .is_err()
        );
    }
    store
        .submit(message("alice@a.example", DAY, "m"))
        .await
        .unwrap();
    assert_eq!(
        store.offline_count(jid("alice@a.example")).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_backup_is_a_whole_database_of_its_moment() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    store
        .submit(message("alice@a.example", DAY, "m"))
        .await
        .unwrap();
    let copy = tempfile::tempdir().unwrap();
    store.backup(&file(&copy)).unwrap();
    store
        .submit(message("alice@a.example", DAY, "later"))
        .await
        .unwrap();
    assert_eq!(error(store.backup(&file(&copy))), "Exists");
    assert_eq!(
        fs::read_dir(copy.path()).unwrap().count(),
        1,
        "nothing unfinished is left"
    );
    assert_private(&file(&copy));

    let restored = open(&copy);
    assert_eq!(restored.integrity().unwrap(), Vec::<String>::new());
    let waiting = restored
        .offline(jid("alice@a.example"), 0, 10)
        .await
        .unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        store.offline_count(jid("alice@a.example")).await.unwrap(),
        2
    );
    drop(folder);
}

#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    for name in ["waxwing.db", "waxwing.db-wal", "waxwing.db-shm"] {
        assert_private(&folder.path().join(name));
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "nothing unfinished is left"
    );
}

fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
}
