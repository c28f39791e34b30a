//! What goes wrong with the input log and the journal, for the log of the program and for the API.
//! Trouble is told once when it begins and once when it is over, however often it is met.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Health {
    log_fails: AtomicBool,
    why: Mutex<String>,
    failed_commits: AtomicU64,
    journal_conflicts: AtomicU64,
}

impl Health {
    /// Why the input log cannot be written; `None` when it can.
    pub fn log_trouble(&self) -> Option<String> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.log_fails.load(Ordering::Acquire).then(why)
    }

    /// Entries that the log could not take.
    pub fn failed_commits(&self) -> u64 {
        self.failed_commits.load(Ordering::Relaxed)
    }

    /// Events that the journal has under the same number with another text.
    pub fn journal_conflicts(&self) -> u64 {
        self.journal_conflicts.load(Ordering::Relaxed)
    }

    pub(super) fn committed(&self) {
        if self.log_fails.swap(false, Ordering::AcqRel) {
            tracing::info!("the input log can be written again");
        }
    }

    pub(super) fn not_committed(&self, error: &str) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
        error.clone_into(&mut self.why.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.log_fails.swap(true, Ordering::AcqRel) {
            tracing::error!("the input log cannot be written; nothing is taken or done: {error}");
        }
    }

    pub(super) fn conflicts(&self, events: usize) {
        self.journal_conflicts.fetch_add(events as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_until_an_entry_is_durable_again() {
        let health = Health::default();
        assert_eq!(health.log_trouble(), None);
        health.not_committed("no space left");
        health.not_committed("no space left on device");
        assert_eq!(health.log_trouble().as_deref(), Some("no space left on device"));
        health.committed();
        assert_eq!((health.log_trouble(), health.failed_commits()), (None, 2));
    }
}
