//! Contacts at other domains that want to be told of nodes (XEP-0163 § 4).
//!
//! What a contact's resource wants is in its capabilities, which its presence names by a hash. It is
//! asked once for each hash, in the name of the account that it has shown itself to, and only an answer
//! that makes the hash counts (XEP-0115 § 5.4): here nobody sees the client that gives it.
//!
//! A resource is told of the nodes of an account as long as it is available to that account: until it
//! says that it has gone. A probe by a resource that is known here shows that it is there, too, which is
//! all that is heard of a contact that sees an account and is not seen by it. Whether it may see the
//! account's presence and read the node is looked at each time.
//!
//! It is in memory only. After a restart the probes of those who come online bring it back.

use super::{
    audience::wants,
    last::{BYTES_MAX, newest, wishes},
};
use crate::{
    Engine,
    features::caps::{self, Features, Named},
};
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Kind, Sealed, Stanza},
};
use waxwing_store::Micros;

/// Resources remembered, each as often as there are accounts that it has shown itself to: some tens of
/// megabytes.
const FAR_MAX: usize = 50_000;
/// Resources of one contact.
const PER_CONTACT_MAX: usize = 20;
/// Questions without an answer.
const ASKED_MAX: usize = 1000;
/// Resources that wait for the answer to one question.
const WAITING_MAX: usize = 1000;
/// After this long without an answer somebody else is asked, in microseconds.
const PATIENCE: Micros = 60_000_000;

/// Resources of contacts at other domains.
#[derive(Debug)]
pub(crate) struct Far {
    table: Mutex<Table>,
    max: usize,
}

#[derive(Debug, Default)]
struct Table {
    contacts: HashMap<BareJid, Vec<Shown>>,
    asked: HashMap<Named, Asked>,
    /// Accounts of all resources.
    count: usize,
}

/// A resource that has shown itself.
#[derive(Debug)]
struct Shown {
    jid: Jid,
    /// What it can do, as far as is known.
    features: Option<Features>,
    /// What it has been asked for.
    named: Option<Named>,
    /// To whom it has shown itself, and for which features it was sent the newest items.
    accounts: HashMap<BareJid, Option<Features>>,
}

/// A question without an answer.
#[derive(Debug)]
struct Asked {
    id: String,
    to: Jid,
    at: Micros,
    waiting: HashSet<Jid>,
}

/// What is to be done about a resource that has shown itself.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// It has to be asked.
    Ask,
    /// There is no room to remember it.
    Full,
}

/// Presence of a resource of another domain has come for an account, and was let through.
pub(crate) async fn on_presence(engine: &Engine, stanza: &Stanza, from: &Jid, account: &BareJid) {
    let far = engine.far();
    if stanza.type_attr().is_some() {
        far.hide(from, account);
        return far.count(engine);
    }
    let known = engine.view(account).await;
    let contact = from.to_bare();
    let related = known.is_ok_and(|view| {
        let contact = view.contact(&contact);
        contact.is_some_and(|one| one.sees_user() || one.seen_by_user())
    });
    // Strangers are told of nothing, so nothing is kept of them.
    let Some(named) = caps::named(stanza).filter(|_| related && from.is_full()) else {
        return;
    };
    let features = engine.caps().find(&named);
    let id = engine.env().token();
    let due = far.show(
        from,
        account,
        (named.clone(), features),
        (&id, engine.env().now()),
    );
    far.count(engine);
    match due {
        Due::Nothing => serve(engine, account, from).await,
        Due::Full => engine.metrics().pubsub_far_refused.inc(),
        Due::Ask => {
            let question = caps::question(account.as_str(), from.as_str(), &id, &named);
            let question = Sealed::from_bytes(Kind::Iq, question);
            // Who cannot be asked shows itself again.
            let _ = engine.send_away(account.domain(), from.domain(), question);
        }
    }
}

/// A resource of another domain has asked for an account's presence.
pub(crate) async fn on_probe(engine: &Engine, from: &Jid, account: &BareJid) {
    let view = engine.view(account).await;
    let sees = |contact: &BareJid| {
        let view = view.as_ref().ok();
        let contact = view.and_then(|view| view.contact(contact));
        contact.is_some_and(crate::account::Contact::sees_user)
    };
    if sees(&from.to_bare()) && engine.far().add(from, account) {
        serve(engine, account, from).await;
    }
    engine.far().count(engine);
}

/// Somebody at another domain has answered something.
pub(crate) async fn on_answer(engine: &Engine, answer: &Stanza, from: &Jid) {
    let far = engine.far();
    let Some((named, waiting)) = far.answered(answer.id().as_deref(), from) else {
        return;
    };
    let told = caps::told(engine, &named, answer);
    let features = told.and_then(|(features, verified)| verified.then_some(features));
    for jid in waiting {
        for account in far.learn(&jid, &named, features.as_ref()) {
            serve(engine, &account, &jid).await;
        }
    }
    far.count(engine);
}

/// A contact has just been let in by an account.
pub(super) async fn to_contact(engine: &Engine, account: &BareJid, contact: &BareJid) {
    for jid in engine.far().anew(contact, account) {
        serve(engine, account, &jid).await;
    }
}

/// Sends a resource the newest items of the account's nodes that it wants and was not sent.
async fn serve(engine: &Engine, account: &BareJid, to: &Jid) {
    let Some((features, before)) = engine.far().served(to, account) else {
        return;
    };
    let wishes = wishes(&features, before.as_ref());
    if wishes.is_empty() {
        return;
    }
    let viewer = to.to_bare();
    let heads = engine.store().node_heads(vec![(account.clone(), wishes)]);
    let mut sent = 0;
    // Whoever is not sent them now asks, or hears of the next ones.
    for head in heads.await.unwrap_or_default() {
        let Some(stanza) = newest(engine, &viewer, to, head).await else {
            continue;
        };
        sent += stanza.len();
        if sent > BYTES_MAX
            || engine
                .send_away(account.domain(), to.domain(), stanza)
                .is_err()
        {
            return;
        }
        engine.metrics().pubsub_notifications.inc();
    }
}

impl Default for Far {
    fn default() -> Self {
        Self::new(FAR_MAX)
    }
}

impl Far {
    fn new(max: usize) -> Self {
        Self {
            table: Mutex::default(),
            max,
        }
    }

    /// The resources of a contact that an account's nodes interest, by the feature that says so.
    pub(super) fn interested(&self, contact: &BareJid, account: &BareJid, wish: &str) -> Vec<Jid> {
        let table = self.table.lock();
        let all = table.contacts.get(contact).into_iter().flatten();
        all.filter(|one| one.accounts.contains_key(account) && wants(one.features.as_ref(), wish))
            .map(|one| one.jid.clone())
            .collect()
    }

    /// A resource has shown itself to an account. `id` and the time are for a question about it.
    fn show(
        &self,
        jid: &Jid,
        account: &BareJid,
        (named, features): (Named, Option<Features>),
        (id, now): (&str, Micros),
    ) -> Due {
        let mut table = self.table.lock();
        if features
            .as_ref()
            .is_some_and(|features| !wants_any(features))
        {
            table.remove(jid);
            return Due::Nothing;
        }
        let full = table.count >= self.max;
        let Some(shown) = table.enter(jid, account, full) else {
            return Due::Full;
        };
        if let Some(features) = features {
            shown.features = Some(features);
            shown.named = None;
            return Due::Nothing;
        }
        shown.named = Some(named.clone());
        table.ask(named, jid, (id, now))
    }

    /// A resource that is known has shown itself to one account more; false if it is not known.
    fn add(&self, jid: &Jid, account: &BareJid) -> bool {
        let mut table = self.table.lock();
        let full = table.count >= self.max;
        table.find(jid).is_some() && table.enter(jid, account, full).is_some()
    }

    /// A resource, or all of a bare JID, have gone for an account.
    fn hide(&self, jid: &Jid, account: &BareJid) {
        let mut table = self.table.lock();
        let contact = jid.to_bare();
        let Some(all) = table.contacts.get_mut(&contact) else {
            return;
        };
        let mut gone = 0;
        for one in all.iter_mut() {
            if (one.jid == *jid || !jid.is_full()) && one.accounts.remove(account).is_some() {
                gone += 1;
            }
        }
        all.retain(|one| !one.accounts.is_empty());
        if all.is_empty() {
            table.contacts.remove(&contact);
        }
        table.count -= gone;
    }

    /// The question that this answers: what was named, and who waits to be known by it.
    fn answered(&self, id: Option<&str>, from: &Jid) -> Option<(Named, HashSet<Jid>)> {
        let mut table = self.table.lock();
        let is_it = |asked: &Asked| Some(asked.id.as_str()) == id && asked.to == *from;
        let found = table.asked.iter().find(|(_, asked)| is_it(asked));
        let named = found.map(|(named, _)| named.clone())?;
        let asked = table.asked.remove(&named)?;
        Some((named, asked.waiting))
    }

    /// What a resource can do has become known, or could not be verified; gives to whom it has shown
    /// itself.
    fn learn(&self, jid: &Jid, named: &Named, features: Option<&Features>) -> Vec<BareJid> {
        let mut table = self.table.lock();
        let Some(shown) = table
            .find(jid)
            .filter(|one| one.named.as_ref() == Some(named))
        else {
            // It has gone, or can do something else by now.
            return Vec::new();
        };
        shown.named = None;
        shown.features = features.filter(|features| wants_any(features)).cloned();
        if shown.features.is_none() {
            table.remove(jid);
            return Vec::new();
        }
        shown.accounts.keys().cloned().collect()
    }

    /// What a resource can do, and for which features it was sent the newest items of an account; from
    /// now on it counts as sent those.
    fn served(&self, jid: &Jid, account: &BareJid) -> Option<(Features, Option<Features>)> {
        let mut table = self.table.lock();
        let shown = table.find(jid)?;
        let features = shown.features.clone()?;
        let served = shown.accounts.get_mut(account)?;
        let before = served.replace(features.clone());
        Some((features, before))
    }

    /// The resources of a contact that have shown themselves to an account; they are to be sent the
    /// newest items once more.
    fn anew(&self, contact: &BareJid, account: &BareJid) -> Vec<Jid> {
        let mut table = self.table.lock();
        let all = table.contacts.get_mut(contact).into_iter().flatten();
        let shown = all.filter_map(|one| {
            *one.accounts.get_mut(account)? = None;
            Some(one.jid.clone())
        });
        shown.collect()
    }

    fn count(&self, engine: &Engine) {
        let table = self.table.lock();
        let count = u64::try_from(table.count).unwrap_or(u64::MAX);
        engine.metrics().pubsub_far.set(count);
    }
}

impl Table {
    fn find(&mut self, jid: &Jid) -> Option<&mut Shown> {
        let all = self.contacts.get_mut(&jid.to_bare())?;
        all.iter_mut().find(|one| one.jid == *jid)
    }

    /// A resource with an account that it has shown itself to; none if that is new and there is no
    /// room.
    fn enter(&mut self, jid: &Jid, account: &BareJid, full: bool) -> Option<&mut Shown> {
        let contact = jid.to_bare();
        let found = self.contacts.get(&contact);
        let place = found.and_then(|all| all.iter().position(|one| one.jid == *jid));
        let all = found.map_or(&[][..], Vec::as_slice);
        let is_new = place.is_none_or(|at| {
            let shown = all.get(at);
            shown.is_none_or(|one| !one.accounts.contains_key(account))
        });
        if is_new && (full || place.is_none() && all.len() >= PER_CONTACT_MAX) {
            return None;
        }
        let all = self.contacts.entry(contact).or_default();
        let place = place.unwrap_or_else(|| {
            all.push(Shown {
                jid: jid.clone(),
                features: None,
                named: None,
                accounts: HashMap::new(),
            });
            all.len() - 1
        });
        let shown = all.get_mut(place)?;
        if is_new {
            shown.accounts.insert(account.clone(), None);
            self.count += 1;
        }
        Some(shown)
    }

    /// Forgets a resource.
    fn remove(&mut self, jid: &Jid) {
        let contact = jid.to_bare();
        let Some(all) = self.contacts.get_mut(&contact) else {
            return;
        };
        for gone in all.extract_if(.., |one| one.jid == *jid) {
            self.count -= gone.accounts.len();
        }
        if all.is_empty() {
            self.contacts.remove(&contact);
        }
    }

    /// Whether a resource is to be asked what it can do, or waits for somebody else's answer.
    fn ask(&mut self, named: Named, jid: &Jid, (id, at): (&str, Micros)) -> Due {
        if let Some(asked) = self.asked.get_mut(&named) {
            if asked.waiting.len() < WAITING_MAX {
                asked.waiting.insert(jid.clone());
            }
            if at.saturating_sub(asked.at) < PATIENCE {
                return Due::Nothing;
            }
            id.clone_into(&mut asked.id);
            asked.to = jid.clone();
            asked.at = at;
            return Due::Ask;
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked
                .retain(|_, asked| at.saturating_sub(asked.at) < PATIENCE);
        }
        if self.asked.len() >= ASKED_MAX {
            return Due::Full;
        }
        let asked = Asked {
            id: id.to_owned(),
            to: jid.clone(),
            at,
            waiting: HashSet::from_iter([jid.clone()]),
        };
        self.asked.insert(named, asked);
        Due::Ask
    }
}

/// Whether a client wants to be told of any node.
fn wants_any(features: &Features) -> bool {
    features.iter().any(|feature| feature.ends_with("+notify"))
}

#[cfg(test)]
mod tests {
    use super::{Due, Far, PER_CONTACT_MAX};
    use crate::features::caps::{Features, Named, named};
    use crate::features::fixtures::draft;
    use waxwing_proto::{BareJid, Jid};

    const WISH: &str = "urn:x+notify";

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn account(name: &str) -> BareJid {
        BareJid::parse(&format!("{name}@here.example")).unwrap()
    }

    fn name(ver: &str) -> Named {
        let caps = format!(
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>"
        );
        named(draft(&format!("<presence>{caps}</presence>")).stanza()).unwrap()
    }

    fn features(all: &[&str]) -> Features {
        all.iter().map(|one| (*one).into()).collect()
    }

    /// Who is told of a node of an account.
    fn told(far: &Far, of: &str) -> Vec<String> {
        let contact = BareJid::parse("c@there.example").unwrap();
        let all = far.interested(&contact, &account(of), WISH).into_iter();
        all.filter_map(|jid| jid.resource().map(str::to_owned))
            .collect()
    }

    #[test]
    fn one_is_asked_and_all_of_that_hash_are_told() {
        let far = Far::new(10);
        let (one, two) = (jid("c@there.example/1"), jid("c@there.example/2"));
        let show = |jid, ver, id, at| far.show(jid, &account("a"), (name(ver), None), (id, at));
        assert_eq!(show(&one, "v", "q1", 0), Due::Ask);
        assert_eq!(show(&two, "v", "q2", 1), Due::Nothing);
        assert!(told(&far, "a").is_empty());
        assert_eq!(far.answered(Some("q1"), &two), None, "it was not asked");
        let (named, waiting) = far.answered(Some("q1"), &one).unwrap();
        assert_eq!(waiting.len(), 2);
        let learnt = features(&[WISH]);
        for jid in [&one, &two] {
            assert_eq!(far.learn(jid, &named, Some(&learnt)), [account("a")]);
        }
        assert_eq!(told(&far, "a"), ["1", "2"]);
        assert!(
            told(&far, "b").is_empty(),
            "they have not shown themselves to b"
        );
        assert!(far.add(&one, &account("b")) && !far.add(&jid("c@there.example/3"), &account("b")));
        assert_eq!(told(&far, "b"), ["1"]);
        // What is sent again is what was not sent before, or what is wanted anew.
        assert_eq!(
            far.served(&one, &account("a")),
            Some((learnt.clone(), None))
        );
        assert_eq!(
            far.served(&one, &account("a")),
            Some((learnt.clone(), Some(learnt)))
        );
        assert_eq!(
            far.anew(&one.to_bare(), &account("b")),
            std::slice::from_ref(&one)
        );
        far.hide(&one, &account("a"));
        assert_eq!(
            (told(&far, "a"), told(&far, "b")),
            (vec!["2".into()], vec!["1".into()])
        );
        far.hide(&jid("c@there.example"), &account("a"));
        far.hide(&one, &account("b"));
        assert_eq!(far.table.lock().count, 0);
        assert!(far.table.lock().contacts.is_empty());
    }

    #[test]
    fn who_does_not_answer_or_lies_is_told_nothing() {
        let far = Far::new(10);
        let one = jid("c@there.example/1");
        let show = |ver, id, at| far.show(&one, &account("a"), (name(ver), None), (id, at));
        assert_eq!(show("v", "q1", 0), Due::Ask);
        assert_eq!(show("v", "q2", 59_999_999), Due::Nothing);
        assert_eq!(show("v", "q3", 60_000_000), Due::Ask);
        assert_eq!(far.answered(Some("q1"), &one), None, "too late");
        let (named, _) = far.answered(Some("q3"), &one).unwrap();
        assert!(far.learn(&one, &named, None).is_empty());
        assert_eq!(far.table.lock().count, 0);
        // An answer about what it was before says nothing about what it is.
        show("v", "q4", 0);
        show("w", "q5", 0);
        let (named, _) = far.answered(Some("q4"), &one).unwrap();
        assert!(far.learn(&one, &named, Some(&features(&[WISH]))).is_empty());
        assert!(told(&far, "a").is_empty());
    }

    #[test]
    fn there_is_a_bound_for_all_and_for_each_contact() {
        let far = Far::new(PER_CONTACT_MAX + 1);
        let known = || (name("v"), Some(features(&[WISH])));
        let show = |who: &str, of| far.show(&jid(who), &account(of), known(), ("q", 0));
        for number in 0..PER_CONTACT_MAX {
            assert_eq!(
                show(&format!("c@there.example/{number}"), "a"),
                Due::Nothing
            );
        }
        assert_eq!(show("c@there.example/more", "a"), Due::Full);
        assert_eq!(show("d@there.example/1", "a"), Due::Nothing);
        assert_eq!(show("c@there.example/1", "b"), Due::Full);
        assert_eq!(
            show("c@there.example/1", "a"),
            Due::Nothing,
            "it is there already"
        );
        // Who wants nothing takes no room.
        let nothing = || (name("w"), Some(features(&["urn:x"])));
        let shown = far.show(
            &jid("d@there.example/1"),
            &account("a"),
            nothing(),
            ("q", 0),
        );
        assert_eq!(shown, Due::Nothing);
        assert_eq!(show("c@there.example/1", "b"), Due::Nothing);
    }
}
