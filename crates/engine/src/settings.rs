//! What an installation decides. The shell reads these from its file; see `docs/config.md`.

use crate::feature::Service;
use std::time::Duration;
use waxwing_proto::sasl::Mechanism;
use waxwing_proto::stream::{component::Secret, s2s::Policies};

/// All settings of an engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The virtual hosts; at least one.
    pub domains: Vec<DomainSettings>,
    /// External components (XEP-0114), each for a domain of its own.
    pub components: Vec<ComponentSettings>,
    /// Services inside this process, each with a domain of its own.
    pub services: Vec<ServiceSettings>,
    /// The publish-subscribe service.
    pub pubsub: PubSub,
    /// What a new room is as long as its owner does not say otherwise.
    pub room_template: RoomTemplate,
    /// What people can upload.
    pub uploads: Uploads,
    /// The relay for calls, if there is one.
    pub relay: Option<RelaySettings>,
    /// What app servers are told.
    pub push: Push,
    /// Named bounds.
    pub limits: Limits,
    /// How other servers are talked to.
    pub federation: Federation,
    /// How long archives are kept.
    pub archive: Archives,
    /// What is kept of people's clients, and their tokens.
    pub clients: Clients,
    /// Whether clients may log in without TLS. For tests and for a reverse proxy on the same
    /// machine; never for a listener that others reach.
    pub plaintext_allowed: bool,
    /// Whether STARTTLS can be offered (a certificate is configured).
    pub starttls: bool,
    /// Software version told to clients (XEP-0092).
    pub version: String,
}

/// One virtual host.
#[derive(Debug, Clone)]
pub struct DomainSettings {
    /// Its name, prepared as a domainpart.
    pub name: String,
    /// Whether strangers may register an account in-band (XEP-0077).
    pub registration: bool,
    /// SASL mechanisms for passwords that are offered, best first.
    pub mechanisms: Vec<Mechanism>,
    /// Contact addresses told to anyone (XEP-0157).
    pub contacts: Contacts,
    /// Where people reach what was uploaded (XEP-0363): a host, and a port if it is not 443.
    pub uploads: String,
}

/// What app servers are told beside that there is something (XEP-0357 § 7). They belong to the
/// makers of people's clients, and pass it on to the makers of their phones.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// How many messages wait, and how many subscription requests.
    pub count: bool,
    /// Who sent the last message.
    pub sender: bool,
    /// What it says, where it is not encrypted.
    pub body: bool,
}

/// One external component.
#[derive(Debug, Clone)]
pub struct ComponentSettings {
    /// The domain it serves, prepared as a domainpart.
    pub name: String,
    /// What it proves to know when it connects.
    pub secret: Secret,
}

/// One service inside this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Its domain, prepared as a domainpart; none of the virtual hosts or components.
    pub name: String,
    /// What it is.
    pub kind: Service,
    /// The virtual host that lists it (XEP-0030 § 4) and whose accounts it is there for.
    pub host: String,
}

/// Publish-subscribe services with a domain of their own (XEP-0060).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubSub {
    /// Who may make nodes.
    pub creators: Creators,
    /// Nodes of one service; those that one entity may own there are [`Limits::pubsub_nodes_max`].
    pub nodes_max: u32,
    /// Bytes of one service's nodes and items together.
    pub bytes_max: u64,
}

/// What new rooms are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoomTemplate {
    /// Open to those who know its address, and gone with the last of them.
    #[default]
    Open,
    /// For members, who see who is who; hidden, and it stays. Ready for end-to-end encryption.
    Group,
    /// Public, and it stays; only moderators see who is who.
    Channel,
    /// The same, and newcomers only listen.
    Announcements,
}

/// The relay for calls (STUN and TURN), as people are told of it (XEP-0215).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySettings {
    /// Its name or address; the domain of those who ask if there is none.
    pub host: Option<String>,
    /// Its port for UDP.
    pub port: u16,
    /// How long a name and a password can be used to begin or go on with a call.
    pub credential_lifetime: Duration,
}

/// What people can upload by HTTP (XEP-0363).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploads {
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files of one account.
    pub account_bytes_max: u64,
    /// Files of one account.
    pub account_files_max: u32,
    /// How long after it was granted an upload may begin.
    pub slot_lifetime: Duration,
    /// Days that files for messages stay; `None` for ever.
    pub keep_days: Option<u32>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            // Clients encrypt files with 16 bytes more.
            file_bytes_max: (100 << 20) + 16,
            account_bytes_max: 10 << 30,
            account_files_max: 100_000,
            // XEP-0363 § 8.
            slot_lifetime: Duration::from_mins(5),
            keep_days: None,
        }
    }
}

/// Who may make nodes at a publish-subscribe service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creators {
    /// The accounts of this server.
    Accounts,
    /// Everybody.
    Anyone,
    /// Nobody.
    Nobody,
}

impl Default for PubSub {
    fn default() -> Self {
        Self {
            creators: Creators::Accounts,
            nodes_max: 100_000,
            bytes_max: 1 << 30,
        }
    }
}

impl ServiceSettings {
    /// The services of a virtual host, with their usual names.
    pub fn usual(host: &str) -> Vec<Self> {
        let all = Service::ALL.into_iter();
        all.map(|kind| Self {
            name: format!("{}.{host}", kind.label()),
            kind,
            host: host.to_owned(),
        })
        .collect()
    }
}

/// Contact addresses (XEP-0157), each a URI such as `mailto:` or `xmpp:`.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    /// For reports of abuse.
    pub abuse: Vec<String>,
    /// For administrative matters.
    pub admin: Vec<String>,
    /// For comments.
    pub feedback: Vec<String>,
    /// For sales.
    pub sales: Vec<String>,
    /// For reports of security holes.
    pub security: Vec<String>,
    /// Where people get help.
    pub support: Vec<String>,
}

/// Named bounds, each with the default given by [`Limits::default`].
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one stanza on an authenticated client stream.
    pub stanza_bytes_max: usize,
    /// Bytes of one element before authentication.
    pub pre_auth_bytes_max: usize,
    /// Time to authenticate and bind.
    pub login_timeout: Duration,
    /// Sessions of one account at a time.
    pub sessions_per_account_max: usize,
    /// For how long a session of a client that says when nobody looks at it (XEP-0352) can be
    /// resumed.
    pub hibernation: Duration,
    /// The same for other clients, if that is shorter.
    pub hibernation_others: Duration,
    /// Sessions of one account that can be resumed, with and without a stream.
    pub resumable_sessions_max: u32,
    /// Stanzas kept for one session without a stream, beside the messages in the archive.
    pub hibernated_stanzas_max: u32,
    /// Bytes of those stanzas.
    pub hibernated_bytes_max: u64,
    /// Stanzas waiting to be written to one session.
    pub outbox_stanzas_max: usize,
    /// Bytes waiting to be written to one session.
    pub outbox_bytes_max: usize,
    /// Stanzas of one session waiting for their commit; then its socket is not read.
    pub pending_stanzas_max: usize,
    /// Bytes of one stanza of another server.
    pub s2s_stanza_bytes_max: usize,
    /// Pairs of a domain of ours and another that something is known of.
    pub links_max: usize,
    /// Stanzas in memory on their way from one domain of ours to one other.
    pub link_stanzas_max: usize,
    /// Bytes of those stanzas.
    pub link_bytes_max: usize,
    /// Messages that wait on disk on their way from one domain of ours to one other.
    pub outgoing_messages_max: u32,
    /// Bytes of those messages.
    pub outgoing_bytes_max: u64,
    /// Bytes that are answered to one other domain in a minute, beyond twice what came from it.
    pub answer_bytes_per_minute_max: usize,
    /// Contacts in one roster.
    pub roster_items_max: u32,
    /// Groups of one contact.
    pub roster_groups_max: usize,
    /// Bytes of a contact's or group's name.
    pub roster_name_bytes_max: usize,
    /// Entities that one session may send directed presence to.
    pub directed_presence_max: usize,
    /// Messages and requests of one account to one room in a second, after ten times as many at once.
    pub room_messages_per_second_max: u32,
    /// Entrances and changes of presence of one account in one room in a minute.
    pub room_presences_per_minute_max: u32,
    /// Messages waiting for one account.
    pub offline_messages_max: u32,
    /// Bytes of messages waiting for one account.
    pub offline_bytes_max: u64,
    /// Addresses on one block list.
    pub blocked_max: u32,
    /// Addresses in the archiving preferences of one account.
    pub archive_rules_max: u32,
    /// Bytes of one account's vCard and private XML together.
    pub documents_bytes_max: u64,
    /// Nodes of one account (XEP-0163), and nodes that it owns at one service (XEP-0060).
    pub pubsub_nodes_max: u32,
    /// Bytes of one account's nodes and items together.
    pub pubsub_bytes_max: u64,
    /// Accounts without a session whose roster and block list stay in memory.
    pub idle_accounts_max: usize,
    /// Accounts registered in-band from one address (IPv6: /64) in an hour.
    pub registrations_per_hour_max: u32,
    /// Failed logins on one stream, before it is closed (RFC 6120 § 6.4.5).
    pub auth_failures_per_stream_max: u32,
    /// Failed logins of one address (IPv6: /64) in a minute, before attempts are refused unheard.
    pub auth_failures_per_address_max: u32,
    /// Failed logins at one account in a minute, before strange addresses are refused unheard.
    pub auth_failures_per_account_max: u32,
    /// PBKDF2 iterations of new verifiers.
    pub scram_iterations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes_max: 256 * 1024,
            pre_auth_bytes_max: 10_000,
            login_timeout: Duration::from_secs(30),
            sessions_per_account_max: 20,
            hibernation: Duration::from_hours(72),
            hibernation_others: Duration::from_mins(15),
            resumable_sessions_max: 10,
            hibernated_stanzas_max: 1000,
            hibernated_bytes_max: 1024 * 1024,
            outbox_stanzas_max: 4096,
            outbox_bytes_max: 4 * 1024 * 1024,
            pending_stanzas_max: 256,
            s2s_stanza_bytes_max: 512 * 1024,
            links_max: 10_000,
            link_stanzas_max: 1000,
            link_bytes_max: 4 * 1024 * 1024,
            outgoing_messages_max: 10_000,
            outgoing_bytes_max: 64 * 1024 * 1024,
            answer_bytes_per_minute_max: 16 * 1024 * 1024,
            roster_items_max: 2000,
            roster_groups_max: 32,
            roster_name_bytes_max: 1023,
            directed_presence_max: 500,
            room_messages_per_second_max: 20,
            room_presences_per_minute_max: 60,
            offline_messages_max: 1000,
            offline_bytes_max: 16 * 1024 * 1024,
            blocked_max: 2000,
            archive_rules_max: 1000,
            documents_bytes_max: 4 * 1024 * 1024,
            pubsub_nodes_max: 1000,
            pubsub_bytes_max: 32 * 1024 * 1024,
            idle_accounts_max: 10_000,
            registrations_per_hour_max: 5,
            auth_failures_per_stream_max: 3,
            auth_failures_per_address_max: 20,
            auth_failures_per_account_max: 20,
            scram_iterations: 10_000,
        }
    }
}

/// How other servers are talked to (RFC 6120 § 13).
#[derive(Debug, Clone)]
pub struct Federation {
    /// Whether they are at all.
    pub enabled: bool,
    /// Which of them, and how they have to show who they are.
    pub policies: Policies,
    /// How long a message waits for a server that cannot be reached, before its sender gets an error.
    pub wait: Duration,
}

impl Default for Federation {
    /// Off; a certificate from everybody; a day.
    fn default() -> Self {
        Self {
            enabled: false,
            policies: Policies::default(),
            wait: Duration::from_hours(24),
        }
    }
}

/// How long messages stay in archives (XEP-0313 § 3.2).
#[derive(Debug, Clone, Default)]
pub struct Archives {
    /// Days for people who have not chosen; `None` for ever.
    pub keep_days: Option<u32>,
    /// Days that nobody can exceed; `None` for no such bound.
    pub keep_days_max: Option<u32>,
    /// Whether people can search theirs for what messages say, which needs an index of that.
    pub search: bool,
}

/// What is kept of the clients of an account (XEP-0494), and the tokens that they log in with
/// (XEP-0484). The defaults are those of [`Clients::default`].
#[derive(Debug, Clone)]
pub struct Clients {
    /// Clients remembered for one account; the one that was not seen for the longest time makes room.
    pub per_account_max: u32,
    /// Whether the names that clients give to themselves and their devices are kept.
    pub names_kept: bool,
    /// How long a client is remembered that does not come.
    pub forgotten_after: Duration,
    /// How long a token is valid.
    pub token_lifetime: Duration,
    /// How old a token is when its use brings a new one.
    pub token_rotated_after: Duration,
}

impl Default for Clients {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            per_account_max: 64,
            names_kept: true,
            forgotten_after: DAY * 90,
            token_lifetime: DAY * 21,
            token_rotated_after: DAY,
        }
    }
}

impl Settings {
    /// Settings for one domain with all defaults.
    pub fn for_domain(name: &str) -> Self {
        Self {
            domains: vec![DomainSettings {
                name: name.to_owned(),
                registration: false,
                mechanisms: Mechanism::ALL.to_vec(),
                contacts: Contacts::default(),
                uploads: name.to_owned(),
            }],
            components: Vec::new(),
            services: ServiceSettings::usual(name),
            pubsub: PubSub::default(),
            room_template: RoomTemplate::default(),
            uploads: Uploads::default(),
            relay: None,
            push: Push::default(),
            federation: Federation::default(),
            archive: Archives::default(),
            limits: Limits::default(),
            clients: Clients::default(),
            plaintext_allowed: false,
            starttls: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The settings of a virtual host, if `name` is one.
    pub fn domain(&self, name: &str) -> Option<&DomainSettings> {
        self.domains.iter().find(|domain| domain.name == name)
    }
}
