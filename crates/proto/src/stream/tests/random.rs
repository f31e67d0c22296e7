//! Any bytes at all.

use super::sasl2::{authenticate, modern};
use super::*;

/// Conversations that go well or badly, over TLS.
fn conversations() -> Vec<String> {
    let open = HEADER.replace("example.org", "open.example");
    let register = "<iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>";
    let session =
        "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    vec![
        [
            HEADER, PLAIN, HEADER, BIND, session, MESSAGE, " ", MESSAGE, END,
        ]
        .concat(),
        [HEADER, PLAIN_WRONG, PLAIN, HEADER, MESSAGE].concat(),
        [HEADER, PLAIN_WRONG, PLAIN_WRONG, PLAIN_WRONG, PLAIN].concat(),
        [&open, register, PLAIN, HEADER].concat(),
        [
            HEADER,
            PLAIN,
            HEADER,
            BIND,
            BIND,
            "<foo xmlns='bar'/>",
            MESSAGE,
        ]
        .concat(),
        [HEADER, STARTTLS].concat(),
        [HEADER, MESSAGE].concat(),
    ]
}

/// The same with all that is not in RFC 6120.
fn modern_conversations() -> Vec<String> {
    let bind = "<bind xmlns='urn:xmpp:bind:0'><tag>t</tag><enable xmlns='urn:xmpp:sm:3'/></bind>";
    let resume = "<resume xmlns='urn:xmpp:sm:3' h='5' previd='old'/>";
    let upgrade = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>";
    let next = "<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>";
    let hash = "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>\
        BzOnw3Pc5H4bOLlPZ/8JAy6wnTpH05aH21KW2+Xfpaw=</hash></task-data>";
    let enable = "<enable xmlns='urn:xmpp:sm:3' resume='1'/>";
    let nonzas = "<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>\
        <inactive xmlns='urn:xmpp:csi:0'/>";
    let scram = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'/>";
    let token = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>\
        <initial-response>anVsaWV0AA==</initial-response><fast xmlns='urn:xmpp:fast:0'/></authenticate>";
    vec![
        [HEADER, &authenticate(bind), MESSAGE, nonzas, END].concat(),
        [HEADER, &authenticate(resume), nonzas, MESSAGE].concat(),
        [
            HEADER,
            &authenticate(upgrade),
            next,
            hash,
            BIND,
            enable,
            nonzas,
        ]
        .concat(),
        [
            HEADER,
            token,
            scram,
            "<abort xmlns='urn:xmpp:sasl:2'/>",
            scram,
            MESSAGE,
        ]
        .concat(),
        [HEADER, PLAIN, HEADER, resume, nonzas, enable].concat(),
    ]
}

/// The body of a fuzz target: [`Server::judge`] holds for any bytes in any pieces.
fn drive(transport: Transport, bytes: &[u8], cuts: &[usize]) -> String {
    drive_with(settings(), transport, bytes, cuts)
}

fn drive_with(settings: C2sSettings, transport: Transport, bytes: &[u8], cuts: &[usize]) -> String {
    let mut server = Server::new(settings, transport);
    let mut rest = bytes;
    for cut in cuts {
        let (piece, others) = rest.split_at(rest.len().min(*cut));
        server.feed(piece);
        rest = others;
    }
    server.feed(rest);
    server.log
}

/// Changes, adds and takes away.
fn spoil(bytes: &mut Vec<u8>, edits: Vec<(prop::sample::Index, u8, u8)>) {
    for (at, byte, how) in edits {
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte) / 8))),
        }
        bytes.push(b' ');
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        which in 0..7_usize,
        cuts in prop::collection::vec(0..60_usize, 0..60),
    ) {
        let all = conversations();
        let conversation = all[which % all.len()].as_bytes();
        let whole = drive(tls(), conversation, &[]);
        prop_assert_eq!(&drive(tls(), conversation, &cuts), &whole);
        prop_assert_eq!(&drive(tls(), conversation, &vec![1; conversation.len()]), &whole);
    }

    #[test]
    fn modern_pieces_do_not_matter(
        which in 0..5_usize,
        cuts in prop::collection::vec(0..60_usize, 0..60),
    ) {
        let all = modern_conversations();
        let conversation = all[which % all.len()].as_bytes();
        let whole = drive_with(modern(), tls(), conversation, &[]);
        prop_assert_eq!(&drive_with(modern(), tls(), conversation, &cuts), &whole);
    }

    #[test]
    fn modern_conversations_spoilt(
        which in 0..5_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
        plain: bool,
    ) {
        let all = modern_conversations();
        let mut bytes = all[which % all.len()].clone().into_bytes();
        spoil(&mut bytes, edits);
        let transport = if plain { Transport::Plain } else { tls() };
        drive_with(modern(), transport, &bytes, &[9, 100]);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), plain: bool) {
        drive(if plain { Transport::Plain } else { tls() }, &bytes, &[7, 1, 30]);
    }

    #[test]
    fn conversations_spoilt(
        which in 0..7_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
        cuts in prop::collection::vec(0..200_usize, 0..6),
        plain: bool,
    ) {
        let all = conversations();
        let mut bytes = all[which % all.len()].clone().into_bytes();
        spoil(&mut bytes, edits);
        drive(if plain { Transport::Plain } else { tls() }, &bytes, &cuts);
    }

    /// Whole elements in any order, after a beginning that goes well.
    #[test]
    fn elements_in_any_order(
        good in 0..5_usize,
        order in prop::collection::vec(0..9_usize, 0..8),
        plain: bool,
    ) {
        const GOOD: [&str; 4] = [HEADER, PLAIN, HEADER, BIND];
        const PARTS: [&str; 9] = [
            HEADER, BIND, PLAIN, PLAIN_WRONG, STARTTLS, BIND, MESSAGE, END,
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ];
        let mut server = Server::new(settings(), if plain { Transport::Plain } else { tls() });
        if plain && good > 0 {
            server.feed(HEADER.as_bytes());
            server.feed(STARTTLS.as_bytes());
        }
        for part in &GOOD[..good] {
            server.feed(part.as_bytes());
        }
        prop_assert_eq!(server.stream.is_bound(), good == GOOD.len());
        for part in order {
            server.feed(PARTS[part].as_bytes());
        }
    }
}
