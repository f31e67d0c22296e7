//! An account (XEP-0163) or a service (XEP-0060) as what nodes belong to: reads what the machine must know, writes
//! what it decided, tells whom it named, and answers: commit, then notify, then result.

use super::{
    audience::Audience,
    config::NodeConfig,
    errors::Refusal,
    event::Source,
    node::{Given, Known, Notice, Plan, Step, is_service, plan},
    relations::Relations,
    reply,
    request::Request,
};
use crate::{Engine, error};
use waxwing_proto::{
    BareJid, Jid,
    stanza::{Condition, StanzaError},
};
use waxwing_store::{
    BoxFuture, Item, ItemsFrom, ItemsPage, Micros, Node, NodeKey, NodeSubscription, Publication,
    StoreError, Target,
};

/// Bytes of the items of one answer; a page that has more ends earlier.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often a decision is made anew because the node changed while it was made.
const TRIES_MAX: u32 = 5;

/// One request to one account or service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The server.
    pub(super) engine: &'a Engine,
    /// Whose nodes.
    pub(super) owner: &'a BareJid,
    /// Who asks.
    pub(super) from: &'a Jid,
}

/// What carrying out a plan gave.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The items read.
    pub(super) page: ItemsPage,
    /// Whether they are one page of more.
    pub(super) paged: bool,
    evicted: Vec<String>,
}

/// A decision that has to be made again, or an error for the asker.
enum Failure {
    Changed,
    Error(StanzaError),
}

impl From<StanzaError> for Failure {
    fn from(error: StanzaError) -> Self {
        Self::Error(error)
    }
}

impl Call<'_> {
    /// Answers a request. Gives the payload of the answer, if it has one.
    pub(super) async fn answer(
        &self,
        request: &Request,
    ) -> Result<Option<bytes::Bytes>, StanzaError> {
        match request {
            Request::Subscriptions(node) => self.subscriptions(node.as_deref()).await,
            Request::Affiliations(node) => self.affiliations(node.as_deref()).await,
            Request::Default if is_service(self.owner) => {
                Ok(Some(reply::default(&NodeConfig::of_service())))
            }
            Request::Default if self.from.bare_str() == self.owner.as_str() => {
                Ok(Some(reply::default(&NodeConfig::pep())))
            }
            Request::DefaultTerms(None) => Ok(Some(reply::default_terms(None))),
            Request::Default => Err(self.hide(Refusal::Forbidden, None).await),
            request => self.about_node(request).await,
        }
    }

    async fn about_node(&self, request: &Request) -> Result<Option<bytes::Bytes>, StanzaError> {
        let mut tries = 0;
        loop {
            match self.once(request).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Changed) => tries += 1,
            }
            if tries == TRIES_MAX {
                return Err(Condition::ResourceConstraint.into());
            }
        }
    }

    async fn once(&self, request: &Request) -> Result<Option<bytes::Bytes>, Failure> {
        let known = match request.node() {
            Some(name) => self.known(name).await?,
            None => None,
        };
        let relations = Relations::read(self.engine, self.owner, known.as_ref()).await?;
        let found = match (request, &known) {
            (Request::Retract { node, ids, .. }, Some(_)) => self.by_id(node, ids).await?,
            _ => Vec::new(),
        };
        let env = self.engine.env();
        let token = env.token();
        let given = Given {
            owner: self.owner,
            from: self.from,
            creates: self.creates(request, known.is_none()).await?,
            asker: relations.asker(&self.from.to_bare(), known.as_ref()),
            known: known.as_ref(),
            found: &found,
            now: env.now(),
            token: &token,
        };
        let Plan {
            step,
            notices,
            answer,
        } = match plan(&given, request) {
            Ok(plan) => plan,
            Err(refusal) => return Err(self.hide(refusal, known.as_ref()).await.into()),
        };
        let done = self.carry_out(step, notices, known.as_ref()).await?;
        Ok(reply::about(&answer, request.node(), known.as_ref(), &done))
    }

    /// To those who have nothing to do with the account, a node that they may not read does not
    /// exist, no more than an account that does not exist; else its errors would tell which
    /// accounts there are.
    pub(super) async fn hide(&self, refusal: Refusal, known: Option<&Known>) -> StanzaError {
        if is_service(self.owner) {
            return refusal.into();
        }
        let Ok(relations) = Relations::read(self.engine, self.owner, known).await else {
            return Condition::ItemNotFound.into();
        };
        let who = self.from.to_bare();
        let asker = relations.asker(&who, known);
        if asker.is_kept_out(known.map(|known| &known.config)) {
            return Condition::ItemNotFound.into();
        }
        refusal.into()
    }

    async fn carry_out(
        &self,
        step: Step,
        notices: Vec<Notice>,
        known: Option<&Known>,
    ) -> Result<Done, Failure> {
        if let Some(done) = self.read(&step, known).await? {
            return Ok(done);
        }
        let made = after(&step, known, self.engine.env().now());
        let turns = self.engine.pubsub();
        let writes = !matches!(step, Step::Nothing);
        let (turn, write) = turns.take(self.owner, || self.write(step));
        let mut done = Done::default();
        match write.await {
            Ok(evicted) => {
                if writes {
                    self.engine.metrics().pubsub_changes.inc();
                }
                done.evicted = evicted;
            }
            Err(failure) => return Err(self.failed(failure)),
        }
        turn.come().await;
        if let Some(known) = made.as_ref().or(known) {
            self.notify(known, notices, &done).await?;
        }
        drop(turn);
        Ok(done)
    }

    /// Does a step that only reads.
    async fn read(&self, step: &Step, known: Option<&Known>) -> Result<Option<Done>, Failure> {
        let name = |known: &Known| known.node.key.name.clone();
        let (Step::Page(_) | Step::ById(_), Some(known)) = (step, known) else {
            return Ok(None);
        };
        let mut done = Done::default();
        if let Step::Page(request) = step {
            let store = self.engine.store();
            let page = store.items(self.owner.clone(), name(known), request.clone());
            done.page = page.await.map_err(|failure| self.failed(failure))?;
            let backwards = matches!(request.from, ItemsFrom::Last | ItemsFrom::Before(_));
            cut(&mut done.page, backwards);
            done.paged = true;
        }
        if let Step::ById(ids) = step {
            let mut items = self.by_id(&name(known), ids).await?;
            let since = known.config.since(self.engine.env().now());
            items.retain(|item| since.is_none_or(|since| item.at >= since));
            let bytes: usize = items.iter().map(|item| item.payload.len()).sum();
            if bytes > ANSWER_BYTES_MAX && items.len() > 1 {
                let error = StanzaError::new(Condition::ResourceConstraint);
                return Err(error.text("Ask for fewer items at a time.").into());
            }
            done.page.items = items;
        }
        Ok(Some(done))
    }

    /// Queues a step that writes. Gives the ids of items that went for lack of room.
    fn write(&self, step: Step) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let store = self.engine.store();
        let owner = self.owner.clone();
        let quota = self.quota();
        match step {
            Step::Nothing | Step::Page(_) | Step::ById(_) => {
                Box::pin(std::future::ready(Ok(Vec::new())))
            }
            Step::Create(node) => nothing_evicted(store.node_create(owner, node, quota)),
            Step::Change(key, change) => {
                nothing_evicted(store.node_change(owner, key, change, quota))
            }
            Step::Delete(key) => nothing_evicted(store.node_delete(owner, key)),
            Step::Retract(key, ids) => nothing_evicted(store.items_retract(owner, key, ids)),
            Step::Purge(key) => nothing_evicted(store.items_purge(owner, key)),
            Step::Publish(publication) => {
                let write = store.publish(owner, publication, quota);
                Box::pin(async move { Ok(write.await?.evicted) })
            }
        }
    }

    /// Tells of what was committed.
    async fn notify(
        &self,
        known: &Known,
        notices: Vec<Notice>,
        done: &Done,
    ) -> Result<(), Failure> {
        if notices.is_empty() {
            return Ok(());
        }
        let engine = self.engine;
        let relations = Relations::read(engine, self.owner, Some(known)).await?;
        let one = |notice: &Notice| {
            matches!(
                notice,
                Notice::Last(_)
                    | Notice::Subscription(..)
                    | Notice::Changed(..)
                    | Notice::Approve(_)
                    | Notice::Remind(..)
            )
        };
        let all = if notices.iter().all(one) {
            Audience::default()
        } else {
            Audience::of(engine, &relations, known).await
        };
        for notice in notices {
            let id = engine.env().token();
            let source = Source {
                owner: self.owner,
                known,
                id: &id,
            };
            match notice {
                Notice::Item(item) => {
                    let item = item.as_ref().map(|(id, payload)| (id.as_str(), payload));
                    all.tell(engine, self.owner, &source.item(item, &self.from.to_bare()));
                }
                Notice::Evicted if done.evicted.is_empty() => {}
                Notice::Evicted => all.tell(engine, self.owner, &source.retracted(&done.evicted)),
                Notice::Retracted(ids) => all.tell(engine, self.owner, &source.retracted(&ids)),
                Notice::Purged => all.tell(engine, self.owner, &source.purged()),
                Notice::Deleted(uri) => {
                    all.tell(engine, self.owner, &source.deleted(uri.as_deref()));
                }
                Notice::Configured => {
                    all.tell(engine, self.owner, &source.configured(&known.config));
                }
                Notice::Last(jid) => self.send_last(&relations, source, &jid).await,
                Notice::Subscription(jid, state) => {
                    let one = Audience::one(engine, &relations, known, &jid).await;
                    one.tell(engine, self.owner, &source.subscription(&jid, state));
                }
                Notice::Changed(jid, state) => {
                    let owners = Audience::owners(engine, &relations, known).await;
                    owners.tell(engine, self.owner, &source.subscription(&jid, state));
                }
                Notice::Remind(owner, jid) => {
                    let one = Audience::one(engine, &relations, known, &owner).await;
                    one.tell(engine, self.owner, &source.approve(&jid));
                }
                Notice::Approve(jid) => {
                    let owners = Audience::owners(engine, &relations, known).await;
                    owners.tell(engine, self.owner, &source.approve(&jid));
                }
            }
        }
        Ok(())
    }

    /// The newest item for a new subscriber (§ 6.1.7).
    async fn send_last(&self, relations: &Relations, source: Source<'_>, jid: &Jid) {
        let name = source.known.node.key.name.clone();
        let wanted = vec![(self.owner.clone(), vec![name])];
        // The subscription stands, and the item can be asked for.
        let Ok(heads) = self.engine.store().node_heads(wanted).await else {
            return;
        };
        let since = source.known.config.since(self.engine.env().now());
        let newest = heads.into_iter().find_map(|head| head.item);
        let fresh = |item: &Item| since.is_none_or(|since| item.at >= since);
        if let Some(item) = newest.filter(fresh) {
            let one = Audience::one(self.engine, relations, source.known, jid).await;
            one.tell(self.engine, self.owner, &source.last(&item));
        }
    }

    fn failed(&self, failure: StoreError) -> Failure {
        use waxwing_store::quota;
        match failure {
            StoreError::Conflict | StoreError::Exists => Failure::Changed,
            StoreError::NoItem => Failure::Error(Refusal::NotFound.into()),
            StoreError::Quota(quota::NODE_ITEMS) => Failure::Error(Refusal::NodeFull.into()),
            failure => Failure::Error(error::from_store(self.engine, &failure)),
        }
    }
}

/// Makes a page small enough, at the end that it was not asked to begin at. One item is always left.
fn cut(page: &mut ItemsPage, backwards: bool) {
    let mut bytes = 0;
    let mut fits = |item: &Item| {
        bytes += item.payload.len();
        bytes <= ANSWER_BYTES_MAX
    };
    let kept = if backwards {
        page.items
            .iter()
            .rev()
            .take_while(|item| fits(item))
            .count()
    } else {
        page.items.iter().take_while(|item| fits(item)).count()
    };
    let kept = kept.max(1).min(page.items.len());
    if backwards {
        let gone = page.items.len() - kept;
        page.items.drain(..gone);
        page.index += u64::try_from(gone).unwrap_or(0);
    } else {
        page.items.truncate(kept);
    }
}

fn nothing_evicted<'a, T: 'a>(
    write: BoxFuture<'a, Result<T, StoreError>>,
) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
    Box::pin(async move { write.await.map(|_| Vec::new()) })
}

/// The node as it is after a step, where that is not what it was before: new, or changed.
fn after(step: &Step, known: Option<&Known>, now: Micros) -> Option<Known> {
    let node = match step {
        Step::Create(node)
        | Step::Publish(Publication {
            target: Target::New(node),
            ..
        }) => Node {
            key: NodeKey {
                name: node.name.clone(),
                version: 0,
            },
            config: node.config.clone(),
            affiliations: node.affiliations.clone(),
            subscriptions: Vec::new(),
        },
        Step::Change(_, change) => {
            let mut node = known?.node.clone();
            if let Some(config) = &change.config {
                node.config = config.clone();
            }
            for (jid, affiliation) in &change.affiliations {
                node.affiliations.retain(|(other, _)| other != jid);
                let changed = affiliation.map(|affiliation| (jid.clone(), affiliation));
                node.affiliations.extend(changed);
            }
            let gone = |one: &NodeSubscription| {
                change.unsubscribe.contains(&one.jid)
                    || change.subscribe.iter().any(|new| new.jid == one.jid)
            };
            node.subscriptions.retain(|one| !gone(one));
            node.subscriptions.extend(change.subscribe.iter().cloned());
            node
        }
        _ => return None,
    };
    Known::new(node, now)
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_BYTES_MAX, Item, ItemsPage, cut};
    use waxwing_proto::Jid;

    #[test]
    fn answers_have_a_bound_in_bytes() {
        let item = |id: &str, bytes: usize| Item {
            id: id.into(),
            publisher: Jid::parse("a.example").unwrap(),
            at: 0,
            payload: vec![b'x'; bytes].into(),
        };
        let half = ANSWER_BYTES_MAX / 2;
        for (sizes, backwards, wanted) in [
            (vec![1, 1, 1], false, "abc from 3"),
            (vec![half, half, 1], false, "ab from 3"),
            (vec![half, half, 1], true, "bc from 4"),
            (vec![2 * half + 1, 1], false, "a from 3"),
            (vec![1, 2 * half + 1], true, "b from 4"),
            (vec![], true, " from 3"),
        ] {
            let ids = ["a", "b", "c"].into_iter().zip(sizes);
            let mut page = ItemsPage {
                items: ids.map(|(id, bytes)| item(id, bytes)).collect(),
                index: 3,
                total: 9,
            };
            cut(&mut page, backwards);
            let ids: String = page.items.into_iter().map(|item| item.id).collect();
            assert_eq!(format!("{ids} from {}", page.index), wanted);
        }
    }
}
