//! A version of the catalog is released that should not have been.

use std::time::Duration;

use agent::config::FaultCommand;
use model::CauseKind;
use model::experiment::{Decision, Fault};
use model::fault::CommandFault;

use super::{Aim, Chances, Layout, Spec, command};
use crate::cli::demo::layout::BAD_VERSION;
use crate::cli::demo::names::Role;

pub(super) const SPEC: Spec = Spec {
    id: "bad-deploy",
    documentation: "A version of the catalog is released, instance by instance, that asks its \
                    database for a column nobody made: prices fail. Right is to roll back.",
    expect: Decision::Heal,
    draw,
};

fn draw(layout: &Layout, _: &mut Chances) -> Aim {
    let target = layout.names.service(Role::Catalog).to_owned();
    let (good, file) = (layout.version, layout.deployment_file().to_string_lossy().into_owned());
    let release = |option: &str, version: &str| layout.shop(&["release", &file, option, version]);
    let instances = layout.names.instances(Role::Catalog);
    Aim {
        title: format!("{target} {BAD_VERSION} is released over {good}"),
        fault: Fault::Command(CommandFault { name: "bad-release".to_owned() }),
        declares: Some(FaultCommand {
            inject: command(release("--to", BAD_VERSION)),
            undo: command(release("--to", good)),
            check: command(release("--is", BAD_VERSION)),
        }),
        role: Role::Catalog,
        observe: Duration::from_secs(240),
        cause: Some((CauseKind::Change, target.clone())),
        right: format!("roll {target} back, because of its release, and touch nothing else"),
        seen: "the instances themselves say which version they are".to_owned(),
        // Released, and rolled back.
        starts: instances.iter().map(|instance| (instance.clone(), 2)).collect(),
        put_back: None,
        target,
    }
}
