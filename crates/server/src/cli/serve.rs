//! `immune run`, `agent`, `keep`, `replay`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::progress::Progress;
use super::{ConfigArgs, text};
use crate::{config, replay, run};

/// Runs the server.
#[derive(Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArgs,
    /// Data folder, instead of the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode> {
        log_to_stderr();
        let (mut config, mut origins) = config::load_with_origins(self.config.config.as_deref())?;
        if let Some(data) = self.data {
            config.storage.path = data;
            origins.given("storage.path", "--data");
        }
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let stop = stop_signal()?;
            run::run(config, origins, stop, |listening| {
                tracing::info!(
                    api = %listening.api,
                    otlp_grpc = %listening.otlp_grpc,
                    otlp_http = %listening.otlp_http,
                    "ready"
                );
            })
            .await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the agent.
#[derive(Args)]
pub(super) struct Agent {
    /// Folder for the agent's ledger
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Socket on which it listens for the server
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
}

impl Agent {
    pub(super) fn run(self) -> Result<ExitCode> {
        log_to_stderr();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(async {
                let stop = stop_signal()?;
                agent::run(agent::AgentConfig::new(self.dir, self.socket), stop)
                    .await
                    .context("agent")
            })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Keeps one fault for the agent.
#[derive(Args)]
pub(super) struct Keep {
    /// Which fault of which agent, to be found by
    #[arg(value_name = "MARK")]
    _mark: String,
}

impl Keep {
    pub(super) fn run(self) -> Result<ExitCode> {
        log_to_stderr();
        agent::keep().map_err(|error| anyhow::anyhow!("keeper: {error}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Replays a data folder.
#[derive(Args)]
pub(super) struct Replay {
    /// Data folder of a server
    #[arg(value_name = "DIR", default_value = "immune-data")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn run(self) -> Result<ExitCode> {
        let report = {
            let progress = Progress::of(0, "replaying");
            replay::replay(&self.data, |done, all| progress.reaches(done, all))?
        };
        if self.json {
            text::json(&report)?;
        } else {
            let verdict = match report.identical() {
                true => "identical to the journal, byte for byte".to_owned(),
                false => format!(
                    "{} events differ, {} are missing\n{}",
                    report.differing,
                    report.missing,
                    report.first_difference.as_deref().unwrap_or_default()
                ),
            };
            text::line(&format!(
                "{} entries, {} steps, {} events, {} incidents: {verdict}",
                report.entries, report.ticks, report.events, report.incidents
            ));
            if report.unwritten > 0 {
                let unwritten = report.unwritten;
                text::line(&format!("{unwritten} events at the end are not in the journal yet"));
            }
        }
        Ok(if report.identical() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // To complain of a log that cannot be written it would write to it, and panic.
        .log_internal_errors(false)
        .with_ansi(text::has_colours(std::io::stderr().is_terminal()))
        .with_writer(std::io::stderr)
        .init();
}

/// Resolves at the first SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
