//! Disk: a file system of a target has no room left, and calls to the target fail.
//!
//! An agent looked at the file system. Little room alone hurts nobody: calls that lead there have
//! to fail, or its own users to be hurt. One that has had little room for long and is not full did
//! no harm until then, so it stays below the confidence that names a cause.

use model::incident::EvidenceKind;
use model::{CauseKind, Entity};

use super::{Spec, add_leads, add_with_trouble};
use crate::conditions::{Disks, Room};
use crate::leads::Harm;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Disk,
    title: "No room on a disk",
    documentation: "An agent saw that a file system of a target has little or no room left, \
                    and calls to the target fail, or its own users are hurt.",
    propose,
};

const MIB: f64 = 1024.0 * 1024.0;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let known = trouble.known;
    let mut candidates = Vec::new();
    for disks in known.conditions.disks(trouble.window.now) {
        let node = known.topology.node(&disks.entity);
        let Some(reached) = trouble.reached.get(&node) else { continue };
        let fails = matches!(reached.best_harm(), Some(Harm::Fails | Harm::Missing));
        if fails || trouble.hurt.contains_key(&node) {
            candidates.extend(candidate(trouble, disks, &node, reached));
        }
    }
    candidates
}

fn candidate(
    trouble: &Trouble,
    disks: &Disks,
    node: &Entity,
    reached: &Reached,
) -> Option<Candidate> {
    let (disk, room, since) = disks.shortest()?;
    let (part, what) = match room {
        Room::Full => (Part::DiskFull, "is full"),
        Room::Low => (Part::DiskLow, "is nearly full"),
        Room::Enough => return None,
    };
    let mut candidate = Candidate::new(CauseKind::Disk, &disks.entity, node, since);
    let free = format!(
        "{} of {} MiB are free ({})",
        wording::number((disk.free_bytes as f64 / MIB).floor()),
        wording::number((disk.bytes as f64 / MIB).floor()),
        wording::percent(disk.free_share())
    );
    let words = format!(
        "agent: the file system of {} (target {}) {what}: {free}, little since {}",
        disk.folder,
        disks.target,
        since.clock()
    );
    candidate.line(part, EvidenceKind::Condition, disks.at, words);
    add_with_trouble(&mut candidate, trouble, since);
    add_leads(&mut candidate, trouble, node, reached);
    candidate.summary = format!("a disk of {node} {what}: {free}");
    Some(candidate)
}
