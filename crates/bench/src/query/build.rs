//! Writes a day of telemetry with the product's own store.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use model::Timestamp;
use model::signal::{Batch, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use receivers::Encoding;
use serde::{Deserialize, Serialize};
use storage::store::Config;
use tokio::time::Instant;

use crate::figures::rounded;
use crate::filling::{Arrived, Filling};
use crate::telemetry::folder::Captured;
use crate::telemetry::rewrite::{Pass, rewritten};
use crate::telemetry::templates::{Filled, Templates};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const WORD: &str = "zyxgate9f3a";
const RARE: usize = 10;
/// Traces that are kept to be asked for.
const TRACES_MAX: usize = 256;
/// A merge of large files takes a while, and is counted at its end.
const QUIET: Duration = Duration::from_secs(60);
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

pub fn build(
    data: &Path,
    captured: &[Captured],
    (spans, logs): (u64, u64),
    seed: u64,
) -> Result<Built> {
    let begin = Instant::now();
    let mut filling = Filling::open(data, Config::default())?;
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
        built.spans = fill(&mut filling, &templates, spans, from, seed, &mut built.traces)?;
    }
    if logs > 0 {
        let templates = Templates::logs(captured, Filled::Full)?;
        built.logs = fill(&mut filling, &templates, logs, from, seed + 1, &mut Vec::new())?;
        built.logs += filling.add(RARE, |number| {
            let at = from + DAY.mul_f64((number as f64 + 0.5) / RARE as f64);
            Ok(Arrived { signal: Signal::Logs, body: rare(at), at })
        })?;
    }
    filling.finish(QUIET)?;
    built.built_in_s = rounded(begin.elapsed().as_secs_f64());
    Ok(built)
}

/// Passes over the templates until there are so many items, spread over the day. Of each pass, the
/// id of one trace is kept.
fn fill(
    filling: &mut Filling,
    templates: &Templates,
    items: u64,
    from: Timestamp,
    seed: u64,
    traces: &mut Vec<String>,
) -> Result<u64> {
    let all = &templates.all;
    let passes = items.div_ceil(templates.items() as u64);
    let step = DAY.div_f64(passes as f64);
    let each = step.div_f64(all.len() as f64);
    let mut done = 0;
    for pass in 0..passes {
        let begin = from + step.mul_f64(pass as f64);
        let moment = |number: usize| (begin + each.mul_f64(number as f64)).0;
        let sent: Vec<u64> = (0..all.len()).map(moment).collect();
        let key = seed.wrapping_mul(0x1_0000_0001).wrapping_add(pass);
        let body = |number: usize| rewritten(&all[number], number, Pass { key, sent: &sent });
        let pass_done = filling.add(all.len(), |number| {
            let (signal, at) = (all[number].signal, Timestamp(sent[number]));
            Ok(Arrived { signal, body: body(number), at })
        })?;
        if traces.len() < TRACES_MAX {
            let middle = all.len() / 2;
            traces.extend(trace_of(all[middle].signal, &body(middle))?);
        }
        if (done + pass_done) / 5_000_000 > done / 5_000_000 {
            eprintln!("{} of {items} items", done + pass_done);
        }
        done += pass_done;
    }
    Ok(done)
}

/// The trace of the first span of a request; of log records none.
fn trace_of(signal: Signal, body: &[u8]) -> Result<Option<String>> {
    let decoded = receivers::decode(signal, Encoding::Protobuf, body)?;
    let Batch::Traces(groups) = decoded.batch else { return Ok(None) };
    let span = groups.first().and_then(|group| group.items.first());
    Ok(span.map(|span| span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect()))
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
