//! What if: each fault that could strike a system, at several moments of its life.
//!
//! A fault strikes an entity that at least a quarter of users' requests need, as in the fleets
//! that are drawn: of others the fault would be a matter of luck. At each moment the ordinary life
//! of the system is another one, and so is the hour of the week.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::episode::{self, Episode};
use crate::fault::{Family, Fault, Remedy, Size};
use crate::random::Random;
use crate::simulate::{Note, Plan, WARM_UP, session};
use crate::world::World;

/// Fault and entity are drawn together; so often for each entity that could be struck.
const DRAWS_PER_NODE: usize = 12;
/// A moment comes so long after latency limits were learned, and when nobody is hurt anyway.
const LATER: (f64, f64) = (0.0, 1_800.0);
const CALM_WITHIN: u64 = 900;

/// What each fault would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WhatIf {
    pub seed: u64,
    /// Moments at which each was tried.
    pub moments: usize,
    /// By family, then entity.
    pub cases: Vec<Case>,
}

/// One kind of fault of one entity, at all moments together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Case {
    pub family: &'static str,
    pub entity: String,
    pub tried: usize,
    /// Users felt it: what is noticed, done and healed is counted of these, and what is right of
    /// those that were noticed.
    pub hurt: usize,
    pub noticed: usize,
    /// Seconds from users' figures leaving the target to the page, the median.
    pub noticed_after_s: Option<u64>,
    /// A page although nobody was off target, among those that users did not feel.
    pub false_pages: usize,
    /// The right cause was the first, a minute after the page.
    pub right_cause: usize,
    /// A wrong cause was, with confidence.
    pub wrong_cause: usize,
    /// Healed as is right, passed on to a person where nothing allowed helps, or left alone.
    pub right_decision: usize,
    /// Users were well five minutes after the page, or ten after a harm that nobody noticed.
    pub healed: usize,
    pub harmful_actions: usize,
    /// What was done first, noticed or not, each with how often: an action, `call` (a person), or
    /// `nothing`.
    pub done: BTreeMap<&'static str, usize>,
    /// The first cause of the last time, in words.
    pub said: String,
}

/// Tries them all; `note` is told on the way. The same plan gives the same answer.
pub fn what_if(plan: &Plan, moments: usize, mut note: impl FnMut(Note)) -> WhatIf {
    let root = Random::new(plan.seed);
    let mut episodes: BTreeMap<(usize, String), Vec<Episode>> = BTreeMap::new();
    let families: Vec<Family> = Family::DEVELOPMENT.iter().chain(Family::SEALED).copied().collect();
    for moment in 0..moments {
        let random = root.stream(2_000_000 + moment as u64);
        let mut draw = random.stream(53);
        let (low, high) = LATER;
        let at = WARM_UP + draw.between(low, high) as u64;
        let mut session = session(plan, &random, at + CALM_WITHIN);
        while session.second() < at || !session.is_calm() && session.second() < at + CALM_WITHIN {
            session.step();
        }
        note(Note::Simulated { seconds: session.second() });
        for (number, family) in families.iter().enumerate() {
            for (node, fault) in faults(&session.world, *family, &mut draw) {
                let episode = episode::run(session.clone(), &fault, true);
                note(Note::Fault { fleet: moment, episode: episode.clone() });
                let name = session.world.fleet.nodes[node].name.clone();
                episodes.entry((number, name)).or_default().push(episode);
            }
        }
    }
    let case = |((family, entity), episodes): ((usize, String), Vec<Episode>)| {
        Case::of(families[family].as_str(), entity, &episodes)
    };
    WhatIf { seed: plan.seed, moments, cases: episodes.into_iter().map(case).collect() }
}

/// One fault of the family for each entity that it could strike.
fn faults(world: &World, family: Family, draw: &mut Random) -> BTreeMap<usize, Fault> {
    let mut faults = BTreeMap::new();
    for _ in 0..DRAWS_PER_NODE * world.fleet.nodes.len() {
        let Some(mut fault) = Fault::draw(world, family, Size::Any, draw) else { continue };
        if let Remedy::Act(actions) = fault.remedy
            && !actions.iter().any(|action| is_allowed(world, fault.node, action))
        {
            fault.remedy = Remedy::Escalate;
        }
        faults.entry(fault.node).or_insert(fault);
    }
    faults
}

fn is_allowed(world: &World, node: usize, action: &str) -> bool {
    let only = world.fleet.only.get(&node);
    only.is_none_or(|only| only.iter().any(|kind| kind.id() == action))
}

impl Case {
    fn of(family: &'static str, entity: String, episodes: &[Episode]) -> Case {
        let hurt: Vec<&Episode> =
            episodes.iter().filter(|episode| episode.hurt_after.is_some()).collect();
        let mut delays: Vec<u64> = hurt.iter().filter_map(|one| one.paged_after).collect();
        delays.sort_unstable();
        let count = |is: &dyn Fn(&Episode) -> bool| {
            hurt.iter().filter(|one| one.paged_after.is_some() && is(one)).count()
        };
        let mut done = BTreeMap::new();
        for one in &hurt {
            let first = match one.done.first() {
                Some(action) => action,
                None if one.called_human => "call",
                None => "nothing",
            };
            *done.entry(first).or_default() += 1;
        }
        Case {
            family,
            entity,
            tried: episodes.len(),
            hurt: hurt.len(),
            noticed: delays.len(),
            noticed_after_s: delays.get(delays.len().saturating_sub(1) / 2).copied(),
            false_pages: episodes.iter().filter(|one| one.false_page).count(),
            right_cause: count(&|one| one.first_right),
            wrong_cause: count(&|one| one.confident_wrong),
            right_decision: count(&|one| one.right_decision),
            healed: hurt.iter().filter(|one| one.healed).count(),
            harmful_actions: episodes.iter().map(|one| one.harmful_actions).sum(),
            done,
            said: hurt.last().map(|one| one.said.clone()).unwrap_or_default(),
        }
    }
}
