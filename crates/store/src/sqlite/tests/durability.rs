//! Kills, a full disk, errors of the disk.

use super::*;
use crate::{
    Archive, ArchiveFilter, Hibernation, PageFrom, PageRequest,
    contract::{archived, empty_queue, session, submit, waiting},
};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

const FOLDER: &str = "WAXWING_STORE_TEST_FOLDER";

/// This test program again, running only `test` on `folder`.
fn again(test: &str, folder: &TempDir) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &format!("sqlite::tests::durability::{test}"),
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped());
    command
}

/// Lines `id N` that a child prints.
fn ids(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(std::result::Result::ok)
        .filter_map(|line| line.strip_prefix("id ")?.parse().ok())
}

#[tokio::test]
async fn what_was_told_survives_a_kill() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    drop(store);
    let mut told = Vec::new();
    for round in 1..=6 {
        let mut child = again("submit_until_killed", &folder).spawn().unwrap();
        let mut lines = ids(&mut child);
        told.extend(lines.by_ref().take(round * 37));
        // SIGKILL, in the middle of whatever it is doing.
        child.kill().unwrap();
        told.extend(lines);
        child.wait().unwrap();

        let store = open(&folder);
        let waiting = store
            .offline(jid("alice@a.example"), 0, u32::MAX)
            .await
            .unwrap();
        let kept: Vec<_> = waiting.iter().map(|message| message.id).collect();
        for id in &told {
            assert!(
                kept.contains(id),
                "{id} was told and is gone, round {round}"
            );
        }
        assert!(told.len() >= round * 37, "the child did not get far");
        assert_eq!(
            store.offline_count(jid("alice@a.example")).await.unwrap(),
            kept.len() as u64
        );
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    }
    assert!(told.is_sorted_by(|a, b| a < b), "ids rise across restarts");
}

/// Archives of both sides, the queue and the session's count, which share one commit.
#[tokio::test]
async fn archived_messages_survive_a_kill_as_a_whole_and_in_order() {
    let (store, folder) = fresh();
    let alice = create(&store, "alice@a.example").await;
    let bob = create(&store, "bob@a.example").await;
    store
        .session_put(alice.clone(), session("s"), 1)
        .await
        .unwrap();
    drop(store);
    let mut told = Vec::new();
    for round in 1..=6 {
        let mut child = again("archive_until_killed", &folder).spawn().unwrap();
        let mut lines = ids(&mut child);
        told.extend(lines.by_ref().take(round * 23));
        child.kill().unwrap();
        told.extend(lines);
        child.wait().unwrap();

        let store = open(&folder);
        let sent = archive(&store, &alice).await;
        assert_eq!(archive(&store, &bob).await, sent, "both or none");
        assert!(sent.is_sorted_by(|a, b| a < b));
        for id in &told {
            let there = sent.binary_search(id);
            assert!(there.is_ok(), "{id} was told and is gone, round {round}");
        }
        let waiting = store.offline(bob.clone(), 0, u32::MAX).await.unwrap();
        let waiting: Vec<_> = waiting.iter().map(|message| message.id).collect();
        assert_eq!(waiting, sent, "the queue, too");
        let session = store.session(alice.clone(), "s".into()).await.unwrap();
        let handled = usize::try_from(session.unwrap().handled).unwrap();
        assert_eq!(handled, sent.len(), "counted with its message");
        assert_eq!(store.integrity().unwrap(), Vec::<String>::new());
    }
    assert!(told.is_sorted_by(|a, b| a < b), "ids rise across restarts");
}

/// The ids of a whole archive, read in pages.
async fn archive(store: &SqliteStore, account: &waxwing_proto::BareJid) -> Vec<u64> {
    let mut ids = Vec::new();
    loop {
        let request = PageRequest {
            max: 100,
            bytes_max: usize::MAX,
            from: ids
                .last()
                .map_or(PageFrom::First, |id| PageFrom::After(*id)),
            flip: false,
            count: false,
        };
        let page = store.archive_page(account.clone(), ArchiveFilter::default(), request);
        let page = page.await.unwrap();
        ids.extend(page.entries.iter().map(|entry| entry.id));
        if page.complete {
            return ids;
        }
    }
}

/// Not a test by itself: another starts and kills it.
#[tokio::test]
#[ignore = "started by another test"]
async fn archive_until_killed() {
    let store = SqliteStore::open(Path::new(&std::env::var(FOLDER).unwrap()).join("waxwing.db"));
    let store = store.unwrap();
    let alice = jid("alice@a.example");
    let session = store.session(alice.clone(), "s".into()).await.unwrap();
    let session = session.unwrap();
    let mut count = session.handled;
    for round in 0.. {
        let record = |count| crate::Message {
            waiting: Some(crate::Waiting {
                account: jid("bob@a.example"),
                messages_max: u32::MAX,
                bytes_max: u64::MAX,
            }),
            handled: Some(crate::Handled {
                account: alice.clone(),
                session: session.key(),
                count,
            }),
            ..archived("alice@a.example", "bob@a.example", DAY - round, "hello")
        };
        let tickets: Vec<_> = (1..=16)
            .map(|nth| submit(&store, record(count + nth)))
            .collect();
        count += 16;
        for ticket in tickets {
            println!("id {}", ticket.await.unwrap().id);
        }
    }
}

#[tokio::test]
async fn another_process_may_write_at_the_same_time() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    create(&store, "bob@a.example").await;
    let mut child = again("submit_until_killed", &folder).spawn().unwrap();
    let mut lines = ids(&mut child);
    let mut all: Vec<_> = lines.by_ref().take(1).collect();
    let mut ours = Vec::new();
    for at in 0..100 {
        let id = store
            .submit(message("bob@a.example", DAY + at, "m"))
            .await
            .unwrap()
            .id;
        all.extend(lines.by_ref().take(3));
        ours.push(id);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ours.is_sorted_by(|a, b| a < b), "{ours:?}");
    assert_eq!(all.len(), 301, "both got on");
    all.extend(&ours);
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "an id was given twice");
    create(&store, "carol@a.example").await;
}

/// Not a test by itself: others start and kill it.
#[tokio::test]
#[ignore = "started by another test"]
async fn submit_until_killed() {
    let store = SqliteStore::open(Path::new(&std::env::var(FOLDER).unwrap()).join("waxwing.db"));
    let store = store.unwrap();
    for round in 0.. {
        let record = |_| {
            store.submit(waiting(
                jid("alice@a.example"),
                DAY - round,
                "<message>hello</message>".into(),
                u32::MAX,
                u64::MAX,
            ))
        };
        let tickets: Vec<_> = (0..16).map(record).collect();
        for ticket in tickets {
            println!("id {}", ticket.await.unwrap().id);
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let (store, _folder) = fresh();
    let alice = create(&store, "alice@a.example").await;
    store
        .write(0, |db| db.script("PRAGMA max_page_count = 60"))
        .await
        .unwrap();
    let submit = || {
        store.submit(waiting(
            jid("alice@a.example"),
            DAY,
            vec![b'm'; 3_000].into(),
            u32::MAX,
            u64::MAX,
        ))
    };
    let mut kept = 0;
    let full = loop {
        match submit().await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 60, "the disk is never full");
    };
    assert!(matches!(full, StoreError::Full), "{full:?}");
    assert!(matches!(submit().await, Err(StoreError::Full)), "still");
    assert_eq!(
        store.offline_count(alice.clone()).await.unwrap(),
        kept,
        "reads go on"
    );
    store
        .last_set(alice.clone(), DAY, String::new())
        .await
        .expect("needs no further page");

    empty_queue(&store, &alice).await;
    submit().await.unwrap();
    assert_eq!(store.offline_count(alice).await.unwrap(), 1);
}

#[tokio::test]
async fn a_lost_transaction_fails_the_whole_batch() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    let release = occupy_writer(&store);
    let before = store.submit(message("alice@a.example", DAY, "m"));
    // What SQLite does by itself after some errors.
    let lost = store.write(0, |db| db.execute("ROLLBACK", &[]));
    let after = store.submit(message("alice@a.example", DAY, "m"));
    drop(release);
    assert!(before.await.is_err(), "told as kept, but rolled back");
    assert!(lost.await.is_err());
    assert!(after.await.is_err());
    assert_eq!(count_on_disk(&folder, "alice@a.example"), 0);
    store
        .submit(message("alice@a.example", DAY, "m"))
        .await
        .unwrap();
    assert_eq!(count_on_disk(&folder, "alice@a.example"), 1);
}

/// Errors of the operating system, by a limit on the size of files (as `ulimit -f` gives it).
#[cfg(target_os = "linux")]
#[tokio::test]
async fn after_errors_of_the_disk_nothing_told_is_missing_and_nothing_refused_is_there() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    drop(store);
    // The signal that comes with the limit is ignored, so that writes just fail.
    let script = "trap '' XFSZ; exec prlimit --fsize=204800: \"$0\" \"$@\"";
    let test = again("submit_until_the_disk_fails", &folder);
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(test.get_program())
        .args(test.get_args())
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told: Vec<_> = ids(&mut child).collect();
    assert!(
        child.wait().unwrap().success(),
        "the child saw no error, or did not recover"
    );
    let store = open(&folder);
    let waiting = store
        .offline(jid("alice@a.example"), 0, u32::MAX)
        .await
        .unwrap();
    let kept: Vec<_> = waiting.iter().map(|message| message.id).collect();
    assert_eq!(kept, told);
    assert!(told.len() > 10, "it worked for a while: {}", told.len());
}

/// Not a test by itself. Writes until the disk fails, then makes space and writes again.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "started by another test"]
async fn submit_until_the_disk_fails() {
    let store = SqliteStore::open(Path::new(&std::env::var(FOLDER).unwrap()).join("waxwing.db"));
    let store = store.unwrap();
    let submit = || {
        store.submit(waiting(
            jid("alice@a.example"),
            DAY,
            vec![b'm'; 1_000].into(),
            u32::MAX,
            u64::MAX,
        ))
    };
    let mut count = 0;
    let failure = loop {
        match submit().await {
            Ok(outcome) => println!("id {}", outcome.id),
            Err(error) => break error,
        }
        count += 1;
        assert!(count < 1_000, "the limit does not work");
    };
    assert!(
        matches!(failure, StoreError::Backend(_) | StoreError::Full),
        "{failure:?}"
    );
    assert!(submit().await.is_err(), "it fails again");
    // The disk works again.
    let pid = std::process::id().to_string();
    let lifted = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited:"])
        .status();
    assert!(lifted.unwrap().success());
    println!("id {}", submit().await.unwrap().id);
}
