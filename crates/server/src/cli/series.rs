//! `immune series`: metrics by name and labels over time.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model::Timestamp;
use serde_json::Value;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on};

/// Points that are printed of a series unless JSON is asked for.
const POINTS_SHOWN: usize = 20;

/// Shows series of a metric over time, or lists the metrics that there are.
#[derive(Args)]
pub(super) struct Series {
    /// Such as `immune.requests{service="cart"}` or `http.server.duration{code=~"5.."}`; without
    /// it the metrics are listed
    selector: Option<String>,
    /// Length of a window, such as 1m; without it the points are shown as they came
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Of each window: last, avg, min, max, sum, count, rate, increase, or quantile(0.95)
    #[arg(long = "function", value_name = "NAME", requires = "step")]
    functions: Vec<String>,
    /// Since when: a time, or a duration before now
    #[arg(long, default_value = "1h", value_name = "TIME")]
    from: String,
    /// Until when
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Number of series
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

impl Series {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let mut parameters = vec![("from", self.from)];
        parameters.extend(self.to.map(|to| ("to", to)));
        let Some(selector) = self.selector else {
            let listed: Value = block_on(client.ask("series/metrics", &parameters))?;
            match self.server.json {
                true => text::json(&listed)?,
                false => print_metrics(&listed),
            }
            return Ok(ExitCode::SUCCESS);
        };
        parameters.push(("match", selector));
        parameters.push(("limit", self.limit.to_string()));
        parameters.extend(self.step.map(|step| ("step", step)));
        parameters.extend(self.functions.into_iter().map(|name| ("function", name)));
        let found: Value = block_on(client.ask("series", &parameters))?;
        if self.server.json {
            text::json(&found)?;
            return Ok(ExitCode::SUCCESS);
        }
        let series = found["series"].as_array().cloned().unwrap_or_default();
        if series.is_empty() {
            text::line("no series match");
        }
        series.iter().for_each(print_series);
        if found["truncated"] == true {
            eprintln!("there are more: raise --limit, or name labels");
        }
        text::warn_of_missing_files(&found);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_metrics(listed: &Value) {
    let metrics = listed["items"].as_array().cloned().unwrap_or_default();
    if metrics.is_empty() {
        text::line("no metrics in this time");
    }
    for metric in &metrics {
        let word = |name: &str| text::plain(metric[name].as_str().unwrap_or_default());
        text::line(&format!(
            "{:<48} {:<22} {:>6} series  {}",
            word("name"),
            word("kind"),
            metric["series"].as_u64().unwrap_or(0),
            word("unit"),
        ));
    }
    if listed["truncated"] == true {
        eprintln!("there are more: ask for a shorter time");
    }
    text::warn_of_missing_files(listed);
}

fn print_series(series: &Value) {
    let word = |name: &str| text::plain(series[name].as_str().unwrap_or_default());
    let labels: Vec<String> = series["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text::plain(&value.to_string())))
        .collect();
    let function = match word("function") {
        function if function.is_empty() => String::new(),
        function => format!("{function} of "),
    };
    let head = format!("{function}{}{{{}}}", word("metric"), labels.join(", "));
    text::line(&format!("{} {} {}", paint(Paint::Bold, &head), word("kind"), word("unit")));
    let points = series["points"].as_array().cloned().unwrap_or_default();
    let left_out = points.len().saturating_sub(POINTS_SHOWN);
    if left_out > 0 {
        text::line(&format!("  … {left_out} earlier points; --json shows them"));
    }
    for point in &points[left_out..] {
        let at = Timestamp(point[0].as_u64().unwrap_or(0).saturating_mul(1_000_000));
        let value = point[1].as_f64().map_or("-".to_owned(), |value| format!("{value}"));
        text::line(&format!("  {}  {value}", text::moment(at)));
    }
    let distributions = series["distributions"].as_array().cloned().unwrap_or_default();
    let left_out = distributions.len().saturating_sub(POINTS_SHOWN);
    for point in &distributions[left_out..] {
        let time: String = point["time"].as_str().unwrap_or("").chars().take(19).collect();
        let (count, sum) = (&point["count"], &point["sum"]);
        text::line(&format!("  {}  count {count}  sum {sum}", time.replacen('T', " ", 1)));
    }
}
