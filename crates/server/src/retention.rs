//! Keeps the journal within its age and size: looks now and then, and forgets in small steps with
//! pauses, so that the loop can write in between.

use std::sync::Arc;
use std::time::Duration;

use model::{IncidentId, Timestamp};

use crate::clock;
use crate::driver::Handle;
use crate::journal::{self, Journal};

/// Above this the oldest events go before their time.
const BYTES_MAX: u64 = 2 << 30;
const LOOK_EVERY: Duration = Duration::from_secs(60);
const STEP_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is aborted.
pub async fn run(journal: Arc<Journal>, handle: Handle, keep: Duration) {
    loop {
        let wait = match step(&journal, &handle, keep).await {
            Ok(0) => LOOK_EVERY,
            Ok(forgotten) => {
                tracing::debug!(forgotten, "old events are forgotten");
                STEP_EVERY
            }
            Err(error) => {
                tracing::warn!("old events cannot be forgotten: {:#}", anyhow::Error::new(error));
                LOOK_EVERY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn step(
    journal: &Arc<Journal>,
    handle: &Handle,
    keep: Duration,
) -> Result<usize, journal::Error> {
    let open = handle.ask(|core| core.engine.diagnoser.active().map(|open| open.id).collect());
    // Too busy to say: there will be another time.
    let Ok(open) = open.await else { return Ok(0) };
    let journal = journal.clone();
    let work = move || forget(&journal, clock::now(), keep, open);
    // The runtime ends: so does this.
    tokio::task::spawn_blocking(work).await.unwrap_or(Ok(0))
}

fn forget(
    journal: &Journal,
    now: Timestamp,
    keep: Duration,
    open: Vec<IncidentId>,
) -> Result<usize, journal::Error> {
    let before = if journal.bytes_used()? > BYTES_MAX { now } else { now - keep };
    journal.forget(before, &open)
}
