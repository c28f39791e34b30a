//! What makes a single span, data point or log record invalid, whatever its encoding.
//!
//! Lenient where consumers can cope: unspecified temporality, unknown enum numbers (read as
//! unspecified), an end before the start, a histogram's count that differs from the sum of its
//! buckets.

use model::signal::{
    Exemplar, ExponentialPoint, HistogramPoint, Number, NumberPoint, PointHeader, Span, SpanKind,
    SpanStatus, Temporality,
};

use super::tally::Tally;

/// Bit 0 of a data point's flags: there is no recorded value.
const NO_RECORDED_VALUE: u32 = 1;

/// The first reason for which the item being read is invalid, if any.
#[derive(Default)]
pub(super) struct Fault(Option<String>);

impl Fault {
    pub(super) fn note(&mut self, reason: impl FnOnce() -> String) {
        if self.0.is_none() {
            self.0 = Some(reason());
        }
    }

    pub(super) fn into_reason(self) -> Option<String> {
        self.0
    }

    /// An identifier of `N` bytes; absent ones are zero.
    pub(super) fn id<const N: usize>(&mut self, bytes: &[u8], name: &str) -> [u8; N] {
        if bytes.is_empty() {
            return [0; N];
        }
        bytes.try_into().unwrap_or_else(|_| {
            self.note(|| format!("a {name} has {} bytes instead of {N}", bytes.len()));
            [0; N]
        })
    }
}

pub(super) fn span(span: &Span, fault: &mut Fault) {
    if span.trace_id == [0; 16] {
        fault.note(|| "a span has no trace id".to_owned());
    }
    if span.span_id == [0; 8] {
        fault.note(|| "a span has no span id".to_owned());
    }
}

/// Settles the value of a number point: absent exactly when the point says so.
pub(super) fn number(point: &mut NumberPoint, fault: &mut Fault) {
    if point.header.flags & NO_RECORDED_VALUE != 0 {
        point.value = None;
    } else if point.value.is_none() {
        fault.note(|| "a data point has neither a value nor the flag for none".to_owned());
    }
}

pub(super) fn histogram(point: &HistogramPoint, fault: &mut Fault) {
    let (counts, bounds) = (point.bucket_counts.len(), point.explicit_bounds.len());
    let both_empty = counts == 0 && bounds == 0;
    if !both_empty && counts != bounds + 1 {
        fault.note(|| {
            format!(
                "a histogram has {counts} bucket counts for {bounds} bounds, not {}",
                bounds + 1
            )
        });
    }
    let ascending = point.explicit_bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || point.explicit_bounds.iter().any(|bound| bound.is_nan()) {
        fault.note(|| "a histogram's bounds do not ascend".to_owned());
    }
}

pub(super) fn exponential(point: &ExponentialPoint, fault: &mut Fault) {
    // Bucket indexes are 32-bit signed; a list that runs past them has no meaning.
    for buckets in [&point.positive, &point.negative] {
        let last = i64::from(buckets.offset) + buckets.bucket_counts.len() as i64;
        if last > i64::from(i32::MAX) {
            fault.note(|| "an exponential histogram's buckets run past index 2^31".to_owned());
        }
    }
}

/// Adds an exemplar; one without a value says nothing and is dropped, with a word to the sender.
pub(super) fn exemplar(
    header: &mut PointHeader,
    exemplar: Exemplar,
    value: Option<Number>,
    tally: &mut Tally<'_>,
) -> super::Result<()> {
    match value {
        Some(value) => tally.push(&mut header.exemplars, Exemplar { value, ..exemplar }),
        None => {
            tally.warn("exemplars without a value were dropped");
            Ok(())
        }
    }
}

/// Where reading an exemplar begins; its value is set when it is settled.
pub(super) const BLANK_EXEMPLAR: Exemplar = Exemplar {
    filtered_attributes: model::signal::Attributes(Vec::new()),
    time_unix_nanos: 0,
    value: Number::Int(0),
    trace_id: [0; 16],
    span_id: [0; 8],
};

pub(super) fn span_kind(number: i32) -> SpanKind {
    match number {
        1 => SpanKind::Internal,
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Unspecified,
    }
}

pub(super) fn span_status(number: i32) -> SpanStatus {
    match number {
        1 => SpanStatus::Ok,
        2 => SpanStatus::Error,
        _ => SpanStatus::Unset,
    }
}

pub(super) fn temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}
