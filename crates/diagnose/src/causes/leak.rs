//! Leak: a process holds ever more memory, and gets slower or fails as it grows.
//!
//! The growth is seen by an agent, at the process of a target. By itself it is life: caches fill,
//! users come. It is named where what is hurt depends on the process, and its own requests got
//! worse while it grew; less so where users came as well.

use model::incident::EvidenceKind;
use model::tick::SeriesKey;
use model::{ByteSize, CauseKind, Entity, EntityKind, Timestamp};

use super::{Spec, add_leads, surge};
use crate::comparison;
use crate::processes::{Growth, Target};
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Leak,
    title: "Memory that only grows",
    documentation: "An agent saw the memory of a process grow at every look, by at least 32 MiB \
                    and half, and requests to it got slower or failed meanwhile.",
    propose,
};

/// It slows down as it grows when the last third of the growth is so much slower than the first.
const SLOWER_MIN: f64 = 2.0;
const SLOWER_MIN_SECONDS: f64 = 0.02;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let of_target = |target: &Target| {
        let node = trouble.known.topology.node(&target.entity);
        let reached = trouble.reached.get(&node)?;
        let growth = target.growth().filter(|growth| growth.until >= trouble.window.from())?;
        candidate(trouble, target, growth, (&node, reached))
    };
    trouble.known.processes.all().filter_map(of_target).collect()
}

fn candidate(
    trouble: &Trouble,
    target: &Target,
    growth: Growth,
    (node, reached): (&Entity, &Reached),
) -> Option<Candidate> {
    let process = target.running.as_ref()?;
    let entity = trouble.known.topology.resolve(&target.entity);
    let mut candidate = Candidate::new(CauseKind::Leak, &entity, node, growth.since);
    candidate.process = Some(process.clone());
    let (pid, name) = (process.pid, &target.name);
    let mebibytes = |bytes: u64| ByteSize::mib(bytes >> 20);
    let sizes =
        format!("{}, {} at {}", mebibytes(growth.to), mebibytes(growth.from), growth.since.clock());
    let words = format!(
        "process {pid} of target {name} holds {sizes}, more in each of {} looks",
        growth.looks
    );
    candidate.line(Part::MemoryGrows, EvidenceKind::Process, growth.until, words);
    add_leads(&mut candidate, trouble, node, reached);
    if reached.is_deepest() {
        add_slowdown(&mut candidate, trouble, &entity, growth);
    } else {
        let onwards: Vec<String> = reached.onwards.iter().map(Entity::to_string).collect();
        let words = format!("the trouble leads on from {node} to {}", onwards.join(", "));
        candidate.line(Part::LeadsOn, EvidenceKind::Topology, trouble.window.now, words);
    }
    if surge::rise(trouble, node).is_some() {
        let words = format!("{node} is asked for at least twice as much as before");
        candidate.line(Part::Surged, EvidenceKind::Calls, trouble.window.now, words);
    }
    candidate.summary = format!("the memory of {entity} only grows: process {pid} holds {sizes}");
    Some(candidate)
}

/// Whether its own requests got worse as it grew.
fn add_slowdown(candidate: &mut Candidate, trouble: &Trouble, entity: &Entity, growth: Growth) {
    let key = [match entity.kind {
        EntityKind::Instance => SeriesKey::Instance(entity.clone()),
        _ => SeriesKey::Service(entity.clone()),
    }];
    let now = trouble.window.now;
    let third = now.since(growth.since) / 3;
    let figures = &trouble.known.figures;
    let first = figures.sum(&key, growth.since, growth.since + third);
    let last = figures.sum(&key, now - third, Timestamp(u64::MAX));
    let (Some(then), Some(lately)) = (first.mean_seconds(), last.mean_seconds()) else { return };
    let slows = lately >= SLOWER_MIN * then && lately - then >= SLOWER_MIN_SECONDS;
    if slows || comparison::fails_more(&first, &last) {
        let (then, lately) = (wording::served(&first), wording::served(&last));
        let words = format!("{entity} got worse as it grew: at first {then}; lately {lately}");
        candidate.line(Part::WorseAsItGrows, EvidenceKind::Instance, now, words);
        return;
    }
    let before = trouble.window.before(trouble.known, &key);
    let during = trouble.window.during(trouble.known, &key);
    if comparison::worse(&before, &during).is_none() {
        let words = format!("its own requests go as before: {}", wording::served(&during));
        candidate.line(Part::ItselfWell, EvidenceKind::Instance, now, words);
    }
}
