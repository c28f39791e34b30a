//! Many more users come, and the shop serves them.

use std::time::Duration;

use agent::config::FaultCommand;
use model::experiment::{Decision, Fault};
use model::fault::CommandFault;

use super::{Aim, Chances, Layout, Spec, command};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "surge",
    documentation: "Two to four times as many users come for a while. The shop serves them. Right \
                    is to leave it alone.",
    expect: Decision::LeaveAlone,
    draw,
};

fn draw(layout: &Layout, chances: &mut Chances) -> Aim {
    let target = layout.names.service(Role::Gateway).to_owned();
    let rate = layout.rate;
    // In halves: 2, 2.5 … 4 times.
    let surge = rate as f64 * chances.between(4, 8) as f64 / 2.0;
    let file = layout.rate_file().to_string_lossy().into_owned();
    let [usual, more] = [rate.to_string(), surge.to_string()];
    Aim {
        title: format!("{more} sessions per second come instead of {usual}"),
        fault: Fault::Command(CommandFault { name: format!("surge-{more}") }),
        declares: Some(FaultCommand {
            inject: command(layout.shop(&["rate", &file, "--to", &more])),
            undo: command(layout.shop(&["rate", &file, "--to", &usual])),
            check: command(layout.shop(&["rate", &file, "--is", &more])),
        }),
        role: Role::Gateway,
        observe: Duration::from_secs(60),
        cause: None,
        right: "leave it alone, because nobody is hurt".to_owned(),
        seen: "the users say that they come at that rate".to_owned(),
        starts: Vec::new(),
        put_back: None,
        target,
    }
}
