//! A symptom that stands until good requests (or answers) were seen for long enough.
//!
//! For the inspections whose "bad" is an absence or a failed probe; objectives keep their own
//! account because they must weigh isolated errors.

use std::time::Duration;

use model::{Symptom, Timestamp};
use serde::{Deserialize, Serialize};

/// A stretch of time in which only good was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Timestamp,
    /// Event time up to which good was seen.
    pub until: Timestamp,
    pub good: f64,
}

impl Hold {
    pub fn starting(since: Timestamp) -> Self {
        Hold { since, until: since, good: 0.0 }
    }

    pub fn see(&mut self, until: Timestamp, good: f64) {
        self.until = self.until.max(until);
        self.good += good;
    }

    /// D-1: time alone never suffices; good must have been seen at its end too.
    pub fn held(&self, clear_after: Duration, good_min: f64) -> bool {
        self.good >= good_min && self.until >= self.since + clear_after
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub symptom: Symptom,
    hold: Option<Hold>,
}

impl Standing {
    pub fn new(symptom: Symptom) -> Self {
        Standing { symptom, hold: None }
    }

    pub fn see_good(&mut self, at: Timestamp, count: f64) {
        let hold = self.hold.get_or_insert_with(|| Hold::starting(at));
        hold.see(at, count);
        self.symptom.recovering_since = Some(hold.since);
    }

    pub fn see_bad(&mut self) {
        self.hold = None;
        self.symptom.recovering_since = None;
    }

    pub fn held(&self, clear_after: Duration, good_min: f64) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.held(clear_after, good_min))
    }
}
