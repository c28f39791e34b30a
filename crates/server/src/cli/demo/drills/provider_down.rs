//! The card network is gone: somebody else's service, which nothing here may touch.

use std::time::Duration;

use model::CauseKind;
use model::experiment::{Decision, Fault};

use super::{Aim, Chances, Layout, Spec};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "provider-down",
    documentation: "The card network, which sends no telemetry and belongs to somebody else, is \
                    killed (SIGKILL): no card can be charged. Right is to name it and call a \
                    person.",
    expect: Decision::Escalate,
    draw,
};

fn draw(layout: &Layout, _: &mut Chances) -> Aim {
    let target = layout.names.service(Role::Provider).to_owned();
    let address = layout.provider_address();
    Aim {
        title: format!("{target}, the card network at {address}, is killed"),
        fault: Fault::KillProcess,
        declares: None,
        role: Role::Provider,
        // A person is called 30 s after nothing could be done.
        observe: Duration::from_secs(70),
        right: format!("name {address}, call a person and touch nothing"),
        cause: Some((CauseKind::DependencyDown, format!("peer {address}"))),
        seen: "a second look, at the process table, finds it gone".to_owned(),
        starts: vec![(target.clone(), 1)],
        put_back: None,
        target,
    }
}
