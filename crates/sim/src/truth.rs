//! What really happened to those who asked, as only the simulator knows.
//!
//! Counted where requests are made, independent of telemetry and of the engine. A request is bad
//! that failed, that nobody answered, that was given up, or that was slower than users bear
//! (`Node::slow_seconds`). A node is *off target* while of the last 60 s at least 5 % were bad, and
//! at least 5 requests: five times what the default objective allows, which is where a page is
//! wanted. The same line judges harm, misses and false pages.

const WINDOW: usize = 60;
const BAD_MIN: u64 = 5;
const BAD_SHARE: f64 = 0.05;
/// Harm begins when so many of the last seconds together are off target.
const ONSET_WINDOW: usize = 10;

/// Requests of the last minute, by second.
#[derive(Clone, Debug)]
pub struct Truth {
    seconds: [(u32, u32); WINDOW],
    bad: u64,
    total: u64,
    at: usize,
    /// Seconds since it was off target; `None` while it never was.
    well_for: Option<u64>,
    off: bool,
    /// Seconds ago at which the present trouble began.
    onset_ago: Option<u64>,
}

impl Default for Truth {
    fn default() -> Self {
        Truth {
            seconds: [(0, 0); WINDOW],
            bad: 0,
            total: 0,
            at: 0,
            well_for: None,
            off: false,
            onset_ago: None,
        }
    }
}

impl Truth {
    /// One more second.
    pub fn second(&mut self, bad: u64, total: u64) {
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let (old_bad, old_total) = self.seconds[self.at];
        self.seconds[self.at] = (clamp(bad), clamp(total));
        self.bad = self.bad + bad.min(u64::from(u32::MAX)) - u64::from(old_bad);
        self.total = self.total + total.min(u64::from(u32::MAX)) - u64::from(old_total);
        self.at = (self.at + 1) % WINDOW;
        self.off = is_off(self.bad, self.total, BAD_MIN);
        self.well_for = match (self.off, self.well_for) {
            (true, _) => Some(0),
            (false, well_for) => well_for.map(|seconds| seconds + 1),
        };
        self.notice_onset();
    }

    /// Is it off target now?
    pub fn is_off(&self) -> bool {
        self.off
    }

    /// Was it within so many seconds?
    pub fn was_off_within(&self, seconds: u64) -> bool {
        self.well_for.is_some_and(|well_for| well_for <= seconds)
    }

    /// How long ago the trouble began by which it is off target.
    pub fn began_ago(&self) -> Option<u64> {
        self.onset_ago.filter(|_| self.off)
    }

    fn notice_onset(&mut self) {
        let (mut bad, mut total) = (0, 0);
        for back in 1..=ONSET_WINDOW {
            let (b, t) = self.seconds[(self.at + WINDOW - back) % WINDOW];
            bad += u64::from(b);
            total += u64::from(t);
        }
        // Where little is asked, one bad request is the beginning.
        if is_off(bad, total, 1) || self.off {
            self.onset_ago = Some(self.onset_ago.map_or(0, |ago| ago + 1));
        } else {
            self.onset_ago = None;
        }
    }
}

fn is_off(bad: u64, total: u64, least: u64) -> bool {
    bad >= least && bad as f64 >= BAD_SHARE * total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_second_is_no_harm_and_ten_are() {
        let mut truth = Truth::default();
        (0..100).for_each(|_| truth.second(0, 10));
        truth.second(10, 10);
        truth.second(10, 10);
        (0..3).for_each(|_| truth.second(0, 10));
        assert!(!truth.is_off(), "20 of 600 are 3 %");
        (0..70).for_each(|_| truth.second(0, 10));
        (0..10).for_each(|_| truth.second(4, 10));
        assert!(truth.is_off());
        assert_eq!(truth.began_ago(), Some(8), "the second at which 5 % of ten were bad");
        (0..60).for_each(|_| truth.second(0, 10));
        assert!(!truth.is_off());
        assert!(truth.was_off_within(60) && !truth.was_off_within(5));
    }
}
