//! Which links have taken the latest toxics: an answer of the API means that a change is in effect.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long is waited for links that are busy; they take the change a little later.
const WAIT_MAX: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The links of a proxy, each with the generation of toxics that it has taken.
#[derive(Debug, Default)]
pub struct Links {
    seen: Mutex<BTreeMap<u64, u64>>,
    next: AtomicU64,
}

/// The place of one link; gone when this is dropped.
#[derive(Debug)]
pub struct Seen {
    links: Arc<Links>,
    id: u64,
}

impl Links {
    pub fn register(self: &Arc<Self>) -> Seen {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(id, 0);
        Seen { links: Arc::clone(self), id }
    }

    /// Waits until all links have taken this generation, for a bounded time.
    pub async fn wait_for(&self, generation: u64) {
        let all_saw = || self.all().values().all(|seen| *seen >= generation);
        let waiting = async {
            while !all_saw() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, waiting).await.is_err() {
            tracing::warn!("connections are busy: they take the change of toxics later");
        }
    }

    /// Connections that are open; each has two links.
    pub fn connections(&self) -> usize {
        self.all().len() / 2
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    pub fn saw(&self, generation: u64) {
        self.links.all().insert(self.id, generation);
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.links.all().remove(&self.id);
    }
}
