//! Brokers and those who take messages from them: what waits there, and what is done too late.
//!
//! A broker keeps what it was handed until somebody takes it. A copy takes no more than it can
//! answer, so what it cannot waits at the broker, and nothing is lost with a process that dies.
//! Where users wait for the work, a message that is still there after `late_seconds` hurt one.

use std::collections::VecDeque;

use crate::world::{Process, World};

/// Brokers forget what is older than this.
const RETENTION_SECONDS: u64 = 3_600;

impl World {
    /// Messages that wait for `node`, which takes them from a broker, and the age in seconds of the
    /// oldest.
    pub fn lag(&self, node: usize) -> (u64, u64) {
        let Some(consumes) = self.fleet.nodes[node].consumes else { return (0, 0) };
        let messages = &self.nodes[consumes.broker].messages;
        let age = messages.front().map_or(0, |(second, _)| self.second - second);
        (messages.iter().map(|(_, count)| count).sum(), age)
    }

    /// Keeps what a broker accepted in this second.
    pub(crate) fn keep(&mut self, broker: usize) {
        let copies = self.nodes[broker].copies.iter();
        let accepted: u64 = copies.map(|copy| self.copies[*copy].flow.answered).sum();
        let second = self.second;
        let messages = &mut self.nodes[broker].messages;
        if accepted > 0 {
            messages.push_back((second, accepted));
        }
        while messages.front().is_some_and(|(kept, _)| second - kept > RETENTION_SECONDS) {
            messages.pop_front();
        }
    }

    /// What one copy of `node` takes now.
    pub(crate) fn take_messages(&mut self, node: usize, copy: usize) -> u64 {
        let Some(consumes) = self.fleet.nodes[node].consumes else { return 0 };
        let replica = &self.copies[copy];
        if replica.state != Process::Running || replica.conduct.hangs {
            return 0;
        }
        let per_second = replica.per_second(&self.fleet, self.nodes[node].pooled_seconds);
        let room = self.random.whole(per_second).saturating_sub(replica.backlog);
        take(&mut self.nodes[consumes.broker].messages, room)
    }

    /// Counts what has waited too long as of this second.
    pub(crate) fn notice_late(&mut self, node: usize) {
        let Some(consumes) = self.fleet.nodes[node].consumes else { return };
        let Some(late) = consumes.late_seconds else { return };
        let messages = &self.nodes[consumes.broker].messages;
        let of = self.second.checked_sub(late);
        let at = messages.binary_search_by_key(&of, |(second, _)| Some(*second));
        self.nodes[node].late = at.map_or(0, |at| messages[at].1);
    }
}

fn take(messages: &mut VecDeque<(u64, u64)>, room: u64) -> u64 {
    let mut taken = 0;
    while let Some((_, count)) = messages.front_mut() {
        let some = (*count).min(room - taken);
        *count -= some;
        taken += some;
        if *count > 0 {
            break;
        }
        messages.pop_front();
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_is_taken_first_and_the_rest_waits() {
        let mut messages = VecDeque::from([(1, 4), (2, 3), (3, 1)]);
        assert_eq!(take(&mut messages, 5), 5);
        assert_eq!(messages, [(2, 2), (3, 1)]);
        assert_eq!(take(&mut messages, 9), 3);
        assert!(messages.is_empty() && take(&mut messages, 1) == 0);
    }
}
