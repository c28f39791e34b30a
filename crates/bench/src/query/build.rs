//! Writes a day of telemetry with the product's own store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::Timestamp;
use model::signal::{Batch, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use receivers::Encoding;
use serde::{Deserialize, Serialize};
use storage::reserve::{DiskConfig, DiskWatch};
use storage::segment::{self, Salt};
use storage::store::{Config, Store};
use tokio::time::Instant;

use crate::figures::rounded;
use crate::telemetry::folder::Captured;
use crate::telemetry::rewrite::{Pass, rewritten};
use crate::telemetry::templates::{Filled, Template, Templates};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const WORD: &str = "zyxgate9f3a";
const RARE: usize = 10;
/// Traces that are kept to be asked for.
const TRACES_MAX: usize = 256;
const FLUSHED_WITHIN: Duration = Duration::from_secs(600);
const SETTLED_WITHIN: Duration = Duration::from_secs(1_800);
/// A merge of large files takes a while, and is counted at its end.
const QUIET: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const BUILT: &str = "built.json";

/// What was built, as far as questions need it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Built {
    pub spans: u64,
    pub logs: u64,
    /// Hexadecimal.
    pub traces: Vec<String>,
    pub word: String,
    /// How many log records hold the word.
    pub rare: u64,
    pub from: Timestamp,
    pub to: Timestamp,
    pub built_in_s: f64,
}

impl Built {
    pub fn save(&self, folder: &Path) -> Result<()> {
        Ok(std::fs::write(folder.join(BUILT), serde_json::to_string(self)?)?)
    }

    pub fn load(folder: &Path) -> Result<Built> {
        let path = folder.join(BUILT);
        let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// The store as it is being filled: a position of the log for each seal.
struct Filling {
    store: Store,
    position: u64,
}

pub fn build(
    data: &Path,
    captured: &[Captured],
    (spans, logs): (u64, u64),
    seed: u64,
) -> Result<Built> {
    let begin = Instant::now();
    let telemetry = data.join("telemetry");
    std::fs::create_dir_all(&telemetry)?;
    let disk = Arc::new(DiskWatch::open(data, DiskConfig::default())?);
    let clock = Arc::new(server::clock::now);
    let (store, _) = Store::open(&telemetry, Config::default(), clock, disk)?;
    let mut filling = Filling { store, position: 1 };
    let to = server::clock::now();
    let from = to - DAY;
    let mut built = Built {
        spans: 0,
        logs: 0,
        traces: Vec::new(),
        word: WORD.to_owned(),
        rare: RARE as u64,
        from,
        to,
        built_in_s: 0.0,
    };
    if spans > 0 {
        let templates = Templates::traces(captured, Filled::Full)?;
        built.spans = filling.fill(&templates, spans, from, seed, &mut built.traces)?;
    }
    if logs > 0 {
        let templates = Templates::logs(captured, Filled::Full)?;
        built.logs = filling.fill(&templates, logs, from, seed + 1, &mut Vec::new())?;
        for number in 0..RARE {
            let at = from + DAY.mul_f64((number as f64 + 0.5) / RARE as f64);
            filling.append(Signal::Logs, &rare(at), at)?;
            built.logs += 1;
        }
    }
    filling.finish(data)?;
    built.built_in_s = rounded(begin.elapsed().as_secs_f64());
    Ok(built)
}

impl Filling {
    /// Passes over the templates until there are so many items, spread over the day.
    fn fill(
        &mut self,
        templates: &Templates,
        items: u64,
        from: Timestamp,
        seed: u64,
        traces: &mut Vec<String>,
    ) -> Result<u64> {
        let passes = items.div_ceil(templates.items() as u64);
        let mut done = 0;
        for pass in 0..passes {
            let step = DAY.div_f64(passes as f64);
            let begin = from + step.mul_f64(pass as f64);
            let each = step.div_f64(templates.all.len() as f64);
            let moment = |number: usize| (begin + each.mul_f64(number as f64)).0;
            let sent: Vec<u64> = (0..templates.all.len()).map(moment).collect();
            let key = seed.wrapping_mul(0x1_0000_0001).wrapping_add(pass);
            let pass_done = self.pass(&templates.all, Pass { key, sent: &sent }, traces)?;
            if (done + pass_done) / 5_000_000 > done / 5_000_000 {
                eprintln!("{} of {items} items", done + pass_done);
            }
            done += pass_done;
        }
        Ok(done)
    }

    /// One pass, on all cores.
    fn pass(&mut self, all: &[Template], pass: Pass<'_>, traces: &mut Vec<String>) -> Result<u64> {
        let next = AtomicUsize::new(0);
        let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let (store, position) = (&self.store, self.position);
        let work = || -> Result<(u64, Option<String>)> {
            let (mut done, mut trace) = (0, None);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(template) = all.get(number) else { return Ok((done, trace)) };
                let body = rewritten(template, number, pass);
                let batch = decoded(template.signal, &body)?;
                done += batch.len() as u64;
                if trace.is_none() && number == all.len() / 2 {
                    trace = trace_of(&batch);
                }
                let arrival = Timestamp(pass.sent[number]);
                while !store.wait_room(FLUSHED_WITHIN) {}
                store.append(position, arrival, Arc::new(batch), Box::new(()))?;
            }
        };
        let results: Vec<Result<(u64, Option<String>)>> = std::thread::scope(|scope| {
            let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let join = |one: std::thread::ScopedJoinHandle<'_, _>| match one.join() {
                Ok(result) => result,
                Err(_) => Err(anyhow::anyhow!("a worker panicked")),
            };
            working.into_iter().map(join).collect()
        });
        let mut done = 0;
        for result in results {
            let (items, trace) = result?;
            done += items;
            traces.extend(trace.filter(|_| traces.len() < TRACES_MAX));
        }
        if self.store.wants_seal(server::clock::now()) {
            self.store.seal(self.position)?;
            self.position += 1;
        }
        Ok(done)
    }

    fn append(&mut self, signal: Signal, body: &[u8], arrival: Timestamp) -> Result<()> {
        let batch = Arc::new(decoded(signal, body)?);
        Ok(self.store.append(self.position, arrival, batch, Box::new(()))?)
    }

    /// Everything into files, merged as far as the store wants to; and a log that goes on after it.
    fn finish(self, data: &Path) -> Result<()> {
        let deadline = Instant::now() + FLUSHED_WITHIN;
        loop {
            self.store.seal(self.position)?;
            if self.store.wait_flushed(self.position, LOOK_EVERY) {
                break;
            }
            if Instant::now() > deadline {
                bail!("the store does not write: {:?}", self.store.status().trouble);
            }
        }
        eprintln!("in files; waiting until they are merged");
        let begin = Instant::now();
        let (mut merges, mut since) = (self.store.status().merges, Instant::now());
        while since.elapsed() < QUIET && begin.elapsed() < SETTLED_WITHIN {
            // Waits, and wakes up early when something happens.
            self.store.wait_flushed(u64::MAX, LOOK_EVERY);
            let now = self.store.status().merges;
            if now != merges {
                (merges, since) = (now, Instant::now());
            }
        }
        self.store.stop();
        let log = data.join("log");
        std::fs::create_dir_all(&log)?;
        let first = self.position + 1;
        let header = segment::header(first, &Salt::new([7; 16]));
        Ok(std::fs::write(segment::path(&log, first), header)?)
    }
}

fn decoded(signal: Signal, body: &[u8]) -> Result<Batch> {
    Ok(receivers::decode(signal, Encoding::Protobuf, body)?.batch)
}

fn trace_of(batch: &Batch) -> Option<String> {
    let Batch::Traces(groups) = batch else { return None };
    let span = groups.first()?.items.first()?;
    Some(span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A request with one log record that holds the rare word.
fn rare(at: Timestamp) -> Vec<u8> {
    let text =
        |text: &str| AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) };
    let record = LogRecord {
        time_unix_nano: at.0,
        observed_time_unix_nano: at.0,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(text(&format!("payment refused by {WORD}, trying another"))),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let name = KeyValue {
        key: "service.name".to_owned(),
        value: Some(text("orders")),
        ..KeyValue::default()
    };
    let resource = Some(Resource { attributes: vec![name], ..Resource::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}
