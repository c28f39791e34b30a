//! Writes the files that people may read and copy, the server's configuration and the experiments,
//! and what tells of the shop's own deployment.

mod configuration;
mod experiment;

use anyhow::{Context, Result};

use super::drills::Act;
use super::layout::Layout;
use super::names::Role;

/// Writes all, once they are known to be good.
pub(super) fn write(layout: &Layout, acts: &[Act]) -> Result<()> {
    let (file, content) = (layout.config_file(), configuration::text(layout, acts)?);
    crate::config::parse(&file, &content, |_| None)
        .context("the demo's own configuration is not good; this is a bug, or --dir is unusual")?;
    let mut files = vec![
        (file, content),
        (layout.deployment_file(), deployment(layout)?),
        (layout.release_file(), layout.version.to_owned()),
        (layout.rate_file(), layout.rate.to_string()),
    ];
    for act in acts {
        let content = experiment::text(layout, act)?;
        chaos::parse(&content).context("a drill of the demo is not good; this is a bug")?;
        files.push((layout.experiment_file(act.number, act.spec.id), content));
    }
    for (file, content) in files {
        std::fs::write(&file, content)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// What `shop release` needs to know of the catalog.
fn deployment(layout: &Layout) -> Result<String> {
    let parts = layout.parts_of(Role::Catalog);
    let instances = parts.iter().map(|part| {
        serde_json::json!({
            "url": format!("http://127.0.0.1:{}", part.port),
            "pid_file": layout.pid_file(&part.name),
            "log": part.log,
            "command": part.command,
            "environment": part.environment,
        })
    });
    let instances: Vec<_> = instances.collect();
    let release_file = layout.release_file();
    let file = serde_json::json!({ "release_file": release_file, "instances": instances });
    Ok(format!("{file:#}\n"))
}

/// As YAML reads it back, whatever the text holds.
fn quoted(text: &str) -> Result<String> {
    serde_json::to_string(text).context("cannot quote a text")
}

#[cfg(test)]
mod tests;
