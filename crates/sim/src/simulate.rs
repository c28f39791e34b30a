//! A whole simulation: healthy hours of many fleets, a harmful twin of each hour, and faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::draw;
use crate::episode::{self, Episode};
use crate::fault::{Family, Fault, Size};
use crate::fleet::Fleet;
use crate::life::Life;
use crate::pairs::{self, Pair};
use crate::random::Random;
use crate::score::Report;
use crate::session::Session;
use crate::world::World;

const HOUR: u64 = 3_600;
/// A fleet is watched for so long, then comes another one.
const HOURS_PER_FLEET: u64 = 4;
/// Faults of one fleet, after so many seconds in which latency limits are learned.
const FAULTS_PER_FLEET: usize = 5;
pub(crate) const WARM_UP: u64 = 2_700;
const BETWEEN_FAULTS: (f64, f64) = (30.0, 600.0);

/// How often each family was drawn.
type Drawn = BTreeMap<Family, usize>;

/// What is to be simulated.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub seed: u64,
    /// Healthy hours, each with a harmful twin.
    pub hours: u64,
    pub faults: usize,
    /// Shapes and families of the sealed sets, instead of those for development.
    pub sealed: bool,
    /// Services of every fleet; `None`: drawn, 5 to 200.
    pub services: Option<usize>,
    pub fidelity: Fidelity,
    /// This fleet, instead of those that are drawn.
    pub fleet: Option<Arc<Fleet>>,
}

/// How what a fleet tells comes to the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fidelity {
    /// As points of ticks: fast.
    #[default]
    Ticks,
    /// As spans, metrics and logs, through the real observer.
    Spans,
}

/// What happened and is worth a line while a simulation runs.
#[derive(Clone, Debug)]
pub enum Note {
    /// A page in a healthy hour.
    Page {
        fleet: usize,
        second: u64,
        title: String,
        is_true: bool,
    },
    Twin {
        fleet: usize,
        episode: Episode,
    },
    Fault {
        fleet: usize,
        episode: Episode,
    },
    /// A fault without what makes healing right.
    Pair {
        fleet: usize,
        pair: Pair,
    },
    /// So many seconds of fleets were simulated.
    Simulated {
        seconds: u64,
    },
}

/// Runs it; `note` is told on the way. The same plan gives the same report.
pub fn simulate(plan: &Plan, mut note: impl FnMut(Note)) -> Report {
    let mut report = Report { seed: plan.seed, sealed: plan.sealed, ..Report::default() };
    let root = Random::new(plan.seed);
    let mut left = plan.hours;
    let mut drawn = Drawn::new();
    let mut fleet = 0;
    while left > 0 {
        let hours = left.min(HOURS_PER_FLEET);
        let random = root.stream(1_000 + fleet as u64);
        let into = (&mut report, &mut drawn);
        healthy(plan, &random, (fleet, hours), into, &mut note);
        left -= hours;
        fleet += 1;
    }
    report.bound_pages();
    let (mut episodes, mut pairs) = (Vec::new(), Vec::new());
    let (mut fleets, mut drawn) = (0, Drawn::new());
    while episodes.len() < plan.faults && fleets < 4 * plan.faults {
        let random = root.stream(1_000_000 + fleets as u64);
        let wanted = (plan.faults - episodes.len()).min(FAULTS_PER_FLEET);
        let into = (&mut episodes, &mut pairs, &mut drawn);
        faults(plan, &random, (fleets, wanted), into, &mut note);
        fleets += 1;
    }
    report.fleets = fleet + fleets;
    report.take_faults(&episodes, Family::of(plan.sealed));
    report.take_pairs(&pairs);
    report
}

/// Hours without a fault, each with a twin.
fn healthy(
    plan: &Plan,
    random: &Random,
    (fleet, hours): (usize, u64),
    (report, drawn): (&mut Report, &mut Drawn),
    note: &mut impl FnMut(Note),
) {
    let mut session = session(plan, random, hours * HOUR);
    let mut draw = random.stream(51);
    for hour in 0..hours {
        let twin_at = hour * HOUR + draw.between(600.0, HOUR as f64 - 1.0) as u64;
        while session.second() < (hour + 1) * HOUR {
            session.step();
            if session.second() != twin_at || !session.is_calm() {
                continue;
            }
            if let Some(fault) = draw_fault(&session, (plan.sealed, Size::Small), drawn, &mut draw)
            {
                let episode = episode::run(session.clone(), &fault, false);
                if episode.hurt_after.is_some() {
                    report.twins += 1;
                    report.twins_paged += usize::from(episode.paged_after.is_some());
                }
                note(Note::Twin { fleet, episode });
            }
        }
        note(Note::Simulated { seconds: HOUR });
    }
    report.hours += hours as f64;
    report.service_hours += (hours as usize * session.world.fleet.services()) as f64;
    report.harmful_actions += session.orders.len();
    for page in &session.pages {
        // What is not known yet of a page in the last minute counts as false.
        let is_true = page.is_true == Some(true);
        report.pages += usize::from(!is_true);
        report.true_pages += usize::from(is_true);
        let title = page.title.clone();
        note(Note::Page { fleet, second: page.second, title, is_true });
    }
}

/// Faults in copies of one fleet, each after some more of its life.
fn faults(
    plan: &Plan,
    random: &Random,
    (fleet, wanted): (usize, usize),
    (episodes, pairs, drawn): (&mut Vec<Episode>, &mut Vec<Pair>, &mut Drawn),
    note: &mut impl FnMut(Note),
) {
    let (_, longest) = BETWEEN_FAULTS;
    let length = WARM_UP + (wanted as u64 + 4) * longest as u64;
    let mut session = session(plan, random, length);
    let mut draw = random.stream(52);
    (0..WARM_UP).for_each(|_| session.step());
    for _ in 0..wanted {
        let (low, high) = BETWEEN_FAULTS;
        let pause = draw.between(low, high) as u64;
        (0..pause).for_each(|_| session.step());
        if !session.is_calm() {
            continue;
        }
        if let Some(fault) = draw_fault(&session, (plan.sealed, Size::Any), drawn, &mut draw) {
            let episode = episode::run(session.clone(), &fault, true);
            note(Note::Fault { fleet, episode: episode.clone() });
            for pair in pairs::run(&session, &fault, &episode) {
                note(Note::Pair { fleet, pair: pair.clone() });
                pairs.push(pair);
            }
            episodes.push(episode);
        }
    }
    note(Note::Simulated { seconds: session.second() });
}

pub(crate) fn session(plan: &Plan, random: &Random, seconds: u64) -> Session {
    let fleet = match (&plan.fleet, plan.services) {
        (Some(fleet), _) => Arc::clone(fleet),
        (None, Some(services)) => Arc::new(draw::fleet_of(random, plan.sealed, services)),
        (None, None) => Arc::new(draw::fleet(random, plan.sealed)),
    };
    let life = Life::new(&fleet, random, seconds);
    let mut world = World::new(fleet, random, life);
    if plan.fidelity == Fidelity::Spans {
        world.tell_in_spans();
    }
    Session::new(world, random)
}

/// A fault of one of the families that were drawn least often so far: how many fleets have a victim
/// differs much from family to family.
fn draw_fault(
    session: &Session,
    (sealed, size): (bool, Size),
    drawn: &mut Drawn,
    draw: &mut Random,
) -> Option<Fault> {
    let mut families: Vec<(usize, f64, Family)> = Family::of(sealed)
        .iter()
        .map(|family| (drawn.get(family).copied().unwrap_or(0), draw.uniform(), *family))
        .collect();
    families.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let fault = families
        .into_iter()
        .find_map(|(_, _, family)| Fault::draw(&session.world, family, size, draw))?;
    *drawn.entry(fault.family).or_default() += 1;
    Some(fault)
}
