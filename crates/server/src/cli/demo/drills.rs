//! The drills that ship, one file each, and what is drawn of them: order, victim, intensity, onset.
//!
//! All is drawn before anything is started, because a target declares its faults, intensities
//! included, in the configuration. Reading order: `Spec` (a drill that ships), `Aim` (the same,
//! drawn), `Act` (its place in a demo).

mod bad_deploy;
mod crash;
mod leak;
mod provider_down;
mod slow_instance;
mod spare_killed;
mod surge;

use std::time::Duration;

use agent::config::{Command, FaultCommand};
use clap::builder::PossibleValue;
use model::CauseKind;
use model::experiment::{Decision, Fault};
use model::human::HumanDuration;

use super::chances::Chances;
use super::layout::Layout;
use super::names::Role;

pub(super) const ALL: &[Spec] = &[
    crash::SPEC,
    slow_instance::SPEC,
    leak::SPEC,
    bad_deploy::SPEC,
    provider_down::SPEC,
    surge::SPEC,
    spare_killed::SPEC,
];

/// Seconds of traffic without any fault before a drill, which then waits for 10 s of its steady
/// state by itself.
const HEALTHY_SECONDS: (u64, u64) = (5, 15);
/// What operators' commands get at most: the catalog has two instances to replace.
const COMMAND_WITHIN: Duration = Duration::from_secs(50);

/// A drill that ships.
pub(super) struct Spec {
    pub id: &'static str,
    pub documentation: &'static str,
    /// What is right to do.
    pub expect: Decision,
    pub draw: fn(&Layout, &mut Chances) -> Aim,
}

/// A drill, drawn.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    /// What happens, one line: `payment-1 is killed`.
    pub title: String,
    /// A configured target.
    pub target: String,
    pub fault: Fault,
    /// The commands of the fault, where it is one that the target declares.
    pub declares: Option<FaultCommand>,
    /// Whose failure hurts whom.
    pub role: Role,
    /// For how long at most is watched. What is to be healed ends earlier.
    pub observe: Duration,
    /// What should come first, and of what.
    pub cause: Option<(CauseKind, String)>,
    /// What is right, in words that go on after "to".
    pub right: String,
    /// What a second look saw, when the fault took effect.
    pub seen: String,
    /// Parts that are started anew when all goes well, and how often.
    pub starts: Vec<(String, u64)>,
    /// An instance that healing takes out of rotation, and that a person puts back afterwards.
    pub put_back: Option<String>,
}

/// A drill in its place.
#[derive(Clone)]
pub(super) struct Act {
    /// From 1.
    pub number: usize,
    pub spec: &'static Spec,
    pub aim: Aim,
    /// Traffic without any fault before the drill is started.
    pub healthy_for: Duration,
}

/// Which drills a demo plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// These, as they are given.
    Named(Vec<String>),
    /// So many: round after round of all that ship, each in an order of its own.
    Count(usize),
}

/// Draws all that a demo plays.
pub(super) fn draw(choice: &Choice, layout: &Layout, chances: &mut Chances) -> Vec<Act> {
    let mut chosen: Vec<&'static Spec> = match choice {
        Choice::Named(names) => names.iter().filter_map(|name| spec(name)).collect(),
        Choice::Count(_) => Vec::new(),
    };
    if let Choice::Count(count) = choice {
        while chosen.len() < *count {
            let mut round: Vec<&'static Spec> = ALL.iter().collect();
            chances.shuffle(&mut round);
            chosen.extend(round);
        }
        chosen.truncate(*count);
    }
    let numbered = (1..).zip(chosen);
    let acts = numbered.map(|(number, spec)| {
        let healthy = chances.between(HEALTHY_SECONDS.0, HEALTHY_SECONDS.1);
        let healthy_for = Duration::from_secs(healthy);
        Act { number, spec, aim: (spec.draw)(layout, chances), healthy_for }
    });
    acts.collect()
}

/// For the help of the command line.
pub(super) fn names() -> Vec<PossibleValue> {
    ALL.iter().map(|spec| PossibleValue::new(spec.id).help(spec.documentation)).collect()
}

fn spec(id: &str) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.id == id)
}

fn command(line: Vec<String>) -> Command {
    Command {
        command: line,
        timeout: HumanDuration(COMMAND_WITHIN),
        directory: None,
        environment: Default::default(),
        undo: None,
    }
}

#[cfg(test)]
mod tests;
