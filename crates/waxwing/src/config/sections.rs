//! Every setting, its default and why.

use super::section::section;
use super::values::{
    AtLeastOne, ContactUri, CreatorsName, Domain, Label, LogFormat, LogLevel, MechanismName,
    PolicyName, SecretText, TemplateName, WebUrl,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use waxwing_engine::Service;

section! {
    /// Addresses and ports. An empty list turns a listener off.
    struct Listen in "listen" {
        /// Client connections that begin in clear and must use STARTTLS before anything else
        /// (RFC 6120 § 5). Port 5222 is the registered one that clients try without a DNS record.
        starttls: Vec<SocketAddr> = everywhere(5222);
        /// Client connections that use TLS from the first byte (XEP-0368, "direct TLS"). Port 5223
        /// is customary; clients find it by the DNS record `_xmpps-client._tcp`.
        direct_tls: Vec<SocketAddr> = everywhere(5223);
        /// HTTP with TLS: WebSocket for web clients, where they find it, and uploads. An address that is also in
        /// `direct_tls` serves both: clients say in the handshake what they speak (ALPN), and those that
        /// do not say it get XMPP. None by default, because it belongs on port 443, where a web server
        /// may already be.
        https: Vec<SocketAddr> = Vec::new();
        /// The same without TLS, behind a reverse proxy that ends TLS itself; see `http.proxies`. Clients
        /// that come this way have no channel binding. None by default.
        http: Vec<SocketAddr> = Vec::new();
        /// Client connections without TLS, for programs on this machine only, such as a proxy that ends
        /// TLS itself, or measurements. None by default; an address must be one of loopback, because
        /// passwords cross it as they are.
        plain_on_loopback: Vec<SocketAddr> = Vec::new();
        /// Connections of external components (XEP-0114). Only used if there is a `[component."…"]`. On
        /// this machine only by default, because the protocol knows no encryption: what people say
        /// crosses it in clear. Port 5347 is customary.
        components: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5347))];
        /// Connections of other servers, in clear until STARTTLS, which they must use. Only used if
        /// `federation.enabled`. Port 5269 is the registered one.
        servers: Vec<SocketAddr> = everywhere(5269);
        /// Connections of other servers with TLS from the first byte (XEP-0368). Only used if
        /// `federation.enabled`; they find it by the DNS record `_xmpps-server._tcp`.
        servers_direct_tls: Vec<SocketAddr> = everywhere(5270);
        /// The relay for calls, for STUN and TURN by UDP; see `[turn]`. None by default, because it needs
        /// to know the machine's public addresses. Port 3478 is the registered one.
        turn: Vec<SocketAddr> = Vec::new();
        /// Metrics for Prometheus at `/metrics` and health at `/health`. On this machine only by
        /// default: the figures name no person, but they are nobody else's business.
        metrics: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5290))];
    }
}

section! {
    /// Certificates. They are read again after SIGHUP, and when a file changes; sessions stay, new
    /// connections get the new certificate. A certificate that cannot be used is reported and the
    /// old one stays.
    struct Tls in "tls" {
        /// Folder with the certificates, relative to the data folder. For each domain either
        /// `DOMAIN/fullchain.pem` with `DOMAIN/privkey.pem` (as certbot lays them out) or
        /// `DOMAIN.crt` with `DOMAIN.key`.
        certificates: PathBuf = PathBuf::from("certificates");
        /// Make a self-signed certificate where one is missing. Off by default, because ordinary
        /// clients refuse such certificates or teach people to click warnings away; good for trying
        /// out.
        self_signed: bool = false;
        /// How many seconds a client has for the TLS handshake. Ten are enough for a phone at the
        /// edge of its network and too few to hold many connections open for nothing.
        handshake_timeout_seconds: AtLeastOne = AtLeastOne::new(10);
    }
}

section! {
    /// Bounds. Each protects the others on the server from one; the defaults suit a server of some
    /// thousand people.
    struct Limits in "limits" {
        /// Largest stanza of a logged-in client in bytes; advertised by XEP-0478. 256 KiB carries
        /// an avatar and bounds what one client can make the server hold.
        stanza_bytes_max: AtLeastOne = size(engine().stanza_bytes_max);
        /// Largest element before login in bytes. RFC 6120 § 13.12 asks for 10 000 or more; nothing
        /// in a login is larger.
        pre_auth_bytes_max: AtLeastOne = size(engine().pre_auth_bytes_max);
        /// How many seconds a client has to log in after connecting.
        login_timeout_seconds: AtLeastOne = seconds(engine().login_timeout);
        /// Connections of one address (IPv6: one /64) that are not logged in yet. Many people can
        /// share an address, but they do not all log in at the same moment (XEP-0205).
        unauthenticated_per_address_max: AtLeastOne = AtLeastOne::new(64);
        /// Connections altogether; 0 means as many as the limit of open files allows, less 64 that
        /// are kept for the database, the log and the admin.
        connections_max: u32 = 0;
        /// How many seconds a client may refuse to read before it is disconnected. A phone that
        /// walks through a tunnel is back within a minute.
        write_timeout_seconds: AtLeastOne = AtLeastOne::new(60);
        /// After how many seconds of silence the network is asked whether a client is still there
        /// (TCP keep-alive), then five times a minute apart. Ten minutes find a phone that vanished
        /// before its people wonder, and wake one that sleeps no more than other software does.
        keepalive_seconds: AtLeastOne = AtLeastOne::new(600);
        /// Sessions of one account at a time. People have a handful of devices; clients that forget
        /// their resource name leave some more behind for a while.
        sessions_per_account_max: AtLeastOne = size(engine().sessions_per_account_max);
        /// How many hours a client on a phone (one that tells when nobody looks at it, XEP-0352) has
        /// to come back to its session after its connection is lost (XEP-0198). It is seen as
        /// available meanwhile, and what comes for it is kept.
        hibernation_hours: AtLeastOne = long(engine().hibernation.as_secs() / 3600);
        /// How many minutes other clients have, if that is less.
        hibernation_others_minutes: AtLeastOne = long(engine().hibernation_others.as_secs() / 60);
        /// Sessions of one account that can be resumed, connected or not; the one that is away
        /// longest makes room.
        resumable_sessions_max: AtLeastOne = AtLeastOne::new(engine().resumable_sessions_max);
        /// Stanzas kept for a session that is away, beside the messages in the archive.
        hibernated_stanzas_max: AtLeastOne = AtLeastOne::new(engine().hibernated_stanzas_max);
        /// Bytes of those stanzas.
        hibernated_bytes_max: AtLeastOne = long(engine().hibernated_bytes_max);
        /// Stanzas that wait to be written to one session; more end it.
        outbox_stanzas_max: AtLeastOne = size(engine().outbox_stanzas_max);
        /// Bytes that wait to be written to one session; more end it.
        outbox_bytes_max: AtLeastOne = size(engine().outbox_bytes_max);
        /// Messages of one session that wait for the disk; then its socket is not read until they
        /// are stored, so a fast sender slows down and nobody else does.
        pending_stanzas_max: AtLeastOne = size(engine().pending_stanzas_max);
        /// Contacts in one roster.
        roster_items_max: AtLeastOne = AtLeastOne::new(engine().roster_items_max);
        /// Groups of one contact.
        roster_groups_max: AtLeastOne = size(engine().roster_groups_max);
        /// Bytes of the name of a contact or group.
        roster_name_bytes_max: AtLeastOne = size(engine().roster_name_bytes_max);
        /// Addresses that one session may send directed presence to (chat rooms above all).
        directed_presence_max: AtLeastOne = size(engine().directed_presence_max);
        /// Messages and requests of one account to one room in a second, after ten times as many at once.
        room_messages_per_second_max: AtLeastOne =
            AtLeastOne::new(engine().room_messages_per_second_max);
        /// Entrances and changes of presence of one account in one room in a minute.
        room_presences_per_minute_max: AtLeastOne =
            AtLeastOne::new(engine().room_presences_per_minute_max);
        /// Addresses in one block list.
        blocked_max: AtLeastOne = AtLeastOne::new(engine().blocked_max);
        /// Messages that wait for one account while it is offline; the senders of more get errors.
        offline_messages_max: AtLeastOne = AtLeastOne::new(engine().offline_messages_max);
        /// Bytes of such messages for one account.
        offline_bytes_max: AtLeastOne = long(engine().offline_bytes_max);
        /// Addresses in the archiving preferences of one account (XEP-0441).
        archive_rules_max: AtLeastOne = AtLeastOne::new(engine().archive_rules_max);
        /// Bytes of vCard and private XML together for one account.
        documents_bytes_max: AtLeastOne = long(engine().documents_bytes_max);
        /// Nodes of one account, where clients keep avatars, keys, bookmarks and the like (XEP-0163).
        pubsub_nodes_max: AtLeastOne = AtLeastOne::new(engine().pubsub_nodes_max);
        /// Bytes of what one account keeps on its nodes.
        pubsub_bytes_max: AtLeastOne = long(engine().pubsub_bytes_max);
        /// Accounts without a session whose roster and block list stay in memory; a cache, nothing
        /// is refused.
        idle_accounts_max: AtLeastOne = size(engine().idle_accounts_max);
        /// Failed logins on one stream before it is closed (RFC 6120 § 6.4.5).
        auth_failures_per_stream_max: AtLeastOne =
            AtLeastOne::new(engine().auth_failures_per_stream_max);
        /// Failed logins of one address (IPv6: one /64) in a minute, before its attempts are
        /// refused unheard.
        auth_failures_per_address_max: AtLeastOne =
            AtLeastOne::new(engine().auth_failures_per_address_max);
        /// Failed logins at one account in a minute, before addresses that never logged in to it
        /// are refused unheard. Its owner's own addresses still are heard.
        auth_failures_per_account_max: AtLeastOne =
            AtLeastOne::new(engine().auth_failures_per_account_max);
        /// Rounds of PBKDF2 for new passwords (RFC 7677 § 4). More makes a stolen database harder
        /// to use and each login slower on the client.
        scram_iterations: AtLeastOne = AtLeastOne::new(engine().scram_iterations);
    }
}

section! {
    /// Other servers (RFC 6120 § 13): whether and how this one talks to them. They find it by the DNS
    /// records `_xmpp-server._tcp` and `_xmpps-server._tcp`, or at the domain itself. The policies can
    /// be changed while the server runs (SIGHUP); streams that are open go on.
    struct Federation in "federation" {
        /// Whether this server talks to others at all. On by default: people expect to reach whomever
        /// they know, whatever provider that is with.
        enabled: bool = true;
        /// What other servers must show: `certificate`, one for their domain by an authority that is
        /// trusted here, which keeps out whoever can forge DNS or sits on the way; `dialback`, that
        /// the DNS leads to them (XEP-0220), over TLS, for servers with no such certificate; `block`,
        /// nothing is exchanged.
        policy: PolicyName = PolicyName::Certificate;
        /// The same for single domains and what is below them, such as
        /// `policies = { "example.net" = "block" }`.
        policies: BTreeMap<Domain, PolicyName> = BTreeMap::new();
        /// How many hours a message waits on disk for a server that cannot be reached, before its
        /// sender is told that it did not arrive. A day covers most people's outages. Presence and
        /// requests do not wait.
        wait_hours: AtLeastOne = long(engine_federation().wait.as_secs() / 3600);
        /// Whether the authorities that the system trusts are trusted.
        system_authorities: bool = true;
        /// More authorities: files with certificates (PEM), relative to the data folder.
        authorities: Vec<PathBuf> = Vec::new();
        /// Name servers to ask instead of those of the system.
        name_servers: Vec<SocketAddr> = Vec::new();
        /// Whether servers at private and local addresses are connected to. Off by default, because a
        /// name that leads there could make this server knock on doors inside your network.
        private_addresses: bool = false;
        /// Largest stanza of another server in bytes; advertised by XEP-0478.
        stanza_bytes_max: AtLeastOne = size(engine().s2s_stanza_bytes_max);
        /// Messages that wait on disk from one domain here to one other; more are answered with an
        /// error.
        outgoing_messages_max: AtLeastOne = AtLeastOne::new(engine().outgoing_messages_max);
        /// Bytes of those messages.
        outgoing_bytes_max: AtLeastOne = long(engine().outgoing_bytes_max);
        /// Bytes that are answered to one other domain in a minute, beyond twice what came from it, so that
        /// nobody can make this server send without end by asking; then requests have an error. Sixteen
        /// mebibytes are some hundred avatars, or thirty pages of an archive.
        answer_bytes_per_minute_max: AtLeastOne = size(engine().answer_bytes_per_minute_max);
        /// Pairs of a domain here and another that something is known of: connections, queues, recent
        /// failures.
        links_max: AtLeastOne = size(engine().links_max);
        /// Stanzas in memory on their way from one domain here to one other.
        link_stanzas_max: AtLeastOne = size(engine().link_stanzas_max);
        /// Bytes of those stanzas.
        link_bytes_max: AtLeastOne = size(engine().link_bytes_max);
    }
}

section! {
    /// Making accounts from a client (XEP-0077). Whatever is set here, `waxwing user add` works, and
    /// people can change their password and delete their account from a client.
    struct Registration in "registration" {
        /// Whether anybody may make an account. Off by default: an open server is found by
        /// spammers within days.
        open: bool = false;
        /// Accounts that one address (IPv6: one /64) may make in an hour, where registration is
        /// open.
        per_address_hour_max: AtLeastOne = AtLeastOne::new(engine().registrations_per_hour_max);
    }
}

section! {
    /// Services inside this server. Each has a domain of its own below every domain of `domains`, named
    /// by the label that is set here; other servers find them by DNS like any domain. An empty label
    /// turns a service off.
    struct Services in "services" {
        /// Publish-subscribe (XEP-0060): nodes that belong to nobody's account, such as blogs and feeds.
        /// `pubsub` makes it `pubsub.example.org`.
        pubsub: Label = Label::usual(Service::PubSub);
        /// Rooms (XEP-0045): groups and channels. `groups` makes it `groups.example.org`.
        rooms: Label = Label::usual(Service::Rooms);
        /// What a new room is as long as its owner does not say otherwise: `open` (to those who know its
        /// address, and gone with the last of them), `group` (for members who see who is who; hidden, and it
        /// stays), `channel` (public, and it stays) or `announcements` (a channel in which newcomers only
        /// listen). A client that says that it makes a group or a channel gets one whatever is set here
        /// (docs/operating/rooms.md).
        rooms_template: TemplateName = TemplateName::Open;
        /// Uploads (XEP-0363): files that people send. `upload` makes it `upload.example.org`. It is there
        /// only if `listen.https` or `listen.http` has an address, because files travel by HTTP.
        uploads: Label = Label::usual(Service::Uploads);
        /// Who may make nodes at the publish-subscribe service: `accounts` (of this server), `anyone` or `nobody`. One entity may own
        /// as many as `limits.pubsub_nodes_max`.
        pubsub_creators: CreatorsName = CreatorsName::Accounts;
        /// Nodes of one publish-subscribe service altogether.
        pubsub_nodes_max: AtLeastOne = AtLeastOne::new(pubsub().nodes_max);
        /// Megabytes of one publish-subscribe service: nodes and items together.
        pubsub_megabytes_max: AtLeastOne = megabytes(pubsub().bytes_max);
    }
}

section! {
    /// People's clients: what is kept of them, so that their owners can see and end them (XEP-0494),
    /// and the tokens that they log in with instead of a password (XEP-0484, "FAST").
    struct Clients in "clients" {
        /// Clients remembered for one account. The one that was not seen for the longest time makes
        /// room for a new one.
        per_account_max: AtLeastOne = AtLeastOne::new(clients().per_account_max);
        /// Whether the names that clients give to themselves and their devices ("Kiva's phone") are
        /// kept. Without them a person can hardly tell which device to sign out.
        names_kept: bool = clients().names_kept;
        /// After how many days a client that does not come is forgotten. When it was last seen is
        /// kept to the hour. A quarter of a year is longer than people are away, and no archive.
        forgotten_after_days: AtLeastOne = days(clients().forgotten_after);
        /// For how many days a token is valid. A device that is off for longer needs the password
        /// again; a longer life gives whoever steals a device more time.
        token_lifetime_days: AtLeastOne = days(clients().token_lifetime);
        /// How many hours old a token must be for its use to bring a new one; 0 means each use.
        /// Once a day bounds what a copied token is good for, and costs one write a day and device.
        token_rotated_after_hours: u32 = hours(clients().token_rotated_after);
    }
}

section! {
    /// The archives of what people have written and been sent (XEP-0313), which their clients read on
    /// new devices and after a time without network.
    struct Archive in "archive" {
        /// How many days a message stays; 0 means for ever. For ever by default: people who get a
        /// new phone expect to find their history there.
        keep_days: u32 = 0;
        /// How many days a message stays at most, whatever a person has chosen; 0 means that there
        /// is no such bound.
        keep_days_max: u32 = 0;
        /// Whether clients can search archives for what messages say (XEP-0431). It needs an index of
        /// all that is not encrypted; messages from before it was switched on are not found, and when
        /// it is switched off the index is removed. Off by default: most chats are encrypted, and
        /// clients search what they have themselves.
        search: bool = false;
    }
}

section! {
    /// Push notifications (XEP-0357): what is told, beside that there is something, to the app servers
    /// that people's devices name. These belong to the makers of the clients, and hand it on to the
    /// makers of the phones. Nothing by default: a woken device fetches all that from here.
    struct Push in "push" {
        /// How many messages and subscription requests wait.
        tell_count: bool = false;
        /// Who sent the last message.
        tell_sender: bool = false;
        /// What the last message says, where it is not encrypted.
        tell_body: bool = false;
    }
}

section! {
    /// Files that people upload, to send them to others (XEP-0363). They are kept in the folder
    /// `uploads` of the data folder; a file that several people have uploaded is there once.
    struct Uploads in "uploads" {
        /// Bytes of one file. 100 MiB, and the 16 bytes that encryption adds.
        file_bytes_max: AtLeastOne = long(uploads().file_bytes_max);
        /// Megabytes of all files of one account.
        account_megabytes_max: AtLeastOne = megabytes(uploads().account_bytes_max);
        /// Files of one account.
        account_files_max: AtLeastOne = AtLeastOne::new(uploads().account_files_max);
        /// How many days a file for messages stays; 0 means for ever. For ever by default, as the
        /// messages that refer to it do. Pictures of profiles and what a client uploads as permanent
        /// stay as long as their account in any case.
        keep_days: u32 = 0;
        /// For how many seconds after it was granted an upload may begin. Five minutes are what
        /// XEP-0363 recommends, and enough for a phone that looks for a network.
        slot_seconds: AtLeastOne = seconds(uploads().slot_lifetime);
        /// Uploads of one account at a time; more are told to come back.
        account_at_once_max: AtLeastOne = AtLeastOne::new(8);
        /// Uploads altogether at a time; more are told to come back.
        at_once_max: AtLeastOne = AtLeastOne::new(256);
        /// Megabytes of the disk that uploads leave free: messages need it more.
        disk_free_megabytes_min: u32 = 512;
    }
}

section! {
    /// The relay for calls (STUN and TURN), where `listen.turn` has an address: calls between people
    /// whose networks do not let them reach each other go through it. Clients find it by XEP-0215, with
    /// a name and a password for a while.
    struct Turn in "turn" {
        /// The public addresses of this machine, at most one of IPv4 and one of IPv6. Behind a translation
        /// of addresses these are the outer ones, and the ports below must be passed on to the same ports.
        addresses: Vec<IpAddr> = Vec::new();
        /// The name by which clients reach it; the domain of their address if not set.
        host: Option<String> = None, example "\"turn.example.org\"";
        /// The first UDP port that calls are relayed through; a firewall must let these in.
        relay_port_min: u16 = 49152;
        /// The last of them.
        relay_port_max: u16 = 65535;
        /// For how many hours a name and a password are good. A call can go on that long after its device
        /// has asked for them.
        credential_hours: AtLeastOne = AtLeastOne::new(12);
        /// Relayed addresses of one account at a time; a call needs one for each of its media and networks.
        account_allocations_max: AtLeastOne = AtLeastOne::new(10);
        /// Relayed addresses altogether.
        allocations_max: AtLeastOne = AtLeastOne::new(1000);
        /// Kilobytes that are relayed for one account in a second, both ways together; more is dropped. A
        /// call with video takes 100 to 500.
        account_kilobytes_per_second_max: AtLeastOne = AtLeastOne::new(1000);
        /// Whether addresses can be relayed to that are not of the public Internet, such as those of one's
        /// own network. Off by default: whoever has an account could reach from here what is not meant to be
        /// reached.
        private_peers: bool = false;
    }
}

section! {
    /// HTTP, where `listen.https` or `listen.http` has an address.
    struct Http in "http" {
        /// Addresses of reverse proxies. At `listen.http` nobody else is served, because passwords
        /// cross it as they are, and what they say in `X-Forwarded-For` is believed: its last address
        /// is the client's. They must pass on the header `Host` as they got it.
        proxies: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
}

section! {
    /// What is logged, to standard error. Never the text of messages, names or passwords; addresses
    /// of people's networks only at level debug.
    struct Log in "log" {
        /// `error`, `warn`, `info`, `debug` or `trace`, or levels by module such as
        /// `info,waxwing_engine=debug`. Read again at SIGHUP.
        level: LogLevel = LogLevel::info();
        /// `text` for people, `json` for collectors.
        format: LogFormat = LogFormat::Text;
    }
}

section! {
    /// Settings of one domain; all may be left out. Write one such table for each domain that
    /// differs, with the name in quotes.
    struct Host in "domain.\"example.org\"" {
        /// Whether anybody may make an account at this domain; `registration.open` if not set.
        registration_open: Option<bool> = None, example "false";
        /// SASL mechanisms that are offered for passwords. All of them if not set: it is for accounts
        /// that came from another server and lack a verifier, such as `["SCRAM-SHA-1-PLUS",
        /// "SCRAM-SHA-1"]` where that kept SHA-1 only. Clients then bring the others (XEP-0480), and
        /// each new password makes all.
        mechanisms: Option<Vec<MechanismName>> = None, example "[\"SCRAM-SHA-1-PLUS\", \"SCRAM-SHA-1\"]";
        /// Where people reach the HTTP of this domain: `https://` and a host, with a port if it is not
        /// 443. If not set, it is the domain itself, with the port of the first address of
        /// `listen.https`. For those whose domain leads to another machine or through a proxy.
        web: Option<WebUrl> = None, example "\"https://xmpp.example.org\"";
        /// Where people reach the files that were uploaded, if that is to be another name than that of
        /// `web`: a name of its own keeps what strangers have uploaded apart from web pages.
        uploads: Option<WebUrl> = None, example "\"https://files.example.org\"";
        /// Certificate chain (PEM) for this domain, if it is not in the folder `tls.certificates`.
        certificate: Option<PathBuf> = None, example "\"/etc/ssl/example.org/fullchain.pem\"";
        /// Private key (PEM) of that certificate.
        key: Option<PathBuf> = None, example "\"/etc/ssl/example.org/privkey.pem\"";
        /// Where to report abuse, as URIs; published by service discovery (XEP-0157). The same goes
        /// for the other contact lists.
        contact_abuse: Vec<ContactUri> = Vec::new(), example "[\"mailto:abuse@example.org\"]";
        /// Contact of the admin.
        contact_admin: Vec<ContactUri> = Vec::new(), example "[\"xmpp:admin@example.org\"]";
        /// Contact for suggestions and praise.
        contact_feedback: Vec<ContactUri> = Vec::new(), example "[]";
        /// Contact of the sales department.
        contact_sales: Vec<ContactUri> = Vec::new(), example "[]";
        /// Contact for reports of security problems.
        contact_security: Vec<ContactUri> = Vec::new(), example "[]";
        /// Contact for help.
        contact_support: Vec<ContactUri> = Vec::new(), example "[]";
    }
}

section! {
    /// An external component (XEP-0114): a program that serves a domain of its own through this
    /// server, such as a gateway, an app server for push notifications, or a bot. Write one such
    /// table for each, with its domain in quotes; it is trusted with everything that comes from that
    /// domain. One of the two settings is needed.
    struct Component in "component.\"gateway.example.org\"" {
        /// The secret that the component knows as well; any long text.
        secret: Option<SecretText> = None, example "\"5f2d0c5c1d8e47f0a6cdf3aa\"";
        /// File that holds the secret and nothing else, for those who keep this file where others can
        /// read it. White space around the secret does not count.
        secret_file: Option<PathBuf> = None, example "\"/etc/waxwing/gateway.secret\"";
    }
}

/// A port on every address of the machine.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
    ]
}

/// The engine's own defaults: they are said once, there.
fn engine() -> waxwing_engine::Limits {
    waxwing_engine::Limits::default()
}

fn pubsub() -> waxwing_engine::PubSub {
    waxwing_engine::PubSub::default()
}

fn uploads() -> waxwing_engine::Uploads {
    waxwing_engine::Uploads::default()
}

fn megabytes(bytes: u64) -> AtLeastOne {
    long(bytes >> 20)
}

fn engine_federation() -> waxwing_engine::Federation {
    waxwing_engine::Federation::default()
}

fn clients() -> waxwing_engine::Clients {
    waxwing_engine::Clients::default()
}

fn hours(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs() / 3600).unwrap_or(u32::MAX)
}

fn days(duration: std::time::Duration) -> AtLeastOne {
    long(duration.as_secs() / (24 * 3600))
}

fn size(number: usize) -> AtLeastOne {
    AtLeastOne::new(u32::try_from(number).unwrap_or(u32::MAX))
}

fn long(number: u64) -> AtLeastOne {
    AtLeastOne::new(u32::try_from(number).unwrap_or(u32::MAX))
}

fn seconds(duration: std::time::Duration) -> AtLeastOne {
    long(duration.as_secs())
}
