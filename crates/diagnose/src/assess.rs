//! From candidates to ranked causes that stay put.
//!
//! Each tick proposes afresh; what was once seen directly (a process gone, silence, a
//! blocking transaction, a full disk) is held with
//! the evidence of its best moment, for a remedy must not unmake its cause. It is contradicted by
//! one thing only: what went away is back for a minute and users are still hurt. Other causes are
//! held for `HOLD`, so that a test that wavers at its limit does not make the first cause flicker;
//! those of a window that is over are kept. Once users are well, causes are frozen, and what was
//! back for long when they began to be well stays contradicted.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::{Cause, CauseKind, Entity, Evidence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::causes;
use crate::known::Known;
use crate::leads::Window;
use crate::pieces::{Piece, Rule};
use crate::score::{self, Candidate, Part};
use crate::walk::Trouble;

/// A cause without direct evidence is kept for this long after it was last seen as strong.
const HOLD: Duration = Duration::from_secs(30);
/// What is back for this long should have helped, if its absence was the cause.
const BACK_IN_VAIN: Duration = Duration::from_secs(60);
/// A recovery that began within this of the return is its doing: starting takes time.
const HELPED_WITHIN: Duration = Duration::from_secs(120);
/// A transaction that is blamed this surely began with the trouble.
const SURE_OF_LOCK: f64 = 0.65;
const CAUSES_SHOWN: usize = 8;
const HELD_MAX: usize = 64;

/// A cause at its best moment so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    cause: Cause,
    node: Entity,
    depth: u32,
    /// Nothing that is hurt is known to fail by it.
    off_path: bool,
    confirmed: Timestamp,
    /// Start of the window of evidence that proposed it.
    window: Timestamp,
    /// When what went away was first seen to be back.
    back: Option<Timestamp>,
}

impl Held {
    fn new(candidate: Candidate, window: Window) -> Self {
        Held {
            node: candidate.node.clone(),
            depth: candidate.depth,
            off_path: candidate.has(Part::OffPath) || candidate.has(Part::CallsSucceed),
            cause: candidate.into_cause(),
            confirmed: window.now,
            window: window.onset,
            back: None,
        }
    }

    /// What it speaks of was not seen to be over.
    pub fn lasts(&self) -> bool {
        self.back.is_none()
    }

    fn is_direct(&self) -> bool {
        use CauseKind::{Crash, Disk, Leak, Lock, Silent};
        matches!(self.cause.kind, Crash | Silent | Leak | Lock | Disk)
    }

    fn same_as(&self, other: &Held) -> bool {
        self.cause.kind == other.cause.kind && self.cause.entity == other.cause.entity
    }
}

/// Looks for causes in each window, oldest first, and merges them with what is held.
pub fn gather(troubles: &[Trouble], held: &mut Vec<Held>, confidence_min: f64) {
    let first = troubles.first().map(|one| one.window);
    let Some(Window { onset: oldest, now, after, .. }) = first else { return };
    if let Some(known) = troubles.first().map(|trouble| trouble.known) {
        held.retain(|old| !was_replaced(known, old));
    }
    let follows = |rule| troubles.iter().all(|trouble| trouble.known.follows(rule));
    let mut fresh: Vec<Held> = Vec::new();
    for trouble in troubles {
        let without = trouble.known.without;
        let sought = causes::ALL.iter().filter(|spec| without != Some(Piece::Cause(spec.id)));
        for mut candidate in sought.flat_map(|spec| (spec.propose)(trouble)) {
            if let Some(Piece::Evidence(part)) = without {
                candidate.devalue(part);
            }
            fresh.push(Held::new(candidate, trouble.window));
        }
    }
    held.retain(|old| {
        let is_proven = old.is_direct()
            && old.cause.confidence >= confidence_min
            && follows(Rule::HoldWhatWasSeen);
        let is_of_before = after.is_some() && old.window < oldest;
        is_proven
            || is_of_before
            || (now.since(old.confirmed) <= HOLD && follows(Rule::HoldBriefly))
            || fresh.iter().any(|new| new.same_as(old))
    });
    for new in fresh {
        if new.is_direct() && new.cause.kind != CauseKind::Crash {
            // It is so as of now, whatever was seen in between.
            held.iter_mut().filter(|old| old.same_as(&new)).for_each(|old| old.back = None);
        }
        match held.iter_mut().find(|old| old.same_as(&new)) {
            Some(old) if supersedes(&new, old, confidence_min) => {
                let back = old.back.filter(|_| old.cause.process == new.cause.process);
                *old = Held { back, ..new };
            }
            Some(_) => {}
            None => held.push(new),
        }
    }
    held.sort_by(order);
    held.truncate(HELD_MAX);
}

/// What looked like a crash turned out to be a deploy.
fn was_replaced(known: &Known, held: &Held) -> bool {
    held.cause.kind == CauseKind::Crash
        && known.follows(Rule::ReplacedIsNoCrash)
        && known.processes.all().any(|target| {
            let gone = target.gone.as_ref();
            let its = gone.filter(|gone| Some(&gone.process) == held.cause.process.as_ref());
            its.is_some_and(|gone| causes::crash::was_replaced(known, target, gone))
        })
}

fn supersedes(new: &Held, old: &Held, confidence_min: f64) -> bool {
    if new.cause.confidence >= old.cause.confidence {
        return true;
    }
    let another_process = new.cause.process != old.cause.process;
    if old.is_direct() && old.cause.confidence >= confidence_min {
        return another_process && new.cause.confidence >= confidence_min;
    }
    new.confirmed.since(old.confirmed) > HOLD
}

/// Ranks what is held. `well`: since when users are well again; while they are hurt, what is back
/// in vain is contradicted.
pub fn rank(
    known: &Known,
    held: &mut [Held],
    now: Timestamp,
    well: Option<Timestamp>,
    confidence_min: f64,
) -> Vec<Cause> {
    for one in held.iter_mut() {
        one.back = one.back.or_else(|| back_since(known, one, now));
    }
    let mut ranked: Vec<Held> = held.to_vec();
    if known.without != Some(Piece::Evidence(Part::BackInVain)) {
        ranked.iter_mut().for_each(|one| contradict(one, now, well));
    }
    ranked.sort_by(order);
    let is_named = |one: &Held| one.cause.confidence >= confidence_min;
    let crashed: Vec<Entity> = ranked
        .iter()
        .filter(|one| one.cause.kind == CauseKind::Crash && is_named(one))
        .map(|one| one.node.clone())
        .collect();
    let leaking: Vec<Entity> = ranked
        .iter()
        .filter(|one| one.cause.kind == CauseKind::Leak && is_named(one))
        .map(|one| one.cause.entity.clone())
        .collect();
    // What piles up somewhere has its reason there, where one is known.
    let explained: Vec<Entity> = ranked
        .iter()
        .filter(|one| one.cause.kind != CauseKind::Saturation && is_named(one))
        .map(|one| one.node.clone())
        .collect();
    let locked = locked(&ranked);
    let something_named = ranked.iter().any(is_named);
    ranked
        .into_iter()
        .filter(|one| {
            let is_weaker_word =
                matches!(one.cause.kind, CauseKind::Silent | CauseKind::DependencyDown);
            let is_spared = is_weaker_word && crashed.contains(&one.node);
            !(is_spared && known.follows(Rule::CrashSparesWords))
        })
        .filter(|one| {
            let is_outlier = one.cause.kind == CauseKind::Outlier;
            let leaks = leaking.iter().any(|it| *it == one.cause.entity || *it == one.node);
            !(is_outlier && leaks && known.follows(Rule::LeakSparesOutlier))
        })
        .filter(|one| {
            let stands_back = one.off_path && something_named;
            !(stands_back && known.follows(Rule::OffPathStandsBack))
        })
        .filter(|one| {
            let is_saturation = one.cause.kind == CauseKind::Saturation;
            let is_explained = is_saturation && explained.contains(&one.node);
            !(is_explained && known.follows(Rule::ExplainedIsNoSaturation))
        })
        .filter(|one| !(one.cause.kind == CauseKind::Network && needs(known, one, &locked)))
        .map(|one| one.cause)
        .take(CAUSES_SHOWN)
        .collect()
}

/// Databases in which a transaction surely blocks. Requests that wait for it have not ended: those
/// that did look well, and the time of the others seems lost on the way to who waits.
fn locked(ranked: &[Held]) -> Vec<Entity> {
    let locks = ranked.iter().filter(|one| one.cause.kind == CauseKind::Lock);
    let sure = locks.filter(|one| one.cause.confidence >= SURE_OF_LOCK);
    sure.map(|one| one.node.clone()).collect()
}

fn needs(known: &Known, held: &Held, databases: &[Entity]) -> bool {
    if databases.is_empty() {
        return false;
    }
    let needed = known.topology.depends_on(&held.node);
    databases.iter().any(|database| needed.contains(database))
}

/// Puts "unknown" where it belongs: first while nothing else is sure enough, else last.
pub fn with_unknown(mut causes: Vec<Cause>, unknown: Cause, confidence_min: f64) -> Vec<Cause> {
    let best = causes.first().map_or(0.0, |cause| cause.confidence);
    let rest = ((1.0 - best) * 100.0).round().clamp(1.0, 99.0) / 100.0;
    let unknown = Cause { confidence: rest, ..unknown };
    let at = if best >= confidence_min { causes.len() } else { 0 };
    causes.insert(at, unknown);
    causes
}

/// Since when what went away is there again, as far as can be seen now.
fn back_since(known: &Known, held: &Held, now: Timestamp) -> Option<Timestamp> {
    let cause = &held.cause;
    match cause.kind {
        CauseKind::Crash => known.processes.all().find_map(|target| {
            let gone = target.gone.as_ref()?;
            let is_same = Some(&gone.process) == cause.process.as_ref();
            gone.back.as_ref().filter(|_| is_same).map(|(since, _)| *since)
        }),
        CauseKind::Leak => known.processes.all().find_map(|target| {
            let is_its = known.topology.resolve(&target.entity) == cause.entity;
            let another = target.running.as_ref().filter(|_| is_its);
            another.filter(|it| Some(*it) != cause.process.as_ref()).map(|_| target.since)
        }),
        CauseKind::Silent => {
            let is_heard = match known.instances.get(&cause.entity) {
                Some(instance) => instance.silent.is_none(),
                None => known.heard.get(&held.node).is_some_and(|heard| heard.last > cause.onset),
            };
            is_heard.then_some(now)
        }
        CauseKind::Lock => known.conditions.flows_since(&cause.entity),
        CauseKind::Disk => known.conditions.roomy_since(&cause.entity),
        _ => None,
    }
}

fn contradict(held: &mut Held, now: Timestamp, well: Option<Timestamp>) {
    let is_in_vain = |back: Timestamp| match well {
        Some(well) => well.since(back) > HELPED_WITHIN,
        None => now.since(back) >= BACK_IN_VAIN,
    };
    let Some(back) = held.back.filter(|back| is_in_vain(*back)) else { return };
    let still = if well.is_some() { "remained" } else { "are still" };
    let (kind, what) = match held.cause.kind {
        CauseKind::Crash => (EvidenceKind::Process, "its process runs again"),
        CauseKind::Lock => (EvidenceKind::Condition, "nobody has been blocked there"),
        CauseKind::Disk => (EvidenceKind::Condition, "it has room again"),
        CauseKind::Leak => (EvidenceKind::Process, "another process runs in its place"),
        _ => (EvidenceKind::Instance, "it is heard again"),
    };
    held.cause.confidence = score::lessen(held.cause.confidence, Part::BackInVain);
    held.cause.evidence.push(Evidence {
        kind,
        entity: held.cause.entity.clone(),
        at: back,
        summary: format!("{what} since {} and users {still} hurt", back.clock()),
        supports: false,
        trace_id: String::new(),
    });
}

/// Surest first; among equals the deepest, then the earliest.
fn order(a: &Held, b: &Held) -> std::cmp::Ordering {
    b.cause
        .confidence
        .total_cmp(&a.cause.confidence)
        .then_with(|| b.depth.cmp(&a.depth))
        .then_with(|| a.cause.onset.cmp(&b.cause.onset))
        .then_with(|| a.cause.kind.cmp(&b.cause.kind))
        .then_with(|| a.cause.entity.cmp(&b.cause.entity))
}
