//! What is done now and then: forgetting what nobody can use any more.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use waxwing_engine::Engine;
use waxwing_store::StoreError;

/// How often. Nothing here is urgent; an hour spreads the work.
const TURN: Duration = Duration::from_hours(1);

/// Runs until told to stop.
pub(crate) async fn run(engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut turn = interval(TURN);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => return,
            _ = turn.tick() => {}
        }
        report("expired tokens", engine.tokens_expire().await);
        report("old messages of archives", engine.archives_expire().await);
        report("expired items of nodes", engine.items_expire().await);
        report("uploads", engine.uploads_expire().await);
        report("marks of resends", engine.resends_expire().await);
    }
}

fn report(what: &'static str, removed: Result<u64, StoreError>) {
    match removed {
        Ok(0) => {}
        Ok(count) => tracing::debug!(what, count, "removed"),
        Err(error) => tracing::error!(what, %error, "not all were removed; tried again later"),
    }
}
