//! Earned autonomy: what each remedy has proven so far.
//!
//! Kept per kind of cause, entity and action. Incidents and drills count alike: the loop does not
//! know which is which. A cure counts only when it was verified by users' figures and is to the
//! plan's credit; one failure, and all that was earned is gone. Invariant: no more tracks than
//! `TRACKS_MAX`, no more proofs each than `PROOFS_MAX`.

use std::collections::BTreeMap;

use model::{ActionKind, CauseKind, Entity, IncidentId, PlanId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TRACKS_MAX: usize = 2_000;
const PROOFS_MAX: usize = 20;

/// What is trusted, or not yet: this action on this entity for this kind of cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Deed {
    pub cause: CauseKind,
    pub entity: Entity,
    pub action: ActionKind,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// Users recovered by it, and it held.
    Cured,
    /// They did not.
    Failed,
    /// What ran before runs no more, or what was done could not be taken back.
    Harmed,
}

impl Trial {
    pub fn as_str(self) -> &'static str {
        match self {
            Trial::Cured => "cured",
            Trial::Failed => "failed",
            Trial::Harmed => "harmed",
        }
    }
}

/// One attempt, for people to look up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    pub at: Timestamp,
    pub plan: PlanId,
    pub incident: IncidentId,
    pub trial: Trial,
}

/// All that is known of one deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Track {
    pub deed: Deed,
    /// Cures since the last failure or harm.
    pub streak: u32,
    pub cured: u32,
    pub failed: u32,
    pub harmed: u32,
    /// The latest, oldest first.
    pub proofs: Vec<Proof>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Autonomy {
    tracks: BTreeMap<Deed, Track>,
}

impl Autonomy {
    pub fn learn(&mut self, deed: Deed, proof: Proof) {
        if self.tracks.len() >= TRACKS_MAX && !self.tracks.contains_key(&deed) {
            self.forget_oldest();
        }
        let track = self.tracks.entry(deed.clone()).or_insert_with(|| Track {
            deed,
            streak: 0,
            cured: 0,
            failed: 0,
            harmed: 0,
            proofs: Vec::new(),
        });
        let (streak, count) = match proof.trial {
            Trial::Cured => (track.streak.saturating_add(1), &mut track.cured),
            Trial::Failed => (0, &mut track.failed),
            Trial::Harmed => (0, &mut track.harmed),
        };
        *count = count.saturating_add(1);
        track.streak = streak;
        if track.proofs.len() >= PROOFS_MAX {
            track.proofs.remove(0);
        }
        track.proofs.push(proof);
    }

    fn forget_oldest(&mut self) {
        let last = |track: &Track| track.proofs.last().map(|proof| proof.at);
        let oldest = self.tracks.values().min_by_key(|track| last(track));
        if let Some(deed) = oldest.map(|track| track.deed.clone()) {
            self.tracks.remove(&deed);
        }
    }

    /// Has the deed been a cure so often since it last was none? Both answers say why.
    pub fn earned(&self, deed: &Deed, after: u32) -> Result<String, String> {
        let Deed { cause, entity, action } = deed;
        let what = format!("{action} of {entity} for {}", cause.as_str());
        let Some(track) = self.tracks.get(deed) else {
            return Err(format!("{what} has proven nothing yet, {after} cures needed"));
        };
        let streak = track.streak;
        if streak < after {
            return Err(format!("{streak} of {after} cures by {what} without failure"));
        }
        let plans = track.proofs.iter().rev().take(after as usize);
        let plans: Vec<String> = plans.map(|proof| proof.plan.to_string()).collect();
        let plans = plans.join(", ");
        Ok(format!("earned by {streak} cures by {what} in a row ({after} needed): plans {plans}"))
    }

    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values()
    }
}
