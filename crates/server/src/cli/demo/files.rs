//! Writes the two files that people may read and copy, the server's configuration and the
//! experiment, and the name of the version that the shop's catalog begins with.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::layout::{CATALOG_VERSION, ENVIRONMENT, Layout, Part};

/// Writes all, for a drill that kills `victim`, once they are known to be good.
pub(super) fn write(layout: &Layout, victim: &str) -> Result<()> {
    let (file, content) = (layout.config_file(), configuration(layout)?);
    crate::config::parse(&file, &content, |_| None)
        .context("the demo's own configuration is not good; this is a bug, or --dir is unusual")?;
    let deployment = (layout.deployment_file(), deployment(layout)?);
    let release = (layout.release_file(), CATALOG_VERSION.to_owned());
    for (file, content) in [(file, content), deployment, release] {
        std::fs::write(&file, content)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    write_experiment(layout, victim)
}

pub(super) fn write_experiment(layout: &Layout, victim: &str) -> Result<()> {
    let (file, content) = (layout.experiment_file(), experiment(layout, victim)?);
    chaos::parse(&content).context("the demo's own experiment is not good; this is a bug")?;
    std::fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))
}

fn configuration(layout: &Layout) -> Result<String> {
    let storage = quoted(&layout.storage().to_string_lossy())?;
    let mut text = format!(
        "\
# What `immune run` was told for this demo. It is a real configuration: copy what you need.
# `immune check-config FILE` checks one, `immune print-config FILE` shows it with all defaults.

storage:
  path: {storage}

# For `immune status`, `immune explain` and all the others. By default 127.0.0.1:7700.
api:
  listen: 127.0.0.1:{api}

# Where OpenTelemetry SDKs send to. By default 127.0.0.1:4317 and 4318.
receivers:
  otlp:
    grpc: 127.0.0.1:{grpc}
    http: 127.0.0.1:{http}

# When users count as hurt. No objective is written here, so each service with traffic has the
# default one: at most 1 % of its requests may fail. All limits are the defaults.
detect:
  probes:
    # Immune visits the storefront by itself as well, every 5 s.
    - name: storefront
      service: gateway
      environment: {ENVIRONMENT}
      http:
        url: {storefront}/

# What Immune may act upon, how it recognises it and how it restarts it. No shell is involved.
targets:
",
        api = layout.api,
        grpc = layout.otlp_grpc,
        http = layout.otlp_http,
        storefront = layout.storefront_url(),
    );
    let parts: Vec<Part> = layout.parts().into_iter().filter(|part| part.target).collect();
    for (index, part) in parts.iter().enumerate() {
        target(&mut text, part, index == 0)?;
    }
    text.push_str(
        "
# Healing: a policy for each target, and leave to act alone. (The default mode is dry_run: plans are
# made and shown, nothing is done.) The guardrails are the defaults.
healing:
  mode: auto
  policies:
",
    );
    for part in &parts {
        let name = part.name;
        let _ = writeln!(
            text,
            "    - {{ name: restart-{name}, cause: crash, target: {name}, action: restart }}"
        );
    }
    Ok(text)
}

/// What `shop release` needs to know of the catalog.
fn deployment(layout: &Layout) -> Result<String> {
    let instances: Vec<_> = layout
        .parts()
        .into_iter()
        .filter(|part| part.service == "catalog")
        .map(|part| {
            serde_json::json!({
                "url": format!("http://127.0.0.1:{}", part.port),
                "pid_file": layout.pid_file(part.name),
                "log": part.log,
                "command": part.command,
                "environment": part.environment,
            })
        })
        .collect();
    let release_file = layout.release_file();
    let file = serde_json::json!({ "release_file": release_file, "instances": instances });
    Ok(format!("{file:#}\n"))
}

fn target(text: &mut String, part: &Part, explain: bool) -> Result<()> {
    let Part { name, service, port, .. } = part;
    let _ = writeln!(text, "  - name: {name}\n    service: {service}");
    if let Some(instance) = part.instance {
        let _ = writeln!(text, "    instance: {instance}");
    }
    let _ = writeln!(text, "    environment: {ENVIRONMENT}");
    let _ = writeln!(text, "    process:\n      listens_on: 127.0.0.1:{port}");
    let _ = writeln!(text, "    restart:\n      start:\n        command:");
    for argument in &part.command {
        let _ = writeln!(text, "          - {}", quoted(argument)?);
    }
    let _ = writeln!(text, "        environment:");
    for (name, value) in &part.environment {
        if explain && name == "OTEL_BSP_SCHEDULE_DELAY" {
            text.push_str("          # Milliseconds: spans each second, for a snappy demo. The\n");
            text.push_str(
                "          # default of OpenTelemetry is 5000; Immune needs no change.\n",
            );
        }
        let _ = writeln!(text, "          {name}: {}", quoted(value)?);
    }
    let _ = writeln!(text, "        log: {}", quoted(&part.log.to_string_lossy())?);
    Ok(())
}

fn experiment(layout: &Layout, victim: &str) -> Result<String> {
    let client_log = quoted(&layout.users_log().to_string_lossy())?;
    Ok(format!(
        "\
# A drill: a real fault, and what Immune should make of it.
# Run it again: immune drill run kill-payment.yaml --server {api}
title: {victim} is killed

# The fault waits until these services' objectives have been well for 10 s and no incident is open.
steady_state:
  slos: [gateway, checkout, payment]
  held_for: 10s

target: {victim}
fault: kill_process

# Trouble outside of these ends the drill and undoes the fault.
blast_radius:
  environment: {ENVIRONMENT}
  services: [payment, checkout, gateway]

# Undone after this at the latest, whatever happens.
deadline: 4m
# Watched this long, or until the incident is resolved.
observe: 4m

# Right is: to restart {victim} and nothing else, because it crashed.
expect:
  decision: heal
  cause: {{ kind: crash, entity: {victim} }}

# What users felt comes from their own log, not from Immune's telemetry.
client_log: {client_log}
",
        api = layout.api_url(),
    ))
}

/// As YAML reads it back, whatever the text holds.
fn quoted(text: &str) -> Result<String> {
    serde_json::to_string(text).context("cannot quote a text")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn layout(dir: &str) -> Layout {
        let (immune, shop) = (Path::new("/opt/bin/immune"), Path::new("/opt/bin/shop"));
        Layout::new(Path::new(dir), immune, shop, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    }

    #[test]
    fn the_configuration_is_accepted_without_complaint() {
        for dir in ["/tmp/demo", "/tmp/with space", "/tmp/#odd: 'quoted' \"name\"", "/tmp/ümläut"]
        {
            let text = configuration(&layout(dir)).unwrap();
            let config = config::parse(Path::new("immune.yaml"), &text, |_| None).unwrap();
            assert_eq!(config.storage.path, Path::new(dir).join("immune"));
            let names: Vec<&str> = config.targets.iter().map(|t| t.name.as_str()).collect();
            let parts = ["catalog-1", "catalog-2", "cart", "checkout"];
            assert_eq!(names, [&["payment-1", "payment-2", "inventory"][..], &parts].concat());
            assert_eq!(config.healing.mode, model::Mode::Auto);
            assert!(names.iter().all(|name| {
                config.healing.policies.iter().any(|policy| policy.target == *name)
            }));
        }
    }

    #[test]
    fn a_restart_runs_the_very_command_that_the_demo_started() {
        let layout = layout("/tmp/demo");
        let text = configuration(&layout).unwrap();
        let config = config::parse(Path::new("immune.yaml"), &text, |_| None).unwrap();
        for target in &config.targets {
            let parts = layout.parts();
            let part = parts.iter().find(|part| part.name == target.name).unwrap();
            let start = &target.restart.as_ref().unwrap().start;
            assert_eq!(start.command, part.command);
            assert_eq!(start.environment, part.environment);
            assert_eq!(start.log.as_deref(), Some(part.log.as_path()));
        }
    }

    #[test]
    fn the_experiment_is_accepted_and_stays_within_the_targets() {
        let layout = layout("/tmp/demo");
        let experiment = chaos::parse(&experiment(&layout, "payment-2").unwrap()).unwrap();
        assert_eq!(experiment.target, "payment-2");
        assert_eq!(experiment.expect.cause.unwrap().entity, "payment-2");
        assert_eq!(experiment.blast_radius.environment, ENVIRONMENT);
        assert_eq!(experiment.client_log.as_deref(), Some("/tmp/demo/users.jsonl"));
    }
}
