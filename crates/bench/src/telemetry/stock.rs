//! Requests prepared ahead: rewritten and compressed, so that whoever sends them has nothing to do
//! but to send.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::Timestamp;
use model::signal::Signal;

use super::folder::{Captured, Protocol};
use super::line::{Prepared, grpc_frame};
use super::metrics::Process;
use super::rewrite::{Pass, rewritten};
use super::templates::{Filled, Templates};

/// What requests are made of.
pub enum Source {
    Templates(Templates),
    Metrics { processes: Vec<Process>, instances: usize },
}

/// When prepared requests are going to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Nanoseconds since 1970.
    pub begin: u64,
    pub lasts: Duration,
    pub requests: usize,
}

impl Source {
    /// Of one signal of a capture; `instances` processes stand for each captured one in metrics.
    pub fn new(
        captured: &[Captured],
        signal: Signal,
        filled: Filled,
        instances: usize,
    ) -> Result<Source> {
        Ok(match signal {
            Signal::Traces => Source::Templates(Templates::traces(captured, filled)?),
            Signal::Logs => Source::Templates(Templates::logs(captured, filled)?),
            Signal::Metrics => Source::Metrics { processes: Process::all(captured)?, instances },
        })
    }

    /// Metrics of so many processes that one export of each holds `series` different series.
    pub fn metrics(captured: &[Captured], series: usize) -> Result<Source> {
        let processes = Process::all(captured)?;
        let of_each: usize = processes.iter().map(|process| process.series(1)).sum();
        ensure!(of_each > 0, "the capture's metrics have no points");
        Ok(Source::Metrics { processes, instances: series.div_ceil(of_each).max(1) })
    }

    /// Requests in which each process exports once; of a pass where there are passes.
    pub fn requests_of_a_step(&self) -> usize {
        match self {
            Source::Templates(templates) => templates.all.len(),
            Source::Metrics { processes, instances } => processes.len() * instances,
        }
    }

    /// Export `step` of the process with this number; none where there are no metrics.
    pub fn export(&self, number: usize, step: usize, at: Timestamp) -> Option<Vec<u8>> {
        let Source::Metrics { processes, .. } = self else { return None };
        let (process, instance) = (&processes[number % processes.len()], number / processes.len());
        Some(process.export(instance, step, at.0).0)
    }

    /// How far apart a process exports; none where there are no metrics.
    pub fn interval(&self) -> Option<Duration> {
        let Source::Metrics { processes, .. } = self else { return None };
        processes.iter().map(|process| Duration::from_nanos(process.interval_ns())).max()
    }

    /// Different series in that many requests; none where there are no metrics.
    pub fn series(&self, requests: usize) -> usize {
        let Source::Metrics { processes, .. } = self else { return 0 };
        let (steps, rest) =
            (requests / self.requests_of_a_step(), requests % self.requests_of_a_step());
        let after = |steps: usize| processes.iter().map(move |process| process.series(steps));
        let (before, then): (Vec<_>, Vec<_>) = (after(steps).collect(), after(steps + 1).collect());
        let of = |at: usize| if at < rest { &then } else { &before };
        (0..self.requests_of_a_step()).map(|at| of(at)[at % processes.len()]).sum()
    }

    /// Spans or log records of one pass; none for metrics, which have no passes.
    pub fn items_of_a_pass(&self) -> Option<usize> {
        match self {
            Source::Templates(templates) => Some(templates.items()),
            Source::Metrics { .. } => None,
        }
    }

    /// Makes the requests of a plan on all cores. The same seed gives the same ids.
    pub fn prepare(&self, plan: Plan, seed: u64) -> Vec<Prepared> {
        let slots = Mutex::new(vec![None; plan.requests]);
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= plan.requests {
                            return;
                        }
                        let prepared = self.request(number, plan, seed);
                        slots.lock().unwrap_or_else(PoisonError::into_inner)[number] =
                            Some(prepared);
                    }
                });
            }
        });
        slots.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
    }

    fn request(&self, number: usize, plan: Plan, seed: u64) -> Prepared {
        match self {
            Source::Templates(templates) => {
                let count = templates.all.len();
                let (pass, at) = (number / count, number % count);
                let template = &templates.all[at];
                // Only the template's own time and those before it are asked for.
                let sent: Vec<u64> = (0..=at).map(|one| plan.sending(pass * count + one)).collect();
                let key = seed.wrapping_mul(0x1_0000_0001).wrapping_add(pass as u64);
                let body = rewritten(template, at, Pass { key, sent: &sent });
                let (items, signal) = (template.items, template.signal);
                prepared(template.protocol, signal, &body, items, items)
            }
            Source::Metrics { processes, instances } => {
                let per_step = processes.len() * instances;
                let (step, rest) = (number / per_step, number % per_step);
                let (process, instance) =
                    (&processes[rest % processes.len()], rest / processes.len());
                let steps = plan.requests.div_ceil(per_step);
                let end = plan.begin + plan.lasts.as_nanos() as u64;
                let before = process.interval_ns() * (steps - 1 - step) as u64;
                // Instances do not export at the same moment.
                let apart = process.interval_ns() / *instances as u64 * instance as u64;
                let at = end.saturating_sub(before + apart);
                let (body, count) = process.export(instance, step, at);
                prepared(process.protocol, Signal::Metrics, &body, count.points, count.samples)
            }
        }
    }
}

impl Plan {
    /// When a request is going to be sent.
    fn sending(&self, number: usize) -> u64 {
        let share = number as f64 / self.requests.max(1) as f64;
        self.begin + (self.lasts.as_nanos() as f64 * share) as u64
    }
}

fn prepared(
    protocol: Protocol,
    signal: Signal,
    body: &[u8],
    items: usize,
    samples: usize,
) -> Prepared {
    let compressed = gzip(body);
    let raw_bytes = body.len();
    let body = match protocol {
        Protocol::Http => Bytes::from(compressed),
        Protocol::Grpc => grpc_frame(&compressed),
    };
    Prepared { protocol, signal, body, items, samples, raw_bytes }
}

/// As the SDKs do it, at the default level.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::default());
    let written = encoder.write_all(body);
    written.and_then(|()| encoder.finish()).expect("memory takes all that is written")
}
