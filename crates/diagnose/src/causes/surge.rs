//! Surge: users ask for much more than before, and what serves them does not keep up.
//!
//! Named where the requests of a service that users ask (no other service is known to call it) at
//! least doubled before they were hurt. Users who are served are no trouble, whatever their number,
//! so this is never looked for without harm. There is no remedy but more capacity.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::{BUCKET, SeriesKey};
use model::{CauseKind, Entity, EntityKind, Timestamp};

use super::{Spec, add_leads};
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};

pub const SPEC: Spec = Spec {
    id: CauseKind::Surge,
    title: "More than it can serve",
    documentation: "Users ask at least twice as much as before, and are hurt since. No remedy is \
                    for it but more capacity.",
    propose,
};

/// So many times the requests of before are a surge.
const RISE_MIN: f64 = 2.0;
/// And so many standard deviations of a Poisson number.
const DEVIATIONS_MIN: f64 = 5.0;
/// The rate of before is known after this.
const KNOWN_MIN: Duration = Duration::from_secs(60);
/// A surge that began so long before the harm did not cause it by itself.
const BEFORE_ONSET: Duration = Duration::from_secs(120);

/// How the requests of a service rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Per second.
    pub before: f64,
    pub during: f64,
    pub since: Timestamp,
}

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let topology = &trouble.known.topology;
    let is_entry = |node: &&Entity| {
        // One that is called back by what it calls is an entry all the same.
        let depends_on = topology.depends_on(node);
        node.kind == EntityKind::Service
            && topology.callers(node).all(|caller| depends_on.contains(caller))
    };
    let entries = trouble.reached.keys().filter(is_entry);
    let risen = entries.filter_map(|entry| Some((entry, rise(trouble, entry)?)));
    let most = risen.max_by(|(_, a), (_, b)| a.during.total_cmp(&b.during));
    most.and_then(|(entry, rise)| candidate(trouble, entry, rise)).into_iter().collect()
}

/// How the requests of `node` rose when the trouble began, or before; by its own retries and those
/// of its users alone they do not double.
pub fn rise(trouble: &Trouble, node: &Entity) -> Option<Rise> {
    let window = trouble.window;
    let key = [SeriesKey::Service(node.clone())];
    let quiet_end = window.calm_end() - BEFORE_ONSET;
    let quiet = trouble.known.figures.sum(&key, window.before_from(), quiet_end);
    let length = quiet_end.since(quiet.first_bucket?);
    if length < KNOWN_MIN {
        return None;
    }
    let before = quiet.total / length.as_secs_f64();
    if before <= 0.0 {
        return None;
    }
    let buckets = trouble.known.figures.totals(&key[0], window.from() - BEFORE_ONSET);
    // The last bucket is not whole, telemetry lags, and what hangs has not ended: all of that
    // makes the rise look smaller.
    let expected = |start: Timestamp| {
        before * window.now.since(start).clamp(Duration::from_secs(1), BUCKET).as_secs_f64()
    };
    let is_more = |(start, total): &&(Timestamp, f64)| {
        let expected = expected(*start);
        *total >= RISE_MIN * expected && total - expected >= DEVIATIONS_MIN * expected.sqrt()
    };
    let more: Vec<&(Timestamp, f64)> = buckets.iter().filter(is_more).collect();
    let (since, _) = more.first()?;
    // It began before they were hurt, and goes on while they are: one full bucket of many is none.
    let from_then = buckets.iter().filter(|(start, _)| start >= since).count();
    let goes_on = more.last().is_some_and(|(start, _)| *start >= window.from());
    if *since > window.from() || !goes_on || 2 * more.len() < from_then {
        return None;
    }
    let sum: f64 = more.iter().map(|(_, total)| total).sum();
    let during = sum * before / more.iter().map(|(start, _)| expected(*start)).sum::<f64>();
    Some(Rise { before, during, since: *since })
}

fn candidate(trouble: &Trouble, entry: &Entity, rise: Rise) -> Option<Candidate> {
    let mut candidate = Candidate::new(CauseKind::Surge, entry, entry, rise.since);
    let rates = format!("{:.1} requests/s, {:.1} before", rise.during, rise.before);
    let words = format!("users ask {entry} for {rates}, since {}", rise.since.clock());
    candidate.line(Part::TrafficRose, EvidenceKind::Calls, rise.since, words);
    let (end, reached) = ends(trouble, entry)?;
    add_leads(&mut candidate, trouble, end, reached);
    candidate.depth = 0;
    if end != entry && self::rise(trouble, end).is_some() {
        let words = format!("{end}, where the trouble ends, is asked for as much more");
        candidate.line(Part::RoseThere, EvidenceKind::Calls, trouble.window.now, words);
    }
    candidate.summary = format!("users ask {entry} for {rates}");
    Some(candidate)
}

/// Where the trouble of `entry` ends.
fn ends<'a>(trouble: &'a Trouble, entry: &Entity) -> Option<(&'a Entity, &'a Reached)> {
    let depends_on = trouble.known.topology.depends_on(entry);
    let of_entry = trouble.reached.iter().filter(|(node, reached)| {
        reached.is_deepest() && (*node == entry || depends_on.contains(*node))
    });
    of_entry.max_by_key(|(_, reached)| reached.depth)
}
