//! Faults of a target's own, and the disks that a drill may fill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::{COMMANDS_MAX, Command, Target};

/// A fault that the target knows how to bring about, and to take back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultCommand {
    pub inject: Command,
    /// May run at any time, more than once, and though `inject` did not run to its end.
    pub undo: Command,
    /// Ends with 0 while the fault is there, with anything else when it is not.
    pub check: Command,
}

impl FaultCommand {
    pub(super) fn commands_mut(&mut self) -> [&mut Command; 3] {
        [&mut self.inject, &mut self.undo, &mut self.check]
    }
}

impl Check {
    pub(super) fn faults(&mut self, path: &str, target: &Target) {
        if target.faults.len() > COMMANDS_MAX || target.disks.len() > COMMANDS_MAX {
            self.add(&format!("{path}.faults"), format!("more than {COMMANDS_MAX}"));
        }
        for (name, fault) in &target.faults {
            let path = format!("{path}.faults.{name}");
            self.name(&path, name);
            let FaultCommand { inject, undo, check } = fault;
            for (part, command) in [("inject", inject), ("undo", undo), ("check", check)] {
                self.declared(&format!("{path}.{part}"), command, target);
            }
        }
        if let Some(library) = &target.libfaketime {
            self.full(&format!("{path}.libfaketime"), library);
        }
        for (index, disk) in target.disks.iter().enumerate() {
            self.full(&format!("{path}.disks[{index}]"), disk);
        }
    }
}
