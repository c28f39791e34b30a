//! Log records as they are taken, for those who follow them live.
//!
//! While somebody follows, the latest batches are kept within a bound on bytes, whoever has read
//! them. Nobody waits for a follower: one that falls behind is told how many batches it missed.
//! While nobody follows, nothing is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Timestamp;
use model::signal::Batch;
use tokio::sync::watch;

/// A batch and when it arrived.
pub type Arrived = (Timestamp, Arc<Batch>);

/// Of batches that are kept, decoded.
const BYTES_MAX: usize = 16 << 20;
/// Of their number: each is looked at under the lock only once, but none is free.
const BATCHES_MAX: usize = 1_024;

pub struct Tail {
    kept: Mutex<Kept>,
    /// Number of the batch that comes next; rung for each.
    next: watch::Sender<u64>,
    bytes_max: usize,
}

#[derive(Default)]
struct Kept {
    /// The oldest first, each with its bytes. The last one's number is `next - 1`.
    batches: VecDeque<(Arrived, usize)>,
    bytes: usize,
    next: u64,
}

/// One who follows.
pub struct Follower {
    tail: Arc<Tail>,
    /// Number of the batch that it has not seen.
    at: u64,
    rung: watch::Receiver<u64>,
}

impl Default for Tail {
    fn default() -> Self {
        Tail::within(BYTES_MAX)
    }
}

impl Tail {
    fn within(bytes_max: usize) -> Tail {
        Tail { kept: Mutex::default(), next: watch::channel(0).0, bytes_max }
    }

    pub fn is_followed(&self) -> bool {
        self.next.receiver_count() > 0
    }

    /// Shows a batch of so many bytes to all who follow.
    pub fn show(&self, arrived: Arrived, bytes: usize) {
        let mut kept = self.lock();
        kept.batches.push_back((arrived, bytes));
        kept.bytes += bytes;
        kept.next += 1;
        while kept.bytes > self.bytes_max || kept.batches.len() > BATCHES_MAX {
            let Some((_, bytes)) = kept.batches.pop_front() else { break };
            kept.bytes -= bytes;
        }
        let next = kept.next;
        drop(kept);
        self.next.send_replace(next);
    }

    /// Follows from now on.
    pub fn follow(self: &Arc<Self>) -> Follower {
        let at = self.lock().next;
        Follower { tail: self.clone(), at, rung: self.next.subscribe() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// The next batch, and how many before it were missed. Waits for one; may be cancelled.
    pub async fn next(&mut self) -> (u64, Arrived) {
        let mut missed = 0;
        loop {
            if let Some(arrived) = self.take(&mut missed) {
                return (missed, arrived);
            }
            // The sender lives as long as this follower's `tail`.
            let _ = self.rung.changed().await;
        }
    }

    fn take(&mut self, missed: &mut u64) -> Option<Arrived> {
        let kept = self.tail.lock();
        let first = kept.next - kept.batches.len() as u64;
        *missed += first.saturating_sub(self.at);
        self.at = self.at.max(first);
        let (arrived, _) = kept.batches.get((self.at - first) as usize)?;
        self.at += 1;
        Some(arrived.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // This one's own `rung` is still counted.
        if self.tail.next.receiver_count() <= 1 {
            let mut kept = self.tail.lock();
            kept.batches.clear();
            kept.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(number: u64) -> Arrived {
        (Timestamp(number), Arc::new(Batch::Logs(Vec::new())))
    }

    #[tokio::test]
    async fn batches_come_in_order_and_each_once() {
        let tail = Arc::new(Tail::within(100));
        tail.show(arrived(1), 10);
        let mut follower = tail.follow();
        (2..5).for_each(|number| tail.show(arrived(number), 10));
        for number in 2..5 {
            let (missed, (at, _)) = follower.next().await;
            assert_eq!((missed, at), (0, Timestamp(number)));
        }
        assert!(follower.take(&mut 0).is_none());
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_how_much_was_missed_and_holds_no_more_than_the_bound() {
        let tail = Arc::new(Tail::within(100));
        let mut follower = tail.follow();
        (0..50).for_each(|number| tail.show(arrived(number), 30));
        assert!(tail.lock().bytes <= 100);
        let (missed, (at, _)) = follower.next().await;
        assert_eq!((missed, at), (47, Timestamp(47)));
        // One that is larger than the bound is missed by all.
        tail.show(arrived(50), 1_000);
        tail.show(arrived(51), 1);
        let (missed, (at, _)) = follower.next().await;
        assert_eq!((missed, at), (3, Timestamp(51)));
    }

    #[test]
    fn nothing_is_kept_once_nobody_follows() {
        let tail = Arc::new(Tail::within(100));
        assert!(!tail.is_followed());
        let (one, other) = (tail.follow(), tail.follow());
        tail.show(arrived(1), 10);
        drop(one);
        assert_eq!(tail.lock().batches.len(), 1);
        drop(other);
        assert!(tail.lock().batches.is_empty() && !tail.is_followed());
    }
}
