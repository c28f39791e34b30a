//! Which spans are asked for, tested on columns: cheap ones first.
//!
//! A filter is a row of [`Stage`]s. The last stage is exact; earlier ones keep what they cannot
//! tell.

use std::time::Duration;

use arrow_array::RecordBatch;
use hashbrown::HashSet;
use model::Timestamp;
use model::signal::{SpanId, SpanKind, SpanStatus, TraceId};

use super::best::Rank;
use crate::Error;
use crate::query::attributes::{AttributeFilter, Key, text_of};
use crate::query::reading::{Stage, keep_where, keep_words};
use crate::rows::{self, Attributes, Ids, Integers, Texts, Times};
use crate::schema::{SPAN_INTEGERS, SPAN_TEXTS};

/// Most attribute filters of a query.
pub const ATTRIBUTES_MAX: usize = 16;

/// All that is given has to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanFilter {
    pub service: Option<String>,
    /// The span's name or its route.
    pub operation: Option<String>,
    pub status: Option<SpanStatus>,
    pub kind: Option<SpanKind>,
    /// Inclusive, both.
    pub duration_min: Option<Duration>,
    pub duration_max: Option<Duration>,
    pub attributes: Vec<AttributeFilter>,
    /// The span's start: from `from` on, and before `to`.
    pub from: Timestamp,
    pub to: Timestamp,
}

enum Test {
    Basic(SpanFilter),
    Promoted(Vec<AttributeFilter>),
    All(Vec<AttributeFilter>),
    Times(HashSet<Timestamp>),
    Traces(HashSet<TraceId>),
    Spans(HashSet<(TraceId, SpanId)>),
}

impl SpanFilter {
    /// All spans of a time.
    pub fn of_time(from: Timestamp, to: Timestamp) -> SpanFilter {
        SpanFilter { from, to, ..SpanFilter::default() }
    }

    /// Whether it is one that can be asked.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |reason: String| Err(Error::BadQuery { reason });
        if self.from >= self.to {
            return bad(format!("the time from {} to {} is empty", self.from, self.to));
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            return bad(format!("more than the {ATTRIBUTES_MAX} attribute filters allowed"));
        }
        if self.duration_min.zip(self.duration_max).is_some_and(|(least, most)| least > most) {
            return bad("the shortest duration is longer than the longest".to_owned());
        }
        Ok(())
    }

    pub fn stages(&self) -> Vec<Stage> {
        let mut columns = vec!["time"];
        columns.extend(self.service.as_ref().map(|_| "service"));
        columns.extend(self.status.map(|_| "status"));
        columns.extend(self.kind.map(|_| "kind"));
        let asks_duration = self.duration_min.is_some() || self.duration_max.is_some();
        columns.extend(asks_duration.then_some("duration_nanos"));
        if self.operation.is_some() {
            columns.extend(["name", "http.route"]);
        }
        let basic = SpanFilter { attributes: Vec::new(), ..self.clone() };
        let mut stages = vec![stage(columns, Test::Basic(basic))];
        let promoted: Vec<AttributeFilter> =
            self.attributes.iter().filter(|filter| column_of(filter).is_some()).cloned().collect();
        if !promoted.is_empty() {
            let columns = promoted.iter().filter_map(column_of).collect();
            stages.push(stage(columns, Test::Promoted(promoted)));
        }
        if !self.attributes.is_empty() {
            let mut columns = Vec::new();
            let is_resource = |filter: &AttributeFilter| matches!(filter.key, Key::Resource(_));
            if self.attributes.iter().any(is_resource) {
                columns.push("resource");
            }
            if !self.attributes.iter().all(is_resource) {
                columns.extend(["attributes", "attribute_types"]);
                columns.extend(self.attributes.iter().filter_map(column_of));
            }
            stages.push(stage(columns, Test::All(self.attributes.clone())));
        }
        stages
    }
}

/// The column that an attribute mostly is in.
fn column_of(filter: &AttributeFilter) -> Option<&'static str> {
    let Key::Attribute(key) = &filter.key else { return None };
    SPAN_TEXTS.iter().chain(SPAN_INTEGERS).copied().find(|name| name == key)
}

fn stage(columns: Vec<&'static str>, test: Test) -> Stage {
    Stage::new(columns, move |batch, kept| test.apply(batch, kept))
}

/// Spans that started at one of these times.
pub fn of_times(times: impl Iterator<Item = Timestamp>) -> Stage {
    stage(vec!["time"], Test::Times(times.collect()))
}

pub fn of_traces(ids: &[TraceId]) -> Stage {
    stage(vec!["trace_id"], Test::Traces(ids.iter().copied().collect()))
}

pub fn of_spans(spans: &[Rank]) -> Stage {
    let ids = spans.iter().map(|rank| (rank.trace_id, rank.span_id)).collect();
    stage(vec!["trace_id", "span_id"], Test::Spans(ids))
}

impl Test {
    fn apply(&self, batch: &RecordBatch, kept: &mut [bool]) -> Result<(), Error> {
        match self {
            Test::Basic(filter) => basic(filter, batch, kept)?,
            Test::Promoted(filters) => {
                for filter in filters {
                    promoted(filter, batch, kept)?;
                }
            }
            Test::Times(wanted) => {
                let times = Times::of(batch, "time")?;
                keep_where(kept, |row| times.get(row).is_some_and(|time| wanted.contains(&time)));
            }
            Test::Traces(wanted) => {
                let traces = Ids::of(batch, "trace_id")?;
                keep_where(kept, |row| traces.get(row).is_some_and(|id| wanted.contains(&id)));
            }
            Test::Spans(wanted) => {
                let (traces, spans) = (Ids::of(batch, "trace_id")?, Ids::of(batch, "span_id")?);
                keep_where(kept, |row| {
                    let ids = traces.get(row).zip(spans.get(row));
                    ids.is_some_and(|ids| wanted.contains(&ids))
                });
            }
            Test::All(filters) => {
                for filter in filters {
                    match &filter.key {
                        Key::Resource(key) => resource(filter, key, batch, kept)?,
                        Key::Attribute(key) => attribute(filter, key, batch, kept)?,
                    }
                }
            }
        }
        Ok(())
    }
}

fn basic(filter: &SpanFilter, batch: &RecordBatch, kept: &mut [bool]) -> Result<(), Error> {
    let times = Times::of(batch, "time")?;
    let asked = filter.from..filter.to;
    keep_where(kept, |row| times.get(row).is_some_and(|time| asked.contains(&time)));
    if let Some(service) = &filter.service {
        let services = Texts::of(batch, "service")?;
        keep_words(services, kept, |word| word.unwrap_or_default() == service);
    }
    if let Some(status) = filter.status {
        let statuses = Texts::of(batch, "status")?;
        keep_words(statuses, kept, |word| word.unwrap_or_default() == status_word(status));
    }
    if let Some(kind) = filter.kind {
        keep_words(Texts::of(batch, "kind")?, kept, |word| {
            word.unwrap_or_default() == kind_word(kind)
        });
    }
    if filter.duration_min.is_some() || filter.duration_max.is_some() {
        let nanos = |limit: Duration| i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        let least = filter.duration_min.map_or(i64::MIN, nanos);
        let most = filter.duration_max.map_or(i64::MAX, nanos);
        let durations = Integers::of(batch, "duration_nanos")?;
        keep_where(kept, |row| {
            let nanos = durations.get(row).map(|nanos| nanos.max(0));
            nanos.is_some_and(|nanos| (least..=most).contains(&nanos))
        });
    }
    if let Some(operation) = &filter.operation {
        let is_it = |word: Option<&str>| word == Some(operation.as_str());
        let mut named = kept.to_vec();
        keep_words(Texts::of(batch, "name")?, &mut named, is_it);
        keep_words(Texts::of(batch, "http.route")?, kept, is_it);
        kept.iter_mut().zip(named).for_each(|(kept, named)| *kept |= named);
    }
    Ok(())
}

/// Drops only rows whose column has a value that does not pass: where it has none, the value may
/// be in the map, as it is of another type.
fn promoted(filter: &AttributeFilter, batch: &RecordBatch, kept: &mut [bool]) -> Result<(), Error> {
    let Some(name) = column_of(filter) else { return Ok(()) };
    if SPAN_TEXTS.contains(&name) {
        let texts = Texts::of(batch, name)?;
        keep_words(texts, kept, |word| word.is_none_or(|word| filter.is_match(Some(word))));
    } else {
        let integers = Integers::of(batch, name)?;
        keep_where(kept, |row| {
            integers.get(row).is_none_or(|number| filter.is_match(Some(&number.to_string())))
        });
    }
    Ok(())
}

fn attribute(
    filter: &AttributeFilter,
    key: &str,
    batch: &RecordBatch,
    kept: &mut [bool],
) -> Result<(), Error> {
    let column = column_of(filter);
    let name = column.unwrap_or_default();
    let texts = Texts::of(batch, if SPAN_TEXTS.contains(&name) { name } else { "" })?;
    let integers = Integers::of(batch, if SPAN_INTEGERS.contains(&name) { name } else { "" })?;
    let rest = Attributes::of(batch)?;
    keep_where(kept, |row| {
        let number = integers.get(row).map(|number| number.to_string());
        let promoted = texts.get(row).or(number.as_deref());
        filter.is_match(promoted.or_else(|| rest.get(row, key)))
    });
    Ok(())
}

fn resource(
    filter: &AttributeFilter,
    key: &str,
    batch: &RecordBatch,
    kept: &mut [bool],
) -> Result<(), Error> {
    keep_words(Texts::of(batch, "resource")?, kept, |json| {
        let resource = json.and_then(rows::attributes_of).unwrap_or_default();
        filter.is_match(resource.get(key).map(text_of).as_deref())
    });
    Ok(())
}

pub fn status_word(status: SpanStatus) -> &'static str {
    match status {
        SpanStatus::Unset => "unset",
        SpanStatus::Ok => "ok",
        SpanStatus::Error => "error",
    }
}

pub fn kind_word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}
