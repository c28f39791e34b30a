//! Which crate may know which: the arrows of the architecture.
//!
//! The pure crates know `model` alone, so that no reasoner can reach a clock, a disk or an
//! actuator; only `server` and `bench` compose. A heavy package lives in one crate. Reads the
//! manifests in `crates`; the demo shop is a stranger's program and free to use what it likes.

use super::Finding;
use crate::tree::Tree;

/// Each crate with those of ours that it may know, tests included.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("observe", &["model"]),
    ("detect", &["model"]),
    ("diagnose", &["model"]),
    ("remediate", &["model"]),
    ("chaos", &["model"]),
    ("engine", &["model", "observe", "detect", "diagnose", "remediate"]),
    ("sim", &["model", "detect", "remediate", "engine"]),
    ("storage", &["model"]),
    ("receivers", &["model"]),
    ("proxy", &[]),
    ("agent", &["model", "proxy"]),
    ("toolkit", &["model"]),
    ("server", ALL_LIBRARIES),
    ("bench", ALL_LIBRARIES),
];

/// What `bench` may know besides the libraries: it measures the product as it is put together.
const BENCH_MAY_ALSO_KNOW: &str = "server";

const ALL_LIBRARIES: &[&str] = &[
    "model",
    "observe",
    "detect",
    "diagnose",
    "remediate",
    "chaos",
    "engine",
    "sim",
    "storage",
    "receivers",
    "proxy",
    "agent",
    "toolkit",
];

/// Packages with a single home among our crates; the tests of others may use them.
const HOMES: &[(&str, &str)] = &[
    ("tonic", "receivers"),
    ("rusqlite", "server"),
    ("parquet", "storage"),
    ("object_store", "storage"),
    ("datafusion", "storage"),
    ("bollard", "agent"),
    ("kube", "agent"),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("crates/") {
        let Some(krate) = manifest_of(path) else { continue };
        let Some((_, known)) = MAY_KNOW.iter().find(|(name, _)| *name == krate) else {
            let message =
                format!("the arrows of crate {krate} are not written down in {}", file!());
            findings.push(Finding::new(path, 1, message));
            continue;
        };
        for dependency in dependencies(text) {
            if let Some(message) = offence(krate, known, &dependency) {
                findings.push(Finding::new(path, dependency.line, message));
            }
        }
    }
    findings
}

struct Dependency<'a> {
    name: &'a str,
    line: usize,
    for_tests: bool,
    renamed: bool,
}

fn manifest_of(path: &str) -> Option<&str> {
    let krate = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!krate.contains('/')).then_some(krate)
}

fn offence(krate: &str, known: &[&str], dependency: &Dependency<'_>) -> Option<String> {
    let name = dependency.name;
    let is_ours = MAY_KNOW.iter().any(|(ours, _)| *ours == name);
    let measures = krate == "bench" && name == BENCH_MAY_ALSO_KNOW;
    if is_ours && !known.contains(&name) && !measures {
        return Some(format!("{krate} may not know {name}"));
    }
    if dependency.renamed {
        return Some(format!("{name} is another package renamed: that hides an arrow"));
    }
    let (package, home) = HOMES.iter().find(|(package, _)| *package == name)?;
    (krate != *home && !dependency.for_tests)
        .then(|| format!("{package} may be named by {home} alone, not by {krate}"))
}

/// The dependencies that a manifest names, in `[dependencies]` tables of every kind.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some((kind, name)) = section.rsplit_once('.')
                && kind.ends_with("dependencies")
            {
                let for_tests = kind.ends_with("dev-dependencies");
                found.push(Dependency { name, line: index + 1, for_tests, renamed: false });
            }
            continue;
        }
        let is_key = line.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
        let renamed = line.contains("package =") || line.contains("package=");
        if is_key && section.ends_with("dependencies") {
            let name = line.split(['.', '=', ' ']).next().unwrap_or(line).trim_matches('"');
            let for_tests = section.ends_with("dev-dependencies");
            found.push(Dependency { name, line: index + 1, for_tests, renamed });
        } else if renamed
            && section.contains("dependencies.")
            && let Some(last) = found.last_mut()
        {
            last.renamed = true;
        }
    }
    found
}
