//! Who owns a session: several streams that believe they do, in a random order.

use super::{DAY, archived, create, session, submit, texts};
use crate::{
    BoxFuture, Handled, Outcome, Record, Result, SessionChange, SessionKey, SessionUpdate,
    SmSession, Stanzas, Store, Ticket,
};
use proptest::prelude::*;
use waxwing_proto::BareJid;

/// What one of the streams does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Reads the session.
    Read,
    /// Queues a take of the session as it was read.
    Take,
    /// Waits for its takes; owns the session from then on if one of them won.
    Learn,
    /// Queues a message of its client, if it owned the session when it last looked.
    Send,
    /// Queues a count without a message, likewise.
    Count,
    /// Queues a stanza to be kept, likewise.
    Keep,
    /// What was queued so far is not done for now.
    Hold,
    /// It is done now.
    Release,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        3 => Just(Step::Read),
        3 => Just(Step::Take),
        2 => Just(Step::Learn),
        4 => Just(Step::Send),
        2 => Just(Step::Count),
        2 => Just(Step::Keep),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
    ];
    proptest::collection::vec((0..3_usize, step), 1..50)
}

/// One of the streams.
#[derive(Default)]
struct Stream {
    /// The generation it has read.
    read: Option<u64>,
    /// The generation it believes to own.
    owned: Option<u64>,
    /// Its takes, by their places among all writes.
    takes: Vec<usize>,
}

/// A queued write and the generation it was made with.
struct Write<'a> {
    generation: u64,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Take(BoxFuture<'a, Result<SmSession>>),
    /// The result of one that was waited for.
    Taken(bool),
    Send(Ticket),
    Count(Ticket),
    Keep(BoxFuture<'a, Result<u64>>),
}

/// Each write is done if and only if it was made with the generation that its predecessors in the
/// queue have left; what is kept at the end is what those were told whose writes were done.
pub(crate) async fn only_the_owner_is_heard(
    store: &impl Store,
    steps: &[(usize, Step)],
    hold: impl Fn(bool),
) {
    let alice = create(store, "alice@a.example").await;
    let put = store.session_put(alice.clone(), session("s"), 9);
    put.await.unwrap();
    let first = Stream {
        owned: Some(1),
        ..Stream::default()
    };
    let mut streams = [first, Stream::default(), Stream::default()];
    let mut writes: Vec<Write<'_>> = Vec::new();
    for (who, step) in steps {
        let stream = &mut streams[*who];
        match step {
            Step::Read => {
                let read = store.session(alice.clone(), "s".into()).await.unwrap();
                stream.read = read.map(|session| session.generation);
            }
            Step::Take => {
                let Some(generation) = stream.read else {
                    continue;
                };
                stream.takes.push(writes.len());
                let take = store.session_take(alice.clone(), key(generation));
                let kind = Kind::Take(take);
                writes.push(Write { generation, kind });
            }
            Step::Learn => {
                hold(false);
                for take in std::mem::take(&mut stream.takes) {
                    let Write { generation, kind } = &mut writes[take];
                    let Kind::Take(future) = kind else {
                        continue;
                    };
                    let won = future.await.is_ok();
                    *kind = Kind::Taken(won);
                    if won {
                        stream.owned = Some(*generation + 1);
                    }
                }
            }
            Step::Hold => hold(true),
            Step::Release => hold(false),
            write => {
                let Some(generation) = stream.owned else {
                    continue;
                };
                let kind = queue(store, &alice, *write, generation, writes.len());
                writes.push(Write { generation, kind });
            }
        }
    }
    hold(false);
    check(store, &alice, writes).await;
}

/// Queues a write with the number `at`.
fn queue<'a>(
    store: &'a impl Store,
    alice: &BareJid,
    step: Step,
    generation: u64,
    at: usize,
) -> Kind<'a> {
    let count = u32::try_from(at).unwrap() + 1;
    match step {
        Step::Send => {
            let mut message = archived(alice.as_str(), "x@b.example", DAY, &at.to_string());
            message.recipient = None;
            message.handled = Some(Handled {
                account: alice.clone(),
                session: key(generation),
                count,
            });
            Kind::Send(submit(store, message))
        }
        Step::Count => {
            let change = SessionChange {
                account: alice.clone(),
                key: key(generation),
                update: SessionUpdate {
                    handled: Some(count),
                    ..SessionUpdate::default()
                },
            };
            Kind::Count(store.submit(Record::Session(Box::new(change))))
        }
        _ => {
            let keep = Stanzas {
                at: DAY,
                stanzas: vec![at.to_string().into()],
                stanzas_max: 100,
                bytes_max: 10_000,
            };
            Kind::Keep(store.session_keep(alice.clone(), key(generation), keep))
        }
    }
}

async fn check(store: &impl Store, alice: &BareJid, writes: Vec<Write<'_>>) {
    let (mut generation, mut handled) = (1, 0);
    let (mut sent, mut kept) = (Vec::new(), Vec::new());
    for (at, write) in writes.into_iter().enumerate() {
        let is_owner = write.generation == generation;
        let is_done = |result: Result<Outcome>| result.is_ok();
        let done = match write.kind {
            Kind::Take(take) => {
                let done = take.await.is_ok();
                generation += u64::from(done);
                done
            }
            Kind::Taken(done) => {
                generation += u64::from(done);
                done
            }
            Kind::Send(ticket) => {
                let done = is_done(ticket.await);
                if done {
                    sent.push(at.to_string());
                    handled = at + 1;
                }
                done
            }
            Kind::Count(ticket) => {
                let done = is_done(ticket.await);
                if done {
                    handled = at + 1;
                }
                done
            }
            Kind::Keep(keep) => {
                let done = keep.await.is_ok();
                if done {
                    kept.push(at.to_string());
                }
                done
            }
        };
        assert_eq!(
            done, is_owner,
            "write {at} of generation {}",
            write.generation
        );
    }
    let read = store.session(alice.clone(), "s".into()).await.unwrap();
    let read = read.unwrap();
    assert_eq!(
        (read.generation, usize::try_from(read.handled).unwrap()),
        (generation, handled)
    );
    assert_eq!(texts(store, alice).await, sent);
    let stanzas = store.session_kept(alice.clone(), "s".into(), 0, 100);
    let stanzas = stanzas.await.unwrap().into_iter();
    let stanzas: Vec<_> = stanzas
        .map(|kept| String::from_utf8(kept.stanza.to_vec()).unwrap())
        .collect();
    assert_eq!(stanzas, kept);
}

fn key(generation: u64) -> SessionKey {
    SessionKey {
        id: "s".into(),
        generation,
    }
}
