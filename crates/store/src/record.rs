//! What goes through the commit queue.

use crate::{Micros, Result};
use bytes::Bytes;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;
use waxwing_proto::BareJid;

/// What one stanza must leave on disk before anybody sees it; committed as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message for an account without an available resource (XEP-0160).
    Offline {
        /// The recipient; the record fails with [`crate::StoreError::NoAccount`] if it has gone.
        account: BareJid,
        /// When it was received.
        at: Micros,
        /// The stanza, `jabber:client` in scope.
        stanza: Bytes,
        /// How many may wait; past it the record fails with [`crate::StoreError::Quota`].
        messages_max: u32,
        /// How many bytes may wait.
        bytes_max: u64,
    },
}

/// What a commit gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The id given to the record's entry; rises in commit order.
    pub id: u64,
}

/// A promise of a commit's outcome.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<Outcome>>);

impl Ticket {
    /// A ticket and the end that completes it.
    pub fn new() -> (oneshot::Sender<Result<Outcome>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Ticket {
    type Output = Result<Outcome>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|received| received.unwrap_or_else(|_| Err(writer_ended())))
    }
}

/// The outcome of a write that nobody will do any more.
pub(crate) fn writer_ended() -> crate::StoreError {
    crate::StoreError::Backend("the store is closed".into())
}
