//! `immune logs`: search, count, follow.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on};

/// Longest line of a live tail.
const LINE_BYTES_MAX: usize = 64 << 20;
const BAR_COLUMNS: u64 = 50;
const SEVERITIES: [&str; 7] = ["none", "trace", "debug", "info", "warn", "error", "fatal"];

/// Searches log records, newest first, or follows them as they come.
///
/// Words, "phrases", /regexes/, service:NAME, severity:>=warn, trace:ID, KEY:VALUE, NOT, OR.
#[derive(Args)]
pub(super) struct Logs {
    /// What to look for; all when nothing is given
    query: Vec<String>,
    /// Since when: a time, or a duration before now
    #[arg(long, default_value = "1h", value_name = "TIME")]
    from: String,
    /// Until when
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Number of records
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
    /// Oldest first
    #[arg(long)]
    oldest: bool,
    /// Go on after a page: the value of `next`
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Show records as they come, until interrupted
    #[arg(long, short, conflicts_with_all = ["oldest", "after", "histogram", "to"])]
    follow: bool,
    /// Count by time and severity
    #[arg(long, conflicts_with_all = ["oldest", "after"])]
    histogram: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Logs {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let mut parameters = vec![("query", self.query.join(" "))];
        if self.follow {
            return block_on(follow(&client, &parameters, self.server.json));
        }
        parameters.push(("from", self.from));
        parameters.extend(self.to.map(|to| ("to", to)));
        if self.histogram {
            let counts: Value = block_on(client.ask("logs/histogram", &parameters))?;
            match self.server.json {
                true => text::json(&counts)?,
                false => print_counts(&counts),
            }
            return Ok(ExitCode::SUCCESS);
        }
        parameters.push(("limit", self.limit.to_string()));
        parameters.push(("order", if self.oldest { "oldest" } else { "newest" }.to_owned()));
        parameters.extend(self.after.map(|after| ("after", after)));
        let page: Value = block_on(client.ask("logs", &parameters))?;
        if self.server.json {
            text::json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        let records = page["records"].as_array().cloned().unwrap_or_default();
        if records.is_empty() {
            text::line("no log records match");
        }
        // As a person reads a log: the newest below.
        match self.oldest {
            true => records.iter().for_each(print_record),
            false => records.iter().rev().for_each(print_record),
        }
        if let Some(next) = page["next"].as_str() {
            eprintln!("there are more: add --after {next}");
        }
        if let Some(why) = text::why_stopped(&page["truncated"]) {
            eprintln!("not all was looked at: {why}; ask for a shorter time");
        }
        text::warn_of_missing_files(&page);
        Ok(ExitCode::SUCCESS)
    }
}

async fn follow(
    client: &Client,
    parameters: &[(&'static str, String)],
    json: bool,
) -> Result<ExitCode> {
    let mut response = client.stream("logs/tail", parameters).await?;
    let mut waiting = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        waiting.extend_from_slice(&chunk);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let Some(data) = line.trim_end().strip_prefix("data: ") else { continue };
            let told: Value = serde_json::from_str(data)?;
            for record in told["records"].as_array().into_iter().flatten() {
                match json {
                    true => text::line(&record.to_string()),
                    false => print_record(record),
                }
            }
            let (left_out, missed) = (&told["left_out"], &told["missed_batches"]);
            if left_out.as_u64() != Some(0) || missed.as_u64() != Some(0) {
                eprintln!("too many at once: {left_out} records and {missed} requests not shown");
            }
        }
        anyhow::ensure!(waiting.len() <= LINE_BYTES_MAX, "the server sent a line without end");
    }
    eprintln!("the server has ended");
    Ok(ExitCode::SUCCESS)
}

fn print_record(record: &Value) {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let severity = text("severity");
    let colour = match severity {
        "error" | "fatal" => Paint::Red,
        "warn" => Paint::Yellow,
        _ => Paint::Dim,
    };
    let body = match &record["body"] {
        Value::String(body) => body.clone(),
        Value::Null => text("event_name").to_owned(),
        other => other.to_string(),
    };
    let time = text("time").replacen('T', " ", 1);
    let service = paint(Paint::Bold, text("service"));
    let severity = paint(colour, &format!("{severity:<5}"));
    let trace = match text("trace_id") {
        "" => String::new(),
        trace => paint(Paint::Dim, &format!("  trace {trace}")),
    };
    text::line(&format!("{time} {severity} {service} {}{trace}", text::plain(body.trim_end())));
}

fn print_counts(counts: &Value) {
    let buckets = counts["buckets"].as_array().cloned().unwrap_or_default();
    let sum = |bucket: &Value| -> u64 {
        SEVERITIES.iter().filter_map(|severity| bucket[*severity].as_u64()).sum()
    };
    let most = buckets.iter().map(sum).max().unwrap_or(0).max(1);
    for bucket in &buckets {
        let all = sum(bucket);
        let bad: u64 = ["error", "fatal"].iter().filter_map(|name| bucket[*name].as_u64()).sum();
        let columns = |count: u64| (count * BAR_COLUMNS).div_ceil(most) as usize;
        let (red, rest) = (columns(bad), columns(all).saturating_sub(columns(bad)));
        let bar = paint(Paint::Red, &"█".repeat(red)) + &"█".repeat(rest);
        let time: String = bucket["start"].as_str().unwrap_or("").chars().take(19).collect();
        text::line(&format!("{} {all:>9} {bad:>7} bad  {bar}", time.replacen('T', " ", 1)));
    }
    text::line(&format!("{} in all", counts["total"].as_u64().unwrap_or(0)));
    if let Some(why) = text::why_stopped(&counts["truncated"]) {
        eprintln!("not all was counted: {why}; ask for a shorter time");
    }
    text::warn_of_missing_files(counts);
}
