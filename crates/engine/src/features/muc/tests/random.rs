//! Whatever people do, a room stays one (the machine checks itself after each event), and everybody
//! in it sees who is in it.

use super::{Stage, tree};
use crate::features::muc::room::Effect;
use proptest::prelude::*;
use std::collections::BTreeMap;
use waxwing_proto::ns;

#[derive(Debug, Clone)]
enum Step {
    Enter(usize, usize),
    Update(usize, usize),
    Leave(usize),
    Vanish(usize),
    Affiliate(usize, usize, &'static str),
    Role(usize, usize, &'static str),
    Configure(usize, &'static str, bool),
    Destroy(usize),
}

/// Three people with two devices each, one with one.
const SESSIONS: [&str; 7] = [
    "alice@a/1",
    "alice@a/2",
    "bob@a/1",
    "bob@a/2",
    "carol@b/1",
    "carol@b/2",
    "dave@b/1",
];
const ACCOUNTS: [&str; 5] = ["alice@a", "bob@a", "carol@b", "dave@b", "b"];
const NICKS: [&str; 5] = ["alice", "bob", "carol", "Bob", "d"];

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS.len();
    let nick = 0..NICKS.len();
    let affiliation = prop::sample::select(vec!["owner", "admin", "member", "none", "outcast"]);
    let role = prop::sample::select(vec!["moderator", "participant", "visitor", "none"]);
    let option = prop::sample::select(vec![
        "membersonly",
        "moderatedroom",
        "changesubject",
        "persistentroom",
    ]);
    prop_oneof![
        6 => (session.clone(), nick.clone()).prop_map(|(who, nick)| Step::Enter(who, nick)),
        2 => (session.clone(), nick.clone()).prop_map(|(who, nick)| Step::Update(who, nick)),
        2 => session.clone().prop_map(Step::Leave),
        1 => session.clone().prop_map(Step::Vanish),
        4 => (session.clone(), 0..ACCOUNTS.len(), affiliation)
            .prop_map(|(who, whom, to)| Step::Affiliate(who, whom, to)),
        3 => (session.clone(), nick, role).prop_map(|(who, whom, to)| Step::Role(who, whom, to)),
        2 => (session.clone(), option, any::<bool>())
            .prop_map(|(who, option, on)| Step::Configure(who, option, on)),
        1 => session.prop_map(Step::Destroy),
    ]
}

/// What one session believes: who is here, and what they are.
type View = BTreeMap<String, (String, String)>;

#[derive(Default)]
struct Clients(BTreeMap<String, View>);

impl Clients {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect {
                stanza, to, ends, ..
            } = effect;
            let tree = tree(&stanza);
            let root = tree.root();
            if root.name() != "presence" {
                continue;
            }
            let nick = root.attr("from").unwrap();
            let nick = nick.rsplit_once('/').unwrap().1.to_owned();
            let x = root.child("x", ns::MUC_USER).unwrap();
            let item = x.child("item", ns::MUC_USER).unwrap();
            let value = |name| item.attr(name).unwrap().into_owned();
            let is_own = x
                .children()
                .any(|part| part.attr("code").as_deref() == Some("110"));
            let renames = item.attr("nick").is_some();
            for to in to.iter() {
                let view = self.0.entry(to.to_string()).or_default();
                match root.attr("type").as_deref() {
                    None => {
                        view.insert(nick.clone(), (value("affiliation"), value("role")));
                    }
                    Some("unavailable") => {
                        view.remove(&nick);
                        assert_eq!(is_own, ends.is_some());
                        if is_own && !renames {
                            view.clear();
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// What refuses an action is not what matters here.
fn carry_out(stage: &mut Stage, step: Step) {
    let _ = match step {
        Step::Enter(who, nick) => stage.try_enter(SESSIONS[who], NICKS[nick], ""),
        Step::Update(who, nick) => stage.presence(SESSIONS[who], NICKS[nick], "><show>away</show>"),
        Step::Leave(who) => stage.presence(SESSIONS[who], "x", " type='unavailable'>"),
        Step::Vanish(who) => stage.presence(
            SESSIONS[who],
            "x",
            " type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        ),
        Step::Affiliate(who, whom, to) => {
            let item = format!("<item jid='{}' affiliation='{to}'/>", ACCOUNTS[whom]);
            stage.administer(SESSIONS[who], &item)
        }
        Step::Role(who, whom, to) => {
            let item = format!("<item nick='{}' role='{to}'/>", NICKS[whom]);
            stage.administer(SESSIONS[who], &item)
        }
        Step::Configure(who, option, on) => {
            stage.configure(SESSIONS[who], &[(option, if on { "1" } else { "0" })])
        }
        Step::Destroy(who) => stage.own(SESSIONS[who], "<destroy/>"),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn everybody_sees_who_is_here(steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::open(&[]);
        let mut clients = Clients::default();
        stage.leave("alice@a/1", "alice");
        stage.enter("alice@a/1", "alice");
        clients.take(stage.effects());
        for step in steps {
            carry_out(&mut stage, step.clone());
            clients.take(stage.effects());
            let there: View = stage
                .room
                .occupants
                .iter()
                .map(|(nick, occupant)| {
                    let affiliation = stage.room.affiliation(&occupant.account);
                    let says = (affiliation.name().to_owned(), occupant.role.name().to_owned());
                    (nick.as_str().to_owned(), says)
                })
                .collect();
            for (session, view) in &clients.0 {
                let here = stage.room.sessions.keys().any(|jid| jid.as_str() == session);
                let wanted = if here { &there } else { &View::new() };
                prop_assert_eq!(view, wanted, "{} after {:?}", session, step);
            }
            prop_assert_eq!(
                stage.room.everyone().len(),
                stage.room.sessions.len(),
                "after {:?}", step
            );
        }
    }
}
