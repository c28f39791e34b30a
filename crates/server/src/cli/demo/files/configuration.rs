//! The server's configuration.

use std::collections::BTreeMap;
use std::fmt::Write;

use agent::config::FaultCommand;
use anyhow::Result;
use model::experiment::Fault;

use super::quoted;
use crate::cli::demo::drills::Act;
use crate::cli::demo::layout::{ENVIRONMENT, Layout, Part, SLOW_AFTER_MS};
use crate::cli::demo::names::Role;

/// Faults by the name under which a target declares them.
type Faults<'a> = BTreeMap<&'a str, &'a FaultCommand>;

pub(super) fn text(layout: &Layout, acts: &[Act]) -> Result<String> {
    let mut text = head(layout)?;
    let parts = layout.parts();
    for (index, part) in parts.iter().enumerate() {
        target(&mut text, layout, part, index == 0)?;
        faults(&mut text, &declared(acts, &part.name))?;
    }
    deployed(&mut text, layout, acts)?;
    healing(&mut text, layout, &parts);
    Ok(text)
}

fn head(layout: &Layout) -> Result<String> {
    Ok(format!(
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

# When users count as hurt. Each service with traffic has the default objective: at most 1 % of its
# requests may fail. What users wait for is promised here. All limits are the defaults.
detect:
  slos:
    # At most 1 % of all answers may take longer, and at most 1 % of the orders.
    - {{ name: answers-in-time, service: {gateway}, environment: {ENVIRONMENT}, objective: 99,
        latency: {{ threshold: {SLOW_AFTER_MS}ms }} }}
    - {{ name: orders-in-time, service: {gateway}, environment: {ENVIRONMENT}, objective: 99,
        operation: \"POST /api/checkout\", latency: {{ threshold: {SLOW_AFTER_MS}ms }} }}
  probes:
    # Immune visits the storefront by itself as well, every 5 s.
    - name: storefront
      service: {gateway}
      environment: {ENVIRONMENT}
      http:
        url: {storefront}/

# What Immune may act upon, how it recognises it and how it restarts it. No shell is involved.
targets:
",
        storage = quoted(&layout.storage().to_string_lossy())?,
        api = layout.api,
        grpc = layout.otlp_grpc,
        http = layout.otlp_http,
        gateway = layout.names.service(Role::Gateway),
        storefront = layout.storefront_url(),
    ))
}

fn target(text: &mut String, layout: &Layout, part: &Part, explain: bool) -> Result<()> {
    let Part { name, service, port, .. } = part;
    let _ = writeln!(text, "  - name: {name}\n    service: {service}");
    if let Some(instance) = &part.instance {
        let _ = writeln!(text, "    instance: {instance}");
    }
    let _ = writeln!(text, "    environment: {ENVIRONMENT}");
    let _ = writeln!(text, "    process:\n      listens_on: 127.0.0.1:{port}");
    if part.role == Role::Payment
        && let Some(url) = layout.rotation_url(name)
    {
        let state = |state: &str| quoted(&format!("{{\"state\": \"{state}\"}}"));
        let _ = writeln!(
            text,
            "    # Out of the gateway's rotation, and back.\n    requests:\n      \
             eject: {{ method: PUT, url: {url}, headers: {{ content-type: application/json }}, \
             body: {}, undo: return }}\n      \
             return: {{ method: PUT, url: {url}, headers: {{ content-type: application/json }}, \
             body: {} }}",
            state("ejected")?,
            state("active")?
        );
    }
    if part.role == Role::Gateway {
        return Ok(());
    }
    if part.role == Role::Provider {
        text.push_str("    # For the end of a drill alone: no policy below is about it.\n");
    }
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

/// The catalog as one thing: it is released, and rolled back, as a whole.
fn deployed(text: &mut String, layout: &Layout, acts: &[Act]) -> Result<()> {
    let service = layout.names.service(Role::Catalog);
    let file = layout.deployment_file().to_string_lossy().into_owned();
    let _ = writeln!(
        text,
        "  # Both instances as one: what is released together is rolled back together.\n  \
         - name: {service}\n    service: {service}\n    environment: {ENVIRONMENT}\n    \
         rollback: {}",
        command(&layout.shop(&["release", &file, "--back"]), Some("50s"))?
    );
    faults(text, &declared(acts, service))
}

fn declared<'a>(acts: &'a [Act], target: &str) -> Faults<'a> {
    let aims = acts.iter().map(|act| &act.aim).filter(|aim| aim.target == target);
    let named = aims.filter_map(|aim| match (&aim.fault, &aim.declares) {
        (Fault::Command(fault), Some(commands)) => Some((fault.name.as_str(), commands)),
        _ => None,
    });
    named.collect()
}

fn faults(text: &mut String, faults: &Faults<'_>) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    text.push_str("    # What a drill may do to it beside killing it.\n    faults:\n");
    for (name, FaultCommand { inject, undo, check }) in faults {
        let _ = writeln!(text, "      {name}:");
        for (part, it) in [("inject", inject), ("undo", undo), ("check", check)] {
            let timeout = it.timeout.to_string();
            let line = command(&it.command, Some(&timeout))?;
            let _ = writeln!(text, "        {part}: {line}");
        }
    }
    Ok(())
}

fn command(line: &[String], timeout: Option<&str>) -> Result<String> {
    let words: Result<Vec<String>> = line.iter().map(|word| quoted(word)).collect();
    let timeout = timeout.map_or(String::new(), |timeout| format!(", timeout: {timeout}"));
    Ok(format!("{{ command: [{}]{timeout} }}", words?.join(", ")))
}

fn healing(text: &mut String, layout: &Layout, parts: &[Part]) {
    text.push_str(
        "
# Healing: what is right for which cause, and leave to act alone. (The default mode is dry_run:
# plans are made and shown, nothing is done.) The guardrails are the defaults but for one: drills
# come one after the other here, so what died within 1 min makes a storm, not within 5 min.
healing:
  mode: auto
  guardrails:
    storm_window: 1m
  policies:
",
    );
    let mut policy = |verb: &str, cause: &str, target: &str, action: &str| {
        let _ = writeln!(
            text,
            "    - {{ name: {verb}-{target}, cause: {cause}, target: {target}, action: {action} }}"
        );
    };
    for part in parts.iter().filter(|part| part.healed) {
        policy("restart", "[crash, leak]", &part.name, "restart");
        if part.role == Role::Payment {
            policy("eject", "outlier", &part.name, "{ http_request: eject }");
        }
    }
    let catalog = layout.names.service(Role::Catalog);
    policy("roll-back", "change", catalog, "rollback");
}
