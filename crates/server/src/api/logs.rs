//! Log records: search, histogram, live tail.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::Event;
use futures_util::stream;
use model::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use storage::query::language::Query as LogQuery;
use storage::query::logs::{
    BUCKETS_MAX, Cursor, Histogram, LogEntry, LogPage, Order, PAGE_RECORDS_MAX, Search, histogram,
    search_logs, tail,
};
use storage::query::reading::Sources;
use storage::schema::Table;

use super::asking::run;
use super::extract::{Events, Json, Query};
use super::parameters::Parameters;
use super::{App, Error};
use crate::clock;

/// Live tails at a time.
pub const TAILS_MAX: usize = 16;
const LIMIT_DEFAULT: usize = 100;
const BUCKETS_DEFAULT: usize = 60;
/// Records of one batch that a live tail shows; the rest it counts.
const TAIL_RECORDS_MAX: usize = 500;

type Pairs = Query<Vec<(String, String)>>;

/// The words of the question; all records when there are none.
fn query(given: &mut Parameters) -> Result<LogQuery, Error> {
    let read = |text: &str| LogQuery::parse(text).map_err(|invalid| invalid.to_string());
    match given.read("query", read)? {
        Some(query) => Ok(query),
        None => LogQuery::parse("").map_err(|invalid| Error::Invalid(invalid.to_string())),
    }
}

pub(super) async fn search(State(app): State<App>, pairs: Pairs) -> Result<Json<LogPage>, Error> {
    let mut given = Parameters::from(pairs);
    let query = query(&mut given)?;
    let (from, to) = given.range()?;
    let orders = [("newest", Order::Newest), ("oldest", Order::Oldest)];
    let order = given.word("order", &orders)?.unwrap_or_default();
    let limit = given.parsed("limit")?.unwrap_or(LIMIT_DEFAULT);
    let cursor: Option<Cursor> = given.parsed("after")?;
    given.finish()?;
    if !(1..=PAGE_RECORDS_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("`limit`: write 1 to {PAGE_RECORDS_MAX}")));
    }
    let page = run(&app, move |store, limits| {
        let view = store.view(Table::Logs, from..to, None)?;
        let search = Search { query: &query, range: from..to, order, limit, cursor };
        search_logs(&Sources::from(&view), &search, limits)
    });
    Ok(Json(page.await?))
}

pub(super) async fn counts(State(app): State<App>, pairs: Pairs) -> Result<Json<Histogram>, Error> {
    let mut given = Parameters::from(pairs);
    let query = query(&mut given)?;
    let (from, to) = given.range()?;
    let buckets = given.parsed("buckets")?.unwrap_or(BUCKETS_DEFAULT);
    given.finish()?;
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(Error::Invalid(format!("`buckets`: write 1 to {BUCKETS_MAX}")));
    }
    // An open end is now: buckets until the end of time would all be empty but one.
    let to = to.min(clock::now()).max(Timestamp(from.as_nanos() + 1));
    let counts = run(&app, move |store, limits| {
        let view = store.view(Table::Logs, from..to, None)?;
        histogram(&Sources::from(&view), &query, from..to, buckets, limits)
    });
    Ok(Json(counts.await?))
}

/// What a live tail sends, as server-sent events of type `records`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogTail")]
pub(super) struct Told {
    records: Vec<LogEntry>,
    /// Records that match and are not shown, because there were too many at once.
    left_out: usize,
    /// Requests with log records that came too fast for this reader and were not looked at.
    missed_batches: u64,
}

/// Records that match, as they are taken.
pub(super) async fn follow(State(app): State<App>, pairs: Pairs) -> Result<Events<Told>, Error> {
    let mut given = Parameters::from(pairs);
    let query = query(&mut given)?;
    given.finish()?;
    let turn = app.turns.tailing.clone().try_acquire_owned().map_err(|_| Error::TooManyQueries)?;
    let state = (app.tail.follow(), app.stopping.clone(), query, turn);
    let events = stream::unfold(state, |(mut follower, mut stopping, query, turn)| async move {
        let mut missed_batches = 0;
        loop {
            let (missed, (arrival, batch)) = tokio::select! {
                next = follower.next() => next,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            };
            missed_batches += missed;
            let (records, left_out) = tail(&query, &batch, arrival, TAIL_RECORDS_MAX);
            if records.is_empty() && missed_batches == 0 {
                continue;
            }
            let told = Told { records, left_out, missed_batches };
            let event = Event::default().event("records").json_data(told);
            // Plain data with text keys always reads as JSON.
            let event = event.unwrap_or_default();
            return Some((Ok::<_, Infallible>(event), (follower, stopping, query, turn)));
        }
    });
    Ok(Events::new(events))
}
