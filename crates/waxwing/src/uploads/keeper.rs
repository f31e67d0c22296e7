//! The one task that gives files their names and removes them. Because it is one, a file is never
//! removed while somebody else uploads the same.

use super::folder::{Folder, Received};
use super::{Failure, blocking};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use waxwing_engine::Engine;
use waxwing_engine::upload::Slot;
use waxwing_store::{KillPoint, StoreError, kill_point};

/// Files named at once: they share the commits and the syncs.
pub(super) const BATCH_MAX: usize = 64;
/// Files removed at once.
const REMOVED_MAX: u32 = 100;
/// How often strays are removed: a file is gone that soon after its account.
const TURN: Duration = Duration::from_secs(30);

/// A complete file for a slot.
pub(super) struct Finished {
    pub(super) received: Received,
    pub(super) slot: Slot,
    pub(super) media_type: Option<String>,
    pub(super) reply: oneshot::Sender<Result<(), Failure>>,
}

/// The task.
pub(crate) struct Keeper {
    engine: Engine,
    folder: Folder,
    finished: mpsc::Receiver<Finished>,
}

impl Keeper {
    pub(super) fn new(engine: Engine, folder: Folder, finished: mpsc::Receiver<Finished>) -> Self {
        Self {
            engine,
            folder,
            finished,
        }
    }

    /// Runs until nobody can upload any more.
    pub(crate) async fn run(mut self) {
        let mut turn = interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = turn.tick() => {
                    if let Err(error) = self.sweep().await {
                        tracing::error!(%error, "files that nobody wants stay for now");
                    }
                }
                count = self.finished.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.keep(std::mem::take(&mut batch)).await;
                }
            }
        }
    }

    /// Keeps some complete files, each as a whole or not at all.
    async fn keep(&self, batch: Vec<Finished>) {
        let store = self.engine.store();
        let expect = |one: &Finished| store.upload_expect(one.received.content);
        let expected = join_all(batch.iter().map(expect)).await;
        if let Some(error) = expected.into_iter().find_map(Result::err) {
            return fail(batch, &Failure::Store(error));
        }
        let folder = self.folder.clone();
        let placed = blocking(move || {
            let received: Vec<&Received> = batch.iter().map(|one| &one.received).collect();
            let placed = folder.place(&received);
            Ok((batch, placed))
        });
        let batch = match placed.await {
            Ok((batch, Ok(()))) => batch,
            Ok((batch, Err(error))) => return fail(batch, &Failure::Disk(error)),
            Err(error) => {
                tracing::error!(%error, "files could not be given their names");
                return;
            }
        };
        kill_point(KillPoint::UploadPlaced);
        let add = async |one: Finished| {
            let content = one.received.content;
            let media_type = one.media_type.as_deref();
            let added = self.engine.upload_add(one.slot, content, media_type).await;
            // Whoever waited may have gone; the file is there all the same.
            let _ = one.reply.send(added.map_err(Failure::Store));
        };
        join_all(batch.into_iter().map(add)).await;
    }

    /// Removes the files that nobody wants.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        let store = self.engine.store();
        let mut after = None;
        loop {
            let strays = store.upload_strays(after, REMOVED_MAX).await?;
            let Some(last) = strays.last().copied() else {
                return Ok(());
            };
            after = Some(last);
            let folder = self.folder.clone();
            match blocking(move || Ok(folder.remove(strays))).await {
                Ok(gone) => store.upload_strays_gone(gone).await?,
                Err(error) => tracing::error!(%error, "files could not be removed"),
            }
        }
    }
}

/// The same failure for all of them.
fn fail(batch: Vec<Finished>, failure: &Failure) {
    for one in batch {
        let failure = match failure {
            Failure::Store(error) => Failure::Store(error.clone()),
            Failure::Disk(error) => Failure::Disk(error.kind().into()),
        };
        let _ = one.reply.send(Err(failure));
    }
}
