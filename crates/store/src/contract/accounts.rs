use super::{DAY, create, credentials, error, fill_archive, item, jid, message, parts};
use crate::{ClientSeen, Credentials, Store, Token};
use bytes::Bytes;
use waxwing_proto::{BareJid, sasl::Hash};

pub(crate) async fn accounts_are_made_once_and_listed_by_domain(store: &impl Store) {
    for name in ["carol", "alice", "bob"] {
        create(store, &format!("{name}@a.example")).await;
    }
    create(store, "dave@b.example").await;
    let again = store
        .account_create(jid("bob@a.example"), credentials(9), DAY + 1)
        .await;
    assert_eq!(error(again), "Exists");
    let bob = store.account(jid("bob@a.example")).await.unwrap().unwrap();
    assert_eq!(
        (
            bob.created,
            bob.credentials.sha1.map(|sha1| sha1.iterations)
        ),
        (DAY, Some(4097)),
        "the first stays"
    );
    assert!(store.account(jid("eve@a.example")).await.unwrap().is_none());

    let list = async |domain: &str, after: Option<&str>, count| {
        let list = store
            .accounts(domain.into(), after.map(jid), count)
            .await
            .unwrap();
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = ["alice@a.example", "bob@a.example", "carol@a.example"];
    assert_eq!(list("a.example", None, 10).await, all);
    assert_eq!(list("a.example", None, 2).await, all[..2]);
    assert_eq!(list("a.example", Some("bob@a.example"), 10).await, all[2..]);
    assert_eq!(
        list("a.example", Some("b@a.example"), 1).await,
        all[1..2],
        "not a member"
    );
    assert!(list("c.example", None, 10).await.is_empty());
}

pub(crate) async fn verifiers_are_replaced(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    store
        .account_set_credentials(alice.clone(), credentials(7))
        .await
        .unwrap();
    let account = store.account(alice).await.unwrap().unwrap();
    assert_same(&account.credentials, &credentials(7));
    assert_eq!(account.created, DAY);
}

pub(crate) async fn a_missing_verifier_is_added_and_a_present_one_stays(store: &impl Store) {
    let alice = jid("alice@a.example");
    let only_sha1 = Credentials {
        sha1: credentials(1).sha1,
        ..Credentials::default()
    };
    let added = async |hash, seed| {
        let verifier = credentials(seed).get(hash).unwrap().clone();
        store
            .account_add_verifier(alice.clone(), hash, verifier)
            .await
    };
    assert_eq!(error(added(Hash::Sha256, 1).await), "NoAccount");
    let created = store.account_create(alice.clone(), only_sha1.clone(), DAY);
    created.await.unwrap();
    give_token(store, &alice).await;
    let kept = async || store.account(alice.clone()).await.unwrap().unwrap();
    assert_same(&kept().await.credentials, &only_sha1);
    assert!(added(Hash::Sha256, 2).await.unwrap());
    assert!(!added(Hash::Sha256, 3).await.unwrap(), "there is one");
    assert!(!added(Hash::Sha1, 3).await.unwrap(), "there is one");
    let wanted = Credentials {
        sha256: credentials(2).sha256,
        ..only_sha1.clone()
    };
    assert_same(&kept().await.credentials, &wanted);
    let clients = store.clients(alice.clone()).await.unwrap();
    assert!(clients[0].fresh.is_some(), "the password is the same");
    // A new password replaces all, also by fewer.
    let set = store.account_set_credentials(alice.clone(), only_sha1.clone());
    set.await.unwrap();
    assert_same(&kept().await.credentials, &only_sha1);
}

async fn give_token(store: &impl Store, account: &BareJid) {
    let client = ClientSeen {
        id: "c".into(),
        software: String::new(),
        device: String::new(),
        at: DAY,
    };
    store.client_seen(account.clone(), client, 9).await.unwrap();
    let token = Token {
        verifier: Bytes::from_static(b"v"),
        mechanism: "HT-SHA-256-NONE".into(),
        expires: DAY,
        counter: 0,
    };
    let put = store.token_put(account.clone(), "c".into(), token);
    put.await.unwrap();
}

fn assert_same(kept: &Credentials, wanted: &Credentials) {
    for hash in Hash::ALL {
        assert_eq!(kept.get(hash).map(parts), wanted.get(hash).map(parts));
    }
}

pub(crate) async fn a_removed_account_leaves_nothing(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    let bob = create(store, "bob@a.example").await;
    for account in [&alice, &bob] {
        fill(store, account).await;
    }
    assert!(store.account_delete(alice.clone()).await.unwrap());
    assert!(
        !store.account_delete(alice.clone()).await.unwrap(),
        "gone already"
    );

    for recreated in [false, true] {
        if recreated {
            create(store, "alice@a.example").await;
        }
        assert_eq!(
            store.account(alice.clone()).await.unwrap().is_some(),
            recreated
        );
        assert_eq!(store.last(alice.clone()).await.unwrap(), None);
        assert_eq!(
            store.roster(alice.clone()).await.unwrap(),
            crate::Roster::default()
        );
        assert_eq!(
            store.roster_changes(alice.clone(), 0).await.unwrap(),
            Some(vec![])
        );
        assert_eq!(store.offline_count(alice.clone()).await.unwrap(), 0);
        assert!(
            store
                .offline(alice.clone(), 0, 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(store.blocked(alice.clone()).await.unwrap().is_empty());
        assert_eq!(
            store.document(alice.clone(), "vcard".into()).await.unwrap(),
            None
        );
        assert_eq!(store.archive_ends(alice.clone()).await.unwrap(), None);
        assert_eq!(
            store.archive_preferences(alice.clone()).await.unwrap(),
            None
        );
        assert!(store.sessions(alice.clone()).await.unwrap().is_empty());
        assert!(store.clients(alice.clone()).await.unwrap().is_empty());
        assert!(store.pushes(alice.clone()).await.unwrap().is_empty());
    }
    assert_eq!(
        store.roster(bob.clone()).await.unwrap().items.len(),
        1,
        "others keep theirs"
    );
    assert_eq!(store.offline_count(bob.clone()).await.unwrap(), 2);
    assert_eq!(store.sessions(bob.clone()).await.unwrap().len(), 1);
    assert_eq!(store.blocked(bob).await.unwrap().len(), 1);
}

/// Puts something into everything that an account has.
async fn fill(store: &impl Store, account: &BareJid) {
    store
        .last_set(account.clone(), DAY, "bye".into())
        .await
        .unwrap();
    store
        .roster_put(account.clone(), 0, item("x@b.example"), 10)
        .await
        .unwrap();
    store
        .roster_put(account.clone(), 1, item("y@b.example"), 10)
        .await
        .unwrap();
    store
        .roster_remove(account.clone(), 2, jid("y@b.example"))
        .await
        .unwrap();
    store
        .submit(message(account.as_str(), DAY, "<message/>"))
        .await
        .unwrap();
    store
        .block(account.clone(), vec![jid("z@b.example").into()], 10)
        .await
        .unwrap();
    let xml = Some(Bytes::from_static(b"<vCard/>"));
    store
        .document_set(account.clone(), "vcard".into(), xml, 100)
        .await
        .unwrap();
    fill_archive(store, account, "x").await;
}

pub(crate) async fn every_write_needs_the_account(store: &impl Store) {
    let nobody = jid("nobody@a.example");
    let contact = jid("x@b.example");
    let errors = [
        error(
            store
                .account_set_credentials(nobody.clone(), credentials(1))
                .await,
        ),
        error(store.last_set(nobody.clone(), DAY, String::new()).await),
        error(
            store
                .roster_put(nobody.clone(), 0, item("x@b.example"), 10)
                .await,
        ),
        error(
            store
                .roster_remove(nobody.clone(), 0, contact.clone())
                .await,
        ),
        error(
            store
                .submit(message(nobody.as_str(), DAY, "<message/>"))
                .await,
        ),
        error(store.offline_remove(nobody.clone(), vec![1]).await),
        error(
            store
                .block(nobody.clone(), vec![contact.clone().into()], 10)
                .await,
        ),
        error(store.block(nobody.clone(), vec![], 10).await),
        error(store.unblock(nobody.clone(), None).await),
        error(
            store
                .document_set(nobody.clone(), "vcard".into(), None, 100)
                .await,
        ),
    ];
    assert_eq!(errors, ["NoAccount"; 10]);
}

pub(crate) async fn last_activity_is_kept_to_the_hour(store: &impl Store) {
    let alice = create(store, "alice@a.example").await;
    assert_eq!(store.last(alice.clone()).await.unwrap(), None);
    let hour = 1_790_002_800_000_000;
    for (at, kept) in [
        (hour, hour),
        (hour + 3_599_999_999, hour),
        (-1, -3_600_000_000),
    ] {
        store
            .last_set(alice.clone(), at, "gone home".into())
            .await
            .unwrap();
        assert_eq!(
            store.last(alice.clone()).await.unwrap(),
            Some((kept, "gone home".into()))
        );
    }
}

pub(crate) async fn secrets_stay_what_they_were_first(store: &impl Store) {
    assert_eq!(store.secret("a", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("a", [2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("b", [2; 32]).await.unwrap(), [2; 32]);
}
