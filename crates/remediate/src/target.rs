//! A declared target: what the healer may act on, and how.
//!
//! Targets are declared once, in the configuration of the agent; the server hands the list over.
//! Nothing from telemetry ever becomes a target.

use model::human::HumanDuration;
use model::plan::Expectation;
use model::{ActionKind, Entity, Safety};
use serde::{Deserialize, Serialize};

/// One declared target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    /// The service, instance, database … that the target is.
    pub entity: Entity,
    /// What the target allows.
    pub actions: Vec<ActionKind>,
    /// Of these the ones that can be taken back, each with its counter-action.
    pub undos: Vec<(ActionKind, ActionKind)>,
    /// Has it a process of its own, which an agent looks at? A database behind an address has none.
    pub has_process: bool,
    /// Longest time that one action on it may take, as the executor enforces it.
    pub action_timeout: HumanDuration,
    /// It keeps data: acted upon only where the policy says so (G-15).
    pub stateful: bool,
}

impl Target {
    /// The declared counter-action, if there is one.
    pub fn undo(&self, kind: &ActionKind) -> Option<&ActionKind> {
        self.undos.iter().find(|(done, _)| done == kind).map(|(_, undo)| undo)
    }

    /// What an action on this target risks, as it stands now.
    pub fn safety(&self, kind: &ActionKind, expect: &Expectation) -> Safety {
        kind.safety(expect, self.undo(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures as f;

    #[test]
    fn what_is_gone_is_started_safely_and_what_has_an_undo_is_reversible() {
        let command = |name: &str| ActionKind::RunCommand { command: name.into() };
        let mut target = f::target("orders");
        target.undos.push((command("shed"), command("unshed")));
        let running = Expectation::Running(f::process(1));
        let gone = Expectation::Gone(f::process(1));
        let check = |kind: &ActionKind, expect, safety| {
            assert_eq!(target.safety(kind, expect), safety, "{kind}");
        };
        check(&ActionKind::Restart, &gone, Safety::StartsWhatIsGone);
        check(&ActionKind::Restart, &running, Safety::Irreversible);
        check(&command("shed"), &running, Safety::Reversible);
        check(&command("shed"), &gone, Safety::Reversible);
        check(&command("unshed"), &gone, Safety::Irreversible);
    }
}
