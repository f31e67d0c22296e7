use super::{DAY, create, credentials, error, jid, push, token};
use crate::{Client, ClientSeen, Push, Store, Token, TokenUse};
use waxwing_proto::{BareJid, Jid};

const HOUR: i64 = 3_600_000_000;

fn seen(id: &str, at: i64) -> ClientSeen {
    ClientSeen {
        id: id.into(),
        software: "Soft".into(),
        device: "Phone".into(),
        at,
    }
}

fn used(verifier: &'static str, counter: Option<u64>) -> TokenUse {
    TokenUse {
        verifier: verifier.into(),
        counter,
        at: DAY,
    }
}

/// The verifiers and counters of a client's tokens: the one in use, the fresh one.
async fn tokens(store: &impl Store, account: &BareJid, id: &str) -> String {
    let client = store
        .client(account.clone(), id.into())
        .await
        .unwrap()
        .unwrap();
    let text = |token: Option<Token>| {
        let token = token.map(|token| {
            let verifier = String::from_utf8(token.verifier.to_vec()).unwrap();
            format!("{verifier} {}", token.counter)
        });
        token.unwrap_or_else(|| "-".into())
    };
    format!("{}, {}", text(client.current), text(client.fresh))
}

pub(crate) async fn clients_are_known_and_bounded(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let see = |seen, max| store.client_seen(alice.clone(), seen, max);
    let hour = DAY - DAY.rem_euclid(HOUR);
    see(seen("b", DAY), 2).await.unwrap();
    see(seen("a", DAY), 2).await.unwrap();
    assert_eq!(
        error(see(seen("c", DAY), 2).await),
        "Quota(\"clients_max\")"
    );
    let renamed = ClientSeen {
        device: String::new(),
        ..seen("a", DAY + HOUR)
    };
    see(renamed, 0).await.expect("is known");
    let a = Client {
        id: "a".into(),
        software: "Soft".into(),
        device: String::new(),
        first_seen: hour,
        last_seen: hour + HOUR,
        current: None,
        fresh: None,
    };
    let b = Client {
        id: "b".into(),
        device: "Phone".into(),
        last_seen: hour,
        ..a.clone()
    };
    assert_eq!(store.clients(alice.clone()).await.unwrap(), [a.clone(), b]);
    let found = store.client(alice.clone(), "a".into()).await.unwrap();
    assert_eq!(found, Some(a));
    assert_eq!(store.client(alice.clone(), "c".into()).await.unwrap(), None);
    assert!(
        store
            .client_remove(alice.clone(), "a".into())
            .await
            .unwrap()
    );
    assert!(
        !store
            .client_remove(alice.clone(), "a".into())
            .await
            .unwrap()
    );
    assert_eq!(store.clients(alice).await.unwrap().len(), 1);
    assert!(store.clients(jid("x@a.example")).await.unwrap().is_empty());
}

/// XEP-0484 § 5.1.
pub(crate) async fn tokens_rotate(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let put = |id: &str, text: &str| store.token_put(alice.clone(), id.into(), token(text, DAY));
    let spend = |used| store.token_used(alice.clone(), "a".into(), used);
    assert_eq!(error(put("a", "one").await), "NoItem");
    assert_eq!(error(spend(used("one", None)).await), "NoItem");
    let see = store.client_seen(alice.clone(), seen("a", 0), 9);
    see.await.unwrap();
    put("a", "one").await.unwrap();
    assert_eq!(tokens(store, &alice, "a").await, "-, one 0");
    put("a", "two").await.unwrap();
    assert_eq!(
        error(spend(used("one", None)).await),
        "Conflict",
        "never used"
    );
    spend(used("two", None)).await.unwrap();
    assert_eq!(tokens(store, &alice, "a").await, "two 0, -");
    put("a", "three").await.unwrap();
    spend(used("two", Some(5))).await.unwrap();
    assert_eq!(
        tokens(store, &alice, "a").await,
        "two 5, three 0",
        "both work"
    );
    assert_eq!(
        error(spend(used("two", Some(5))).await),
        "Conflict",
        "a replay"
    );
    assert_eq!(
        error(spend(used("three", Some(0))).await),
        "Conflict",
        "counts from 1"
    );
    spend(used("two", None)).await.unwrap();
    spend(used("three", Some(1))).await.unwrap();
    assert_eq!(tokens(store, &alice, "a").await, "three 1, -");
    assert_eq!(
        error(spend(used("two", Some(9))).await),
        "Conflict",
        "the older ended"
    );

    let client = store
        .client(alice.clone(), "a".into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(client.last_seen, DAY - DAY.rem_euclid(HOUR), "by its token");
    let current = client.current.unwrap();
    let wanted = Token {
        counter: 1,
        ..token("three", DAY)
    };
    assert_eq!(current, wanted);
    let shown = format!("{current:?} {:?}", used("three", None));
    assert!(!shown.contains("116"), "a verifier is never shown: {shown}");
}

pub(crate) async fn tokens_end(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    let fill = async || {
        for (account, id, expires) in [(&alice, "a", 10), (&alice, "b", 20), (&bob, "c", 15)] {
            let see = store.client_seen(account.clone(), seen(id, DAY), 9);
            see.await.unwrap();
            let put = store.token_put(account.clone(), id.into(), token("v", expires));
            put.await.unwrap();
        }
    };
    let left = async || {
        let mut left = Vec::new();
        for account in [&alice, &bob] {
            let clients = store.clients(account.clone()).await.unwrap().into_iter();
            let with_token = clients.filter(|client| client.fresh.is_some());
            left.extend(with_token.map(|client| client.id));
        }
        left.concat()
    };
    fill().await;
    assert_eq!(store.tokens_expire(10, 9).await.unwrap(), 0);
    assert_eq!(store.tokens_expire(11, 9).await.unwrap(), 1);
    assert_eq!(left().await, "bc");
    assert_eq!(store.tokens_expire(99, 1).await.unwrap(), 1);
    assert_eq!(left().await, "b", "the oldest first");
    fill().await;
    let one = store.tokens_revoke(alice.clone(), Some("a".into()));
    assert_eq!(one.await.unwrap(), 1);
    assert_eq!(left().await, "bc");
    fill().await;
    assert_eq!(store.tokens_revoke(alice.clone(), None).await.unwrap(), 2);
    assert_eq!(left().await, "c");
    fill().await;
    assert!(
        store
            .client_remove(alice.clone(), "a".into())
            .await
            .unwrap()
    );
    let see = store.client_seen(alice.clone(), seen("a", DAY), 9);
    see.await.unwrap();
    assert_eq!(left().await, "bc", "a client's tokens go with it");
    fill().await;
    let changed = store.account_set_credentials(alice.clone(), credentials(2));
    changed.await.unwrap();
    assert_eq!(left().await, "c", "a new password ends all");
}

pub(crate) async fn pushes_are_registered(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let put = |push| store.push_put(alice.clone(), push, 3);
    let list = async || {
        let pushes = store.pushes(alice.clone()).await.unwrap().into_iter();
        pushes
            .map(|push| format!("{}/{} {}", push.service, push.node, push.client))
            .collect::<Vec<_>>()
    };
    put(push("p.example", "2", "a")).await.unwrap();
    put(push("p.example", "1", "b")).await.unwrap();
    put(push("o.example", "1", "b")).await.unwrap();
    assert_eq!(
        error(put(push("o.example", "2", "a")).await),
        "Quota(\"push_registrations_max\")"
    );
    assert_eq!(
        list().await,
        ["o.example/1 b", "p.example/1 b", "p.example/2 a"]
    );

    let service = || Jid::parse("p.example").unwrap();
    let failed = |node: &str, failures, retry| {
        store.push_failed(alice.clone(), service(), node.into(), failures, retry)
    };
    failed("2", 3, Some(DAY)).await.unwrap();
    failed("9", 3, None).await.expect("has gone meanwhile");
    let wanted = Push {
        failures: 3,
        retry: Some(DAY),
        ..push("p.example", "2", "a")
    };
    assert_eq!(store.pushes(alice.clone()).await.unwrap()[2], wanted);
    put(push("p.example", "2", "c")).await.expect("is known");
    let again = store.pushes(alice.clone()).await.unwrap().remove(2);
    assert_eq!(
        again,
        push("p.example", "2", "c"),
        "of another client, without failures"
    );

    let remove =
        |node: Option<&str>| store.push_remove(alice.clone(), service(), node.map(Into::into));
    assert_eq!(remove(Some("1")).await.unwrap(), 1);
    assert_eq!(remove(Some("1")).await.unwrap(), 0);
    put(push("p.example", "1", "b")).await.unwrap();
    assert_eq!(remove(None).await.unwrap(), 2);
    assert_eq!(list().await, ["o.example/1 b"]);
    put(push("p.example", "1", "a")).await.unwrap();
    let of_client = store.push_remove_client(alice.clone(), "a".into());
    assert_eq!(of_client.await.unwrap(), 1);
    let see = store.client_seen(alice.clone(), seen("b", DAY), 9);
    see.await.unwrap();
    assert!(
        store
            .client_remove(alice.clone(), "b".into())
            .await
            .unwrap()
    );
    assert!(list().await.is_empty(), "a client's go with it");
}

pub(crate) async fn access_writes_need_the_account(store: &impl Store) {
    let nobody = || jid("nobody@a.example");
    let service = || Jid::parse("p.example").unwrap();
    let errors = [
        error(store.client_seen(nobody(), seen("a", DAY), 9).await),
        error(store.client_remove(nobody(), "a".into()).await),
        error(store.token_put(nobody(), "a".into(), token("v", 1)).await),
        error(
            store
                .token_used(nobody(), "a".into(), used("v", None))
                .await,
        ),
        error(store.tokens_revoke(nobody(), None).await),
        error(
            store
                .push_put(nobody(), push("p.example", "n", "c"), 9)
                .await,
        ),
        error(store.push_remove(nobody(), service(), None).await),
        error(store.push_remove_client(nobody(), "c".into()).await),
        error(
            store
                .push_failed(nobody(), service(), "n".into(), 1, None)
                .await,
        ),
    ];
    assert_eq!(errors, ["NoAccount"; 9]);
    assert!(store.pushes(nobody()).await.unwrap().is_empty());
    assert_eq!(store.client(nobody(), "a".into()).await.unwrap(), None);
}
