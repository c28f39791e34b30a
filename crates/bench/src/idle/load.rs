//! Captured telemetry of all three signals at a rate, with as many series as wanted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::signal::Signal;
use tokio::time::sleep;

use crate::serving::Listening;
use crate::telemetry::folder::Captured;
use crate::telemetry::line::Prepared;
use crate::telemetry::sending::{Pace, Sent, Width, send};
use crate::telemetry::stock::{Plan, Source};
use crate::telemetry::templates::Filled;

/// Of what is no metric; the rest are log records.
const SPANS: f64 = 0.7;
const CONNECTIONS: usize = 4;
/// Per request, to rewrite and compress it.
const PREPARING: Duration = Duration::from_millis(2);

pub struct Mixed {
    metrics: Source,
    traces: Source,
    logs: Source,
}

/// What was sent.
pub struct Loaded {
    pub items: usize,
    pub refused: usize,
    /// Different series, of which each histogram is one.
    pub series: usize,
    took: Duration,
}

impl Loaded {
    pub fn per_s(&self, items: usize) -> f64 {
        items as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

impl Mixed {
    pub fn new(captured: &[Captured], series: usize) -> Result<Mixed> {
        // As they were captured: at such a rate SDKs do not fill their requests.
        let source = |signal| Source::new(captured, signal, Filled::AsCaptured, 1);
        Ok(Mixed {
            metrics: Source::metrics(captured, series)?,
            traces: source(Signal::Traces)?,
            logs: source(Signal::Logs)?,
        })
    }

    /// Sends `rate` items a second: first of all each process's metrics, which come at intervals,
    /// then spans and log records as far as there is room.
    pub async fn send(self, at: Listening, lasts: Duration, rate: f64) -> Result<Loaded> {
        ensure!(!lasts.is_zero(), "a load has to last a while");
        let seconds = lasts.as_secs_f64();
        let interval_s = self.metrics.interval().context("no metrics")?.as_secs_f64();
        let steps = (seconds / interval_s).floor().max(1.0) as usize;
        let metrics = steps * self.metrics.requests_of_a_step();
        let series = self.metrics.series(metrics);
        let stream = prepare(self.metrics, lasts, metrics, 1).await;
        let points: usize = stream.iter().map(|one| one.items).sum();
        let room = (rate * seconds - points as f64).max(0.0);
        let of = |source: &Source, items: f64| {
            let each = source.items_of_a_pass().unwrap_or(1) as f64;
            (items * source.requests_of_a_step() as f64 / each).ceil() as usize
        };
        let spans = of(&self.traces, room * SPANS);
        let records = of(&self.logs, room * (1.0 - SPANS));
        let traces = prepare(self.traces, lasts, spans, 2).await;
        let logs = prepare(self.logs, lasts, records, 3).await;
        eprintln!("{series} series; under load for {seconds} s");
        let go = |stream: Arc<Vec<Prepared>>| async move {
            let per_s = stream.len() as f64 / seconds;
            send(at, stream, Width::of(CONNECTIONS), Pace::Open { per_s }).await
        };
        let (metrics, traces, logs) = tokio::try_join!(go(stream), go(traces), go(logs))?;
        let mut sent = Sent { took: metrics.took, ..Sent::default() };
        [metrics, traces, logs].into_iter().for_each(|one| sent.add(one));
        ensure!(sent.failed == 0, "sending failed: {:?}", sent.failures.first());
        Ok(Loaded { items: sent.items, refused: sent.refused, series, took: sent.took })
    }
}

/// Makes requests for the time from when all are ready on.
async fn prepare(
    source: Source,
    lasts: Duration,
    requests: usize,
    seed: u64,
) -> Arc<Vec<Prepared>> {
    let begin = server::clock::now() + PREPARING * requests as u32;
    let plan = Plan { begin: begin.0, lasts, requests };
    let made = tokio::task::block_in_place(|| source.prepare(plan, seed));
    sleep(begin.since(server::clock::now())).await;
    Arc::new(made)
}
