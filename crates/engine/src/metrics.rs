//! What the engine counts. Names and help texts are data, so that the reference page and the
//! exporter are made from one list; no address ever becomes a label.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// One number.
#[derive(Debug, Default)]
pub struct Metric(AtomicU64);

impl Metric {
    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    /// Takes one away.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
    /// Becomes `count`.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }
    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident,)*) => {
        /// All metrics of an engine.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $help])+ pub $name: Metric,)*
        }
        impl Metrics {
            /// Name, kind, help and value of each metric, in a fixed order.
            pub fn all(&self) -> Vec<(&'static str, Kind, String, u64)> {
                vec![$((
                    stringify!($name),
                    Kind::$kind,
                    [$($help.trim()),+].join(" "),
                    self.$name.value(),
                )),*]
            }
        }
    };
}

metrics! {
    /// Client connections open now, authenticated or not.
    connections: Gauge,
    /// External components connected and authenticated now (XEP-0114).
    components: Gauge,
    /// Connections of external components that did not prove their secret.
    component_failures: Counter,
    /// Stanzas received from external components.
    component_stanzas: Counter,
    /// Connections that other servers have made, open now.
    s2s_incoming: Gauge,
    /// Connections made to other servers, open now.
    s2s_outgoing: Gauge,
    /// Attempts to reach another server that came to nothing.
    s2s_dials_failed: Counter,
    /// Stanzas received from other servers.
    s2s_stanzas_in: Counter,
    /// Stanzas sent to other servers.
    s2s_stanzas_out: Counter,
    /// Answers to other servers that were left out, because they had been given too much in a minute.
    s2s_answers_refused: Counter,
    /// Messages given back because their server could not be reached for too long.
    outgoing_expired: Counter,
    /// Push notifications published (XEP-0357).
    pushes: Counter,
    /// Push notifications that the app server did not take.
    push_failures: Counter,
    /// Push registrations removed because the app server refused them for good.
    pushes_removed: Counter,
    /// Bound sessions now.
    sessions: Gauge,
    /// Sessions without a stream that can be resumed (XEP-0198).
    hibernated: Gauge,
    /// Sessions resumed.
    sessions_resumed: Counter,
    /// Attempts to resume a session that were refused.
    resumptions_refused: Counter,
    /// Sessions that nobody resumed in time.
    sessions_expired: Counter,
    /// Successful logins.
    logins: Counter,
    /// Logins with PLAIN among them: the client sent the password itself.
    logins_plain: Counter,
    /// Logins with SCRAM among them, without channel binding.
    logins_scram: Counter,
    /// Logins with SCRAM and channel binding among them.
    logins_scram_plus: Counter,
    /// Logins with a token among them (XEP-0484).
    logins_token: Counter,
    /// Verifiers that clients have brought to accounts that lacked them (XEP-0480).
    verifiers_added: Counter,
    /// Tokens given to clients (XEP-0484).
    tokens_given: Counter,
    /// Clients signed out by their owner or an admin (XEP-0494).
    clients_signed_out: Counter,
    /// Failed logins.
    login_failures: Counter,
    /// Logins refused unheard because of too many failures before.
    login_refusals: Counter,
    /// Connections closed because they did not log in within `login_timeout`.
    login_timeouts: Counter,
    /// Accounts registered in-band.
    registrations: Counter,
    /// In-band registrations refused by `registrations_per_hour_max`.
    registration_refusals: Counter,
    /// Message stanzas received from clients.
    messages_in: Counter,
    /// Presence stanzas received from clients.
    presences_in: Counter,
    /// IQ stanzas received from clients.
    iqs_in: Counter,
    /// Stanzas handed to sessions.
    deliveries: Counter,
    /// Copies of messages handed to other sessions of the sender or the recipient (XEP-0280).
    carbons: Counter,
    /// Changes of nodes and their items that are on disk (XEP-0060).
    pubsub_changes: Counter,
    /// Nodes that were not made because their maker owns as many as it may.
    pubsub_nodes_refused: Counter,
    /// Items of nodes removed because they had become too old.
    pubsub_items_expired: Counter,
    /// Notifications of nodes handed to sessions and other domains, also of what was published
    /// earlier.
    pubsub_notifications: Counter,
    /// Resources of contacts at other domains that want to be told of nodes, for each account that
    /// they have shown themselves to.
    pubsub_far: Gauge,
    /// Those that were not remembered because there are too many.
    pubsub_far_refused: Counter,
    /// Slots for uploads given to people (XEP-0363).
    upload_slots: Counter,
    /// Requests for such slots that were refused.
    upload_slots_refused: Counter,
    /// Files uploaded.
    uploads: Counter,
    /// Bytes of those files.
    upload_bytes: Counter,
    /// Uploads that were refused or broken off.
    uploads_failed: Counter,
    /// Uploads removed because their time had come.
    uploads_expired: Counter,
    /// Requests for uploaded files that were answered with a file or a part of one.
    downloads: Counter,
    /// Bytes of those answers.
    download_bytes: Counter,
    /// Occupants of rooms now (XEP-0045).
    room_occupants: Gauge,
    /// Messages reflected to all in a room.
    room_messages: Counter,
    /// Stanzas to rooms refused by `room_messages_per_second_max` or `room_presences_per_minute_max`.
    room_stanzas_too_fast: Counter,
    /// Stanzas of rooms handed to sessions.
    room_deliveries: Counter,
    /// Messages whose record is on disk and that were handed over, or wait.
    messages_committed: Counter,
    /// Messages that were a resend of an earlier one and were not delivered again.
    resends: Counter,
    /// Messages put into the queue of an account that was away.
    offline_stored: Counter,
    /// Messages refused because `offline_messages_max` or `offline_bytes_max` was reached.
    offline_refused: Counter,
    /// Queries of archives (XEP-0313).
    archive_queries: Counter,
    /// Messages sent in answer to them.
    archive_entries_sent: Counter,
    /// Messages removed from archives, because they were old or their owner wanted it.
    archive_entries_removed: Counter,
    /// Retractions that were archived (XEP-0424).
    retractions: Counter,
    /// Retractions that leave no tombstone because too many of them wait.
    retractions_dropped: Counter,
    /// Messages that were replaced by a tombstone, in each archive.
    tombstones: Counter,
    /// Sessions closed because `outbox_stanzas_max` or `outbox_bytes_max` was reached.
    outbox_overflows: Counter,
    /// Logins refused by `sessions_per_account_max`.
    session_refusals: Counter,
    /// Requests refused by a bound on what one account may keep (roster, block list, documents).
    quota_refusals: Counter,
    /// Directed presence refused because of `directed_presence_max`.
    directed_presence_refusals: Counter,
    /// Capabilities that clients told and that do not make the hash they named (XEP-0115 § 5.4).
    caps_unverified: Counter,
    /// Stream errors sent.
    stream_errors: Counter,
    /// Stanza errors sent.
    stanza_errors: Counter,
    /// Store calls that failed for a reason other than a bound.
    store_failures: Counter,
    /// Handlers that panicked; each ended one stream.
    panics: Counter,
    /// Hand-overs of messages that panicked; each was answered with an error.
    hand_over_panics: Counter,
}
