//! What can be set about span trees.

use std::time::Duration;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When span trees are closed, and how many are held. Their facts are evidence; requests and
/// errors are counted without them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TreeLimits {
    /// A tree is closed when no span of its trace came for this long.
    pub idle_after: HumanDuration,
    /// A tree is closed this long after its first span came.
    pub age_max: HumanDuration,
    /// A tree takes in no more spans than this.
    pub tree_spans_max: usize,
    /// Spans of all trees together, of about 100 bytes each. 0: no trees.
    pub spans_max: usize,
    /// Trees that are open at the same time. 0: no trees.
    pub trees_max: usize,
}

impl Default for TreeLimits {
    fn default() -> Self {
        TreeLimits {
            idle_after: HumanDuration(Duration::from_secs(10)),
            age_max: HumanDuration(Duration::from_secs(60)),
            tree_spans_max: 10_000,
            spans_max: 200_000,
            trees_max: 50_000,
        }
    }
}
