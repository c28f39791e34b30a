//! A process of the shop dies, and no other does all of its work: it fails until it is started
//! again.

use std::time::Duration;

use model::CauseKind;
use model::experiment::{Decision, Fault};

use super::{Aim, Chances, Layout, Spec};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "crash",
    documentation: "A payment instance, cart, inventory or checkout is killed (SIGKILL). Right is \
                    to start it again, and nothing else.",
    expect: Decision::Heal,
    draw,
};

const VICTIMS: [Role; 5] =
    [Role::Payment, Role::Payment, Role::Cart, Role::Inventory, Role::Checkout];

fn draw(layout: &Layout, chances: &mut Chances) -> Aim {
    let role = *chances.pick(&VICTIMS);
    let target = chances.pick(layout.names.instances(role)).clone();
    Aim {
        title: format!("{target} is killed"),
        fault: Fault::KillProcess,
        declares: None,
        role,
        observe: Duration::from_secs(240),
        cause: Some((CauseKind::Crash, target.clone())),
        right: format!("restart {target}, because it crashed, and touch nothing else"),
        seen: "a second look, at the process table, finds it gone".to_owned(),
        starts: vec![(target.clone(), 1)],
        put_back: None,
        target,
    }
}
