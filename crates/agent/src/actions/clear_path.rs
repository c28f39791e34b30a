//! Clear a path: make a declared cache or file as small as its bound.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::clear;
use crate::config::{ClearPath, Target};

pub const SPEC: Spec = Spec {
    id: "clear_path",
    title: "Clear a path",
    documentation: "Removes the oldest files of a folder that the target declares by name until \
                    the rest is no larger than `size_max`, or empties a file that is larger. \
                    Only plain files with one name that match `patterns` and did not change \
                    within `older_than` (60 s) go. Symbolic links are never followed, other file \
                    systems never entered, mount points refused. Not taken back.",
    example: "paths:\n  thumbnails: {path: /var/cache/shop/thumbnails, size_max: 1GiB, patterns: \
              [\"*.webp\"]}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = |(name, path): (&String, &ClearPath)| Offer {
        kind: ActionKind::ClearPath { path: name.clone() },
        undo: None,
        timeout: path.timeout.0,
    };
    target.paths.iter().map(offer).collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let ActionKind::ClearPath { path } = &task.action.kind else {
        return Err("not a path".to_owned().into());
    };
    let Some(declared) = task.target.paths.get(path) else {
        return Err(Trouble::Refused("no path of that name is declared".to_owned()));
    };
    clear::clear(declared)
}
