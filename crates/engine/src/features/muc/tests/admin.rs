//! What moderators, admins and owners do.

use super::{ROOM, Stage};
use crate::features::muc::errors::Refusal;
use expect_test::{Expect, expect};

#[expect(
    clippy::needless_pass_by_value,
    reason = "expect! reads as one argument"
)]
fn check(stage: &mut Stage, wanted: Expect) {
    wanted.assert_eq(&stage.told());
}

/// Alice owns, bob is admin, carol and dave are nothing.
fn stage() -> Stage {
    let mut stage = Stage::open(&[("moderatedroom", "1")]);
    let admin = "<item jid='bob@a' affiliation='admin'/>";
    stage.administer("alice@a/1", admin).unwrap();
    stage.enter("bob@a/1", "bob");
    stage.enter("carol@b/1", "carol");
    stage.quiet();
    stage
}

fn role(nick: &str, role: &str) -> String {
    format!("<item nick='{nick}' role='{role}'><reason>why</reason></item>")
}

fn affiliation(jid: &str, affiliation: &str) -> String {
    format!("<item jid='{jid}' affiliation='{affiliation}'/>")
}

#[test]
fn voice() {
    let mut stage = stage();
    stage
        .administer("bob@a/1", &role("carol", "participant"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol none participant carol@b/1 by bob because why
        carol@b/1: carol none participant carol@b/1 by bob because why 110"]],
    );
    assert_eq!(
        stage.list("bob@a/1", "role='participant'"),
        Ok(vec!["carol".to_owned()])
    );
    stage
        .administer("bob@a/1", &role("carol", "visitor"))
        .unwrap();
    stage.quiet();
    // § 8.4: nobody takes the voice of those above.
    let refused = stage.administer("bob@a/1", &role("alice", "visitor"));
    assert_eq!(refused, Err(Refusal::NotAllowed));
    let refused = stage.administer("alice@a/1", &role("bob", "participant"));
    assert_eq!(refused, Err(Refusal::NotAllowed));
    let refused = stage.administer("carol@b/1", &role("carol", "participant"));
    assert_eq!(refused, Err(Refusal::Forbidden));
    assert_eq!(
        stage.list("carol@b/1", "role='visitor'"),
        Err(Refusal::Forbidden)
    );
    let refused = stage.administer("bob@a/1", &role("nobody", "participant"));
    assert_eq!(refused, Err(Refusal::NotFound));
    check(&mut stage, expect![[""]]);
}

#[test]
fn voice_is_asked_for() {
    let mut stage = stage();
    let form = |fields: &str| {
        format!(
            "><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#request</value></field>{fields}</x>"
        )
    };
    let field =
        |var: &str, value: &str| format!("<field var='muc#{var}'><value>{value}</value></field>");
    stage
        .ask("carol@b/1", ROOM, &form(&field("role", "participant")))
        .unwrap();
    check(&mut stage, expect!["alice@a/1 bob@a/1: room <x>"]);
    let answer = |allow: &str| {
        let fields = field("role", "participant")
            + &field("roomnick", "carol")
            + &field("request_allow", allow);
        form(&fields)
    };
    let refused = stage.ask("carol@b/1", ROOM, &answer("1"));
    assert_eq!(refused, Err(Refusal::Forbidden));
    stage.ask("bob@a/1", ROOM, &answer("0")).unwrap();
    check(&mut stage, expect![[""]]);
    stage.ask("bob@a/1", ROOM, &answer("true")).unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol none participant carol@b/1 by bob
        carol@b/1: carol none participant carol@b/1 by bob 110"]],
    );
}

#[test]
fn kicks() {
    let mut stage = stage();
    stage.enter("carol@b/2", "carol");
    stage.quiet();
    assert_eq!(
        stage.administer("carol@b/1", &role("bob", "none")),
        Err(Refusal::Forbidden)
    );
    assert_eq!(
        stage.administer("bob@a/1", &role("alice", "none")),
        Err(Refusal::NotAllowed)
    );
    stage.administer("bob@a/1", &role("carol", "none")).unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol unavailable none none carol@b/2 by bob because why 307
        carol@b/1 carol@b/2: carol unavailable none none carol@b/2 by bob because why 110 307"]],
    );
    // Nothing of a request is done if a part of it may not be.
    stage.enter("carol@b/1", "carol");
    stage.quiet();
    let both = role("carol", "none") + &role("alice", "none");
    assert_eq!(stage.administer("bob@a/1", &both), Err(Refusal::NotAllowed));
    check(&mut stage, expect![[""]]);
}

#[test]
fn moderators_do_not_remove_each_other() {
    let mut stage = stage();
    stage.enter("dave@b/1", "dave");
    for nick in ["carol", "dave"] {
        stage
            .administer("alice@a/1", &role(nick, "moderator"))
            .unwrap();
    }
    stage.quiet();
    assert_eq!(
        stage.administer("carol@b/1", &role("dave", "none")),
        Err(Refusal::NotAllowed)
    );
    let refused = stage.administer("carol@b/1", &role("dave", "visitor"));
    assert_eq!(refused, Err(Refusal::Forbidden));
    stage
        .administer("bob@a/1", &role("dave", "participant"))
        .unwrap();
    stage
        .administer("carol@b/1", &role("carol", "none"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1 carol@b/1: dave none participant dave@b/1 by bob because why
        dave@b/1: dave none participant dave@b/1 by bob because why 110
        alice@a/1 bob@a/1: carol unavailable none none carol@b/1 by carol because why 307
        dave@b/1: carol unavailable none none by carol because why 307
        carol@b/1: carol unavailable none none carol@b/1 by carol because why 110 307"]],
    );
}

#[test]
fn bans() {
    let mut stage = stage();
    let ban = |jid| affiliation(jid, "outcast");
    assert_eq!(
        stage.administer("carol@b/1", &ban("bob@a")),
        Err(Refusal::Forbidden)
    );
    assert_eq!(
        stage.administer("bob@a/1", &ban("alice@a")),
        Err(Refusal::NotAllowed)
    );
    assert_eq!(
        stage.administer("bob@a/1", &ban("bob@a")),
        Err(Refusal::Conflict)
    );
    assert_eq!(
        stage.administer("alice@a/1", &ban("alice@a/9")),
        Err(Refusal::Conflict)
    );
    stage.administer("bob@a/1", &ban("b")).unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: room outcast none b
        alice@a/1 bob@a/1: carol unavailable outcast none carol@b/1 by bob 301
        carol@b/1: carol unavailable outcast none carol@b/1 by bob 110 301"]],
    );
    assert_eq!(
        stage.list("bob@a/1", "affiliation='outcast'"),
        Ok(vec!["b".to_owned()])
    );
    stage
        .administer("bob@a/1", &affiliation("b", "none"))
        .unwrap();
    assert_eq!(stage.list("bob@a/1", "affiliation='outcast'"), Ok(vec![]));
}

#[test]
fn members() {
    let mut stage = stage();
    stage
        .administer("bob@a/1", &affiliation("carol@b", "member"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol member participant carol@b/1 by bob
        carol@b/1: carol member participant carol@b/1 by bob 110"]],
    );
    stage
        .configure("alice@a/1", &[("membersonly", "1"), ("whois", "anyone")])
        .unwrap();
    assert_eq!(
        stage.list("carol@b/1", "affiliation='member'"),
        Ok(vec!["carol@b".to_owned()])
    );
    stage.quiet();
    stage
        .administer("bob@a/1", &affiliation("carol@b", "none"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol unavailable none none carol@b/1 by bob 321
        carol@b/1: carol unavailable none none carol@b/1 by bob 110 321"]],
    );
    assert_eq!(
        stage.list("carol@b/1", "affiliation='member'"),
        Err(Refusal::Forbidden)
    );
}

#[test]
fn owners() {
    let mut stage = stage();
    assert_eq!(
        stage.administer("alice@a/1", &affiliation("alice@a", "admin")),
        Err(Refusal::Conflict),
        "a room has an owner"
    );
    for refused in [
        affiliation("carol@b", "owner"),
        affiliation("carol@b", "admin"),
    ] {
        assert_eq!(
            stage.administer("bob@a/1", &refused),
            Err(Refusal::Forbidden)
        );
    }
    stage
        .administer("alice@a/1", &affiliation("carol@b/1", "owner"))
        .unwrap();
    stage
        .administer("carol@b/1", &affiliation("alice@a", "none"))
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1: carol owner moderator carol@b/1 by alice
        carol@b/1: carol owner moderator carol@b/1 by alice 110
        bob@a/1 carol@b/1: alice none visitor alice@a/1 by carol
        alice@a/1: alice none visitor alice@a/1 by carol 110"]],
    );
    assert_eq!(
        stage.own("alice@a/1", "<destroy/>"),
        Err(Refusal::Forbidden)
    );
}

#[test]
fn requests_that_are_none() {
    let mut stage = stage();
    for items in [
        "",
        "<item/>",
        "<item nick='carol' role='none' affiliation='none'/>",
        "<item nick='carol'/>",
        "<item role='none'/>",
        "<item affiliation='member'/>",
        "<item affiliation='king' jid='carol@b'/>",
        "<item role='king' nick='carol'/>",
        "<item affiliation='member' jid='@'/>",
        "<item affiliation='member' jid='x@b'/><item affiliation='none' jid='x@b'/>",
        "<item affiliation='member' jid='x@b'/><item role='none' nick='carol'/>",
    ] {
        assert_eq!(
            stage.administer("alice@a/1", items),
            Err(Refusal::BadRequest),
            "{items}"
        );
    }
    for item in [
        "",
        "role='none'",
        "affiliation='none'",
        "role='x'",
        "role='visitor' affiliation='member'",
    ] {
        assert_eq!(
            stage.list("alice@a/1", item),
            Err(Refusal::BadRequest),
            "{item}"
        );
    }
}

#[test]
fn options() {
    let mut stage = stage();
    assert_eq!(
        stage.configure("bob@a/1", &[("publicroom", "1")]),
        Err(Refusal::Forbidden)
    );
    let refused = stage.configure("alice@a/1", &[("passwordprotectedroom", "1")]);
    assert_eq!(refused, Err(Refusal::NotAcceptable));
    stage
        .configure("alice@a/1", &[("publicroom", "1")])
        .unwrap();
    stage
        .configure("alice@a/1", &[("whois", "anyone")])
        .unwrap();
    stage
        .configure("alice@a/1", &[("moderatedroom", "0")])
        .unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1 bob@a/1 carol@b/1: room groupchat 104
        alice@a/1 bob@a/1 carol@b/1: room groupchat 172
        alice@a/1 bob@a/1: carol none participant carol@b/1
        carol@b/1: carol none participant carol@b/1 110
        alice@a/1 bob@a/1 carol@b/1: room groupchat 104"]],
    );
    stage
        .configure("alice@a/1", &[("membersonly", "1")])
        .unwrap();
    check(
        &mut stage,
        expect![[r"
            alice@a/1 bob@a/1: carol unavailable none none carol@b/1 322
            carol@b/1: carol unavailable none none carol@b/1 110 322
            alice@a/1 bob@a/1: room groupchat 171 104"]],
    );
    // § 10.5, § 10.8: the lists in the form are whole.
    stage
        .configure("alice@a/1", &[("roomadmins", "carol@b")])
        .unwrap();
    assert_eq!(
        stage.list("alice@a/1", "affiliation='admin'"),
        Ok(vec!["carol@b".to_owned()])
    );
    assert_eq!(
        stage.list("alice@a/1", "affiliation='member'"),
        Ok(vec!["bob@a".to_owned()])
    );
    let refused = stage.configure("alice@a/1", &[("roomowners", "")]);
    assert_eq!(refused, Err(Refusal::Conflict));
}

#[test]
fn the_end() {
    let mut stage = stage();
    assert_eq!(stage.own("bob@a/1", "<destroy/>"), Err(Refusal::Forbidden));
    let destroy = "<destroy jid='new@groups.example'><reason>moved</reason></destroy>";
    stage.own("alice@a/1", destroy).unwrap();
    check(
        &mut stage,
        expect![[r"
        alice@a/1: alice unavailable none none <destroy> 110
        bob@a/1: bob unavailable none none <destroy> 110
        carol@b/1: carol unavailable none none <destroy> 110"]],
    );
    assert_eq!(
        stage.try_enter("bob@a/1", "bob", ""),
        Err(Refusal::Destroyed)
    );
    stage.enter("alice@a/2", "alice");
    assert!(stage.room.exists());
}

#[test]
fn invitations() {
    let mut stage = Stage::open(&[]);
    stage.enter("bob@a/1", "bob");
    stage.quiet();
    let invite = |to: &str| {
        format!(
            "><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{to}'>\
             <reason>come</reason></invite></x>"
        )
    };
    assert_eq!(
        stage.ask("bob@a/1", ROOM, &invite("carol@b")),
        Err(Refusal::Forbidden)
    );
    assert_eq!(
        stage.ask("dave@b/1", ROOM, &invite("carol@b")),
        Err(Refusal::NotOccupant)
    );
    stage.ask("alice@a/1", ROOM, &invite("carol@b")).unwrap();
    stage
        .configure("alice@a/1", &[("allowinvites", "1"), ("membersonly", "1")])
        .unwrap();
    check(
        &mut stage,
        expect![[r"
            alice@a/1: bob unavailable none none bob@a/1 322
            bob@a/1: bob unavailable none none bob@a/1 110 322
            alice@a/1: room groupchat 171 104
            carol@b by mail: room <invite>"]],
    );
    assert_eq!(
        stage.try_enter("carol@b/1", "carol", ""),
        Err(Refusal::NotMember)
    );
    stage.ask("alice@a/1", ROOM, &invite("carol@b")).unwrap();
    stage.enter("carol@b/1", "carol");
    stage.quiet();
    // Members invite members, if the room lets them.
    stage.ask("carol@b/1", ROOM, &invite("dave@b")).unwrap();
    stage.enter("dave@b/1", "dave");
    stage.quiet();
    let decline = "><x xmlns='http://jabber.org/protocol/muc#user'><decline to='carol@b'>\
                   <reason>no</reason></decline></x>";
    stage.ask("erin@c/1", ROOM, decline).unwrap();
    check(&mut stage, expect!["carol@b/1: room <decline>"]);
    let stranger = decline.replace("carol@b", "zoe@z");
    assert_eq!(
        stage.ask("erin@c/1", ROOM, &stranger),
        Err(Refusal::NotFound)
    );
}
