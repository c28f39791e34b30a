//! Series: those that the engine makes, and OpenTelemetry's metrics, by name and labels over time.

use std::ops::Range;

use axum::extract::State;
use model::Timestamp;
use storage::query::matchers::Selector;
use storage::query::reading::Sources;
use storage::query::series::{
    self, Function, Listed, MetricRecord, SERIES_MAX, SeriesFound, SeriesQuery,
};
use storage::schema::Table;
use storage::store::Store;

use super::asking::run;
use super::extract::{Json, Path, Query};
use super::parameters::Parameters;
use super::{App, Error};
use crate::clock;

const SERIES_DEFAULT: usize = 100;
const LISTED_MAX: usize = 10_000;

type Pairs = Query<Vec<(String, String)>>;

fn asked<T>(
    store: &Store,
    selector: &Selector,
    times: Range<Timestamp>,
    ask: impl FnOnce(&Sources<'_>) -> Result<T, storage::Error>,
) -> Result<T, storage::Error> {
    let view = store.view(Table::Samples, times, selector.metric.as_deref())?;
    ask(&Sources::from(&view))
}

pub(super) async fn query(
    State(app): State<App>,
    pairs: Pairs,
) -> Result<Json<SeriesFound>, Error> {
    let mut given = Parameters::from(pairs);
    let (from, to) = given.range()?;
    let selector: Option<Selector> = given.parsed("match")?;
    let step = given.duration("step")?;
    let mut functions: Vec<Function> = Vec::new();
    for text in given.all("function") {
        let function = text.parse();
        functions.push(function.map_err(|why| Error::Invalid(format!("`function`: {why}")))?);
    }
    let series_max = given.parsed("limit")?.unwrap_or(SERIES_DEFAULT);
    given.finish()?;
    let Some(selector) = selector else {
        let message = "`match` is missing: write match=METRIC or match=METRIC{service=\"cart\"}";
        return Err(Error::Invalid(message.to_owned()));
    };
    if !(1..=SERIES_MAX).contains(&series_max) {
        return Err(Error::Invalid(format!("`limit`: write 1 to {SERIES_MAX}")));
    }
    // An open end is now: windows until the end of time would all be empty.
    let to = to.min(clock::now()).max(Timestamp(from.as_nanos() + 1));
    let query = SeriesQuery { selector, from, to, step, functions, series_max };
    let found = run(&app, move |store, limits| {
        asked(store, &query.selector, query.view_times(), |sources| {
            series::series(sources, &query, limits)
        })
    });
    Ok(Json(found.await?))
}

/// The series meant, and the time.
fn listed(pairs: Pairs) -> Result<(Selector, Range<Timestamp>), Error> {
    let mut given = Parameters::from(pairs);
    let (from, to) = given.range()?;
    let selector = given.parsed("match")?;
    given.finish()?;
    Ok((selector.unwrap_or_default(), from..to))
}

pub(super) async fn metrics(
    State(app): State<App>,
    pairs: Pairs,
) -> Result<Json<Listed<MetricRecord>>, Error> {
    let (selector, times) = listed(pairs)?;
    let found = run(&app, move |store, limits| {
        asked(store, &selector, times.clone(), |sources| {
            series::metrics(sources, &selector, times, LISTED_MAX, limits)
        })
    });
    Ok(Json(found.await?))
}

pub(super) async fn labels(
    State(app): State<App>,
    pairs: Pairs,
) -> Result<Json<Listed<String>>, Error> {
    let (selector, times) = listed(pairs)?;
    let found = run(&app, move |store, limits| {
        asked(store, &selector, times.clone(), |sources| {
            series::labels(sources, &selector, times, LISTED_MAX, limits)
        })
    });
    Ok(Json(found.await?))
}

pub(super) async fn label_values(
    State(app): State<App>,
    Path(label): Path<String>,
    pairs: Pairs,
) -> Result<Json<Listed<String>>, Error> {
    let (selector, times) = listed(pairs)?;
    let found = run(&app, move |store, limits| {
        asked(store, &selector, times.clone(), |sources| {
            series::label_values(sources, &label, &selector, times, LISTED_MAX, limits)
        })
    });
    Ok(Json(found.await?))
}
