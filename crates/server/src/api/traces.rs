//! Traces and spans.

use std::ops::Range;
use std::time::Duration;

use axum::extract::State;
use model::Timestamp;
use model::signal::{SpanKind, SpanStatus};
use storage::query::Limits;
use storage::query::attributes::AttributeFilter;
use storage::query::reading::Sources;
use storage::query::spans::{
    Order, SpanFilter, SpanQuery, SpanStats, SpansFound, id_of, search_spans, span_stats,
};
use storage::query::traces::{Trace, TraceQuery, TracesFound, search_traces, trace};
use storage::schema::Table;
use storage::store::Store;

use super::asking::run;
use super::extract::{Json, Path, Query};
use super::parameters::Parameters;
use super::{App, Error};
use crate::clock;

const LIMIT_DEFAULT: usize = 20;
const SPANS_DEFAULT: usize = 100;
/// Spans of one trace that are answered with.
const TRACE_SPANS_MAX: usize = 50_000;
const STEPS_DEFAULT: u64 = 60;

type Pairs = Query<Vec<(String, String)>>;

const STATUSES: [(&str, SpanStatus); 3] =
    [("unset", SpanStatus::Unset), ("ok", SpanStatus::Ok), ("error", SpanStatus::Error)];
const KINDS: [(&str, SpanKind); 5] = [
    ("internal", SpanKind::Internal),
    ("server", SpanKind::Server),
    ("client", SpanKind::Client),
    ("producer", SpanKind::Producer),
    ("consumer", SpanKind::Consumer),
];
const ORDERS: [(&str, Order); 2] = [("newest", Order::Newest), ("slowest", Order::Slowest)];

/// Which spans are meant.
fn filter(given: &mut Parameters) -> Result<SpanFilter, Error> {
    let (from, to) = given.range()?;
    let mut filter = SpanFilter::of_time(from, to);
    filter.service = given.text("service")?;
    filter.operation = given.text("operation")?;
    filter.status = given.word("status", &STATUSES)?;
    filter.kind = given.word("kind", &KINDS)?;
    filter.duration_min = given.duration("min_duration")?;
    filter.duration_max = given.duration("max_duration")?;
    for text in given.all("attribute") {
        let attribute = AttributeFilter::parse(&text);
        let attribute = attribute.map_err(|why| Error::Invalid(format!("`attribute`: {why}")))?;
        filter.attributes.push(attribute);
    }
    Ok(filter)
}

/// Asks all spans of a time.
fn asked<T>(
    store: &Store,
    times: Range<Timestamp>,
    ask: impl FnOnce(&Sources<'_>) -> Result<T, storage::Error>,
) -> Result<T, storage::Error> {
    let view = store.view(Table::Spans, times, None)?;
    ask(&Sources::from(&view))
}

pub(super) async fn list(State(app): State<App>, pairs: Pairs) -> Result<Json<TracesFound>, Error> {
    let mut given = Parameters::from(pairs);
    let filter = filter(&mut given)?;
    let order = given.word("order", &ORDERS)?.unwrap_or_default();
    let limit = given.parsed("limit")?.unwrap_or(LIMIT_DEFAULT);
    given.finish()?;
    let query = TraceQuery { filter, order, limit };
    let found = run(&app, move |store, limits| {
        asked(store, query.view_times(), |sources| search_traces(sources, &query, limits))
    });
    Ok(Json(found.await?))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Json<Trace>, Error> {
    Parameters::from(pairs).finish()?;
    let Some(bytes) = id_of(&id) else {
        let message = format!("`{id}` is no trace id: write its 32 hexadecimal digits");
        return Err(Error::Invalid(message));
    };
    let found = run(&app, move |store, limits: &Limits| {
        let view = store.view(Table::Spans, Timestamp::ZERO..Timestamp(u64::MAX), None)?;
        let found = trace(&Sources::from(&view), bytes, None, TRACE_SPANS_MAX, limits)?;
        Ok((found, view.missing))
    });
    match found.await? {
        (Some(trace), _) => Ok(Json(trace)),
        (None, 0) => Err(Error::NotFound(format!("there is no trace {id}"))),
        (None, files) => Err(Error::NotFound(format!(
            "there is no trace {id} in what can be read: {files} files cannot be found"
        ))),
    }
}

pub(super) async fn spans(State(app): State<App>, pairs: Pairs) -> Result<Json<SpansFound>, Error> {
    let mut given = Parameters::from(pairs);
    let filter = filter(&mut given)?;
    let order = given.word("order", &ORDERS)?.unwrap_or_default();
    let limit = given.parsed("limit")?.unwrap_or(SPANS_DEFAULT);
    let after = given.parsed("after")?;
    given.finish()?;
    let query = SpanQuery { filter, order, limit, after };
    let found = run(&app, move |store, limits| {
        let times = query.filter.from..query.filter.to;
        asked(store, times, |sources| search_spans(sources, &query, limits))
    });
    Ok(Json(found.await?))
}

/// How many spans there were, and how many failed, over time.
pub(super) async fn stats(State(app): State<App>, pairs: Pairs) -> Result<Json<SpanStats>, Error> {
    let mut given = Parameters::from(pairs);
    let mut filter = filter(&mut given)?;
    let step = given.duration("step")?;
    given.finish()?;
    // An open end is now: windows until the end of time would all be empty.
    filter.to = filter.to.min(clock::now()).max(Timestamp(filter.from.as_nanos() + 1));
    let span = filter.to.as_nanos() - filter.from.as_nanos();
    let even = || Duration::from_nanos(span.div_ceil(STEPS_DEFAULT));
    let step = step.unwrap_or_else(even);
    let found = run(&app, move |store, limits| {
        let times = filter.from..filter.to;
        asked(store, times, |sources| span_stats(sources, &filter, step, limits))
    });
    Ok(Json(found.await?))
}
