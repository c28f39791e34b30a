//! What is kept of the schedule of drills: whether it is stopped, and what became of each entry's
//! last run.
//!
//! It stands in the journal's `meta`, and a run is written down there before it begins. Invariants:
//! whoever dies, no entry runs twice in a period; what was stopped stays stopped until a person
//! resumes it; an entry that was taken out and put back does not begin anew at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaos::Scheduled;
use chaos::schedule::{Due, ENTRIES_MAX, Run};
use model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{Error, Journal};

const KEPT: &str = "drill_schedule";
const SEED: &str = "drill_seed";
/// Entries that are no longer configured are remembered for longer than the longest period.
const FORGET_AFTER: Duration = Duration::from_secs(100 * 86_400);

/// Who stopped the schedule, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ScheduleStopped")]
pub struct Stopped {
    pub by: String,
    pub at: Timestamp,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It was about to begin when the server ended.
    Unknown,
    /// This drill.
    Drill(u64),
    Skipped(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LastRun")]
pub struct Last {
    pub run: Run,
    pub became: Became,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    stopped: Option<Stopped>,
    entries: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    /// When it was first seen.
    since: Timestamp,
    /// When it was last seen in the configuration.
    seen: Timestamp,
    last: Option<Last>,
}

pub struct Calendar {
    entries: Vec<Scheduled>,
    seed: u64,
    journal: Arc<Journal>,
    kept: Mutex<Kept>,
}

impl Calendar {
    /// `seed` is taken when this journal has none yet.
    pub fn open(
        entries: Vec<Scheduled>,
        journal: Arc<Journal>,
        seed: u64,
        now: Timestamp,
    ) -> Result<Calendar, Error> {
        let mut kept: Kept = match journal.value(KEPT)? {
            Some(json) => serde_json::from_str(&json)?,
            None => Kept::default(),
        };
        if entries.is_empty() {
            return Ok(Calendar { entries, seed, journal, kept: Mutex::new(kept) });
        }
        let seed = journal.meta(SEED, &seed.to_string())?.parse().unwrap_or(seed);
        for entry in &entries {
            let new = || Known { since: now, seen: now, last: None };
            kept.entries.entry(entry.name.clone()).or_insert_with(new).seen = now;
        }
        kept.entries.retain(|_, known| now.since(known.seen) < FORGET_AFTER);
        while kept.entries.len() > 2 * ENTRIES_MAX {
            let oldest = kept.entries.iter().min_by_key(|(_, known)| known.seen);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else { break };
            kept.entries.remove(&name);
        }
        // Where the disk is full nothing is begun: that would have to be written down first.
        if let Err(error) = journal.set_value(KEPT, &serde_json::to_string(&kept)?) {
            let error = anyhow::Error::new(error);
            tracing::error!("the schedule of drills cannot be written: {error:#}");
        }
        Ok(Calendar { entries, seed, journal, kept: Mutex::new(kept) })
    }

    pub fn entries(&self) -> &[Scheduled] {
        &self.entries
    }

    pub fn stopped(&self) -> Option<Stopped> {
        self.kept().stopped.clone()
    }

    pub fn stop(&self, by: &str, at: Timestamp) -> Result<(), Error> {
        let mut kept = self.kept();
        let stopped = Some(Stopped { by: by.to_owned(), at });
        let next = Kept { stopped, ..kept.clone() };
        self.save(&mut kept, next)
    }

    pub fn resume(&self) -> Result<(), Error> {
        let mut kept = self.kept();
        let next = Kept { stopped: None, ..kept.clone() };
        self.save(&mut kept, next)
    }

    pub fn due(&self, entry: &Scheduled, now: Timestamp) -> Due {
        let kept = self.kept();
        let known = kept.entries.get(&entry.name);
        let since = known.map_or(now, |known| known.since);
        let done = known.and_then(|known| known.last.as_ref()).map(|last| last.run.period);
        entry.due(now, since, done, self.seed)
    }

    pub fn last(&self, entry: &Scheduled) -> Option<Last> {
        self.kept().entries.get(&entry.name)?.last.clone()
    }

    /// Writes down what became of a run, through to the disk.
    pub fn note(&self, entry: &Scheduled, run: Run, became: Became) -> Result<(), Error> {
        let mut kept = self.kept();
        let mut next = kept.clone();
        if let Some(known) = next.entries.get_mut(&entry.name) {
            known.last = Some(Last { run, became });
        }
        self.save(&mut kept, next)
    }

    /// In memory only what is on disk.
    fn save(&self, kept: &mut Kept, next: Kept) -> Result<(), Error> {
        self.journal.set_value(KEPT, &serde_json::to_string(&next)?)?;
        *kept = next;
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn entry(name: &str) -> Scheduled {
        let on = "[mon, tue, wed, thu, fri, sat, sun]";
        let yaml = format!("name: {name}\nexperiment: /e.yaml\nevery: 1d\n\non: {on}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    struct Lab {
        dir: tempfile::TempDir,
    }

    impl Lab {
        fn open(&self, names: &[&str], now: Timestamp) -> Calendar {
            let journal = Arc::new(Journal::open(&self.dir.path().join("journal")).unwrap());
            Calendar::open(names.iter().map(|name| entry(name)).collect(), journal, 7, now).unwrap()
        }
    }

    fn lab() -> Lab {
        Lab { dir: tempfile::tempdir().unwrap() }
    }

    fn waits(calendar: &Calendar, now: Timestamp) -> Run {
        match calendar.due(&calendar.entries()[0], now) {
            Due::Wait(run) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_that_was_begun_is_not_begun_again_by_the_next_server() {
        let (lab, begin) = (lab(), Timestamp::from_secs(20_000 * DAY));
        let calendar = lab.open(&["a"], begin);
        let run = waits(&calendar, begin);
        let due = calendar.due(&calendar.entries()[0], run.at);
        assert_eq!(due, Due::Now(run));
        calendar.note(&calendar.entries()[0], run, Became::Unknown).unwrap();
        // Killed here; the next one has another seed to offer, which is not taken.
        drop(calendar);
        let calendar = lab.open(&["a"], run.at);
        assert!(waits(&calendar, run.at).period > run.period);
        let last = calendar.last(&calendar.entries()[0]);
        assert_eq!(last, Some(Last { run, became: Became::Unknown }));
    }

    #[test]
    fn an_entry_that_is_taken_out_and_put_back_does_not_run_twice_in_a_period() {
        let (lab, begin) = (lab(), Timestamp::from_secs(20_000 * DAY));
        let calendar = lab.open(&["a"], begin);
        let run = waits(&calendar, begin);
        calendar.note(&calendar.entries()[0], run, Became::Drill(1)).unwrap();
        drop(calendar);
        drop(lab.open(&["b"], begin));
        let calendar = lab.open(&["a"], begin);
        assert!(waits(&calendar, begin).period > run.period);
        drop(calendar);
        let later = Timestamp::from_secs(20_000 * DAY + 101 * DAY);
        drop(lab.open(&["b"], later));
        assert_eq!(lab.open(&["a"], later).last(&entry("a")), None);
    }

    #[test]
    fn what_was_stopped_stays_stopped_until_it_is_resumed() {
        let (lab, now) = (lab(), Timestamp::from_secs(20_000 * DAY));
        lab.open(&["a"], now).stop("ann", now).unwrap();
        let calendar = lab.open(&["a"], now);
        assert_eq!(calendar.stopped(), Some(Stopped { by: "ann".to_owned(), at: now }));
        calendar.resume().unwrap();
        drop(calendar);
        assert_eq!(lab.open(&["a"], now).stopped(), None);
    }
}
