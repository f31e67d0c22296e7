//! What waits, and in which order it goes out.

use super::*;
use crate::BareJid;
use crate::xml::{Limits, Tree};
use proptest::prelude::*;

fn class_of(xml: &str) -> Class {
    let own = BareJid::parse("juliet@example.org").expect("JID");
    let tree = Tree::parse(xml.to_owned().into(), ns::CLIENT, &Limits::C2S).expect("well-formed");
    classify(tree.root(), &own)
}

#[test]
fn never_delayed() {
    for xml in [
        "<message from='romeo@example.net/x'><body>hi</body></message>",
        "<message from='romeo@example.net/x'><active xmlns='http://jabber.org/protocol/chatstates'/><body/></message>",
        "<message from='room@muc.example/n' type='groupchat'><body>juliet: hi</body></message>",
        "<message from='room@muc.example' type='groupchat'><subject/></message>",
        "<message from='romeo@example.net'><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted><store xmlns='urn:xmpp:hints'/></message>",
        "<message from='romeo@example.net'><encrypted xmlns='urn:xmpp:omemo:2'/></message>",
        "<message from='romeo@example.net/x'><propose xmlns='urn:xmpp:jingle-message:0' id='a'/></message>",
        "<message from='juliet@example.org/tablet'><accept xmlns='urn:xmpp:jingle-message:0' id='a'/></message>",
        "<message from='romeo@example.net/x' type='error'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message from='room@muc.example'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x></message>",
        "<message from='juliet@example.org'><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>",
        "<message from='juliet@example.org'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@example.org/x'><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message></forwarded></sent></message>",
        "<message from='juliet@example.org'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='romeo@example.net/x'><body>hi</body></message></forwarded></received></message>",
        "<message from='juliet@example.org' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:mds:displayed:0'/></event></message>",
        "<message type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>",
        "<message from='romeo@example.net'/>",
        "<message from='romeo@example.net'><store xmlns='urn:xmpp:hints'/></message>",
        "<presence from='romeo@example.net' type='subscribe'/>",
        "<presence from='room@muc.example/n' type='error'/>",
        "<presence from='room@muc.example/n'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>",
        "<presence from='room@muc.example/n' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><item/><destroy/></x></presence>",
        "<iq type='result' id='1'/>",
    ] {
        assert_eq!(class_of(xml), Class::Urgent, "{xml}");
    }
}

#[test]
fn may_wait() {
    for xml in [
        "<message from='romeo@example.net/x'><received xmlns='urn:xmpp:receipts' id='1'/></message>",
        "<message from='romeo@example.net/x'><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message from='romeo@example.net' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>",
        "<presence from='room@muc.example/n' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><item nick='m'/><status code='303'/></x></presence>",
    ] {
        assert_eq!(class_of(xml), Class::Later, "{xml}");
    }
    let state = |from| {
        class_of(&format!(
            "<message from='{from}'><composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>"
        ))
    };
    let presence = |from| class_of(&format!("<presence from='{from}'/>"));
    let gone = |from| class_of(&format!("<presence from='{from}' type='unavailable'/>"));
    for class in [state("a@b/c"), presence("a@b/c"), gone("a@b/c")] {
        assert!(matches!(class, Class::Latest(_)), "{class:?}");
    }
    assert_eq!(presence("a@b/c"), gone("a@b/c"));
    assert_ne!(presence("a@b/c"), presence("a@b/d"));
    assert_ne!(presence("a@b/c"), state("a@b/c"));
}

#[test]
fn indications() {
    for (xml, state) in [
        ("<active xmlns='urn:xmpp:csi:0'/>", Some(State::Active)),
        ("<inactive xmlns='urn:xmpp:csi:0'/>", Some(State::Inactive)),
        ("<asleep xmlns='urn:xmpp:csi:0'/>", None),
        (
            "<active xmlns='http://jabber.org/protocol/chatstates'/>",
            None,
        ),
    ] {
        let tree = Tree::parse(xml.into(), ns::CLIENT, &Limits::C2S).expect("well-formed");
        assert_eq!(State::read(tree.root()), state, "{xml}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set(State),
    Urgent,
    Later,
    Latest(u8),
    Flush,
}

fn key(sender: u8) -> Key {
    match class_of(&format!("<presence from='a@b/{sender}'/>")) {
        Class::Latest(key) => key,
        class => panic!("{class:?}"),
    }
}

proptest! {
    /// A list in which newer entries strike out older ones.
    #[test]
    fn like_a_list(steps in prop::collection::vec(prop_oneof![
        Just(Step::Set(State::Active)),
        Just(Step::Set(State::Inactive)),
        Just(Step::Flush),
        Just(Step::Urgent),
        Just(Step::Later),
        (0..4_u8).prop_map(Step::Latest),
        (0..4_u8).prop_map(Step::Latest),
        (0..4_u8).prop_map(Step::Latest),
    ], 0..80)) {
        const MAX: usize = 5;
        let mut csi = Csi::new(MAX);
        let mut model: Vec<(usize, Option<u8>)> = Vec::new();
        let mut inactive = false;
        for (number, step) in steps.into_iter().enumerate() {
            let mut out = Vec::new();
            let mut goes_out = false;
            match step {
                Step::Set(state) => {
                    csi.set(state, &mut out);
                    inactive = state == State::Inactive;
                    goes_out = !inactive;
                }
                Step::Flush => {
                    csi.flush(&mut out);
                    goes_out = true;
                }
                Step::Urgent => {
                    csi.push(number, Class::Urgent, &mut out);
                    model.push((number, None));
                    goes_out = true;
                }
                Step::Later => {
                    csi.push(number, Class::Later, &mut out);
                    model.push((number, None));
                }
                Step::Latest(sender) => {
                    csi.push(number, Class::Latest(key(sender)), &mut out);
                    model.retain(|(_, other)| *other != Some(sender));
                    model.push((number, Some(sender)));
                }
            }
            let expected: Vec<_> = if goes_out || !inactive || model.len() > MAX {
                model.drain(..).map(|(number, _)| number).collect()
            } else {
                Vec::new()
            };
            prop_assert_eq!(out, expected);
            prop_assert_eq!(csi.held(), model.len());
            prop_assert!(csi.held() <= MAX);
        }
    }
}
