//! Outlier: one instance of a service answers much slower than its siblings, or fails far more
//! often, while it runs.
//!
//! The word is that of load balancers that eject such instances. Siblings share code, traffic and
//! dependencies, so what one of them suffers alone is of its own: its host, its disk, a stuck
//! thread. It is named only where at least as many siblings do well in the same time. One that runs
//! another version than they do is rather a matter of the change.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::SeriesKey;
use model::{CauseKind, Entity, EntityKind};

use super::{Spec, add_leads};
use crate::comparison::{self, Worse};
use crate::figures::Sum;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Outlier,
    title: "One instance unlike its siblings",
    documentation: "One instance of a service answers much slower than the others, or fails far \
                    more often, while it runs and at least as many others do well.",
    propose,
};

/// Requests that an instance is judged on at least.
const REQUESTS_MIN: f64 = 5.0;
/// And cleared on.
const WELL_MIN: f64 = 8.0;
/// Of what the ill one completed, beside its usual share, a sibling must have completed this much.
const SEEN_SHARE: f64 = 0.5;
/// Fails so many times as often as its siblings.
const FAILS_MORE_MIN: f64 = 3.0;
/// Much slower than its siblings.
const SLOWER_MIN: f64 = 3.0;
const INSTANCES_SHOWN: usize = 3;
/// A version is heard of this much later at most: two exports of stock SDKs.
const HEARD_LATE: Duration = Duration::from_secs(10);

struct Judged<'a> {
    instance: &'a Entity,
    version: &'a str,
    during: Sum,
    before: Sum,
    worse: Option<Worse>,
}

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let services = trouble.reached.iter().filter(|(node, _)| node.kind == EntityKind::Service);
    services.flat_map(|(node, reached)| of_service(trouble, node, reached)).collect()
}

fn of_service(trouble: &Trouble, node: &Entity, reached: &Reached) -> Vec<Candidate> {
    let judged = judge(trouble, node);
    let ill: Vec<&Judged> = judged.iter().filter(|one| one.worse.is_some()).collect();
    let is_well = |one: &&Judged| {
        one.worse.is_none()
            && one.during.seen().0 >= WELL_MIN
            && ill.iter().all(|ill| is_seen_as_long(one, ill))
    };
    let well: Vec<&Judged> = judged.iter().filter(is_well).collect();
    if ill.len() > well.len() {
        return Vec::new();
    }
    let mut siblings = Sum::default();
    well.iter().for_each(|one| siblings.merge(&one.during));
    ill.into_iter()
        .filter(|one| is_far_from(one, &siblings))
        .take(INSTANCES_SHOWN)
        .map(|one| candidate(trouble, one, (&well, &siblings), (node, reached)))
        .collect()
}

fn judge<'a>(trouble: &Trouble<'a>, node: &Entity) -> Vec<Judged<'a>> {
    let of_service = [SeriesKey::Service(node.clone())];
    let usual = trouble.window.before(trouble.known, &of_service);
    let instances = trouble.known.instances_of(node);
    let judged = instances.map(|(instance, state)| {
        let key = [SeriesKey::Instance(instance.clone())];
        let during = trouble.window.during(trouble.known, &key);
        let own = trouble.window.before(trouble.known, &key);
        // One that is new is compared with what the service was like.
        let before = if own.total >= REQUESTS_MIN { own } else { usual.clone() };
        let worse = comparison::worse(&before, &during);
        // What it runs later may be the remedy.
        let version = state.version_at(trouble.window.onset + HEARD_LATE);
        Judged { instance, version, during, before, worse }
    });
    judged.filter(|one| one.during.total >= REQUESTS_MIN).collect()
}

/// Telemetry of instances comes at different times: one that was heard of before the trouble came
/// to it is not cleared by that.
fn is_seen_as_long(one: &Judged, ill: &Judged) -> bool {
    let share = |it: &Judged| it.during.total / it.before.total.max(1.0);
    share(one) >= SEEN_SHARE * share(ill)
}

fn is_far_from(one: &Judged, siblings: &Sum) -> bool {
    let mean = |sum: &Sum| sum.mean_seconds().unwrap_or(0.0);
    match one.worse {
        Some(Worse::Fails) => {
            let share = |sum: &Sum| sum.errors / sum.total.max(1.0);
            comparison::fails_more(siblings, &one.during)
                && share(&one.during) >= FAILS_MORE_MIN * share(siblings)
        }
        Some(Worse::Slower) => mean(&one.during) >= SLOWER_MIN * mean(siblings),
        None => false,
    }
}

fn candidate(
    trouble: &Trouble,
    one: &Judged,
    (well, siblings): (&[&Judged], &Sum),
    (node, reached): (&Entity, &Reached),
) -> Candidate {
    let Judged { instance, version, during, before, worse } = one;
    let now = trouble.window.now;
    let onset = during.first_error_at.unwrap_or(trouble.window.onset);
    let mut candidate = Candidate::new(CauseKind::Outlier, instance, node, onset);
    let (since, served) = (trouble.window.from().clock(), wording::served(during));
    let words = format!("{instance}: {served} since {since}; before: {}", wording::served(before));
    candidate.line(Part::Unlike, EvidenceKind::Instance, now, words);
    let names: Vec<String> =
        well.iter().take(INSTANCES_SHOWN).map(|one| one.instance.to_string()).collect();
    let words = format!("{} in the same time: {}", names.join(", "), wording::served(siblings));
    candidate.line(Part::SiblingsWell, EvidenceKind::Instance, now, words);
    add_leads(&mut candidate, trouble, node, reached);
    let is_other = |sibling: &&&Judged| sibling.version != *version && !sibling.version.is_empty();
    if let Some(sibling) = well.iter().find(is_other).filter(|_| !version.is_empty()) {
        let words = format!("it ran {version}, {} ran {}", sibling.instance, sibling.version);
        candidate.line(Part::OtherVersion, EvidenceKind::Instance, now, words);
    }
    let mean = |sum: &Sum| wording::seconds(sum.mean_seconds().unwrap_or(0.0));
    candidate.summary = match worse {
        Some(Worse::Fails) => format!(
            "{instance} fails {} of its requests, its siblings {}",
            wording::percent(during.errors / during.total.max(1.0)),
            wording::percent(siblings.errors / siblings.total.max(1.0))
        ),
        _ => {
            format!("{instance} takes {} on average, its siblings {}", mean(during), mean(siblings))
        }
    };
    candidate
}
