//! Who runs which version, and what their requests show: does the new version hurt, and the one
//! before not?
//!
//! An instance's requests belong to the version that it ran when they ended, by buckets of 10 s.
//! Telemetry tells of a version up to one export late, so a bucket in which it changed counts for
//! the new one. What ran side by side is compared from the first whole bucket of the trouble on:
//! what was served well before it began clears nobody.

use std::time::Duration;

use model::tick::{BUCKET, SeriesKey};
use model::{Change, Entity, Timestamp};

use crate::comparison::{self, Worse};
use crate::figures::Sum;
use crate::walk::Trouble;

/// Stock SDKs send spans this often: a new version served for up to so long before it was heard.
const EXPORT: Duration = Duration::from_secs(5);
/// A version first heard so long before, or after, a change was told is the one it brought.
const HEARD_BEFORE: Duration = Duration::from_secs(60);
const HEARD_AFTER: Duration = Duration::from_secs(300);
/// Requests that a verdict on one side rests on at least.
const NEW_MIN: f64 = 10.0;
const CLEARED_MIN: f64 = 20.0;
/// What was to be cleared is no better than this share of what hurts.
const ALIKE: f64 = 0.5;

/// What the versions tell of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// What was changed hurts, what was not runs beside it and does not.
    SideBySide {
        changed: Side,
        unchanged: Side,
    },
    /// All was changed, and hurts since.
    Since {
        changed: Side,
        before: Sum,
    },
    /// What was not changed hurts as well.
    UnchangedToo {
        changed: Side,
        unchanged: Side,
    },
    /// One that was changed alike does not hurt.
    ChangedWell {
        well: Entity,
        sum: Sum,
    },
    Untold,
}

/// Requests of one version, or of a service whose versions are not told (empty).
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub version: String,
    pub sum: Sum,
}

/// Compares those whom a change of `node` concerned with those whom it did not.
pub fn judge(trouble: &Trouble, node: &Entity, change: &Change) -> Verdict {
    let before = before(trouble, node, change);
    let new = new_version(trouble, node, change.at);
    let from = trouble.window.from();
    let whole = from + BUCKET;
    let changed = Side {
        sum: match &new {
            Some(version) => of(trouble, node, from, |runs| runs == version),
            None => trouble.window.during(trouble.known, &[SeriesKey::Service(node.clone())]),
        },
        version: new.clone().unwrap_or_default(),
    };
    let Some(worse) = comparison::worse(&before, &changed.sum) else { return Verdict::Untold };
    if changed.sum.total < NEW_MIN {
        return Verdict::Untold;
    }
    if let Some(new) = &new {
        let sum = of(trouble, node, whole, |runs| runs != new);
        let version = old_version(trouble, node, new);
        let unchanged = Side { version, sum };
        if unchanged.sum.total >= NEW_MIN && is_worse(worse, &unchanged.sum, &changed.sum) {
            return Verdict::SideBySide { changed, unchanged };
        }
        let hurts = comparison::worse(&before, &unchanged.sum) == Some(worse);
        if hurts && are_alike(worse, &unchanged.sum, &changed.sum) {
            return Verdict::UnchangedToo { changed, unchanged };
        }
    }
    let runs_new = |runs: &str| new.as_ref().is_none_or(|new| runs == new);
    let mut live = trouble.known.instances_of(node).filter(|(_, it)| it.silent.is_none());
    if live.any(|(_, instance)| !runs_new(instance.version())) {
        // It is not all that was changed, and those that were not will tell.
        return Verdict::Untold;
    }
    match alike(trouble, node, worse, &before, runs_new) {
        Alike::Hurt => Verdict::Since { changed, before },
        Alike::Untold => Verdict::Untold,
        Alike::Well(one) => {
            let (well, sum) = *one;
            Verdict::ChangedWell { well, sum }
        }
    }
}

/// Requests of the service before the trouble, and before the change.
fn before(trouble: &Trouble, node: &Entity, change: &Change) -> Sum {
    let key = [SeriesKey::Service(node.clone())];
    let sum = trouble.window.before(trouble.known, &key);
    let until = (change.at - EXPORT).floor_to(BUCKET);
    let from = trouble.window.after.unwrap_or(Timestamp::ZERO);
    let earlier = trouble.known.figures.sum(&key, from, until);
    if earlier.total >= NEW_MIN { earlier } else { sum }
}

/// The version that came with a change told at `at`, unless it was the first that was heard of.
fn new_version(trouble: &Trouble, node: &Entity, at: Timestamp) -> Option<String> {
    let instances: Vec<_> = trouble.known.instances_of(node).collect();
    let all = || instances.iter().flat_map(|(_, instance)| &instance.versions);
    let first = all().map(|(since, _)| *since).min()?;
    all()
        .filter(|(since, _)| *since > first)
        .filter(|(since, _)| *since + HEARD_BEFORE >= at && *since <= at + HEARD_AFTER)
        .filter(|(since, version)| all().any(|(other, ran)| ran != version && other < since))
        .min_by_key(|(since, _)| since.0.abs_diff(at.0))
        .map(|(_, version)| version.clone())
}

/// The version beside or before the new one, for words.
fn old_version(trouble: &Trouble, node: &Entity, new: &str) -> String {
    let instances = trouble.known.instances_of(node);
    let old = instances.flat_map(|(_, instance)| &instance.versions).filter(|(_, it)| it != new);
    old.max_by_key(|(since, _)| *since).map_or(String::new(), |(_, version)| version.clone())
}

/// Requests from `from` on of instances while they ran a version that is `wanted`.
fn of(trouble: &Trouble, node: &Entity, from: Timestamp, wanted: impl Fn(&str) -> bool) -> Sum {
    let mut sum = Sum::default();
    for (entity, instance) in trouble.known.instances_of(node) {
        let key = [SeriesKey::Instance(entity.clone())];
        for (at, (since, version)) in instance.versions.iter().enumerate() {
            if !wanted(version) {
                continue;
            }
            let begin = |since: Timestamp| (since - EXPORT).floor_to(BUCKET);
            let until = instance.versions.get(at + 1).map(|(next, _)| begin(*next));
            let until = until.unwrap_or(Timestamp(u64::MAX));
            let start = from.max(begin(*since));
            sum.merge(&trouble.known.figures.sum(&key, start, until));
        }
    }
    sum
}

/// How the instances that were changed fare beside each other.
enum Alike {
    /// More of them hurt than not, and none does well.
    Hurt,
    Untold,
    /// One that serves well while others hurt.
    Well(Box<(Entity, Sum)>),
}

fn alike(
    trouble: &Trouble,
    node: &Entity,
    worse: Worse,
    before: &Sum,
    is_changed: impl Fn(&str) -> bool,
) -> Alike {
    let from = trouble.window.from();
    let sums: Vec<(&Entity, Sum)> = trouble
        .known
        .instances_of(node)
        .filter(|(_, instance)| is_changed(instance.version()) && instance.silent.is_none())
        .map(|(entity, instance)| {
            let began = instance.versions.back().map_or(Timestamp::ZERO, |(since, _)| *since);
            let key = [SeriesKey::Instance(entity.clone())];
            let start = from.max(began.floor_to(BUCKET));
            (entity, trouble.known.figures.sum(&key, start, Timestamp(u64::MAX)))
        })
        .collect();
    let hurts = |sum: &Sum| comparison::worse(before, sum) == Some(worse);
    let is_well = |sum: &Sum| {
        sum.total >= CLEARED_MIN
            && comparison::worse(before, sum).is_none()
            && sums.iter().any(|(_, other)| hurts(other) && is_worse(worse, sum, other))
    };
    if let Some((entity, sum)) = sums.iter().find(|(_, sum)| is_well(sum)) {
        return Alike::Well(Box::new(((*entity).clone(), sum.clone())));
    }
    let hurt = sums.iter().filter(|(_, sum)| hurts(sum)).count();
    // Of one that hurts beside others of which nothing is known yet, it may be the only one.
    let enough = if sums.len() > 1 { 2.max(sums.len().div_ceil(2)) } else { sums.len() };
    if hurt >= enough { Alike::Hurt } else { Alike::Untold }
}

fn is_worse(worse: Worse, one: &Sum, other: &Sum) -> bool {
    match worse {
        Worse::Fails => comparison::fails_more(one, other),
        Worse::Slower => comparison::is_slower(one, other),
    }
}

fn are_alike(worse: Worse, one: &Sum, other: &Sum) -> bool {
    let measure = |sum: &Sum| match worse {
        Worse::Fails => sum.errors / sum.total.max(1.0),
        Worse::Slower => sum.mean_seconds().unwrap_or(0.0),
    };
    one.total >= CLEARED_MIN && measure(one) >= ALIKE * measure(other)
}
