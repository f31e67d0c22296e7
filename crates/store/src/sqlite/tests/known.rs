//! What the writer remembers must be what the database has.

use super::*;
use crate::{
    Archive, ArchiveFilter, Hibernation, Message, PageFrom, PageRequest, Resend, SessionKey,
    Waiting,
    contract::{archived, last_page, session, submit, texts},
};

/// A message of Alice to Bob that is recognised when it comes again.
fn sent(key: u8, at: i64) -> Message {
    Message {
        resend: Some(Resend {
            account: jid("alice@a.example"),
            key: [key; 16],
        }),
        ..archived("alice@a.example", "bob@a.example", at, &key.to_string())
    }
}

async fn two_accounts(store: &SqliteStore) {
    create(store, "alice@a.example").await;
    create(store, "bob@a.example").await;
}

#[tokio::test]
async fn resends_are_recognised_whether_merged_or_not_and_by_every_process() {
    let (store, folder) = fresh();
    two_accounts(&store).await;
    let other = open(&folder);
    let mut ids = Vec::new();
    for key in 0..20_u8 {
        let store = if key % 3 == 0 { &other } else { &store };
        let outcome = submit(store, sent(key, DAY)).await.unwrap();
        assert!(!outcome.duplicate);
        ids.push(outcome.id);
        for process in [store, &other] {
            let again = submit(process, sent(key, DAY)).await.unwrap();
            assert_eq!((again.id, again.duplicate), (outcome.id, true), "{key}");
        }
    }
    drop((store, other));
    let store = open(&folder);
    for (key, id) in (0..).zip(&ids) {
        let again = submit(&store, sent(key, DAY)).await.unwrap();
        assert_eq!((again.id, again.duplicate), (*id, true), "{key}");
    }
    // Those that are forgotten go out of the index when others come.
    let until = i64::try_from(*ids.last().unwrap()).unwrap() + 1;
    assert_eq!(store.resends_forget(until, 100).await.unwrap(), 20);
    for key in 0..20 {
        assert!(!submit(&store, sent(key, DAY)).await.unwrap().duplicate);
    }
    assert_eq!(store.resends_forget(i64::MAX, 100).await.unwrap(), 20);
    for key in 100..105 {
        submit(&store, sent(key, DAY)).await.unwrap();
    }
    store.close();
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    let sql = "SELECT count(*) FROM resend_key WHERE hash < x'20'";
    let stale: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(stale, 0);
}

#[tokio::test]
async fn an_account_that_another_process_replaced_is_not_written_to_by_its_old_number() {
    let (store, folder) = fresh();
    two_accounts(&store).await;
    submit(&store, sent(1, DAY)).await.unwrap();
    let other = open(&folder);
    other.account_delete(jid("alice@a.example")).await.unwrap();
    assert_eq!(error(submit(&store, sent(2, DAY)).await), "NoAccount");
    // Carol takes the place of Bob, with his number.
    other.account_delete(jid("bob@a.example")).await.unwrap();
    create(&other, "carol@a.example").await;
    create(&other, "alice@a.example").await;
    assert_eq!(error(submit(&store, sent(2, DAY)).await), "NoAccount");
    assert!(last_page(&store, &jid("carol@a.example")).await.is_empty());
    create(&other, "bob@a.example").await;
    submit(&store, sent(1, DAY)).await.unwrap();
    assert_eq!(texts(&store, &jid("alice@a.example")).await, ["1"]);
}

/// The conversation is found by its spans: one that is remembered must be there.
#[tokio::test]
async fn spans_are_written_again_after_a_purge() {
    let (store, folder) = fresh();
    two_accounts(&store).await;
    let other = open(&folder);
    for purger in [&store, &other, &store] {
        submit(&store, sent(1, DAY)).await.unwrap();
        let page = store.archive_page(
            jid("alice@a.example"),
            ArchiveFilter {
                with: Some(jid("bob@a.example").into()),
                ..ArchiveFilter::default()
            },
            PageRequest {
                max: 10,
                bytes_max: usize::MAX,
                from: PageFrom::First,
                flip: false,
                count: false,
            },
        );
        assert_eq!(page.await.unwrap().entries.len(), 1);
        let alice = jid("alice@a.example");
        purger.archive_purge(alice, None, 100).await.unwrap();
        store.resends_forget(i64::MAX, 100).await.unwrap();
    }
}

/// A record that is refused after it has written something is undone, and nothing else with it.
#[tokio::test]
async fn what_is_undone_is_not_remembered() {
    let (store, _folder) = fresh();
    two_accounts(&store).await;
    let alice = jid("alice@a.example");
    store
        .session_put(alice.clone(), session("s"), 9)
        .await
        .unwrap();
    let release = occupy_writer(&store);
    let refused = Message {
        // Its place in the queue is counted before the session's count is refused.
        waiting: Some(Waiting {
            account: jid("bob@a.example"),
            messages_max: 9,
            bytes_max: 99,
        }),
        handled: Some(crate::Handled {
            account: alice.clone(),
            session: SessionKey {
                id: "s".into(),
                generation: 7,
            },
            count: 1,
        }),
        ..sent(2, DAY)
    };
    let tickets = [
        sent(1, DAY),
        refused,
        sent(3, DAY),
        sent(1, DAY),
        sent(2, DAY),
    ]
    .map(|message| submit(&store, message));
    drop(release);
    let mut outcomes = Vec::new();
    for ticket in tickets {
        let outcome = ticket.await;
        outcomes.push(
            outcome
                .map(|outcome| outcome.duplicate)
                .map_err(|error| error.to_string()),
        );
    }
    let conflict = Err("changed meanwhile".to_owned());
    assert_eq!(
        outcomes,
        [Ok(false), conflict, Ok(false), Ok(true), Ok(false)]
    );
    assert_eq!(texts(&store, &alice).await, ["1", "3", "2"]);
    let waiting = store.offline_count(jid("bob@a.example")).await.unwrap();
    assert_eq!(waiting, 0);
}
