//! What is done now and then: forgetting what nobody can use any more.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use waxwing_engine::Engine;

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
        match engine.tokens_expire().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "expired tokens forgotten"),
            Err(error) => tracing::error!(%error, "expired tokens were not forgotten"),
        }
    }
}
