//! A part keeps what it should forget, looks through all of it for each request, and so becomes
//! slower and slower until it is started anew.

use std::time::Duration;

use agent::config::FaultCommand;
use model::CauseKind;
use model::experiment::{Decision, Fault};
use model::fault::CommandFault;

use super::{Aim, Chances, Layout, Spec, command};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "leak",
    documentation: "A part leaves 256 to 512 KiB of each request in memory and looks through all \
                    of it: it grows, slows down, and users wait. Right is to restart it.",
    expect: Decision::Heal,
    draw,
};

const VICTIMS: [Role; 2] = [Role::Cart, Role::Inventory];

fn draw(layout: &Layout, chances: &mut Chances) -> Aim {
    let role = *chances.pick(&VICTIMS);
    let target = layout.names.service(role).to_owned();
    let port = layout.parts_of(role).first().map_or(0, |part| part.port);
    let url = format!("http://127.0.0.1:{port}");
    let kib = (64 * chances.between(4, 8)).to_string();
    Aim {
        title: format!("{target} leaks {kib} KiB with each request and slows down"),
        fault: Fault::Command(CommandFault { name: format!("leak-{kib}kib") }),
        declares: Some(FaultCommand {
            inject: command(layout.shop(&["switch", &url, "--leak-kib", &kib])),
            undo: command(layout.shop(&["switch", &url, "--off"])),
            check: command(layout.shop(&["switch", &url, "--is-on"])),
        }),
        role,
        observe: Duration::from_secs(300),
        cause: Some((CauseKind::Leak, target.clone())),
        right: format!("restart {target}, because it leaks, and touch nothing else"),
        seen: "the part itself says what it holds".to_owned(),
        starts: vec![(target.clone(), 1)],
        put_back: None,
        target,
    }
}
