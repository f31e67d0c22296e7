//! Whoever follows the versions of who is what (XEP-0463) knows who is what.

use super::{Stage, tree};
use crate::features::muc::room::Effect;
use proptest::prelude::*;
use std::collections::BTreeMap;
use waxwing_proto::{ns, xml::Element};

/// What a client keeps between its visits.
#[derive(Default, Debug)]
struct Cache {
    version: Option<String>,
    list: BTreeMap<String, String>,
}

/// What one message or presence said.
struct Told {
    since: Option<String>,
    until: String,
    items: Vec<(String, String)>,
}

impl Cache {
    /// Takes what it is sent; a version that does not follow is a fault.
    fn take(&mut self, effects: &[Effect], session: &str) {
        for effect in effects {
            if !effect.to.iter().any(|to| to.as_str() == session) {
                continue;
            }
            let Some(told) = read(effect) else { continue };
            match told.since {
                Some(since) if Some(&since) != self.version.as_ref() => {
                    // The same step for another nick.
                    assert_eq!(self.version.as_ref(), Some(&told.until));
                }
                Some(_) => {}
                None if told.items.is_empty() && self.version.as_ref() == Some(&told.until) => {}
                None => self.list.clear(),
            }
            for (jid, affiliation) in told.items {
                if affiliation == "none" {
                    self.list.remove(&jid);
                } else {
                    self.list.insert(jid, affiliation);
                }
            }
            self.version = Some(told.until);
        }
    }

    fn wish(&self) -> String {
        let since = self.version.as_ref();
        let since = since.map_or(String::new(), |since| format!(" since='{since}'"));
        format!("<mav xmlns='{}'{since}/>", ns::MUC_AFFILIATIONS)
    }
}

/// What an effect says of versions. Items of presence count where it is a step.
fn read(effect: &Effect) -> Option<Told> {
    let tree = tree(&effect.stanza);
    let root = tree.root();
    let x = root.child("x", ns::MUC_USER)?;
    let mav = x.child("mav", ns::MUC_AFFILIATIONS)?;
    let attr = |element: &Element<'_>, name| element.attr(name).map(String::from);
    let since = attr(&mav, "since");
    let bare = |jid: String| jid.split('/').next().unwrap().to_owned();
    let items = x.children().filter(|child| child.name() == "item");
    let items = items
        .filter(|_| root.name() == "message" || since.is_some())
        .map(|item| {
            let jid = attr(&item, "jid").unwrap();
            (bare(jid), attr(&item, "affiliation").unwrap())
        });
    Some(Told {
        items: items.collect(),
        until: attr(&mav, "until").unwrap(),
        since,
    })
}

fn truth(stage: &Stage) -> BTreeMap<String, String> {
    let people = stage.room.people.iter();
    let people =
        people.map(|(jid, person)| (jid.to_string(), person.affiliation.name().to_owned()));
    people
        .filter(|(_, affiliation)| affiliation != "none")
        .collect()
}

fn affiliate(stage: &mut Stage, jid: &str, affiliation: &str) {
    let item = format!("<item jid='{jid}' affiliation='{affiliation}'/>");
    stage.administer("alice@a/1", &item).unwrap();
}

const PEOPLE: [&str; 5] = ["bob@a", "carol@b", "dave@b", "eve@c", "c"];

#[derive(Debug, Clone)]
enum Step {
    Affiliate(usize, &'static str),
    Come(usize),
    Visit,
}

fn step() -> impl Strategy<Value = Step> {
    let affiliation = prop::sample::select(vec!["owner", "admin", "member", "none", "outcast"]);
    prop_oneof![
        5 => (0..PEOPLE.len(), affiliation).prop_map(|(who, to)| Step::Affiliate(who, to)),
        2 => (0..4_usize).prop_map(Step::Come),
        2 => Just(Step::Visit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn who_follows_knows(steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::open(&[]);
        affiliate(&mut stage, "zoe@z", "owner");
        let (mut stays, mut comes) = (Cache::default(), Cache::default());
        stage.leave("alice@a/1", "alice");
        stage.quiet();
        stage.try_enter("alice@a/1", "alice", &stays.wish()).unwrap();
        stays.take(&stage.effects(), "alice@a/1");
        for step in steps {
            match step {
                Step::Affiliate(who, to) => affiliate(&mut stage, PEOPLE[who], to),
                Step::Come(who) => {
                    let jid = format!("{}/1", PEOPLE[who]);
                    let _ = stage.try_enter(&jid, &jid, "");
                }
                Step::Visit => {
                    stays.take(&stage.effects(), "alice@a/1");
                    stage.try_enter("zoe@z/1", "zoe", &comes.wish()).unwrap();
                    comes.take(&stage.effects(), "zoe@z/1");
                    prop_assert_eq!(&comes.list, &truth(&stage));
                    stage.leave("zoe@z/1", "zoe");
                }
            }
            stays.take(&stage.effects(), "alice@a/1");
            prop_assert_eq!(&stays.list, &truth(&stage));
        }
    }
}

/// All that a session is told on entering, before the first presence.
fn first(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| tree(&effect.stanza).root().name().to_owned())
        .take_while(|name| name == "message")
        .collect()
}

#[test]
fn it_comes_before_presence_and_only_if_there_is_news() {
    let mut stage = Stage::open(&[]);
    affiliate(&mut stage, "bob@a", "admin");
    stage.quiet();
    let mut bob = Cache::default();
    stage.try_enter("bob@a/1", "bob", &bob.wish()).unwrap();
    let effects = stage.effects();
    assert_eq!(first(&effects), ["message"]);
    bob.take(&effects, "bob@a/1");
    stage.leave("bob@a/1", "bob");
    stage.quiet();
    stage.try_enter("bob@a/1", "bob", &bob.wish()).unwrap();
    let effects = stage.effects();
    assert_eq!(first(&effects), [""; 0]);
    // Its own presence says which version is the newest.
    bob.take(&effects, "bob@a/1");
    assert_eq!(bob.list, truth(&stage));
}

#[test]
fn who_may_not_read_the_lists_is_told_so() {
    let mut stage = Stage::open(&[]);
    stage
        .try_enter("carol@b/1", "carol", &Cache::default().wish())
        .unwrap();
    let effects = stage.effects();
    let refused = tree(&effects[0].stanza);
    assert_eq!(refused.root().attr("type").as_deref(), Some("error"));
    assert!(effects.iter().all(|effect| read(effect).is_none()));
}

#[test]
fn who_is_banned_is_no_business_of_members() {
    let mut stage = Stage::open(&[("whois", "anyone")]);
    affiliate(&mut stage, "bob@a", "member");
    affiliate(&mut stage, "eve@c", "member");
    let mut bob = Cache::default();
    stage.try_enter("bob@a/1", "bob", &bob.wish()).unwrap();
    bob.take(&stage.effects(), "bob@a/1");
    stage.leave("bob@a/1", "bob");
    affiliate(&mut stage, "eve@c", "outcast");
    stage.quiet();
    stage.try_enter("bob@a/1", "bob", &bob.wish()).unwrap();
    bob.take(&stage.effects(), "bob@a/1");
    assert_eq!(bob.list.get("eve@c"), None);
    assert_eq!(bob.list.len(), 2);
}

/// § 5.2.1: a version that nobody was told, or that is too old, is answered with everything.
#[test]
fn unknown_versions() {
    let mut stage = Stage::open(&[("whois", "anyone")]);
    let mut old = Cache::default();
    stage.leave("alice@a/1", "alice");
    stage.quiet();
    stage.try_enter("alice@a/1", "alice", &old.wish()).unwrap();
    old.take(&stage.effects(), "alice@a/1");
    for n in 0..1100 {
        let jid = format!("p{n}@c");
        affiliate(&mut stage, &jid, "member");
        affiliate(&mut stage, &jid, "none");
    }
    assert!(stage.room.versions.departed(&stage.room.people).count() <= 1000);
    stage.leave("alice@a/1", "alice");
    for since in [old.version.as_deref().unwrap(), "1", ""] {
        stage.quiet();
        let wish = format!("<mav xmlns='{}' since='{since}'/>", ns::MUC_AFFILIATIONS);
        stage.try_enter("alice@a/1", "alice", &wish).unwrap();
        let effects = stage.effects();
        let told = read(&effects[0]).unwrap();
        assert_eq!(told.since, None, "{since}");
        assert_eq!(told.items, [("alice@a".to_owned(), "owner".to_owned())]);
        stage.leave("alice@a/1", "alice");
    }
}

/// Long lists are several messages, each of which leads to the next.
#[test]
fn long_lists() {
    let mut stage = Stage::open(&[("whois", "anyone")]);
    for part in 0..8 {
        let items = (0..500).map(|n| format!("<item jid='p{n}.{part}@c' affiliation='member'/>"));
        let items: String = items.collect();
        stage.administer("alice@a/1", &items).unwrap();
    }
    stage.leave("alice@a/1", "alice");
    stage.quiet();
    let mut cache = Cache::default();
    stage
        .try_enter("alice@a/1", "alice", &cache.wish())
        .unwrap();
    let effects = stage.effects();
    assert!(first(&effects).len() > 3);
    assert!(effects.iter().all(|effect| effect.stanza.len() < 100_000));
    cache.take(&effects, "alice@a/1");
    assert_eq!(cache.list, truth(&stage));
    assert_eq!(cache.list.len(), 4001);
}
