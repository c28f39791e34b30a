//! The memory that latency toxics of all connections take together. Beyond the bound each of them
//! holds little, so that it delays as it should but lets less through.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    bytes_max: usize,
}

/// What one link holds; given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    pub fn new(bytes_max: usize) -> Memory {
        Memory { used: AtomicUsize::new(0), bytes_max }
    }

    pub fn held(self: &Arc<Self>) -> Held {
        Held { memory: Arc::clone(self), bytes: 0 }
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Held {
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.memory.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.memory.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    pub fn is_short(&self) -> bool {
        self.memory.used() >= self.memory.bytes_max
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        let memory = Arc::new(Memory::new(100));
        let (mut one, mut other) = (memory.held(), memory.held());
        one.set(60);
        other.set(50);
        assert!(one.is_short() && memory.used() == 110);
        one.set(10);
        assert!(!other.is_short());
        drop((one, other));
        assert_eq!(memory.used(), 0);
    }
}
