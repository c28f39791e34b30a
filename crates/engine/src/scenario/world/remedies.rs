//! What remedies do to the system that a scenario plays, when its executor obeys.

use model::{ActionKind, Timestamp};

use super::super::parse::Step;
use super::{State, World};

/// What a scenario's targets allow.
pub(in crate::scenario) const OFFERED: &[ActionKind] =
    &[ActionKind::Restart, ActionKind::Rollback, ActionKind::Eject, ActionKind::Return];
/// And what a database does.
pub(in crate::scenario) const OFFERED_BY_DATABASE: &[ActionKind] = &[ActionKind::TerminateBlocker];

impl World {
    pub(in crate::scenario) fn remedy(&mut self, kind: &ActionKind, target: &str, now: Timestamp) {
        if *kind == ActionKind::TerminateBlocker {
            return self.looks.apply(&Step::Unlock(target.to_owned()), now);
        }
        let Some((_, instance)) = self.target(target) else { return };
        match kind {
            ActionKind::Rollback => self.roll_back(&instance, now),
            ActionKind::Eject => self.rotation(&instance).retain(|name| *name != instance),
            ActionKind::Return => {
                let rotation = self.rotation(&instance);
                if !rotation.contains(&instance) {
                    rotation.push(instance);
                }
            }
            _ => self.restart(&instance, now),
        }
    }

    /// A process is ended, if it runs, and begun anew.
    fn restart(&mut self, instance: &str, now: Timestamp) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.state = State::Stopped;
        }
        self.start(instance, now);
    }

    /// The instances that take calls of the service of this one.
    fn rotation(&mut self, instance: &str) -> &mut Vec<String> {
        let service = self.instances[instance].service.clone();
        &mut self.service(&service).balanced
    }

    /// Called before a deploy.
    pub(super) fn remember_version(&mut self, service: &str) {
        let of_service = self.instances.values().find(|instance| instance.service == service);
        if let Some(instance) = of_service {
            self.before.insert(service.to_owned(), instance.version.clone());
        }
    }

    /// Its service runs the version before, and with it ends what was wrong with it.
    fn roll_back(&mut self, instance: &str, now: Timestamp) {
        let service = self.instances[instance].service.clone();
        let Some(version) = self.before.get(&service).cloned() else { return };
        // The agent knows that what the command ends was to end.
        self.asked.insert(instance.to_owned());
        self.conducts.end(&service);
        self.hanging.remove(&service);
        // Whoever rolls back ends the deploy that is under way.
        let (ended, others) = std::mem::take(&mut self.rollouts)
            .into_iter()
            .partition::<Vec<_>, _>(|rollout| rollout.service == service);
        self.rollouts = others;
        for name in ended.into_iter().filter_map(|rollout| rollout.replacing) {
            self.start(&name, now);
        }
        self.apply(&Step::Deploy { who: service.clone(), version: version.clone() }, now);
        self.before.insert(service, version);
    }
}
