//! What goes wrong with the input log and the journal, for the log of the program and for the API.
//! Trouble is told once when it begins and once when it is over, however often it is met.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub struct Health {
    log: Trouble,
    journal: Trouble,
    failed_commits: AtomicU64,
    journal_conflicts: AtomicU64,
}

/// Something that cannot be written, and why.
#[derive(Debug, Default)]
struct Trouble {
    fails: AtomicBool,
    why: Mutex<String>,
}

impl Trouble {
    fn why(&self) -> Option<String> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.fails.load(Ordering::Acquire).then(why)
    }

    /// True when it begins.
    fn begins(&self, why: &str) -> bool {
        why.clone_into(&mut self.why.lock().unwrap_or_else(PoisonError::into_inner));
        !self.fails.swap(true, Ordering::AcqRel)
    }

    /// True when there was any.
    fn ends(&self) -> bool {
        self.fails.swap(false, Ordering::AcqRel)
    }
}

impl Health {
    /// What cannot be written and why; `None` when all can.
    pub fn trouble(&self) -> Option<String> {
        let log = self.log.why().map(|why| format!("the input log cannot be written: {why}"));
        log.or_else(|| Some(format!("the journal cannot be written: {}", self.journal.why()?)))
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
        if self.log.ends() {
            tracing::info!("the input log can be written again");
        }
    }

    pub(super) fn not_committed(&self, why: &str) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
        if self.log.begins(why) {
            tracing::error!("the input log cannot be written; nothing is taken or done: {why}");
        }
    }

    pub(super) fn journalled(&self) {
        if self.journal.ends() {
            tracing::info!("the journal can be written again");
        }
    }

    pub(super) fn not_journalled(&self, why: &str) {
        if self.journal.begins(why) {
            tracing::error!("the journal cannot be written; nothing is ordered: {why}");
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
    fn trouble_is_told_until_it_is_over() {
        let health = Health::default();
        assert_eq!(health.trouble(), None);
        health.not_journalled("read-only");
        assert_eq!(health.trouble().unwrap(), "the journal cannot be written: read-only");
        health.not_committed("no space left");
        health.not_committed("no space left on device");
        let why = "the input log cannot be written: no space left on device";
        assert_eq!(health.trouble().unwrap(), why);
        health.committed();
        health.journalled();
        assert_eq!((health.trouble(), health.failed_commits()), (None, 2));
    }
}
