//! The one task that asks app servers.
//!
//! Whoever hands a message over only leaves a note here; the task looks up who is away, asks, and
//! waits for the answers of many at once.

use super::{
    is_here,
    publish::{Summary, publish},
    settings::{self, Notify},
    state::{Answer, Next, State},
    worth::Worth,
};
use crate::{Engine, account::View};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered, task::AtomicWaker};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, VecDeque},
    future::{pending, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use waxwing_proto::{
    BareJid, Jid, ns,
    stanza::{Condition, ErrorType, StanzaError},
    xml::{Limits, Tree},
};
use waxwing_store::{Micros, Push};

/// Notes that wait at a time; more are dropped, and with them pushes that others may make up for.
const WAKES_MAX: usize = 16_384;
/// App servers that are asked at a time; then notes wait.
const ASKED_MAX: usize = 1024;
/// How long an app server may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a body that is told.
const BODY_BYTES_MAX: usize = 1024;

/// A note for the task.
#[derive(Debug)]
pub(super) struct Wake {
    pub(super) account: BareJid,
    pub(super) news: News,
}

/// What has happened at an account.
#[derive(Debug)]
pub(super) enum News {
    /// A message came that is worth something.
    Message {
        worth: Worth,
        from: Jid,
        body: Option<Box<str>>,
        mentioned: bool,
        /// It was said in a room that the account is not in.
        absent: bool,
    },
    /// This client is here again.
    Back { owner: String },
    /// This client has gone without its messages.
    Unread { owner: String },
    /// The client has registered (again).
    Renewed { service: Jid, node: String },
}

/// The notes.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    queue: Mutex<VecDeque<Wake>>,
    waker: AtomicWaker,
}

impl Wakes {
    pub(super) fn push(&self, wake: Wake) {
        {
            let mut queue = self.queue.lock();
            if queue.len() >= WAKES_MAX {
                return;
            }
            queue.push_back(wake);
        }
        self.waker.wake();
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Wake> {
        let take = || self.queue.lock().pop_front();
        if let Some(wake) = take() {
            return Poll::Ready(wake);
        }
        self.waker.register(cx.waker());
        // One that came between the look and the registration would be missed otherwise.
        take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Engine {
    /// Wakes the devices of people who are away, for as long as the server runs. Without one task
    /// that does this nobody is woken; there must not be two.
    pub async fn wake(self) {
        let pusher = Pusher {
            engine: self,
            accounts: HashMap::new(),
            due: BTreeSet::new(),
            asked: FuturesUnordered::new(),
        };
        pusher.run().await;
    }
}

struct Pusher {
    engine: Engine,
    /// Accounts with registrations about which something is known.
    accounts: HashMap<BareJid, Vec<Registration>>,
    /// When to look at an account again.
    due: BTreeSet<(Micros, BareJid)>,
    asked: FuturesUnordered<Pin<Box<dyn Future<Output = Asked> + Send>>>,
}

/// What is known of a registration.
struct Registration {
    service: Jid,
    node: String,
    state: State,
    /// Sender and text of the last message, as far as they may be told.
    last: (Option<Jid>, Option<Box<str>>),
}

/// A push and its answer.
struct Asked {
    account: BareJid,
    service: Jid,
    node: String,
    answer: Result<(), StanzaError>,
}

impl Pusher {
    async fn run(mut self) {
        let engine = self.engine.clone();
        loop {
            let next = self.due.first().map(|(at, _)| *at);
            let has_room = self.asked.len() < ASKED_MAX;
            tokio::select! {
                biased;
                Some(asked) = self.asked.next() => self.answered(asked).await,
                () = until(&engine, next) => self.retry().await,
                wake = poll_fn(|cx| engine.wakes().poll_next(cx)), if has_room => {
                    self.take(wake).await;
                }
            }
        }
    }

    async fn take(&mut self, Wake { account, news }: Wake) {
        let engine = self.engine.clone();
        if let News::Renewed { service, node } = &news {
            if let Some(known) = self.accounts.get_mut(&account) {
                known.retain(|known| known.service != *service || known.node != *node);
            }
            return;
        }
        let Ok(view) = engine.view(&account).await else {
            return;
        };
        if view.pushes.is_empty() {
            self.accounts.remove(&account);
            return;
        }
        let mut known = self.accounts.remove(&account).unwrap_or_default();
        known.retain(|known| view.pushes.iter().any(|push| known.is(push)));
        match news {
            News::Message {
                worth,
                from,
                body,
                mentioned,
                absent,
            } => {
                let away = self.away(&account, &view, &mut known, None);
                let now = engine.env().now();
                let cares = away
                    .iter()
                    .any(|push| find(&mut known, push).state.cares(worth, now));
                if cares && is_silenced(&engine, &account, &from, (mentioned, absent)).await {
                    self.keep(account, known);
                    return;
                }
                let may_tell = &engine.settings().push;
                let last = (
                    Some(from).filter(|_| may_tell.sender),
                    body.map(|body| cut(&body).into()),
                );
                for push in away {
                    find(&mut known, push).last = last.clone();
                    self.message(&account, &view, &mut known, push, worth);
                }
            }
            News::Unread { owner } => {
                for push in self.away(&account, &view, &mut known, Some(&owner)) {
                    self.message(&account, &view, &mut known, push, Worth::Message);
                }
            }
            News::Back { owner } => {
                for push in view.pushes.iter().filter(|push| push.client == owner) {
                    find(&mut known, push).state.is_back();
                }
            }
            News::Renewed { .. } => {}
        }
        self.keep(account, known);
    }

    /// The registrations (of one client, or of all) whose clients are away; of the others it is noted
    /// that they are here.
    fn away<'a>(
        &self,
        account: &BareJid,
        view: &'a View,
        known: &mut Vec<Registration>,
        owner: Option<&str>,
    ) -> Vec<&'a Push> {
        let mut away = Vec::new();
        for push in &view.pushes {
            if owner.is_some_and(|owner| push.client != owner) {
                continue;
            }
            if is_here(&self.engine, account, &push.client) {
                find(known, push).state.is_back();
            } else {
                away.push(push);
            }
        }
        away
    }

    fn message(
        &self,
        account: &BareJid,
        view: &View,
        known: &mut Vec<Registration>,
        push: &Push,
        worth: Worth,
    ) {
        let registration = find(known, push);
        if registration.state.message(worth, self.engine.env().now()) {
            self.ask(account, view, registration, &push.options);
        }
    }

    /// Publishes a notification.
    fn ask(&self, account: &BareJid, view: &View, registration: &Registration, options: &Bytes) {
        let told = &self.engine.settings().push;
        let requests = || view.contacts().iter().filter(|one| one.request).count();
        let summary = Summary {
            messages: told.count.then(|| registration.state.messages()),
            requests: told.count.then(requests),
            sender: registration.last.0.as_ref().map(Jid::as_str),
            body: registration.last.1.as_deref(),
        };
        let payload = publish(&registration.node, &summary, options);
        self.engine.metrics().pushes.inc();
        let engine = self.engine.clone();
        let (account, service) = (account.clone(), registration.service.clone());
        let node = registration.node.clone();
        self.asked.push(Box::pin(async move {
            // In the server's name: who is written to is none of the app server's business.
            let from = account.domain();
            let answer = engine.ask(from, &service, &payload, PATIENCE).await;
            Asked {
                account,
                service,
                node,
                answer,
            }
        }));
    }

    async fn answered(&mut self, asked: Asked) {
        let Asked {
            account,
            service,
            node,
            answer,
        } = asked;
        let now = self.engine.env().now();
        let [chance, ..] = self.engine.env().secret();
        let Some(known) = self.accounts.get_mut(&account) else {
            return;
        };
        let found = known
            .iter_mut()
            .find(|known| known.service == service && known.node == node);
        let Some(registration) = found else { return };
        let answer = answer.map_or_else(|error| judge(&error), |()| Answer::Taken);
        let next = registration.state.answered(answer, now, chance);
        let failures = registration.state.failures();
        let store = self.engine.store();
        if answer != Answer::Taken {
            self.engine.metrics().push_failures.inc();
        }
        let kept = match next {
            Next::Nothing => Ok(()),
            Next::Recovered => {
                store
                    .push_failed(account.clone(), service, node, 0, None)
                    .await
            }
            Next::RetryAt(at) => {
                self.due.insert((at, account.clone()));
                store
                    .push_failed(account.clone(), service, node, failures, Some(at))
                    .await
            }
            Next::Remove => {
                self.engine.metrics().pushes_removed.inc();
                let removed = store
                    .push_remove(account.clone(), service, Some(node))
                    .await;
                self.engine.registry().changed(&account);
                removed.map(drop)
            }
        };
        if let Err(error) = kept {
            self.engine.metrics().store_failures.inc();
            tracing::warn!(%error, "what became of a push notification could not be stored");
        }
        if let Some(known) = self.accounts.remove(&account) {
            self.keep(account, known);
        }
    }

    /// Makes up for pushes whose back-off has ended.
    async fn retry(&mut self) {
        let Some((_, account)) = self.due.pop_first() else {
            return;
        };
        let Ok(view) = self.engine.view(&account).await else {
            return;
        };
        let mut known = self.accounts.remove(&account).unwrap_or_default();
        let now = self.engine.env().now();
        for push in self.away(&account, &view, &mut known, None) {
            let registration = find(&mut known, push);
            if registration.state.due(now) {
                self.ask(&account, &view, registration, &push.options);
            }
        }
        self.keep(account, known);
    }

    /// Remembers what would be lost otherwise.
    fn keep(&mut self, account: BareJid, mut known: Vec<Registration>) {
        known.retain(|known| !known.state.is_idle());
        if !known.is_empty() {
            self.accounts.insert(account, known);
        }
    }
}

impl Registration {
    fn is(&self, push: &Push) -> bool {
        self.service == push.service && self.node == push.node
    }
}

/// What is known of a registration, made up from what is kept if it is nothing.
#[expect(
    clippy::indexing_slicing,
    reason = "INVARIANT: the position of an element, or of the one just added"
)]
fn find<'a>(known: &'a mut Vec<Registration>, push: &Push) -> &'a mut Registration {
    let at = known.iter().position(|known| known.is(push));
    let at = at.unwrap_or_else(|| {
        known.push(Registration {
            service: push.service.clone(),
            node: push.node.clone(),
            state: State::new(push.failures, push.retry),
            last: (None, None),
        });
        known.len() - 1
    });
    &mut known[at]
}

/// Whether the account wants to hear nothing of this chat (XEP-0492). Who has closed a room, so that
/// its clients do not enter it by themselves (XEP-0402 § 3), hears of it only if they say so.
async fn is_silenced(
    engine: &Engine,
    account: &BareJid,
    from: &Jid,
    (mentioned, absent): (bool, bool),
) -> bool {
    let items = engine.store().items_by_id(
        account.clone(),
        ns::BOOKMARKS.to_owned(),
        vec![from.bare_str().to_owned()],
    );
    let Ok(items) = items.await else { return false };
    let bookmark = items
        .first()
        .and_then(|item| Tree::parse(item.payload.clone(), "", &Limits::S2S).ok());
    let Some(bookmark) = bookmark else {
        return false;
    };
    match settings::of_bookmark(bookmark.root()) {
        Some(Notify::Never) => true,
        Some(Notify::OnMention) => !mentioned,
        Some(Notify::Always) => false,
        None => absent && !settings::enters_by_itself(bookmark.root()),
    }
}

/// Whether an app server that answers so may take the next one.
fn judge(error: &StanzaError) -> Answer {
    let may_pass = matches!(
        error.condition,
        Condition::InternalServerError
            | Condition::RecipientUnavailable
            | Condition::RemoteServerNotFound
            | Condition::RemoteServerTimeout
            | Condition::ResourceConstraint
            | Condition::ServiceUnavailable
            | Condition::UndefinedCondition
    );
    if may_pass || error.kind == ErrorType::Wait {
        Answer::Failed
    } else {
        Answer::Refused
    }
}

/// Waits until a time of the wall clock; for ever if there is none.
async fn until(engine: &Engine, at: Option<Micros>) {
    let Some(at) = at else { return pending().await };
    let left = u64::try_from(at - engine.env().now()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(left)).await;
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(BODY_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_good_is_taken_so() {
        let error = StanzaError::new;
        for (error, wanted) in [
            (error(Condition::ItemNotFound), Answer::Refused),
            (error(Condition::Gone), Answer::Refused),
            (error(Condition::NotAuthorized), Answer::Refused),
            (error(Condition::Forbidden), Answer::Refused),
            (error(Condition::FeatureNotImplemented), Answer::Refused),
            (error(Condition::Conflict), Answer::Refused),
            (
                error(Condition::ItemNotFound).kind(ErrorType::Wait),
                Answer::Failed,
            ),
            (
                error(Condition::PolicyViolation).kind(ErrorType::Wait),
                Answer::Failed,
            ),
            (error(Condition::RemoteServerNotFound), Answer::Failed),
            (error(Condition::RemoteServerTimeout), Answer::Failed),
            (error(Condition::ServiceUnavailable), Answer::Failed),
            (error(Condition::InternalServerError), Answer::Failed),
            (error(Condition::UndefinedCondition), Answer::Failed),
        ] {
            assert_eq!(judge(&error), wanted, "{error:?}");
        }
    }

    /// The shell runs it on any thread.
    #[test]
    fn it_can_be_spawned() {
        fn send<T: Send>(_: impl FnOnce(Engine) -> T) {}
        send(Engine::wake);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(BODY_BYTES_MAX);
        assert_eq!(cut(&format!("a{long}")).len(), BODY_BYTES_MAX - 1);
    }
}
