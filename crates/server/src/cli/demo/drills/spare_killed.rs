//! One of two instances dies, and the other does its work: nobody is hurt.

use std::time::Duration;

use model::experiment::{Decision, Fault};

use super::{Aim, Chances, Layout, Spec};
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "spare-killed",
    documentation: "One of two catalog instances is killed (SIGKILL). Those who ask it ask the \
                    other, so nobody is hurt. Right is to leave it alone.",
    expect: Decision::LeaveAlone,
    draw,
};

fn draw(layout: &Layout, chances: &mut Chances) -> Aim {
    let target = chances.pick(layout.names.instances(Role::Catalog)).clone();
    Aim {
        title: format!("{target} is killed, whose work another does"),
        fault: Fault::KillProcess,
        declares: None,
        role: Role::Catalog,
        observe: Duration::from_secs(60),
        cause: None,
        right: "leave it alone, because nobody is hurt".to_owned(),
        seen: "a second look, at the process table, finds it gone".to_owned(),
        starts: vec![(target.clone(), 1)],
        put_back: None,
        target,
    }
}
