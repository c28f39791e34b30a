//! A fault of the target's own: a declared command, with a command that undoes it and one that
//! tells whether it is there.
//!
//! The commands are written into the undo record: they are run as they were when the fault was
//! accepted, whatever the configuration says by then.

use std::time::Duration;

use model::experiment::Fault;

use super::{Aim, Effect, Means, Prior, Spec, mismatch, watch_for};
use crate::actions::run_command::run;
use crate::bench::Bench;
use crate::config::{FaultCommand, Target};
use crate::ledger::FaultRecord;

const EFFECT_WITHIN: Duration = Duration::from_secs(20);

pub const SPEC: Spec = Spec {
    id: "command",
    title: "Run a declared fault",
    documentation: "Runs the `inject` command of the named entry of the target's `faults`, without \
                    a shell. Its effect is seen when its `check` command ends with 0.",
    undone_by: "its `undo` command, until that ends with 0 and `check` does not",
    example: "fault: {command: {name: stop-replication}}\n",
    applies: |target| !target.faults.is_empty(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn aim(_: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Command(command) = fault else { return mismatch() };
    let Some(declared) = target.faults.get(&command.name) else {
        return Err(format!("target {} declares no fault of that name", target.name));
    };
    if run(&declared.check, false).is_ok() {
        return Err(format!("its check says that `{}` is there already", command.name));
    }
    let exactly = format!("runs {}", declared.inject.command.join(" "));
    Ok(Aim { identity: None, prior: Some(Prior::Command(Box::new(declared.clone()))), exactly })
}

fn declared(record: &FaultRecord) -> Result<&FaultCommand, String> {
    match &record.prior {
        Some(Prior::Command(command)) => Ok(command),
        _ => Err("the record names no command".to_owned()),
    }
}

fn inject(_: &Bench, record: &FaultRecord) -> Result<(), String> {
    run(&declared(record)?.inject, true).map(|_| ())
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        run(&declared(record)?.check, false).map(|said| format!("its check {said}"))
    })
}

fn undo(_: &Bench, record: &FaultRecord) -> Result<String, String> {
    let FaultCommand { undo, check, .. } = declared(record)?;
    let how = run(undo, false)?;
    match run(check, false) {
        Ok(_) => Err(format!("its undo {how}, but its check says that it is there still")),
        Err(_) => Ok(format!("its undo {how}")),
    }
}
