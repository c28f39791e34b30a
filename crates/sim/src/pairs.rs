//! Twins of decisions: a fault that healing is right for, and the same without what makes it right.
//!
//! Whoever always acts, or never does, is right half of the time by chance. So a decision counts
//! here only together with its contrary: the same fault in the same moment where nothing may be
//! done to what broke (a person has to be called), or so small that it hurts nobody (nobody is to
//! be woken, nothing touched). A pair is right when both decisions are.

use serde::Serialize;

use crate::episode::{self, Episode};
use crate::fault::{Family, Fault, Remedy};
use crate::session::Session;
use crate::world::World;

/// How the twin of a fault differs from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contrary {
    /// Nothing may be done.
    Forbidden,
    /// It hurts nobody.
    Harmless,
}

/// A fault and its twin.
#[derive(Clone, Debug)]
pub struct Pair {
    pub contrary: Contrary,
    pub twin: Episode,
    pub is_right: bool,
}

impl Contrary {
    pub const ALL: &[Contrary] = &[Contrary::Forbidden, Contrary::Harmless];

    pub fn as_str(self) -> &'static str {
        match self {
            Contrary::Forbidden => "forbidden",
            Contrary::Harmless => "harmless",
        }
    }
}

/// Twins of a fault that was played from `session` on; none where healing was not right, or where
/// it hurt nobody.
pub fn run(session: &Session, fault: &Fault, healed: &Episode) -> Vec<Pair> {
    if !matches!(fault.remedy, Remedy::Act(_)) || healed.hurt_after.is_none() {
        return Vec::new();
    }
    let mut twin = session.clone();
    twin.forbid(fault.node);
    let same = Fault { remedy: Remedy::Escalate, ..fault.clone() };
    let twin = episode::run(twin, &same, true);
    let is_right = healed.right_decision && twin.right_decision;
    let mut pairs = vec![Pair { contrary: Contrary::Forbidden, twin, is_right }];
    if let Some(harmless) = fault.harmless(&session.world) {
        let twin = episode::run(session.clone(), &harmless, true);
        // What hurts after all is no twin.
        if twin.hurt_after.is_none() {
            let is_right = healed.right_decision && !twin.is_paged && twin.orders == 0;
            pairs.push(Pair { contrary: Contrary::Harmless, twin, is_right });
        }
    }
    pairs
}

impl Fault {
    /// The same kind of trouble, so small that nobody should feel it.
    fn harmless(&self, world: &World) -> Option<Fault> {
        /// Of requests; a fifth of what the default objective allows.
        const SHARE: f64 = 0.002;
        /// Others take over for one of so many at once.
        const COPIES: usize = 3;
        let small = Fault { remedy: Remedy::LeaveAlone, ..self.clone() };
        match self.family {
            Family::Crash | Family::CrashOfOne => {
                let copies = world.rotation(self.node);
                let is_noticed = world.fleet.drops_dead_after.is_some_and(|after| after <= 8);
                let one = copies.first().filter(|_| copies.len() >= COPIES && is_noticed)?;
                Some(Fault { family: Family::CrashOfOne, copies: vec![*one], ..small })
            }
            Family::BadDeploy
            | Family::DelayedDeploy
            | Family::BadConfiguration
            | Family::ClockSkew
            | Family::Descriptors => Some(Fault { magnitude: SHARE, ..small }),
            _ => None,
        }
    }
}
