//! `immune traces` and `immune trace ID`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on};

const BAR_COLUMNS: u64 = 32;
/// Spans that are printed unless all are asked for.
const SPANS_SHOWN: usize = 500;

/// Lists traces with a span of these kinds, newest first.
#[derive(Args)]
pub(super) struct Traces {
    /// Name of a service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Name of a span, or a route
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Status of a span
    #[arg(long, value_parser = ["unset", "ok", "error"])]
    status: Option<String>,
    /// Kind of a span
    #[arg(long, value_parser = ["internal", "server", "client", "producer", "consumer"])]
    kind: Option<String>,
    /// Shortest duration, such as 250ms
    #[arg(long, value_name = "DURATION")]
    min_duration: Option<String>,
    /// Longest duration
    #[arg(long, value_name = "DURATION")]
    max_duration: Option<String>,
    /// Such as http.route=/checkout, code>=500, db.system!=redis, url.path=~/api/.*, user.id
    #[arg(long = "attribute", short, value_name = "FILTER")]
    attributes: Vec<String>,
    /// Slowest first
    #[arg(long)]
    slowest: bool,
    /// Since when: a time, or a duration before now
    #[arg(long, default_value = "1h", value_name = "TIME")]
    from: String,
    /// Until when
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Number of traces
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

/// Tells of one trace: its spans as a tree, where time went, where an error started.
#[derive(Args)]
pub(super) struct Trace {
    /// 32 hexadecimal digits
    id: String,
    /// Print all spans of a large trace
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Traces {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let order = if self.slowest { "slowest" } else { "newest" };
        let mut parameters = vec![
            ("from", self.from),
            ("order", order.to_owned()),
            ("limit", self.limit.to_string()),
        ];
        let optional = [
            ("to", self.to),
            ("service", self.service),
            ("operation", self.operation),
            ("status", self.status),
            ("kind", self.kind),
            ("min_duration", self.min_duration),
            ("max_duration", self.max_duration),
        ];
        parameters.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        parameters.extend(self.attributes.into_iter().map(|filter| ("attribute", filter)));
        let found: Value = block_on(client.ask("traces", &parameters))?;
        if self.server.json {
            text::json(&found)?;
            return Ok(ExitCode::SUCCESS);
        }
        let traces = found["traces"].as_array().cloned().unwrap_or_default();
        if traces.is_empty() {
            text::line("no traces match");
        }
        traces.iter().for_each(print_summary);
        if found["more"] == true {
            eprintln!("there are more: raise --limit, or ask for a shorter time");
        }
        if let Some(why) = text::why_stopped(&found["stopped"]) {
            eprintln!("not all was looked at: {why}; ask for a shorter time");
        }
        text::warn_of_missing_files(&found);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_summary(trace: &Value) {
    let word = |name: &str| text::plain(trace[name].as_str().unwrap_or_default());
    let number = |name: &str| trace[name].as_u64().unwrap_or(0);
    let start: String = word("start").chars().take(23).collect();
    let errors = match number("errors") {
        0 => String::new(),
        1 => paint(Paint::Red, " 1 error"),
        errors => paint(Paint::Red, &format!(" {errors} errors")),
    };
    text::line(&format!(
        "{}  {} {:>9} {:>5} spans{errors}  {} {}",
        word("trace_id"),
        start.replacen('T', " ", 1),
        text::duration(number("duration_nanos")),
        number("spans"),
        paint(Paint::Bold, &word("service")),
        word("operation"),
    ));
}

impl Trace {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let trace: Value = block_on(client.get(&format!("traces/{}", self.id)))?;
        if self.server.json {
            text::json(&trace)?;
            return Ok(ExitCode::SUCCESS);
        }
        let shown = if self.all { usize::MAX } else { SPANS_SHOWN };
        print_trace(&trace, shown);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_trace(trace: &Value, shown: usize) {
    let spans = trace["spans"].as_array().cloned().unwrap_or_default();
    let total = trace["duration_nanos"].as_u64().unwrap_or(0).max(1);
    let errors = trace["errors"].as_u64().unwrap_or(0);
    text::line(&format!(
        "trace {} · {} · {} spans · {errors} errors · began {}",
        trace["trace_id"].as_str().unwrap_or(""),
        text::duration(total),
        spans.len(),
        trace["start"].as_str().unwrap_or(""),
    ));
    for failure in trace["tree"]["failures"].as_array().into_iter().flatten() {
        let word = |name: &str| text::plain(failure[name].as_str().unwrap_or_default());
        let why = [word("exception_type"), word("exception_message"), word("message")];
        let why: Vec<String> = why.into_iter().filter(|text| !text.is_empty()).collect();
        let what = format!("an error started in {} {}", word("service"), word("operation"));
        text::line(&format!("{}  {}", paint(Paint::Red, &what), why.join(": ")));
    }
    // A stack instead of recursion: traces may be deep.
    let nodes = &trace["tree"]["nodes"];
    let begin = spans.iter().filter_map(|span| span["start_unix_nanos"].as_u64()).min();
    let mut stack: Vec<u64> = indexes(&trace["tree"]["roots"]);
    stack.reverse();
    let mut printed = 0;
    while let Some(at) = stack.pop() {
        if printed == shown {
            text::line(&format!("… {} more spans; --all shows them", spans.len() - printed));
            break;
        }
        printed += 1;
        let (Some(span), Some(node)) = (spans.get(at as usize), nodes.get(at as usize)) else {
            continue;
        };
        print_span(span, node, begin.unwrap_or(0), total);
        stack.extend(indexes(&node["children"]).into_iter().rev());
    }
    if trace["truncated"] == true {
        let why = text::why_stopped(&trace["stopped"]);
        let why = why.unwrap_or_else(|| "it has more spans than are shown at once".to_owned());
        eprintln!("this is a part of the trace: {why}");
    }
    text::warn_of_missing_files(trace);
}

fn indexes(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn print_span(span: &Value, node: &Value, begin: u64, total: u64) {
    let word = |name: &str| text::plain(span[name].as_str().unwrap_or_default());
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let duration = number(&span["duration_nanos"]);
    let offset = number(&span["start_unix_nanos"]).saturating_sub(begin);
    let columns = |nanos: u64| {
        let columns = u128::from(nanos) * u128::from(BAR_COLUMNS) / u128::from(total);
        columns.min(u128::from(BAR_COLUMNS)) as usize
    };
    let before = columns(offset).min(BAR_COLUMNS as usize - 1);
    let width = columns(duration).clamp(1, BAR_COLUMNS as usize - before);
    let after = BAR_COLUMNS as usize - before - width;
    let bar = format!("{}{}{}", "·".repeat(before), "━".repeat(width), "·".repeat(after));
    let depth = number(&node["depth"]).min(40) as usize;
    let failed = span["status"] == "error";
    let name = format!("{} {}", paint(Paint::Bold, &word("service")), word("name"));
    let mut line = format!(
        "{} {:>9} self {:>9}  {}{name}",
        paint(if failed { Paint::Red } else { Paint::Green }, &bar),
        text::duration(duration),
        text::duration(number(&node["self_nanos"])),
        "  ".repeat(depth),
    );
    if let Some(gap) = node["edge_gap_nanos"].as_i64().filter(|gap| *gap > 0) {
        line.push_str(&format!("  gap {}", text::duration(gap as u64)));
    }
    if node["place"] == "orphan" {
        line.push_str("  (its parent is not here)");
    }
    if failed {
        line.push_str(&paint(Paint::Red, &format!("  error {}", word("status_message"))));
    }
    text::line(&line);
}
