//! One of two instances answers late, and its users wait.

use std::time::Duration;

use agent::config::FaultCommand;
use model::CauseKind;
use model::experiment::{Decision, Fault};
use model::fault::CommandFault;

use super::{Aim, Chances, Layout, Spec, command};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "slow-instance",
    documentation: "One of two payment instances makes most of its requests wait for 0.8 to 1.5 s. \
                    Right is to take it out of rotation at the gateway.",
    expect: Decision::Heal,
    draw,
};

fn draw(layout: &Layout, chances: &mut Chances) -> Aim {
    let target = chances.pick(layout.names.instances(Role::Payment)).clone();
    let parts = layout.parts_of(Role::Payment);
    let port = parts.iter().find(|part| part.name == target).map_or(0, |part| part.port);
    let url = format!("http://127.0.0.1:{port}");
    let slow_ms = (100 * chances.between(8, 15)).to_string();
    let percent = 10 * chances.between(7, 10);
    let share = (percent as f64 / 100.0).to_string();
    let slow = ["switch", &url, "--slow-ms", &slow_ms, "--slow-share", &share];
    Aim {
        title: format!("{target} lets {percent} % of its requests wait for {slow_ms} ms"),
        fault: Fault::Command(CommandFault { name: format!("slow-{slow_ms}ms-{percent}pct") }),
        declares: Some(FaultCommand {
            inject: command(layout.shop(&slow)),
            undo: command(layout.shop(&["switch", &url, "--off"])),
            check: command(layout.shop(&["switch", &url, "--is-on"])),
        }),
        role: Role::Payment,
        observe: Duration::from_secs(240),
        cause: Some((CauseKind::Outlier, target.clone())),
        right: format!("take {target} out of rotation, because it is slow, and touch nothing else"),
        seen: "the instance itself says so".to_owned(),
        starts: Vec::new(),
        put_back: Some(target.clone()),
        target,
    }
}
