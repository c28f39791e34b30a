//! Nothing comes into the build that `deny.toml` does not allow: packages, sources, licences.
//!
//! `cargo deny` knows more (advisories, duplicates), but not everyone has it; the essential part is
//! checked here from the same file, so there is one list.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Finding;
use crate::tree::Tree;

mod licence;

const RULES: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";
/// The platform whose packages are looked at: the one Immune is released for.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// A package of the build with its licence expression, if it has one.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub licence: Option<String>,
}

/// Banned packages and strange sources, for every platform, from the lock file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(rules), Some(lock)) = (tree.text(RULES), tree.text(LOCK)) else {
        return vec![Finding::new(RULES, 1, "this file and Cargo.lock must be there")];
    };
    let banned = list(rules, "[bans]", "deny", "crate = ");
    let sources = list(rules, "[sources]", "allow-registry", "");
    let mut findings = Vec::new();
    for (name, entries) in [("banned crates", &banned), ("allowed registries", &sources)] {
        if entries.is_empty() {
            findings.push(Finding::new(RULES, 1, format!("no {name} found")));
        }
    }
    for (index, line) in lock.lines().enumerate() {
        if let Some(name) = line.strip_prefix("name = ").map(unquoted)
            && banned.contains(&name)
        {
            findings.push(Finding::new(LOCK, index + 1, format!("{name} is banned by {RULES}")));
        }
        if let Some(source) = line.strip_prefix("source = ").map(unquoted) {
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            if !sources.contains(&registry) {
                let message = format!("{source} is no source that {RULES} allows");
                findings.push(Finding::new(LOCK, index + 1, message));
            }
        }
    }
    findings
}

/// Packages without a licence that `deny.toml` allows.
pub fn licences(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let allowed = list(tree.text(RULES).unwrap_or_default(), "[licenses]", "allow", "");
    let mut findings = Vec::new();
    for package in packages {
        let name = &package.name;
        let message = match &package.licence {
            None => format!("{name} names no licence"),
            Some(terms) if licence::is_allowed(terms, &allowed) => continue,
            Some(terms) => format!("{name} is licensed {terms:?}, which is not allowed"),
        };
        findings.push(Finding::new(RULES, 1, message));
    }
    findings
}

/// All packages of the build, ours included, as `cargo metadata` tells.
pub fn of_the_build(root: &Path) -> Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let text = |value: &Value| value.as_str().map(str::to_string);
    let package = |value: &Value| Package {
        name: text(&value["name"]).unwrap_or_default(),
        licence: text(&value["license"]),
    };
    Ok(packages.iter().map(package).collect())
}

/// The strings of `key = [ … ]` in a section, each taken after `marker` in its entry.
fn list<'a>(toml: &'a str, section: &str, key: &str, marker: &str) -> Vec<&'a str> {
    let in_section = toml.lines().skip_while(|line| *line != section).skip(1);
    let mut lines = in_section.take_while(|line| !line.starts_with('['));
    let begins = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ["));
    let Some(first) = lines.find(begins) else { return Vec::new() };
    let mut entries = Vec::new();
    let opened = first.split_once('[').map_or("", |(_, rest)| rest);
    for line in std::iter::once(opened).chain(lines) {
        let entry = line.split_once(marker).map_or("", |(_, rest)| rest);
        entries.extend(entry.split('"').nth(1));
        if line.trim_end().ends_with(']') {
            break;
        }
    }
    entries
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}
