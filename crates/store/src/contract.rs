//! The tests that each back end must pass: functions over a store, and a model-based comparison
//! with [`crate::MemoryStore`].

mod access;
mod accounts;
mod archive;
mod archive_records;
mod model;
mod model_archive;
mod model_pubsub;
mod offline;
mod outgoing;
mod ownership;
mod pubsub;
mod rooms;
mod roster;
mod sessions;
mod state;
mod text;
mod uploads;

pub(crate) use {
    access::*,
    accounts::*,
    archive::*,
    archive_records::*,
    model::{agrees_with_memory, calls as model_calls},
    offline::*,
    outgoing::*,
    ownership::{only_the_owner_is_heard, steps as ownership_steps},
    pubsub::*,
    rooms::*,
    roster::*,
    sessions::*,
    state::*,
    text::*,
    uploads::*,
};

use crate::{
    Credentials, Message, Micros, Record, RosterItem, Store, StoreError, Subscription, Waiting,
};
use bytes::Bytes;
use waxwing_proto::{BareJid, sasl::Verifier};

/// Makes one test per function of the contract; `$open` gives a fresh store and whatever must
/// outlive it.
macro_rules! contract_tests {
    ($open:expr; $($test:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $test() {
            let (store, _guard) = $open;
            $crate::contract::$test(&store).await;
        }
    )*};
    ($open:expr) => {
        $crate::contract::contract_tests! { $open;
            accounts_are_made_once_and_listed_by_domain,
            verifiers_are_replaced,
            a_missing_verifier_is_added_and_a_present_one_stays,
            a_removed_account_leaves_nothing,
            every_write_needs_the_account,
            last_activity_is_kept_to_the_hour,
            secrets_stay_what_they_were_first,
            rosters_are_read_as_written,
            roster_changes_follow_versions,
            a_changed_roster_is_a_conflict,
            requests_are_kept_but_not_seen,
            an_item_that_is_unlisted_is_a_removal,
            rosters_have_bounds,
            only_so_many_removals_are_remembered,
            ids_rise_even_when_the_clock_does_not,
            one_refused_record_does_not_refuse_others,
            waiting_messages_are_paged_and_removed,
            what_came_before_those_read_is_not_removed,
            offline_quotas_count_what_waits,
            messages_wait_for_other_domains_in_order,
            queues_towards_other_domains_have_bounds,
            rooms_are_read_as_written,
            a_room_is_no_account,
            a_room_has_an_archive_and_a_subject,
            a_destroyed_room_leaves_its_name,
            rooms_are_listed,
            versions_of_people_are_kept,
            uploads_are_found_by_their_slots,
            uploads_have_bounds,
            uploads_end,
            what_nobody_has_uploaded_is_a_stray,
            block_lists_are_sets_with_a_bound,
            documents_have_a_bound_together,
            a_message_is_in_both_archives_under_one_id,
            a_message_to_oneself_is_one_entry,
            an_archived_message_can_wait,
            an_archived_message_can_wait_later,
            a_resend_gives_the_first_id,
            a_count_is_committed_with_its_message,
            a_record_is_kept_as_a_whole_or_not_at_all,
            archives_are_filtered,
            archives_are_paged,
            unknown_ids_are_told,
            the_ends_of_an_archive_are_known,
            counts_end_somewhere,
            a_retracted_message_leaves_a_tombstone,
            messages_are_found_by_the_senders_id,
            archives_are_purged_from_the_oldest,
            old_archives_are_due,
            messages_are_found_by_what_they_say,
            what_has_gone_is_not_found,
            archiving_preferences_are_kept,
            archive_writes_need_the_account,
            sessions_are_kept_and_bounded,
            only_one_can_take_a_session,
            stanzas_are_kept_for_sessions_in_order,
            sessions_expire,
            what_a_session_missed_waits_when_it_ends,
            sessions_of_a_server_that_ended_are_released,
            session_writes_need_no_polling,
            session_writes_need_the_account,
            clients_are_known_and_bounded,
            tokens_rotate,
            tokens_end,
            pushes_are_registered,
            access_writes_need_the_account,
            nodes_are_made_and_changed,
            items_are_published_in_order,
            a_publication_can_make_its_node,
            items_are_retracted_and_purged,
            items_are_paged,
            items_are_an_archive,
            heads_are_the_newest_items,
            items_have_two_orders,
            items_expire,
            nodes_of_somebody_are_found,
            nodes_have_bounds,
            node_writes_need_the_account,
        }
    };
}
pub(crate) use contract_tests;

pub(crate) const DAY: Micros = 1_790_000_000_000_000;

pub(crate) fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// Forgets all that waits for an account.
pub(crate) async fn empty_queue(store: &impl Store, account: &BareJid) {
    let waiting = store.offline(account.clone(), 0, u32::MAX).await.unwrap();
    let ids = waiting.iter().map(|message| message.id).collect();
    store.offline_remove(account.clone(), ids).await.unwrap();
}

pub(crate) fn credentials(seed: u8) -> Credentials {
    let verifier = |size: usize| Verifier {
        salt: vec![seed; 16],
        iterations: 4096 + u32::from(seed),
        stored_key: vec![seed.wrapping_add(1); size],
        server_key: vec![seed.wrapping_add(2); size],
    };
    Credentials {
        sha1: Some(verifier(20)),
        sha256: Some(verifier(32)),
        sha512: Some(verifier(64)),
    }
}

/// A verifier by its parts.
pub(crate) fn parts(verifier: &Verifier) -> (&[u8], u32, &[u8], &[u8]) {
    let Verifier {
        salt,
        iterations,
        stored_key,
        server_key,
    } = verifier;
    (salt, *iterations, stored_key, server_key)
}

pub(crate) fn item(contact: &str) -> RosterItem {
    RosterItem {
        jid: jid(contact),
        name: "Name".into(),
        groups: vec!["a".into(), "b\n".into()],
        subscription: Subscription::Both,
        ask: false,
        approved: true,
        request: None,
        listed: true,
    }
}

pub(crate) fn request(contact: &str) -> RosterItem {
    RosterItem {
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::None,
        approved: false,
        request: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
        listed: false,
        ..item(contact)
    }
}

pub(crate) fn message(account: &str, at: Micros, stanza: &str) -> Record {
    let stanza = Bytes::copy_from_slice(stanza.as_bytes());
    waiting(jid(account), at, stanza, 100, 10_000)
}

/// A message that only waits, with the bounds of its queue.
pub(crate) fn waiting(
    account: BareJid,
    at: Micros,
    stanza: Bytes,
    messages_max: u32,
    bytes_max: u64,
) -> Record {
    let place = Waiting {
        account,
        messages_max,
        bytes_max,
    };
    Record::from(Message {
        waiting: Some(place),
        ..Message::new(at, stanza)
    })
}

pub(crate) async fn create(store: &impl Store, account: &str) -> BareJid {
    let account = jid(account);
    store
        .account_create(account.clone(), credentials(1), DAY)
        .await
        .unwrap();
    account
}

/// The name of an error, for comparisons.
#[track_caller]
pub(crate) fn error<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    format!("{:?}", result.unwrap_err())
}
