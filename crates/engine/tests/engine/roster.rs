//! Two resources change one roster at a time.

use crate::server::{Server, account};
use waxwing_store::Rosters as _;

fn set(contact: &str) -> String {
    format!(
        "<iq type='set' id='set-{contact}'><query xmlns='jabber:iq:roster'>\
         <item jid='{contact}@localhost'/></query></iq>"
    )
}

/// Both read the same version; the one whose write comes second has to read again.
#[tokio::test]
async fn changes_of_two_resources_at_a_time_are_both_made() {
    let server = Server::start().await;
    let mut phone = server.available("alice", "phone").await;
    let mut laptop = server.available("alice", "laptop").await;
    phone.run().await;
    phone.take();
    server.store.hold();
    let release = async {
        // Until both writes wait, so that both were made from the same version.
        while server.store.held() < 2 {
            tokio::task::yield_now().await;
        }
        server.store.release();
    };
    let (bob, carol) = (set("bob"), set("carol"));
    tokio::join!(phone.send(&bob), laptop.send(&carol), release);
    let received = phone.take() + &laptop.take();
    for id in ["set-bob", "set-carol"] {
        assert!(received.contains(id), "{received}");
    }
    assert!(!received.contains("error"), "{received}");
    let roster = server.store.roster(account("alice")).await.unwrap();
    assert_eq!(roster.version, 2);
    assert_eq!(roster.items.len(), 2);
}
