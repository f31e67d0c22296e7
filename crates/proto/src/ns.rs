//! Every namespace that Waxwing knows, one constant and one reference each.

/// Content of client streams (RFC 6120 § 4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Content of server streams (RFC 6120 § 4.8.2).
pub const SERVER: &str = "jabber:server";
/// Server dialback (XEP-0220).
pub const DIALBACK: &str = "jabber:server:dialback";
/// Server dialback stream feature (XEP-0220 § 2.3).
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Bidirectional server streams (XEP-0288).
pub const BIDI: &str = "urn:xmpp:bidi";
/// Bidirectional server streams, the stream feature (XEP-0288 § 2.1).
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// Content of the streams of external components (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// Streams (RFC 6120 § 4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120 § 4.9.2).
pub const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120 § 8.3.2).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS (RFC 6120 § 5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 § 6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding (RFC 6120 § 7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment, a no-op kept for old clients (RFC 3921 § 3).
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// The `xml` prefix (XML Namespaces § 3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Rosters (RFC 6121 § 2).
pub const ROSTER: &str = "jabber:iq:roster";
/// Roster versioning stream feature (RFC 6121 § 2.6.1).
pub const ROSTER_VER: &str = "urn:xmpp:features:rosterver";
/// Subscription pre-approval stream feature (RFC 6121 § 3.4).
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// Last activity (XEP-0012).
pub const LAST: &str = "jabber:iq:last";
/// Service discovery information (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery items (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Private XML storage (XEP-0049).
pub const PRIVATE: &str = "jabber:iq:private";
/// vcard-temp (XEP-0054).
pub const VCARD: &str = "vcard-temp";
/// Result set management (XEP-0059).
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// In-band registration (XEP-0077).
pub const REGISTER: &str = "jabber:iq:register";
/// In-band registration stream feature (XEP-0077 § 8).
pub const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Entity capabilities (XEP-0115).
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// Server information, the `FORM_TYPE` of contact addresses (XEP-0157).
pub const SERVER_INFO: &str = "http://jabber.org/network/serverinfo";
/// Blocking (XEP-0191).
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// Blocking error condition (XEP-0191 § 3.6).
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";
/// Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Entity time (XEP-0202).
pub const TIME: &str = "urn:xmpp:time";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Message archives (XEP-0313).
pub const MAM: &str = "urn:xmpp:mam:2";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Chat states (XEP-0085).
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Validation of data forms (XEP-0122).
pub const DATA_VALIDATION: &str = "http://jabber.org/protocol/xdata-validate";
/// SASL channel-binding type capability (XEP-0440).
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// Stream limits advertisement (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// Stream management (XEP-0198).
pub const SM: &str = "urn:xmpp:sm:3";
/// Client state indication (XEP-0352).
pub const CSI: &str = "urn:xmpp:csi:0";
/// Carbons (XEP-0280).
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// The stream's tags on WebSocket (RFC 7395).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// Forwarding (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// Rooms (XEP-0045).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// Rooms, what their admins ask (XEP-0045).
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Rooms, what their owners ask (XEP-0045).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Rooms, what is said to one user of them (XEP-0045).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Hats: titles of a room's own (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";
/// Search for rooms (XEP-0433).
pub const CHANNEL_SEARCH: &str = "urn:xmpp:channel-search:0:search";
/// Invitations to rooms for whoever has them (XEP-0488).
pub const TOKENS: &str = "urn:xmpp:muc-token-invite:0";
/// Versions of the lists of people of rooms (XEP-0463).
pub const MUC_AFFILIATIONS: &str = "urn:xmpp:muc:affiliations:1";
/// Moderated messages (XEP-0425).
pub const MODERATION: &str = "urn:xmpp:message-moderate:1";
/// Moderated messages as they were before (XEP-0425, 0.2.1).
pub const MODERATION_OLD: &str = "urn:xmpp:message-moderate:0";
/// What is said of another message (XEP-0422, 0.1.1).
pub const FASTENING: &str = "urn:xmpp:fasten:0";
/// Services beside XMPP (XEP-0215).
pub const EXTDISCO: &str = "urn:xmpp:extdisco:2";
/// Uploads by HTTP (XEP-0363).
pub const UPLOAD: &str = "urn:xmpp:http:upload:0";
/// What a file is uploaded for (XEP-0363 § 5).
pub const UPLOAD_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";
/// Publish-subscribe (XEP-0060).
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Publish-subscribe, what owners of nodes do (XEP-0060 § 8).
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Publish-subscribe error conditions (XEP-0060 § 16.2).
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// The `FORM_TYPE` of a node's options (XEP-0060 § 16.4.4).
pub const PUBSUB_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// The `FORM_TYPE` of what is known of a node (XEP-0060 § 16.4.3).
pub const PUBSUB_META: &str = "http://jabber.org/protocol/pubsub#meta-data";
/// The `FORM_TYPE` of what a publication demands of its node (XEP-0060 § 7.1.5).
pub const PUBSUB_PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// The `FORM_TYPE` of a request to approve a subscription (XEP-0060 § 8.6).
pub const PUBSUB_AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";
/// Extended addresses (XEP-0033).
pub const ADDRESS: &str = "http://jabber.org/protocol/address";
/// Which messages were displayed (XEP-0490).
pub const MDS: &str = "urn:xmpp:mds:displayed:0";
/// The server publishes which messages were displayed (XEP-0490 § 4.5).
pub const MDS_ASSIST: &str = "urn:xmpp:mds:server-assist:0";
/// Push notifications (XEP-0357).
pub const PUSH: &str = "urn:xmpp:push:0";
/// `FORM_TYPE` of the summary in a push notification (XEP-0357 § 7).
pub const PUSH_SUMMARY: &str = "urn:xmpp:push:summary";
/// Chat notification settings (XEP-0492).
pub const NOTIFICATION_SETTINGS: &str = "urn:xmpp:notification-settings:1";
/// Bookmarks in publish-subscribe (XEP-0402).
pub const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
/// Pictures of people (XEP-0084).
pub const AVATAR_DATA: &str = "urn:xmpp:avatar:data";
/// What pictures of people are (XEP-0084).
pub const AVATAR_METADATA: &str = "urn:xmpp:avatar:metadata";
/// Pictures in vCards and on nodes are the same (XEP-0398).
pub const VCARD_CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0";
/// Hashes of pictures in presence (XEP-0153).
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// vCard4 (RFC 6351, XEP-0292).
pub const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";
/// Full text search in archives (XEP-0431).
pub const FULL_TEXT: &str = "urn:xmpp:fulltext:0";
/// Bookmarks as a list (XEP-0048).
pub const BOOKMARKS_LIST: &str = "storage:bookmarks";
/// References, mentions among them (XEP-0372).
pub const REFERENCE: &str = "urn:xmpp:reference:0";
/// Publish-subscribe events (XEP-0060).
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Options of a subscription (XEP-0060 § 6.3).
pub const PUBSUB_SUBSCRIBE_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";
/// Ad-hoc commands (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// The command that asks for subscriptions that wait (XEP-0060 § 8.7).
pub const PUBSUB_GET_PENDING: &str = "http://jabber.org/protocol/pubsub#get-pending";
/// Order of items (XEP-0413).
pub const ORDER_BY: &str = "urn:xmpp:order-by:1";
/// Delivery receipts (XEP-0184).
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// Chat markers (XEP-0333).
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Direct invitations to a room (XEP-0249).
pub const CONFERENCE: &str = "jabber:x:conference";
/// Call set-up by messages (XEP-0353).
pub const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0";
/// Says how a message is encrypted (XEP-0380).
pub const ENCRYPTION: &str = "urn:xmpp:eme:0";
/// OMEMO (XEP-0384).
pub const OMEMO: &str = "urn:xmpp:omemo:2";
/// OMEMO as most clients speak it (XEP-0384, 0.3).
pub const OMEMO_LEGACY: &str = "eu.siacs.conversations.axolotl";
/// `OpenPGP` (XEP-0373).
pub const OPENPGP: &str = "urn:xmpp:openpgp:0";
/// Stanza and origin ids (XEP-0359).
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// The extensible SASL profile (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Bind 2 (XEP-0386).
pub const BIND2: &str = "urn:xmpp:bind:0";
/// Fast authentication tokens (XEP-0484).
pub const FAST: &str = "urn:xmpp:fast:0";
/// Client access management (XEP-0494).
pub const CAM: &str = "urn:xmpp:cam:0";
/// SASL upgrade tasks (XEP-0480).
pub const SASL_UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
/// SCRAM upgrade tasks (XEP-0480 § 3).
pub const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
/// `OpenPGP` as it was first used (XEP-0027).
pub const OPENPGP_LEGACY: &str = "jabber:x:encrypted";
/// Links to files outside of XMPP (XEP-0066).
pub const OOB: &str = "jabber:x:oob";
/// Corrections of messages (XEP-0308).
pub const CORRECTION: &str = "urn:xmpp:message-correct:0";
/// Retractions of messages (XEP-0424).
pub const RETRACTION: &str = "urn:xmpp:message-retract:1";
/// Retractions of messages as they were before (XEP-0424, 0.3.0).
pub const RETRACTION_OLD: &str = "urn:xmpp:message-retract:0";
/// Tombstones in the place of retracted messages (XEP-0424 § 4).
pub const TOMBSTONES: &str = "urn:xmpp:message-retract:1#tombstone";
/// Reactions to messages (XEP-0444).
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
/// Files kept elsewhere (XEP-0447).
pub const FILE_SHARING: &str = "urn:xmpp:sfs:0";
/// Invitations to calls (XEP-0482).
pub const CALL_INVITES: &str = "urn:xmpp:call-invites:0";
/// Occupant ids of rooms (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
