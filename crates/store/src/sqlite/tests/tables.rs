//! Migrations, and what the schema may and must have.

use super::*;
use crate::{
    Archive, Message, Resend,
    contract::{archived, fill_archive, fill_nodes, fill_uploads, item, submit},
};
use bytes::Bytes;

const MARKER: &str = "marker-of-a-private-thing";

/// Tables and their columns as the database has them.
fn tables(connection: &rusqlite::Connection) -> Vec<(String, Vec<String>)> {
    let column_of_text = |sql: &str, param: &[&str]| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map(rusqlite::params_from_iter(param), |row| row.get(0));
        rows.unwrap().map(std::result::Result::unwrap).collect()
    };
    column_of_text(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        &[],
    )
    .into_iter()
    .map(|table| {
        let columns = column_of_text("SELECT name FROM pragma_table_info(?1)", &[&table]);
        (table, columns)
    })
    .collect()
}

/// What is kept about people is decided, not happened upon: a new column changes this test, and
/// its review asks what for and how long.
#[test]
fn the_columns_are_these() {
    let (store, folder) = fresh();
    drop(store);
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    let lines: Vec<_> = tables(&connection)
        .into_iter()
        .map(|(table, columns)| format!("{table}: {}", columns.join(" ")))
        .collect();
    assert_eq!(
        lines,
        [
            "account: jid domain created last_at last_status roster_version roster_forgotten \
             offline_messages offline_bytes number",
            "archive_entry: account id contact resource flags tombstone",
            "archive_preference: account mode keep_days",
            "archive_rule: account jid archived",
            "archive_span: account contact span",
            "blocked: account jid",
            "client: account id software device first_seen last_seen",
            "client_token: account client fresh verifier mechanism expires counter",
            "credential: account hash salt iterations stored_key server_key",
            "document: account name xml",
            "message: id received origin holders stanza",
            "offline_entry: account id stanza_bytes",
            "outgoing_entry: local_domain remote_domain id stanza_bytes",
            "outgoing_queue: local_domain remote_domain messages bytes",
            "pubsub_affiliation: node jid affiliation",
            "pubsub_item: seq node id publisher published payload created",
            "pubsub_node: number owner name version config lifetime",
            "pubsub_owner: number jid account nodes bytes",
            "pubsub_subscription: node jid pending options",
            "push: account service node client options failures retry",
            "resend: id account hash",
            "resend_key: account hash id",
            "room: number secret config listed temporary subject people_since",
            "room_destroyed: jid destroyed_by destroyed_at",
            "room_person: room jid affiliation nick version",
            "roster_item: account contact name group_lines subscription ask approved request \
             listed version",
            "roster_removal: account contact version",
            "schema_version: version",
            "secret: name value",
            "sequence: name last",
            "sm_session: account id generation resource handled acknowledged expires stanzas \
             stanza_bytes",
            "sm_stanza: account session id stanza",
            "sm_state: account session state",
            "upload: slot account content content_bytes media_type added forever until",
            "upload_stray: content",
            "upload_total: account files bytes",
        ]
    );
}

/// "Accounts removed are removed everywhere": by rows in each table and by bytes in the files.
#[tokio::test]
async fn removing_an_account_reaches_every_table_and_every_byte() {
    let (store, folder) = fresh();
    let alice = jid(&format!("{MARKER}@a.example"));
    store
        .account_create(alice.clone(), credentials(1), DAY)
        .await
        .unwrap();
    fill(&store, alice.as_str()).await;
    create(&store, "bob@a.example").await;
    // Enough for the index of resends to follow.
    for key in 0..9 {
        let resend = Resend {
            account: alice.clone(),
            key: [key; 16],
        };
        let message = Message {
            sender: None,
            recipient: None,
            resend: Some(resend),
            ..archived(alice.as_str(), "x@b.example", DAY, MARKER)
        };
        submit(&store, message).await.unwrap();
    }

    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    let sql = "SELECT number FROM account WHERE jid = ?1";
    let number: i64 = connection
        .query_row(sql, [alice.as_str()], |row| row.get(0))
        .unwrap();
    let rows = || -> Vec<(String, i64)> {
        let tables = tables(&connection).into_iter();
        let of_accounts = tables.filter_map(|(table, columns)| {
            let column = columns.into_iter().find(|column| column == "account");
            let column = column.or_else(|| (table == "account").then(|| "jid".into()))?;
            // By number in some tables, by address in others.
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} IN (?1, ?2)");
            let count = connection
                .query_row(&sql, (alice.as_str(), number), |row| row.get(0))
                .unwrap();
            Some((table, count))
        });
        of_accounts.collect()
    };
    let before = rows();
    assert_eq!(before.len(), 22);
    for (table, count) in before {
        assert!(count > 0, "this test must put something into {table}");
    }
    assert!(marked(&folder));

    assert!(store.account_delete(alice.clone()).await.unwrap());
    for (table, count) in rows() {
        assert_eq!(count, 0, "{table} kept something");
    }
    let stanzas: i64 = connection
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stanzas, 0, "nobody has these stanzas any more");
    for table in ["node", "affiliation", "subscription", "item"] {
        let sql = format!("SELECT count(*) FROM pubsub_{table}");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "pubsub_{table} kept something");
    }
    drop(connection);
    store.close();
    assert!(!marked(&folder), "bytes of the account are left in a file");
}

async fn fill(store: &impl Store, account: &str) {
    let alice = jid(account);
    let text = || format!("<message>{MARKER}</message>");
    store
        .last_set(alice.clone(), DAY, MARKER.into())
        .await
        .unwrap();
    store
        .roster_put(alice.clone(), 0, item("x@b.example"), 10)
        .await
        .unwrap();
    let marked = crate::RosterItem {
        name: MARKER.into(),
        ..item("y@b.example")
    };
    store
        .roster_put(alice.clone(), 1, marked, 10)
        .await
        .unwrap();
    store
        .roster_remove(alice.clone(), 2, jid("x@b.example"))
        .await
        .unwrap();
    for at in 0..20 {
        store
            .submit(message(account, DAY + at, &text().repeat(5)))
            .await
            .unwrap();
    }
    let blocked = jid(&format!("{MARKER}@c.example"));
    store
        .block(alice.clone(), vec![blocked.into()], 10)
        .await
        .unwrap();
    fill_archive(store, &alice, MARKER).await;
    fill_nodes(store, &alice, MARKER).await;
    fill_uploads(store, &alice, MARKER).await;
    let large = Bytes::from(text().repeat(1_000));
    store
        .document_set(alice, "vcard".into(), Some(large), 1_000_000)
        .await
        .unwrap();
}

/// Whether the marker is in any file of the folder.
fn marked(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes
            .windows(MARKER.len())
            .any(|window| window == MARKER.as_bytes())
    })
}

/// The log is emptied soon after an account was removed, though the server goes on.
#[tokio::test]
async fn the_log_forgets_a_removed_account_while_the_server_runs() {
    let (store, folder) = fresh();
    let alice = jid(&format!("{MARKER}@a.example"));
    store
        .account_create(alice.clone(), credentials(1), DAY)
        .await
        .unwrap();
    assert!(store.account_delete(alice).await.unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while marked(&folder) {
        assert!(
            std::time::Instant::now() < deadline,
            "the marker stays in the log"
        );
        std::thread::yield_now();
    }
}

/// A purged archive tells nothing about contacts, and its stanzas are gone from the files.
#[tokio::test]
async fn a_purged_archive_leaves_nothing() {
    let (store, folder) = fresh();
    let alice = create(&store, "alice@a.example").await;
    let day = 86_400_000_000;
    for at in [DAY, DAY + day, DAY + day + 1, DAY + 3 * day] {
        let with = format!("{MARKER}@b.example");
        let mut message = archived("alice@a.example", &with, at, MARKER);
        message.recipient = None;
        submit(&store, message).await.unwrap();
    }
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    let spans = || -> i64 {
        let sql = "SELECT count(*) FROM archive_span";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    for (purged, left) in [(1, 2), (1, 2), (1, 1), (1, 0)] {
        let purge = store.archive_purge(alice.clone(), None, purged);
        assert_eq!(purge.await.unwrap(), 1);
        assert_eq!(spans(), left);
    }
    drop(connection);
    store.close();
    assert!(!marked(&folder), "bytes of the archive are left in a file");
}

/// Items are found and paged by keys.
#[tokio::test]
async fn no_query_of_items_reads_all_nodes() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    let archive = crate::sql::ITEM_ARCHIVE_QUERIES;
    for sql in crate::sql::ITEM_QUERIES.into_iter().chain(archive) {
        for step in plan(&connection, sql) {
            assert!(
                !(step.contains("SCAN") || step.contains("TEMP B-TREE")),
                "{step}: {sql}"
            );
        }
    }
}

fn plan(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let parameters = (1..=statement.parameter_count()).map(|_| 1);
    let plan = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3));
    plan.unwrap().map(std::result::Result::unwrap).collect()
}

/// Pages go by keys: nothing is sorted, and no table is read from end to end.
#[tokio::test]
async fn no_query_of_an_archive_reads_it_whole() {
    let (store, folder) = fresh();
    create(&store, "alice@a.example").await;
    let connection = rusqlite::Connection::open(file(&folder)).unwrap();
    for sql in crate::sql::ARCHIVE_QUERIES
        .iter()
        .chain(crate::sql::OFFLINE_QUERIES)
        .chain(crate::sql::RESEND_QUERIES)
        .chain(crate::sql::OUTGOING_QUERIES)
        .chain(crate::sql::ROOM_QUERIES)
        .chain(crate::sql::UPLOAD_QUERIES)
    {
        for step in plan(&connection, sql) {
            let derived = step == "SCAN seen" || step == "SCAN old";
            assert!(
                derived || !(step.contains("SCAN") || step.contains("TEMP B-TREE")),
                "{step}: {sql}"
            );
        }
    }
}

const MIGRATIONS: [&str; 3] = [
    "CREATE TABLE a (x BYTES); INSERT INTO a (x) VALUES ('1');",
    "ALTER TABLE a ADD COLUMN y BIGINT; UPDATE a SET y = 5;",
    "CREATE TABLE b (y BIGINT); INSERT INTO b SELECT y FROM a;",
];

fn blank(folder: &TempDir) -> Connection {
    fs::write(file(folder), b"").unwrap();
    Connection::open(&file(folder)).unwrap()
}

#[test]
fn migrations_go_on_from_where_a_kill_left_them() {
    for done in 0..=MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = blank(&folder);
        schema::migrate(&mut connection, &MIGRATIONS[..done]).unwrap();
        // A kill within a migration: its statements ran, its transaction did not end.
        connection
            .script(
                "BEGIN IMMEDIATE; CREATE TABLE half (z TEXT); CREATE TABLE IF NOT EXISTS \
                 schema_version (version BIGINT NOT NULL PRIMARY KEY); DELETE FROM schema_version",
            )
            .unwrap();
        drop(connection);

        let mut connection = Connection::open(&file(&folder)).unwrap();
        schema::migrate(&mut connection, &MIGRATIONS).unwrap();
        schema::migrate(&mut connection, &MIGRATIONS).unwrap();
        let row = connection.query_first("SELECT y FROM b", &[]).unwrap();
        assert_eq!(row.unwrap().int().unwrap(), 5, "from {done}");
        let row = connection
            .query_first("SELECT count(*) FROM schema_version", &[])
            .unwrap();
        assert_eq!(row.unwrap().int().unwrap(), 3, "from {done}");
        connection.query("SELECT z FROM half", &[]).unwrap_err();
    }
}

#[test]
fn a_migration_that_fails_is_undone_and_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = blank(&folder);
    let failing = [
        MIGRATIONS[0],
        "DROP TABLE a; CREATE TABLE c (x TEXT); nonsense;",
    ];
    schema::migrate(&mut connection, &failing).unwrap_err();
    assert!(!connection.in_transaction());
    schema::migrate(&mut connection, &MIGRATIONS).unwrap();
    let row = connection.query_first("SELECT y FROM b", &[]).unwrap();
    assert_eq!(row.unwrap().int().unwrap(), 5);
}

/// A kill while the first start makes the file leaves nothing under the database's name.
#[tokio::test]
async fn a_kill_at_creation_leaves_a_usable_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("waxwing.db.1.new"), b"half a file").unwrap();
    create(&open(&folder), "alice@a.example").await;
}
