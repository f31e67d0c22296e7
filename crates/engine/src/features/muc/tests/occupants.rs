//! Coming in, talking, going.

use super::{ROOM, Stage, tree};
use crate::features::muc::{errors::Refusal, room::Effect};
use expect_test::{Expect, expect};

#[expect(
    clippy::needless_pass_by_value,
    reason = "expect! reads as one argument"
)]
fn check(stage: &mut Stage, wanted: Expect) {
    wanted.assert_eq(&stage.told());
}

#[test]
fn a_room_is_made_locked_and_opened() {
    let mut stage = Stage::new();
    stage.enter("alice@a/1", "alice");
    check(
        &mut stage,
        expect![[r"
            alice@a/1: alice owner moderator alice@a/1 110 201
            alice@a/1: room groupchat <subject>"]],
    );
    // § 7.2.10
    assert_eq!(
        stage.try_enter("bob@a/1", "bob", ""),
        Err(Refusal::NotFound)
    );
    assert_eq!(
        stage.say("alice@a/1", "<body>hi</body>"),
        Err(Refusal::NotFound)
    );
    assert!(!stage.room.is_open());
    stage.configure("alice@a/1", &[]).unwrap();
    assert!(stage.room.is_open());
    stage.enter("bob@a/1", "bob");
    check(
        &mut stage,
        expect![[r"
            bob@a/1: alice owner moderator
            alice@a/1: bob none participant bob@a/1
            bob@a/1: bob none participant bob@a/1 110 170
            bob@a/1: room groupchat <subject>"]],
    );
}

#[test]
fn nobody_configures_it() {
    let mut stage = Stage::new();
    stage.enter("alice@a/1", "alice");
    stage.quiet();
    stage.leave("alice@a/1", "alice");
    check(
        &mut stage,
        expect!["alice@a/1: alice unavailable none none <destroy> 110"],
    );
    assert!(!stage.room.exists());
    stage.enter("bob@a/1", "bob");
    stage
        .own("bob@a/1", "<x xmlns='jabber:x:data' type='cancel'/>")
        .unwrap();
    assert!(!stage.room.exists());
    check(
        &mut stage,
        expect![[r"
            bob@a/1: bob owner moderator bob@a/1 110 201
            bob@a/1: room groupchat <subject>
            bob@a/1: bob unavailable none none <destroy> 110"]],
    );
}

#[test]
fn addresses_are_for_moderators_unless_everybody_may_know() {
    let mut stage = Stage::open(&[("whois", "moderators")]);
    stage.enter("bob@a/1", "bob");
    stage.quiet();
    stage.enter("carol@b/1", "carol");
    check(
        &mut stage,
        expect![[r"
            carol@b/1: alice owner moderator
            carol@b/1: bob none participant
            alice@a/1: carol none participant carol@b/1
            bob@a/1: carol none participant
            carol@b/1: carol none participant carol@b/1 110 170
            carol@b/1: room groupchat <subject>"]],
    );
    let mut stage = Stage::open(&[("whois", "anyone")]);
    stage.enter("bob@a/1", "bob");
    stage.quiet();
    stage.enter("carol@b/1", "carol");
    check(
        &mut stage,
        expect![[r"
            carol@b/1: alice owner moderator alice@a/1
            carol@b/1: bob none participant bob@a/1
            alice@a/1 bob@a/1: carol none participant carol@b/1
            carol@b/1: carol none participant carol@b/1 110 100 170
            carol@b/1: room groupchat <subject>"]],
    );
}

#[test]
fn who_may_not_come_in() {
    let mut stage = Stage::open(&[("passwordprotectedroom", "1"), ("roomsecret", "x")]);
    assert_eq!(
        stage.try_enter("bob@a/1", "bob", ""),
        Err(Refusal::Password)
    );
    let wrong = stage.try_enter("bob@a/1", "bob", "<password>y</password>");
    assert_eq!(wrong, Err(Refusal::Password));
    stage
        .try_enter("bob@a/1", "bob", "<password>x</password>")
        .unwrap();

    let mut stage = Stage::open(&[("membersonly", "1"), ("maxusers", "1")]);
    assert_eq!(
        stage.try_enter("bob@a/1", "bob", ""),
        Err(Refusal::NotMember)
    );
    let member = |jid| format!("<item jid='{jid}' affiliation='member'/>");
    stage.administer("alice@a/1", &member("bob@a")).unwrap();
    // Alice is inside.
    assert_eq!(stage.try_enter("bob@a/1", "bob", ""), Err(Refusal::Full));
    stage
        .administer("alice@a/1", "<item jid='bob@a' affiliation='admin'/>")
        .unwrap();
    stage.enter("bob@a/1", "bob");
    stage
        .administer("alice@a/1", "<item jid='carol@b' affiliation='outcast'/>")
        .unwrap();
    assert_eq!(
        stage.try_enter("carol@b/1", "carol", ""),
        Err(Refusal::Banned)
    );
    stage
        .administer("alice@a/1", "<item jid='c' affiliation='outcast'/>")
        .unwrap();
    assert_eq!(
        stage.try_enter("dave@c/1", "dave", ""),
        Err(Refusal::Banned)
    );
    let no_nick = stage.presence(
        "bob@a/2",
        "",
        "><x xmlns='http://jabber.org/protocol/muc'/>",
    );
    assert_eq!(no_nick, Err(Refusal::NoNick));
}

#[test]
fn nicks_belong_to_accounts() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@a/1", "Bob");
    for taken in ["Bob", "bob", " bob", "B\u{43e}b"] {
        let refused = stage.try_enter("carol@b/1", taken, "");
        assert_eq!(refused, Err(Refusal::NickTaken), "{taken}");
    }
    stage.enter("carol@b/1", "carol");
    stage.quiet();
    // § 7.6
    assert_eq!(
        stage.presence("carol@b/1", "bob", ">"),
        Err(Refusal::NickTaken)
    );
    check(&mut stage, expect![[""]]);
    stage.presence("carol@b/1", "c  ", ">").unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1: carol unavailable none participant carol@b/1 c 303
        bob@a/1: carol unavailable none participant c 303
        carol@b/1: carol unavailable none participant carol@b/1 c 110 303
        alice@a/1: c none participant carol@b/1
        bob@a/1: c none participant
        carol@b/1: c none participant carol@b/1 110 210"]],
    );
    // § 7.2.8: two sessions of one account.
    stage.enter("bob@a/2", "Bob");
    check(
        &mut stage,
        expect![[r"
            bob@a/2: alice owner moderator
            bob@a/2: c none participant
            alice@a/1: Bob none participant bob@a/2
            carol@b/1: Bob none participant
            bob@a/1 bob@a/2: Bob none participant bob@a/2 110 170
            bob@a/2: room groupchat <subject>"]],
    );
    stage.leave("bob@a/2", "Bob");
    check(
        &mut stage,
        expect![[r"
        bob@a/2: Bob unavailable none none bob@a/2 110
        alice@a/1: Bob none participant bob@a/1
        carol@b/1: Bob none participant
        bob@a/1: Bob none participant bob@a/1 110"]],
    );
}

#[test]
fn the_past_is_told_as_far_as_is_wished() {
    let mut stage = Stage::open(&[]);
    for number in 1..=30 {
        stage
            .say("alice@a/1", &format!("<body>{number}</body>"))
            .unwrap();
    }
    stage
        .say("alice@a/1", "<subject>Numbers</subject>")
        .unwrap();
    stage.quiet();
    let told = |stage: &mut Stage, history: &str| {
        stage.try_enter("bob@a/1", "bob", history).unwrap();
        let told = stage.told();
        stage.leave("bob@a/1", "bob");
        stage.quiet();
        let lines: Vec<&str> = told
            .lines()
            .skip_while(|line| !line.contains(" 110"))
            .collect();
        let first = lines
            .get(1)
            .map_or(String::new(), |line| (*line).to_owned());
        (
            lines.len() - 2,
            first,
            lines
                .last()
                .map_or(String::new(), |line| (*line).to_owned()),
        )
    };
    let (count, first, last) = told(&mut stage, "");
    assert_eq!(count, 20);
    expect!["bob@a/1: alice groupchat <body>11 late"].assert_eq(&first);
    expect!["bob@a/1: alice groupchat <subject>Numbers late"].assert_eq(&last);
    for (wish, wanted) in [
        ("maxstanzas='3'", 3),
        ("maxstanzas='3' seconds='2'", 2),
        ("maxstanzas='0'", 0),
        ("maxchars='0'", 0),
        ("seconds='4'", 4),
        ("since='1970-01-01T00:00:00Z'", 20),
        ("since='2026-11-22T00:00:29Z'", 2),
        ("since='tomorrow'", 20),
    ] {
        let (count, ..) = told(&mut stage, &format!("<history {wish}/>"));
        assert_eq!(count, wanted, "{wish}");
    }
    let (one, ..) = told(&mut stage, "<history maxchars='300'/>");
    assert_eq!(one, 1, "whole stanzas only");
}

#[test]
fn what_is_said() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@a/1", "bob");
    stage.quiet();
    let forged = "<body>hi</body><x xmlns='http://jabber.org/protocol/muc#user'><status code='100'/></x>\
                  <stanza-id xmlns='urn:xmpp:sid:0' by='room@groups.example' id='1'/>\
                  <occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>\
                  <occupant-id xmlns='urn:xmpp:occupant-id:0' id='2'/>";
    stage.say("bob@a/1", forged).unwrap();
    let Some(Effect { stanza, to, .. }) = stage.effects().pop() else {
        panic!("nothing was said");
    };
    assert_eq!(to.len(), 2);
    let tree = tree(&stanza);
    let names: Vec<&str> = tree.root().children().map(|child| child.name()).collect();
    assert_eq!(names, ["body", "occupant-id"]);
    let id = tree
        .root()
        .children()
        .last()
        .unwrap()
        .attr("id")
        .unwrap()
        .into_owned();
    assert_eq!(id.len(), 24);
    // XEP-0421: one account, one id, whatever the nick.
    let account = waxwing_proto::BareJid::parse("bob@a").unwrap();
    assert_eq!(*stage.room.occupant_id(&account), *id);
    // § 7.4
    assert_eq!(
        stage.say("carol@b/1", "<body>hi</body>"),
        Err(Refusal::NotOccupant)
    );
    // § 8.1
    let subject = "<subject>S</subject>";
    assert_eq!(stage.say("bob@a/1", subject), Err(Refusal::Forbidden));
    stage.say("alice@a/1", subject).unwrap();
    stage
        .say("bob@a/1", "<subject>S</subject><body>is no subject</body>")
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: alice groupchat <subject>S
        alice@a/1 bob@a/1: bob groupchat <subject>S <body>is no subject"]],
    );
    stage
        .configure("alice@a/1", &[("moderatedroom", "1")])
        .unwrap();
    stage.enter("carol@b/1", "carol");
    assert_eq!(
        stage.say("carol@b/1", "<body>hi</body>"),
        Err(Refusal::Forbidden)
    );
}

#[test]
fn whispers() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@a/1", "bob");
    stage.enter("bob@a/2", "bob");
    stage.quiet();
    let to = |nick: &str| format!("{ROOM}/{nick}");
    stage
        .ask("alice@a/1", &to("bob"), " type='chat'><body>psst</body>")
        .unwrap();
    check(
        &mut stage,
        expect!["bob@a/1 bob@a/2: alice chat <body>psst"],
    );
    for (from, nick, rest, wanted) in [
        (
            "alice@a/1",
            "carol",
            " type='chat'><body/>",
            Refusal::NotFound,
        ),
        (
            "carol@b/1",
            "bob",
            " type='chat'><body/>",
            Refusal::NotOccupant,
        ),
        (
            "alice@a/1",
            "bob",
            " type='groupchat'><body/>",
            Refusal::BadRequest,
        ),
    ] {
        assert_eq!(
            stage.ask(from, &to(nick), rest),
            Err(wanted),
            "{from} {nick}"
        );
    }
    stage
        .configure("alice@a/1", &[("allowpm", "moderators")])
        .unwrap();
    let refused = stage.ask("bob@a/1", &to("alice"), " type='chat'><body/>");
    assert_eq!(refused, Err(Refusal::Forbidden));
}

#[test]
fn who_is_not_here_is_told_so() {
    let mut stage = Stage::open(&[]);
    // § 7.2.16
    stage
        .presence("bob@a/1", "bob", "><show>away</show>")
        .unwrap();
    check(
        &mut stage,
        expect!["bob@a/1: bob unavailable none none because You are not in the room. 110 307 333"],
    );
    // § 17.3
    stage.leave("bob@a/1", "bob");
    stage.presence("bob@a/1", "bob", " type='probe'>").unwrap();
    check(&mut stage, expect![[""]]);
}

#[test]
fn who_cannot_be_reached_is_removed() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@b/1", "bob");
    stage.quiet();
    let error = |condition: &str| {
        format!(
            " type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        )
    };
    stage
        .ask("bob@b/1", ROOM, &error("not-acceptable"))
        .unwrap();
    check(&mut stage, expect![[""]]);
    stage
        .ask("bob@b/1", ROOM, &error("remote-server-not-found"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1: bob unavailable none none bob@b/1 333
        bob@b/1: bob unavailable none none bob@b/1 110 333"]],
    );
}

/// § 7.2.1: whoever enters again is told everything again.
#[test]
fn entering_again() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@a/1", "bob");
    stage.say("bob@a/1", "<body>hi</body>").unwrap();
    stage.quiet();
    stage.enter("bob@a/1", "bob");
    check(
        &mut stage,
        expect![[r"
            bob@a/1: alice owner moderator
            alice@a/1: bob none participant bob@a/1
            bob@a/1: bob none participant bob@a/1 110 170
            bob@a/1: bob groupchat <body>hi late
            bob@a/1: room groupchat <subject>"]],
    );
}
