//! The stretches of time in which causes are looked for, and when a new one begins.
//!
//! An incident may stay open for hours, and what happens meanwhile must not drown in it. Besides
//! the stretch that began with the first harm there is one for each *turn* for the worse: a symptom
//! that joined or got worse, a process that went away unasked where the hurt depend on it, or calls
//! that newly fail. Each is compared with what was before it, back to the turn before at most.
//! Bounded: the latest `TURNS_MAX` turns count, each until its evidence is too old.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::tick::BUCKET;
use model::{Entity, Symptom, SymptomKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::known::Known;
use crate::leads::{Harm, Window};
use crate::pieces::Rule;
use crate::walk::Trouble;

const TURNS_MAX: usize = 3;
/// What begins within this belongs to the turn before.
const APART: Duration = Duration::from_secs(60);
/// Calls that newly fail are seen over this long.
const LOOK_BACK: Duration = Duration::from_secs(30);

/// Who is hurt, and how.
pub type Hurt = BTreeMap<Entity, BTreeSet<SymptomKind>>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// Oldest first.
    starts: Vec<Timestamp>,
    /// Bucket in which it was last looked for calls that newly fail.
    looked: Timestamp,
}

impl Turns {
    /// Notes a turn at `at`, unless it belongs to what is known. `onset`, here and below: when
    /// the incident's first harm began.
    pub fn add(&mut self, onset: Timestamp, at: Timestamp) {
        if at.since(self.latest(onset)) <= APART {
            return;
        }
        if self.starts.len() >= TURNS_MAX {
            self.starts.remove(0);
        }
        self.starts.push(at);
    }

    /// A symptom got worse. Its new harm began a little before it was noticed, or at its new onset.
    pub fn worsen(&mut self, onset: Timestamp, symptom: &Symptom) {
        self.add(onset, symptom.onset.max(symptom.detected - LOOK_BACK));
    }

    pub fn clear(&mut self) {
        self.starts.clear();
    }

    /// Windows whose evidence still counts, oldest first; `first` is the one of the first harm, if
    /// it still does.
    pub fn windows(
        &self,
        onset: Timestamp,
        first: Option<Window>,
        now: Timestamp,
        late: Duration,
    ) -> Vec<Window> {
        let mut windows: Vec<Window> = first.into_iter().collect();
        let mut before = onset;
        for start in self.starts.iter().copied().filter(|start| start.since(onset) > APART) {
            if now.since(start) <= late {
                let after = Some(before);
                windows.push(Window { onset: start, now, after, calm_until: None });
            }
            before = start;
        }
        windows
    }

    /// Looks for processes that went away unasked since the last turn, where the hurt depend on
    /// them. What was back when the present harm began is no turn of it, though calls failed
    /// meanwhile: others did its work, or an earlier harm was its.
    pub fn look_for_crashes(
        &mut self,
        known: &Known,
        hurt: &Hurt,
        (onset, harmed_since): (Timestamp, Timestamp),
        (now, late): (Timestamp, Duration),
    ) {
        if !known.follows(Rule::TurnByCrash) {
            return;
        }
        let latest = self.latest(onset);
        let mut found = Vec::new();
        for target in known.processes.all() {
            let Some(gone) = target.gone.as_ref().filter(|gone| !gone.stop_requested) else {
                continue;
            };
            let was_over = gone.back.as_ref().is_some_and(|(back, _)| *back <= harmed_since);
            let at = gone.last_seen;
            if was_over || at.since(latest) <= APART || at > now || now.since(at) > late {
                continue;
            }
            let node = known.topology.node(&target.entity);
            let is_needed = hurt.contains_key(&node)
                || hurt.keys().any(|hurt| known.topology.depends_on(hurt).contains(&node));
            if is_needed {
                found.push(at);
            }
        }
        found.sort_unstable();
        found.into_iter().for_each(|at| self.add(onset, at));
    }

    /// Looks, once per bucket, whether calls on the way from the hurt fail that did not before.
    pub fn look_for_failures(
        &mut self,
        known: &Known,
        hurt: &Hurt,
        onset: Timestamp,
        now: Timestamp,
    ) {
        let bucket = now.floor_to(BUCKET);
        let start = bucket - LOOK_BACK;
        let latest = self.latest(onset);
        let is_near = start.since(latest) <= APART;
        if self.looked == bucket || is_near || !known.follows(Rule::TurnByFailures) {
            return;
        }
        self.looked = bucket;
        let window = Window { onset: start, now, after: Some(latest), calm_until: None };
        let trouble = Trouble::walk(known, window, hurt.clone(), (start, start));
        let mut leads = trouble.reached.values().flat_map(|reached| &reached.leads);
        if leads.any(|lead| lead.harm == Harm::Fails) {
            self.add(onset, start);
        }
    }

    fn latest(&self, onset: Timestamp) -> Timestamp {
        self.starts.last().map_or(onset, |last| onset.max(*last))
    }
}
