//! The house rules, as checks over the tree. A rule that nothing checks is a wish.
//!
//! Each check is a pure function from the tree to its findings; [`ALL`] is the list. A new check is
//! one file, one line here, one test in `xtask/tests/tidy.rs`. The one check that needs more than
//! the tree is [`packages::licences`]: it looks at what `cargo metadata` tells.

pub mod arrows;
pub mod blind;
pub mod documents;
pub mod leftovers;
pub mod names;
pub mod openings;
pub mod packages;
pub mod purity;
pub mod sizes;
mod sources;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::tree::Tree;

/// One breach of a rule; printed as `path:line: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub message: String,
}

impl Finding {
    pub fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

pub struct Check {
    pub id: &'static str,
    pub run: fn(&Tree) -> Vec<Finding>,
}

/// The findings of all checks over the repository at `root`.
pub fn findings(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings: Vec<Finding> = ALL.iter().flat_map(|check| (check.run)(&tree)).collect();
    findings.extend(packages::licences(&tree, &packages::of_the_build(root)?));
    findings.sort();
    Ok(findings)
}

pub const ALL: &[Check] = &[
    Check { id: "sizes", run: sizes::check },
    Check { id: "openings", run: openings::check },
    Check { id: "arrows", run: arrows::check },
    Check { id: "purity", run: purity::check },
    Check { id: "blind", run: blind::check },
    Check { id: "names", run: names::check },
    Check { id: "documents", run: documents::check },
    Check { id: "packages", run: packages::check },
    Check { id: "leftovers", run: leftovers::check },
];
