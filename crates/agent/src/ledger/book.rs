//! The ledger folded in memory: what became of each action and fault.
//!
//! Bounded: of ended actions and faults the latest are kept; what has not ended is always kept.

use std::collections::{BTreeMap, VecDeque};

use model::{Action, ActionId, Outcome, Timestamp};

use super::{Entry, FaultRecord};
use crate::protocol::{FaultId, FaultReport, FaultState, Freeze};

/// Ended actions whose ids are remembered; an older id is refused by its `not_after`.
pub const ACTIONS_KEPT: usize = 10_000;
pub const FAULTS_KEPT: usize = 1_000;

#[derive(Clone, Debug, PartialEq)]
pub enum ActionEntry {
    InProgress { at: Timestamp, action: Box<Action> },
    Ended { outcome: Outcome, fingerprint: u32 },
}

/// A fault from its undo record on.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultEntry {
    pub record: Box<FaultRecord>,
    pub injected: Option<Timestamp>,
    pub effect: Option<(Option<Timestamp>, String)>,
    pub undone: Option<(Timestamp, String)>,
}

#[derive(Debug, Default)]
pub struct Book {
    actions: BTreeMap<ActionId, ActionEntry>,
    /// Ids of ended actions, oldest first.
    ended: VecDeque<ActionId>,
    faults: BTreeMap<FaultId, FaultEntry>,
    refused: BTreeMap<FaultId, (Timestamp, String)>,
    /// Ids of undone and refused faults, oldest first.
    finished: VecDeque<FaultId>,
    frozen: Option<(Timestamp, Freeze)>,
    targets: Option<(Timestamp, usize, u32)>,
}

/// Tells two orders under one id apart.
pub fn fingerprint(action: &Action) -> u32 {
    crc32c::crc32c(&serde_json::to_vec(action).unwrap_or_default())
}

impl ActionEntry {
    pub fn fingerprint(&self) -> u32 {
        match self {
            ActionEntry::InProgress { action, .. } => fingerprint(action),
            ActionEntry::Ended { fingerprint, .. } => *fingerprint,
        }
    }
}

impl FaultEntry {
    pub fn report(&self) -> FaultReport {
        let accepted = self.record.accepted;
        let (state, at, detail) = match (&self.undone, &self.effect, self.injected) {
            (Some((at, how)), _, _) => (FaultState::Undone, *at, how.clone()),
            (None, Some((Some(at), detail)), _) => (FaultState::Effective, *at, detail.clone()),
            (None, Some((None, detail)), at) => {
                (FaultState::NotEffective, at.unwrap_or(accepted), detail.clone())
            }
            (None, None, Some(at)) => (FaultState::Injected, at, String::new()),
            (None, None, None) => (FaultState::Accepted, accepted, String::new()),
        };
        FaultReport {
            id: self.record.id.clone(),
            at,
            state,
            injected_at: self.injected,
            effective_at: self.effect.as_ref().and_then(|(at, _)| *at),
            undone_at: self.undone.as_ref().map(|(at, _)| *at),
            detail,
        }
    }
}

impl Book {
    pub fn action(&self, id: &ActionId) -> Option<&ActionEntry> {
        self.actions.get(id)
    }

    /// Accepted and not ended.
    pub fn actions_in_progress(&self) -> impl Iterator<Item = &Action> {
        self.actions.values().filter_map(|entry| match entry {
            ActionEntry::InProgress { action, .. } => Some(&**action),
            ActionEntry::Ended { .. } => None,
        })
    }

    pub fn fault(&self, id: &FaultId) -> Option<&FaultEntry> {
        self.faults.get(id)
    }

    /// Accepted and not undone.
    pub fn unfinished_faults(&self) -> impl Iterator<Item = &FaultEntry> {
        self.faults.values().filter(|fault| fault.undone.is_none())
    }

    pub fn fault_report(&self, id: &FaultId) -> Option<FaultReport> {
        let refused = self.refused.get(id).map(|(at, reason)| FaultReport {
            id: id.clone(),
            at: *at,
            state: FaultState::Refused,
            injected_at: None,
            effective_at: None,
            undone_at: None,
            detail: reason.clone(),
        });
        self.faults.get(id).map(FaultEntry::report).or(refused)
    }

    pub fn frozen(&self) -> Option<&Freeze> {
        self.frozen.as_ref().map(|(_, freeze)| freeze)
    }

    /// CRC-32C of the targets in force.
    pub fn targets_hash(&self) -> Option<u32> {
        self.targets.map(|(_, _, hash)| hash)
    }

    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Header { .. } => {}
            Entry::ActionAccepted { at, action } => {
                let progress = ActionEntry::InProgress { at: *at, action: action.clone() };
                self.actions.insert(action.id.clone(), progress);
            }
            Entry::ActionEnded { outcome, fingerprint } => {
                let ended =
                    ActionEntry::Ended { outcome: outcome.clone(), fingerprint: *fingerprint };
                let before = self.actions.insert(outcome.action.clone(), ended);
                if !matches!(before, Some(ActionEntry::Ended { .. })) {
                    self.ended.push_back(outcome.action.clone());
                }
                if self.ended.len() > ACTIONS_KEPT
                    && let Some(oldest) = self.ended.pop_front()
                {
                    self.actions.remove(&oldest);
                }
            }
            Entry::FaultAccepted { fault } => {
                let record = fault.clone();
                let entry = FaultEntry { record, injected: None, effect: None, undone: None };
                self.faults.insert(fault.id.clone(), entry);
            }
            Entry::FaultInjected { id, at } => {
                self.with_fault(id, |fault| fault.injected = Some(*at));
            }
            Entry::FaultEffective { id, at, detail } => {
                self.with_fault(id, |fault| fault.effect = Some((*at, detail.clone())));
            }
            Entry::FaultUndone { id, at, how } => {
                self.with_fault(id, |fault| fault.undone = Some((*at, how.clone())));
                self.finish(id);
            }
            Entry::FaultRefused { id, at, reason } => {
                self.refused.insert(id.clone(), (*at, reason.clone()));
                self.finish(id);
            }
            Entry::Frozen { at, freeze } => self.frozen = Some((*at, freeze.clone())),
            Entry::Thawed { .. } => self.frozen = None,
            Entry::Targets { at, count, hash } => self.targets = Some((*at, *count, *hash)),
        }
    }

    fn with_fault(&mut self, id: &FaultId, change: impl FnOnce(&mut FaultEntry)) {
        if let Some(fault) = self.faults.get_mut(id) {
            change(fault);
        }
    }

    fn finish(&mut self, id: &FaultId) {
        if !self.finished.contains(id) {
            self.finished.push_back(id.clone());
        }
        if self.finished.len() > FAULTS_KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.faults.remove(&oldest);
            self.refused.remove(&oldest);
        }
    }

    /// Entries from which a book that says the same can be folded, in the same order of age.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let Some((at, count, hash)) = self.targets {
            entries.push(Entry::Targets { at, count, hash });
        }
        if let Some((at, freeze)) = &self.frozen {
            entries.push(Entry::Frozen { at: *at, freeze: freeze.clone() });
        }
        let in_progress = self.actions.values().filter_map(|entry| match entry {
            ActionEntry::InProgress { at, action } => {
                Some(Entry::ActionAccepted { at: *at, action: action.clone() })
            }
            ActionEntry::Ended { .. } => None,
        });
        entries.extend(in_progress);
        for id in &self.ended {
            if let Some(ActionEntry::Ended { outcome, fingerprint }) = self.actions.get(id) {
                let (outcome, fingerprint) = (outcome.clone(), *fingerprint);
                entries.push(Entry::ActionEnded { outcome, fingerprint });
            }
        }
        for id in &self.finished {
            match (self.faults.get(id), self.refused.get(id)) {
                (Some(fault), _) => entries.extend(fault_entries(fault)),
                (None, Some((at, reason))) => {
                    let (id, at, reason) = (id.clone(), *at, reason.clone());
                    entries.push(Entry::FaultRefused { id, at, reason });
                }
                (None, None) => {}
            }
        }
        entries.extend(self.unfinished_faults().flat_map(fault_entries));
        entries
    }
}

fn fault_entries(fault: &FaultEntry) -> Vec<Entry> {
    let id = || fault.record.id.clone();
    let mut entries = vec![Entry::FaultAccepted { fault: fault.record.clone() }];
    entries.extend(fault.injected.map(|at| Entry::FaultInjected { id: id(), at }));
    if let Some((at, detail)) = &fault.effect {
        entries.push(Entry::FaultEffective { id: id(), at: *at, detail: detail.clone() });
    }
    if let Some((at, how)) = &fault.undone {
        entries.push(Entry::FaultUndone { id: id(), at: *at, how: how.clone() });
    }
    entries
}
