//! How much is used of what there is only so much of: since when all of it is. Facts, no judgement.
//!
//! Bounded by `LEVELS_MAX`; the one that was told of longest ago gives way.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use model::level::{Level, LevelKey};
use serde::{Deserialize, Serialize};

const LEVELS_MAX: usize = 10_000;
/// Metrics come each minute; what is older tells of the past only.
const FRESH: Duration = Duration::from_secs(150);
/// Used up: from this share on.
const FULL_FROM: f64 = 0.95;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    all: BTreeMap<LevelKey, Known>,
    left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub last: Level,
    /// The reading before the first at which it was used up, and that one.
    pub full: Option<(Option<Level>, Timestamp)>,
}

impl Levels {
    pub fn take(&mut self, level: &Level) {
        if !self.all.contains_key(&level.key) && self.all.len() >= LEVELS_MAX {
            let oldest = self.all.iter().min_by_key(|(_, known)| known.last.at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.all.remove(&oldest);
                self.left_out += 1;
            }
        }
        let is_full = level.share() >= FULL_FROM;
        let before = self.all.remove(&level.key);
        let full = is_full.then(|| match before {
            Some(Known { full: Some(full), .. }) => full,
            Some(Known { last, .. }) => (Some(last), level.at),
            None => (None, level.at),
        });
        self.all.insert(level.key.clone(), Known { last: level.clone(), full });
    }

    /// What is used up now.
    pub fn full(&self, now: Timestamp) -> impl Iterator<Item = &Known> {
        self.all
            .values()
            .filter(move |known| known.full.is_some() && now.since(known.last.at) <= FRESH)
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
