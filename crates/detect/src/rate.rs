//! A rate that forgets: counts and time, both decayed, so that it is right from the first minute
//! on.

use serde::{Deserialize, Serialize};

/// Events per second over roughly the last `MEMORY_SECONDS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    count: f64,
    seconds: f64,
}

/// Time after which what was seen weighs about a third.
pub const MEMORY_SECONDS: f64 = 600.0;

impl Rate {
    pub fn add(&mut self, count: f64) {
        self.count += count;
    }

    /// Time passes.
    pub fn pass(&mut self, seconds: f64) {
        // Not `exp`: the same to the last bit on every platform, and as good for a memory.
        let keep = MEMORY_SECONDS / (MEMORY_SECONDS + seconds);
        self.count *= keep;
        self.seconds = self.seconds * keep + seconds;
    }

    pub fn per_second(&self) -> f64 {
        // The first second is not yet a rate.
        self.count / self.seconds.max(1.0)
    }

    /// Decayed number of events, for shares of two rates of the same age.
    pub fn count(&self) -> f64 {
        self.count
    }
}
