//! Round robin over fixed instances, and nothing else.
//!
//! No health checks, no retries, no ejection: with one of two instances dead, every other request
//! fails. That is how a plain balancer hurts users, and what the demo shows.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::transport::Upstream;

/// Instances in turn.
pub struct Balancer {
    instances: Vec<Upstream>,
    turn: AtomicUsize,
}

impl Balancer {
    /// A balancer over at least one instance.
    pub fn new(instances: Vec<Upstream>) -> Balancer {
        assert!(!instances.is_empty(), "the command line requires an instance");
        Balancer { instances, turn: AtomicUsize::new(0) }
    }

    /// The instance whose turn it is.
    pub fn next(&self) -> &Upstream {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.instances[turn % self.instances.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(ports: &[u16]) -> Balancer {
        let url = |port| format!("http://127.0.0.1:{port}").parse().expect("good URL");
        Balancer::new(ports.iter().map(url).collect())
    }

    #[test]
    fn instances_take_turns() {
        let balancer = balancer(&[1, 2, 3]);
        let ports: Vec<u16> = (0..7).map(|_| balancer.next().port()).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn the_turns_of_many_threads_are_shared_evenly() {
        let balancer = balancer(&[1, 2]);
        let first: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| balancer.next().port() == 1).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(first, 1000);
    }
}
