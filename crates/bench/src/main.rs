//! `bench`: runs the product against real systems and loads, and prints our figures.
//!
//! Progress goes to standard error; the last thing on standard output is one JSON object whose keys
//! docs and continuous integration rely on. The status is 1 when a promise of the product was
//! broken (the figures are printed all the same), or when there are no figures. Every figure comes
//! from the real programs (`immune`, `shop`), found beside this one. What it starts it ends, also
//! when it is interrupted or panics: every process is held by a value whose end is the process's.

mod capture;

mod demo;

mod disk;

mod flood;

mod idle;

mod ingest;

mod lost;

mod polyglot;

mod proxy;

mod query;

mod restart;

mod series;

mod simulate;

mod ui;

mod undo;

mod api;

mod arrival;

mod figures;

mod filling;

mod gauges;

mod process;

mod programs;

mod pypi;

mod serving;

mod telemetry;

mod watch;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use figures::Outcome;

/// Prints figures of the product: progress on stderr, one JSON object last on stdout.
#[derive(Parser)]
#[command(name = "bench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    /// Print the object on one line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Bench {
    /// Drills and innocent events on the polyglot system
    Polyglot(polyglot::Polyglot),
    /// The demo's drills on the shop, for many seeds
    Demo(demo::Demo),
    /// Kill the server at random moments under load, and count what was lost
    Lost(lost::Lost),
    /// Keep what the polyglot system and the shop send, to be sent again
    Capture(capture::Capture),
    /// What telemetry costs: processor time, time to acknowledge, bytes at rest
    Ingest(ingest::Ingest),
    /// More telemetry than it can take: memory, answers, ticks, recovery
    Flood(flood::Flood),
    /// How long questions take when there is much telemetry
    Query(query::Query),
    /// What the server costs when it has nothing to do, after load
    Idle(idle::Idle),
    /// A start on much telemetry, in order and after a kill
    Restart(restart::Restart),
    /// What a proxy costs, beside nginx, HAProxy, Envoy and a plain copy
    Proxy(proxy::Proxy),
    /// The plain copy that proxies are held against
    #[command(hide = true)]
    PlainCopy(proxy::PlainCopy),
    /// Kill agent, server or both at random moments of a fault, and see whether it is undone
    Undo(undo::Undo),
    /// The web pages in a real browser: bytes, time to the first figure, frames a second
    Ui(ui::Ui),
    /// The real loop in simulated fleets
    Simulate(simulate::Simulate),
    /// The Numenta Anomaly Benchmark: unusual values of single series
    Nab(series::Nab),
    /// Microsoft's cloud monitoring data set: the same, as experts labelled it
    CloudMonitoring(series::CloudMonitoring),
    /// What following many series costs
    DetectCost(series::DetectCost),
    /// A process of `undo`
    #[command(hide = true)]
    UndoPart(undo::UndoPart),
}

impl Bench {
    async fn run(self) -> Result<Outcome> {
        match self {
            Bench::Polyglot(polyglot) => polyglot.run().await,
            Bench::Demo(demo) => demo.run().await,
            Bench::Lost(lost) => lost.run().await,
            Bench::Capture(capture) => capture.run().await,
            Bench::Ingest(ingest) => ingest.run().await,
            Bench::Flood(flood) => flood.run().await,
            Bench::Query(query) => query.run().await,
            Bench::Idle(idle) => idle.run().await,
            Bench::Restart(restart) => restart.run().await,
            Bench::Proxy(proxy) => proxy.run().await,
            Bench::PlainCopy(plain_copy) => plain_copy.run().await,
            Bench::Undo(undo) => undo.run().await,
            Bench::Ui(ui) => ui.run().await,
            Bench::Simulate(simulate) => simulate.run().await,
            Bench::Nab(nab) => nab.run().await,
            Bench::CloudMonitoring(cloud_monitoring) => cloud_monitoring.run().await,
            Bench::DetectCost(detect_cost) => detect_cost.run().await,
            Bench::UndoPart(part) => part.run().await.map(|()| Outcome::new(Value::Null)),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match figures_of(cli.bench) {
        Ok(Outcome { figures, broken }) => {
            for promise in &broken {
                eprintln!("bench: {promise}");
            }
            let text = if cli.json { figures.to_string() } else { format!("{figures:#}") };
            println!("{text}");
            if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn figures_of(bench: Bench) -> Result<Outcome> {
    // Before anything can want TLS: there is exactly one provider in this program.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.ok().context("a TLS provider is installed already")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Whoever loses is dropped, and with it every process that it holds.
        tokio::select! {
            figures = bench.run() => figures,
            _ = interrupt.recv() => anyhow::bail!("interrupted"),
            _ = terminate.recv() => anyhow::bail!("terminated"),
        }
    })
}
