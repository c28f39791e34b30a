//! `/metrics`: Immune's own figures in Prometheus' text format.

use std::fmt::Write;

use axum::extract::State;
use model::tick::Quality;

use super::extract::Figures;
use super::{App, Error};
use crate::clock;

/// Figures of the loop, gathered in one question.
struct Loop {
    ticks: u64,
    lag_seconds: f64,
    incidents_open: usize,
    incidents_total: u64,
    in_flight: usize,
    frozen: bool,
    services: usize,
    objectives: usize,
    quality: Quality,
    left_out: [(&'static str, u64); 3],
}

pub(super) async fn metrics(State(app): State<App>) -> Result<Figures, Error> {
    let now = clock::now();
    let figures = app
        .ask(move |core| Loop {
            ticks: core.ticks(),
            lag_seconds: now.since(core.engine.now()).as_secs_f64(),
            incidents_open: core.engine.open_incidents().count(),
            incidents_total: core.engine.diagnoser.last_id().0,
            in_flight: core.engine.healer.in_flight().len(),
            frozen: core.engine.healer.frozen().is_some(),
            services: core.engine.diagnoser.services().count(),
            objectives: core.engine.observed().objectives.len(),
            quality: core.quality().clone(),
            left_out: [
                ("detect", core.engine.detectors.left_out()),
                ("diagnose", core.engine.diagnoser.left_out()),
                ("figures", core.figures().left_out()),
            ],
        })
        .await?;
    let mut text = String::new();
    of_the_loop(&figures, &mut text);
    of_the_rest(&app, &mut text);
    of_the_process(&mut text);
    telemetry(&app, &mut text);
    let store = app.store.clone();
    let status = tokio::task::spawn_blocking(move || store.status()).await;
    stored(&status.map_err(|_| Error::QueryBroke)?, &mut text);
    Ok(Figures(text))
}

/// One figure without labels; a name that ends with `_total` is a counter.
fn figure(text: &mut String, name: &str, help: &str, value: f64) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

fn of_the_loop(figures: &Loop, text: &mut String) {
    let quality = &figures.quality;
    let skew_seconds = quality.skew_max_nanos as f64 / 1e9;
    for (name, help, value) in [
        ("immune_ticks_total", "Steps of the loop.", figures.ticks as f64),
        ("immune_tick_lag_seconds", "Time since the last step.", figures.lag_seconds),
        ("immune_incidents_open", "Incidents not resolved.", figures.incidents_open as f64),
        ("immune_incidents_total", "Incidents ever.", figures.incidents_total as f64),
        ("immune_actions_in_flight", "Actions under way.", figures.in_flight as f64),
        ("immune_frozen", "1 while healing is frozen.", f64::from(figures.frozen)),
        ("immune_services", "Services known.", figures.services as f64),
        ("immune_objectives", "Objectives judged.", figures.objectives as f64),
        ("immune_alerts_total", "Alerts that other systems told of.", quality.alerts as f64),
        (
            "immune_alerts_left_out_total",
            "Alerts that other systems had and did not send, or that were too many.",
            quality.alerts_left_out as f64,
        ),
        (
            "immune_late_spans_total",
            "Spans that ended too long ago to be judged.",
            quality.late_spans as f64,
        ),
        (
            "immune_over_limit_items_total",
            "Items left out because a bound of observe.limits was reached.",
            quality.over_limit as f64,
        ),
        (
            "immune_trees_cut_total",
            "Span trees given up at a bound of observe.trees.",
            quality.trees_cut as f64,
        ),
        (
            "immune_orphan_spans_total",
            "Spans whose parent had not come when their tree was closed.",
            quality.orphan_spans as f64,
        ),
        (
            "immune_spans_after_close_total",
            "Spans that came after their tree was closed.",
            quality.spans_after_close as f64,
        ),
        (
            "immune_clock_skew_max_seconds",
            "Largest difference between a sender's clock and arrival.",
            skew_seconds,
        ),
    ] {
        figure(text, name, help, value);
    }
    let name = "immune_left_out_total";
    let help = "What did not fit into a part's bounds.";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (part, count) in figures.left_out {
        let _ = writeln!(text, "{name}{{part=\"{part}\"}} {count}");
    }
}

/// By Prometheus' usual names; what the kernel does not tell is absent.
fn of_the_process(text: &mut String) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold anything.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> =
        after_name.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
    // Fields 14, 15 and 24 of proc(5); the first here is the fourth there.
    if let (Some(user), Some(system), Some(pages)) =
        (fields.get(10), fields.get(11), fields.get(20))
    {
        let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
        let (name, help) = ("process_cpu_seconds_total", "Processor time of the server.");
        figure(text, name, help, (user + system) as f64 / ticks);
        let (name, help) = ("process_resident_memory_bytes", "Resident memory of the server.");
        figure(text, name, help, *pages as f64 * rustix::param::page_size() as f64);
    }
}

fn of_the_rest(app: &App, text: &mut String) {
    let (handle, health) = (&app.handle, app.handle.health());
    for (name, help, value) in [
        (
            "immune_agent_connected",
            "1 while the local agent is connected.",
            f64::from(app.hands.connected()),
        ),
        (
            "immune_log_waiting_bytes",
            "Bytes that wait to be durable.",
            handle.log_bytes_waiting() as f64,
        ),
        ("immune_log_fsyncs_total", "Group commits of the input log.", handle.log_fsyncs() as f64),
        (
            "immune_log_failed_commits_total",
            "Entries that the input log could not take.",
            health.failed_commits() as f64,
        ),
        (
            "immune_journal_conflicts_total",
            "Events lost because the journal has others under their numbers.",
            health.journal_conflicts() as f64,
        ),
    ] {
        figure(text, name, help, value);
    }
}

fn stored(status: &storage::store::Status, text: &mut String) {
    for (name, help, value) in [
        (
            "immune_store_memory_bytes",
            "Telemetry that is not in files yet.",
            status.memory_bytes as f64,
        ),
        (
            "immune_store_flushes_total",
            "Times that telemetry went to files.",
            status.flushes as f64,
        ),
        (
            "immune_store_flush_failures_total",
            "Times that files could not be written.",
            status.flush_failures as f64,
        ),
        ("immune_store_merges_total", "Times that files were merged.", status.merges as f64),
        (
            "immune_store_merge_failures_total",
            "Times that files could not be merged.",
            status.merge_failures as f64,
        ),
        ("immune_store_uploads_total", "Files sent to the object store.", status.uploads as f64),
        (
            "immune_store_upload_failures_total",
            "Files that could not be sent.",
            status.upload_failures as f64,
        ),
        (
            "immune_store_batches_refused_total",
            "Batches that no column could take.",
            status.batches_refused as f64,
        ),
        ("immune_disk_free_bytes", "Free space on the disk.", status.disk_free_bytes as f64),
        ("immune_store_troubles", "Things that do not work now.", status.trouble.len() as f64),
    ] {
        figure(text, name, help, value);
    }
    for (name, help) in [
        ("immune_store_files", "Files of telemetry."),
        ("immune_store_bytes", "Bytes of these files."),
        ("immune_store_items", "Spans, log records and points in these files."),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for table in &status.tables {
            let value = match name {
                "immune_store_files" => table.files,
                "immune_store_bytes" => table.bytes,
                _ => table.points,
            };
            let _ = writeln!(text, "{name}{{table=\"{}\"}} {value}", table.table);
        }
    }
}

fn telemetry(app: &App, text: &mut String) {
    let all = app.counters.snapshot();
    for (name, help) in [
        ("immune_received_requests_total", "Export requests accepted."),
        ("immune_received_items_total", "Spans, points and records made durable."),
        ("immune_received_bytes_total", "Decompressed bytes accepted."),
        ("immune_rejected_items_total", "Invalid items left out of accepted requests."),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for counts in &all {
            let value = match name {
                "immune_received_requests_total" => counts.requests,
                "immune_received_items_total" => counts.items,
                "immune_received_bytes_total" => counts.body_bytes,
                _ => counts.rejected_items,
            };
            let (signal, transport) = (counts.signal.as_str(), counts.transport.as_str());
            let _ =
                writeln!(text, "{name}{{signal=\"{signal}\",transport=\"{transport}\"}} {value}");
        }
    }
    let name = "immune_refused_requests_total";
    let _ = writeln!(text, "# HELP {name} Export requests refused.\n# TYPE {name} counter");
    for counts in &all {
        for (reason, value) in counts.refused.iter().filter(|(_, value)| *value > 0) {
            let (signal, transport) = (counts.signal.as_str(), counts.transport.as_str());
            let reason = reason.as_str();
            let labels =
                format!("signal=\"{signal}\",transport=\"{transport}\",reason=\"{reason}\"");
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    }
}
