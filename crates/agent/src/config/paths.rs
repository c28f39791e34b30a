//! Caches and other files that may be cleared, with the bound to which they are.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use model::ByteSize;
use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Target;
use super::check::Check;

/// Paths that one target may declare.
pub const PATHS_MAX: usize = 32;
const PATTERNS_MAX: usize = 32;
const OLDER_THAN_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Folders in which nothing is a cache.
const NEVER: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys",
    "/usr",
];

/// A folder whose oldest files go, or one file that is emptied, when it is larger than `size_max`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearPath {
    pub path: PathBuf,
    /// What may stay.
    pub size_max: ByteSize,
    /// Names of the files that may go, with `*` and `?`; in sub-folders too.
    #[serde(default = "default_patterns")]
    pub patterns: Vec<String>,
    /// Files that changed within this time stay.
    #[serde(default = "default_older_than")]
    pub older_than: HumanDuration,
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_patterns() -> Vec<String> {
    vec!["*".to_owned()]
}

fn default_older_than() -> HumanDuration {
    HumanDuration::from_secs(60)
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(60)
}

impl Check {
    pub(super) fn paths(&mut self, path: &str, target: &Target) {
        let paths = format!("{path}.paths");
        if target.paths.len() > PATHS_MAX {
            self.add(&paths, format!("more than {PATHS_MAX}"));
        }
        for (name, clear) in &target.paths {
            let path = format!("{paths}.{name}");
            self.name(&path, name);
            self.cache(&format!("{path}.path"), &clear.path);
            let odd = |pattern: &String| pattern.is_empty() || pattern.contains(['/', '\0']);
            if clear.patterns.is_empty() || clear.patterns.iter().any(odd) {
                self.add(&format!("{path}.patterns"), "write names such as `*.tmp`, without `/`");
            }
            if clear.patterns.len() > PATTERNS_MAX {
                self.add(&format!("{path}.patterns"), format!("more than {PATTERNS_MAX}"));
            }
            if clear.older_than.0 > OLDER_THAN_MAX {
                self.add(&format!("{path}.older_than"), "must be at most 30d");
            }
            self.wait(&format!("{path}.timeout"), clear.timeout);
        }
    }

    fn cache(&mut self, at: &str, path: &Path) {
        self.full(at, path);
        let names = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
        let plain = path.components().all(|part| part != Component::ParentDir);
        if !plain || names < 2 || NEVER.iter().any(|folder| path.starts_with(folder)) {
            let path = path.display();
            self.add(at, format!("`{path}` is no cache; name a folder such as /var/cache/shop"));
        }
    }
}
