//! The walk from those who are hurt along calls that got worse to what is worst off furthest down.
//!
//! Breadth first from each hurt node to its callees, over edges with a lead. A node without a lead
//! onwards is *deepest*: what is wrong there is not explained by what it calls. Bounded in depth
//! and nodes; circles are walked once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::tick::{BUCKET, SeriesKey};
use model::{Entity, SymptomKind, Timestamp};

use crate::failure;
use crate::known::Known;
use crate::leads::{self, Doubt, Harm, Lead, Window};
use crate::pieces::Rule;

const DEPTH_MAX: u32 = 8;
const REACHED_MAX: usize = 200;
/// A service that serves less than this share of what it used to is perhaps no longer asked.
const SERVES_SHARE: f64 = 0.5;

/// Who is hurt, since when: what a search for causes starts from.
#[derive(Clone, Debug)]
pub struct Trouble<'a> {
    pub known: &'a Known,
    pub window: Window,
    /// Onset of the incident's first harm; earlier than the window's after a relapse.
    pub first_onset: Timestamp,
    /// When Immune opened the incident: its own actions came after.
    pub opened: Timestamp,
    /// When users were well again for a while, before they were hurt again.
    pub well_before: Option<Timestamp>,
    /// Nodes with a symptom, and which.
    pub hurt: BTreeMap<Entity, BTreeSet<SymptomKind>>,
    pub reached: BTreeMap<Entity, Reached>,
}

/// A node on the failing path.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    pub depth: u32,
    /// How it was reached; none for a node that is hurt itself and that nobody's failing calls lead
    /// to.
    pub leads: Vec<Lead>,
    /// Nodes that it calls and whose calls surely got worse.
    pub onwards: Vec<Entity>,
}

impl Reached {
    pub fn is_deepest(&self) -> bool {
        self.onwards.is_empty()
    }

    /// All that leads here are calls that may be missing by their callers' own doing.
    pub fn is_doubtful(&self) -> bool {
        !self.leads.is_empty() && self.leads.iter().all(|lead| lead.doubt.is_some())
    }

    /// The worst lead: failing before missing before slow, then most failures.
    pub fn best_harm(&self) -> Option<Harm> {
        self.leads.iter().map(|lead| lead.harm).min()
    }
}

impl<'a> Trouble<'a> {
    pub fn walk(
        known: &'a Known,
        window: Window,
        hurt: BTreeMap<Entity, BTreeSet<SymptomKind>>,
        (first_onset, opened): (Timestamp, Timestamp),
    ) -> Self {
        let reached = BTreeMap::new();
        let well_before = None;
        let mut trouble =
            Trouble { known, window, first_onset, opened, well_before, hurt, reached };
        let mut queue = VecDeque::new();
        for node in trouble.hurt.keys() {
            trouble.reached.insert(node.clone(), Reached::default());
            queue.push_back(node.clone());
        }
        while let Some(node) = queue.pop_front() {
            let depth = trouble.reached.get(&node).map_or(0, |reached| reached.depth);
            if depth < DEPTH_MAX {
                for lead in trouble.leads_from(&node) {
                    trouble.follow(&node, lead, depth + 1, &mut queue);
                }
            }
        }
        trouble
    }

    /// Deepest nodes, those with failing calls first, then the furthest from the hurt.
    pub fn deepest(&self) -> Option<(&Entity, &Reached)> {
        self.reached.iter().min_by_key(|(node, reached)| {
            let is_doubtful = reached.is_doubtful() && !self.hurt.contains_key(*node);
            let harm = reached.best_harm().map_or(4, |harm| harm as u8);
            (!reached.is_deepest() || is_doubtful, harm, u32::MAX - reached.depth, (*node).clone())
        })
    }

    /// Calls of `node`, which hangs, that do not end either, or are not made.
    pub fn hanging_calls(&self, node: &Entity) -> Vec<&Lead> {
        let leads = self.reached.values().flat_map(|reached| &reached.leads);
        leads.filter(|it| it.doubt == Some(Doubt::Hangs) && it.caller == *node).collect()
    }

    fn follow(&mut self, from: &Entity, lead: Lead, depth: u32, queue: &mut VecDeque<Entity>) {
        let callee = lead.callee.clone();
        if !self.reached.contains_key(&callee) {
            if self.reached.len() >= REACHED_MAX {
                return;
            }
            self.reached.insert(callee.clone(), Reached { depth, ..Reached::default() });
            queue.push_back(callee.clone());
        }
        // A caller that hangs may hang by itself: only a callee that is hurt too leads on. One
        // that asks for what cannot be is wrong by itself.
        let leads_on = match lead.doubt {
            Some(_) => self.hurt.contains_key(&callee),
            None => !(lead.is_callers_doing() && self.known.follows(Rule::RefusedStatement)),
        };
        if let Some(reached) = self.reached.get_mut(&callee) {
            reached.leads.push(lead);
        }
        if let Some(reached) = self.reached.get_mut(from).filter(|_| leads_on) {
            reached.onwards.push(callee);
        }
    }

    fn leads_from(&self, caller: &Entity) -> Vec<Lead> {
        let (known, window) = (self.known, self.window);
        let callees: Vec<&Entity> = known.topology.callees(caller).map(|(node, _)| node).collect();
        let mut found: Vec<Lead> =
            callees.iter().filter_map(|node| leads::failing(known, window, caller, node)).collect();
        if found.is_empty() {
            // What comes after a failing call is not called any more: missing calls only tell
            // something when no call fails.
            let hangs = self.has(SymptomKind::Stalled) && self.can_tell_of_missing(caller);
            found = callees
                .iter()
                .filter_map(|node| leads::missing(known, window, (caller, node), hangs))
                .map(|lead| Lead { doubt: self.doubt(caller), ..lead })
                .collect();
        }
        if self.has(SymptomKind::LatencyBurn) || self.has(SymptomKind::Stalled) {
            let slow: Vec<Lead> = callees
                .iter()
                .filter(|node| !found.iter().any(|lead| lead.callee == ***node))
                .filter_map(|node| leads::slow(known, window, caller, node))
                .collect();
            found.extend(slow);
        }
        found
    }

    /// Why calls that `caller` does not make may be of its own doing.
    fn doubt(&self, caller: &Entity) -> Option<Doubt> {
        if self.is_stalled(caller) {
            return Some(Doubt::Hangs);
        }
        let served = [SeriesKey::Service(caller.clone())];
        let during = self.window.during(self.known, &served);
        if failure::is_refused(&during) {
            return Some(Doubt::Refuses);
        }
        let is_missed = |lead: &Lead| lead.harm == Harm::Missing;
        let leads = self.reached.get(caller).map(|reached| &reached.leads);
        let is_missing = leads.is_some_and(|it| !it.is_empty() && it.iter().all(is_missed));
        let before = self.window.before(self.known, &served);
        let serves_less = during.total < SERVES_SHARE * before.total * self.window.growth();
        (is_missing && serves_less && !self.hurt.contains_key(caller)).then_some(Doubt::NotAsked)
    }

    /// Silence is no proof that calls are not made: unless it is hurt itself, the caller must have
    /// been heard since.
    fn can_tell_of_missing(&self, caller: &Entity) -> bool {
        let since = self.window.onset + BUCKET;
        let heard = self.known.heard.get(caller);
        self.hurt.contains_key(caller) || heard.is_some_and(|heard| heard.last > since)
    }

    fn is_stalled(&self, node: &Entity) -> bool {
        self.hurt.get(node).is_some_and(|kinds| kinds.contains(&SymptomKind::Stalled))
    }

    fn has(&self, kind: SymptomKind) -> bool {
        self.hurt.values().any(|kinds| kinds.contains(&kind))
    }
}
