//! Used up: something of which there is only so much is used up, since the trouble began.
//!
//! Telemetry tells of it: a pool of connections, processors, memory, a file system. What is always
//! used up did no harm until then, so it must have become so with the trouble. And much uses it up
//! that is not the matter itself: what is called got slow, or users ask for more; each of these
//! speaks against it. A change that asks for more is named in its place (`assess`).

use std::time::Duration;

use model::incident::EvidenceKind;
use model::level::Resource;
use model::{CauseKind, Entity, EntityKind, Timestamp};

use super::super::{add_leads, surge};
use crate::levels::Known;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

/// It was used up at most so long before the harm began …
const BEFORE_ONSET: Duration = Duration::from_secs(180);
/// … and was told of at most so long after: metrics come each minute.
const AFTER_ONSET: Duration = Duration::from_secs(90);

/// Saturation by what is used up, one for each service.
pub fn candidates(trouble: &Trouble) -> Vec<Candidate> {
    let known = trouble.known;
    let mut candidates: Vec<Candidate> = Vec::new();
    for level in known.levels.full(trouble.window.now) {
        let node = known.topology.node(&level.last.key.entity);
        let Some(reached) = trouble.reached.get(&node) else { continue };
        let Some((before, since)) = level.full.as_ref() else { continue };
        if !in_time(trouble, before.as_ref().map(|level| level.at), *since) {
            continue;
        }
        let candidate = candidate(trouble, level, (&node, reached), *since);
        // Of several that are used up in one service the surest is told.
        let same = candidates.iter_mut().find(|one| one.entity == candidate.entity);
        match same {
            Some(one) if one.confidence() >= candidate.confidence() => {}
            Some(one) => *one = candidate,
            None => candidates.push(candidate),
        }
    }
    candidates
}

/// Puts what is used up beside what piles up for it.
pub fn explain(piled: &mut Candidate, used_up: Candidate) {
    let own = [Part::UsedUp, Part::WithTrouble];
    piled.lines.extend(used_up.lines.into_iter().filter(|(part, _)| own.contains(part)));
    piled.summary = format!("{}; {}", used_up.summary, piled.summary);
}

/// It became so between the reading before and the first that says so.
fn in_time(trouble: &Trouble, before: Option<Timestamp>, since: Timestamp) -> bool {
    let onset = trouble.window.onset;
    before.is_some_and(|before| before <= onset + AFTER_ONSET)
        && since + BEFORE_ONSET >= onset
        && since <= onset + AFTER_ONSET
}

fn candidate(
    trouble: &Trouble,
    level: &Known,
    (node, reached): (&Entity, &Reached),
    since: Timestamp,
) -> Candidate {
    let (last, key) = (&level.last, &level.last.key);
    let mut candidate = Candidate::new(CauseKind::Saturation, node, node, since);
    let waiting = last.waiting.filter(|waiting| *waiting > 0.0);
    let waiting = waiting
        .map(|waiting| format!(", {} wait for it", wording::number(waiting)))
        .unwrap_or_default();
    let used = match key.resource {
        Resource::Pool => format!(
            "{} of {} are taken{waiting}",
            wording::number(last.used),
            wording::number(last.limit)
        ),
        _ => format!("{} is used", wording::percent(last.share())),
    };
    let before = level.full.as_ref().and_then(|(before, _)| before.as_ref());
    let before = before.map_or_else(String::new, |before| {
        format!(", {} before", wording::percent(before.share()))
    });
    let what = format!("{} of {}", key.what(), key.entity);
    let words = format!("{what}: {used} since {}{before}", since.clock());
    candidate.line(Part::UsedUp, EvidenceKind::Instance, last.at, words);
    let words = format!("it began at {}, with the trouble", since.clock());
    candidate.line(Part::WithTrouble, EvidenceKind::Instance, since, words);
    add_leads(&mut candidate, trouble, node, reached);
    speak_against(&mut candidate, trouble, node, reached);
    candidate.summary = format!("{what} is used up: {used}");
    candidate
}

fn speak_against(candidate: &mut Candidate, trouble: &Trouble, node: &Entity, reached: &Reached) {
    let now = trouble.window.now;
    if !reached.is_deepest() {
        let onwards: Vec<String> = reached.onwards.iter().map(Entity::to_string).collect();
        let words = format!("what {node} calls got worse as well: {}", onwards.join(", "));
        candidate.line(Part::LeadsOn, EvidenceKind::Topology, now, words);
    }
    if node.kind == EntityKind::Service && surge::rise(trouble, node).is_some() {
        let words = format!("{node} is asked for at least twice as much as before");
        candidate.line(Part::Surged, EvidenceKind::Calls, now, words);
    }
}
