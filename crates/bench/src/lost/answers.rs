//! Asks the server for all items, page by page, and counts how often each number is in its answers.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::items::{METRIC, NUMBER, Numbers, SERVICE};
use super::readback::Tally;
use crate::api::Api;

/// Time that is asked for at once.
const WINDOW: Duration = Duration::from_secs(20);
const SPANS_PER_PAGE: usize = 1_000;
const RECORDS_PER_PAGE: usize = 10_000;
/// Pages of one window, more than any window can need.
const PAGES_MAX: usize = 10_000;

/// How often each number was in an answer.
#[derive(Debug)]
pub struct Answers {
    times: Vec<u8>,
    pub strangers: u64,
    /// By what kind of item, the first few numbers that are not as they should be.
    pub spans: u64,
    pub records: u64,
    pub points: u64,
}

#[derive(Deserialize)]
struct SpanPage {
    spans: Vec<SpanFound>,
    next: Option<String>,
    stopped: Option<Value>,
}

#[derive(Deserialize)]
struct SpanFound {
    span_id: String,
}

#[derive(Deserialize)]
struct LogPage {
    records: Vec<RecordFound>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct RecordFound {
    attributes: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct SeriesPage {
    series: Vec<SeriesFound>,
    truncated: bool,
}

#[derive(Deserialize)]
struct SeriesFound {
    points: Vec<(u64, Option<f64>)>,
}

impl Answers {
    /// Everything between two moments; numbers up to `numbered` were given out.
    pub async fn ask(api: &Api, from: Timestamp, to: Timestamp, numbered: u64) -> Result<Answers> {
        let times = vec![0; numbered as usize + 1];
        let mut answers = Answers { times, strangers: 0, spans: 0, records: 0, points: 0 };
        let mut at = from;
        while at < to {
            let end = (at + WINDOW).min(to);
            let range = format!("from={at}&to={end}", at = exact(at), end = exact(end));
            answers.ask_spans(api, &range).await.context("spans")?;
            answers.ask_records(api, &range).await.context("log records")?;
            answers.ask_points(api, &range).await.context("points")?;
            at = end;
        }
        Ok(answers)
    }

    async fn ask_spans(&mut self, api: &Api, range: &str) -> Result<()> {
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let path = format!("spans?{range}&service={SERVICE}&limit={SPANS_PER_PAGE}{after}");
            let page: SpanPage = api.get(&path).await?;
            ensure!(page.stopped.is_none(), "the answer is not whole: {:?}", page.stopped);
            for span in &page.spans {
                self.spans += 1;
                self.note(u64::from_str_radix(&span.span_id, 16).ok());
            }
            let Some(next) = page.next else { return Ok(()) };
            after = format!("&after={next}");
        }
        anyhow::bail!("pages do not end");
    }

    async fn ask_records(&mut self, api: &Api, range: &str) -> Result<()> {
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let path = format!("logs?{range}&limit={RECORDS_PER_PAGE}{after}");
            let page: LogPage = api.get(&path).await?;
            for record in &page.records {
                self.records += 1;
                self.note(record.attributes.get(NUMBER).and_then(Value::as_u64));
            }
            let Some(next) = page.next else { return Ok(()) };
            after = format!("&after={next}");
        }
        anyhow::bail!("pages do not end");
    }

    async fn ask_points(&mut self, api: &Api, range: &str) -> Result<()> {
        let page: SeriesPage = api.get(&format!("series?{range}&match={METRIC}")).await?;
        ensure!(!page.truncated, "there are more series than were sent");
        for (_, value) in page.series.iter().flat_map(|series| &series.points) {
            self.points += 1;
            self.note(value.filter(|value| *value >= 0.0).map(|value| value as u64));
        }
        Ok(())
    }

    fn note(&mut self, number: Option<u64>) {
        let place = number.filter(|number| *number > 0).map(|number| number as usize);
        match place.and_then(|place| self.times.get_mut(place)) {
            Some(times) => *times = times.saturating_add(1),
            None => self.strangers += 1,
        }
    }

    pub fn tally(&self, acknowledged: &[Numbers]) -> Tally {
        Tally::of(&self.times, acknowledged)
    }

    /// A few acknowledged numbers that are not there once, for who looks for the reason.
    pub fn examples(&self, acknowledged: &[Numbers]) -> Vec<(u64, u8)> {
        let all = acknowledged.iter().flat_map(|numbers| numbers.iter());
        let times = all.map(|number| (number, self.times[number as usize]));
        times.filter(|(_, times)| *times != 1).take(20).collect()
    }
}

/// RFC 3339 to the second, which windows begin and end at.
fn exact(at: Timestamp) -> String {
    at.floor_to(Duration::from_secs(1)).to_string()
}
