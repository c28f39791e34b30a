//! One drill as a file.

use anyhow::{Context, Result};
use model::experiment::Decision;

use super::quoted;
use crate::cli::demo::drills::Act;
use crate::cli::demo::layout::{ENVIRONMENT, Layout};
use crate::cli::demo::names::Role;

/// Undone so long after the last look at the latest, whatever happens.
const DEADLINE_SPARE_SECONDS: u64 = 60;

pub(super) fn text(layout: &Layout, act: &Act) -> Result<String> {
    let aim = &act.aim;
    let file = layout.experiment_file(act.number, act.spec.id);
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let fault = serde_json::to_string(&aim.fault).context("cannot write a fault")?;
    let (client_log, title) = (quoted(&layout.users_log().to_string_lossy())?, quoted(&aim.title)?);
    let well = [Role::Gateway, Role::Checkout, Role::Cart, Role::Catalog, Role::Payment];
    let well = well.map(|role| layout.names.service(role)).join(", ");
    let services = layout.hurt_with(aim.role).join(", ");
    let observe = aim.observe.as_secs();
    let ends = match act.spec.expect {
        Decision::Heal => "Watched this long, or until all that was opened is resolved.",
        Decision::Escalate | Decision::LeaveAlone => "Watched this long.",
    };
    let decision = act.spec.expect.as_str();
    let cause = match &aim.cause {
        Some((kind, entity)) => {
            let (kind, entity) = (kind.as_str(), quoted(entity)?);
            format!("\n  cause: {{ kind: {kind}, entity: {entity} }}")
        }
        None => String::new(),
    };
    Ok(format!(
        "\
# A drill: a real fault, and what Immune should make of it.
# Run it again: immune drill run {file} --server {api}
title: {title}

# The fault waits until these services' objectives have been well for 10 s and no incident is open.
steady_state:
  slos: [{well}]
  held_for: 10s

target: {target}
fault: {fault}

# Trouble outside of these ends the drill and undoes the fault.
blast_radius:
  environment: {ENVIRONMENT}
  services: [{services}]

# Undone after this at the latest, whatever happens.
deadline: {deadline}s
# {ends}
observe: {observe}s

# Right is to {right}.
expect:
  decision: {decision}{cause}

# What users felt comes from their own log, not from Immune's telemetry.
client_log: {client_log}
",
        api = layout.api_url(),
        target = aim.target,
        deadline = observe + DEADLINE_SPARE_SECONDS,
        right = aim.right,
    ))
}
