//! What may be named in a scenario: a name that nothing bears is a mistake, not a wish.

use std::collections::BTreeSet;

use super::{Need, ScenarioConfig, Step};

/// What may be named in a scenario: a name that nothing bears is a mistake, not a wish.
pub(super) struct Names<'a> {
    services: BTreeSet<&'a str>,
    instances: BTreeSet<String>,
    dependencies: BTreeSet<&'a str>,
    probes: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(
        edges: &'a [(String, String, Need)],
        instances: &'a [(String, Vec<String>)],
        config: &'a ScenarioConfig,
    ) -> Names<'a> {
        let ends = edges.iter().flat_map(|(from, to, _)| [from.as_str(), to.as_str()]);
        let (dependencies, called): (BTreeSet<_>, BTreeSet<_>) =
            ends.partition(|name| name.starts_with("db:"));
        let named = instances.iter().map(|(service, _)| service.as_str());
        let services: BTreeSet<&str> = called.into_iter().chain(named).collect();
        let mut all: BTreeSet<String> = services.iter().map(|name| format!("{name}-1")).collect();
        all.extend(instances.iter().flat_map(|(_, names)| names.iter().cloned()));
        let probes = config.detect.probes.iter().map(|probe| probe.name.as_str()).collect();
        Names { services, instances: all, dependencies, probes }
    }

    /// A service or an instance.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        match self.services.contains(name) || self.instances.contains(name) {
            true => Ok(()),
            false => Err(format!("there is no service or instance `{name}` in the topology")),
        }
    }

    fn check_database(&self, name: &str) -> Result<(), String> {
        match self.dependencies.contains(name) {
            true => Ok(()),
            false => Err(format!("there is no database `{name}` in the topology")),
        }
    }

    /// Something that an agent may look at, or that may be called.
    pub(super) fn check_callee(&self, name: &str) -> Result<(), String> {
        match name.starts_with("db:") {
            true => self.check_database(name),
            false => self.check(name),
        }
    }

    fn check_service(&self, name: &str) -> Result<(), String> {
        match self.services.contains(name) {
            true => Ok(()),
            false => Err(format!("there is no service `{name}` in the topology")),
        }
    }

    pub(super) fn check_step(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Crash(who)
            | Step::Stop(who)
            | Step::Start(who)
            | Step::Mute(who)
            | Step::Unmute(who)
            | Step::Leak { who, .. }
            | Step::Clock { who, .. }
            | Step::Halt(who)
            | Step::Unhalt(who)
            | Step::Hang(who)
            | Step::Unhang(who)
            | Step::Deploy { who, .. } => self.check(who),
            Step::Slow { who, .. } if who.starts_with("db:") => self.check_database(who),
            Step::DatabaseErrors { database: who, .. } | Step::Lock(who) | Step::Unlock(who) => {
                self.check_database(who)
            }
            Step::Errors { who, .. } | Step::Slow { who, .. } => match who.split_once('@') {
                Some((service, _)) => self.check_service(service),
                None => self.check(who),
            },
            Step::Delay { from, to, .. }
            | Step::Cut { from, to }
            | Step::Mend { from, to }
            | Step::Retries { from, to, .. } => {
                self.check_service(from)?;
                match to.starts_with("db:") {
                    true => self.check_database(to),
                    false => self.check_service(to),
                }
            }
            Step::Traffic { service, .. }
            | Step::Capacity { service, .. }
            | Step::Change { service, .. } => self.check_service(service),
            Step::Refuse { who, .. } | Step::Accept(who) | Step::Disk { who, .. } => {
                self.check_callee(who)
            }
            Step::Probe { name, .. } => match self.probes.contains(name.as_str()) {
                true => Ok(()),
                false => Err(format!("there is no probe `{name}` in the configuration")),
            },
            Step::Executor(_)
            | Step::Agent { .. }
            | Step::Away(_)
            | Step::Freeze
            | Step::Thaw
            | Step::Pause { .. }
            | Step::Resume(_)
            | Step::Approve(_)
            | Step::Deny(_)
            | Step::Close(_) => Ok(()),
        }
    }
}
