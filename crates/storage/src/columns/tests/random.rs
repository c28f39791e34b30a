//! Random telemetry of a seed, with all that is odd about real one.

use std::sync::Arc;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::*;
use model::text::Text;

use crate::rows;
use crate::schema::{LOG_TEXTS, SPAN_INTEGERS, SPAN_TEXTS, Table, kept_arrival};

/// 2026-11-22T23:59:00Z: a minute before a day ends.
pub const BASE: u64 = 1_795_391_940_000_000_000;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    pub fn batches(&mut self, count: usize) -> Vec<(Batch, Timestamp)> {
        (0..count)
            .map(|_| {
                let batch = match self.below(3) {
                    0 => Batch::Traces(self.groups(Random::span)),
                    1 => Batch::Logs(self.groups(Random::log)),
                    _ => Batch::Metrics(self.groups(Random::metric)),
                };
                (batch, Timestamp(BASE + self.below(120_000_000_000)))
            })
            .collect()
    }

    fn groups<T>(&mut self, item: impl Fn(&mut Random) -> T) -> Vec<Group<T>> {
        (0..self.below(4))
            .map(|_| Group {
                resource: Arc::new(self.resource()),
                scope: self.scope(),
                items: (0..self.below(6)).map(|_| item(self)).collect(),
            })
            .collect()
    }

    fn resource(&mut self) -> Resource {
        let mut attributes = self.attributes(&["host.name"], 2);
        if !self.one_in(4) {
            let service = self.of(&["cart", "shop", ""]);
            attributes.push("service.name", AnyValue::String(Text::from(service)));
        }
        if self.one_in(2) {
            attributes.push("service.instance.id", AnyValue::String(Text::from("instance-1")));
        }
        Resource { attributes }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: if self.one_in(4) {
                self.attributes(&[], 2)
            } else {
                Attributes::default()
            },
        }
    }

    fn text(&mut self) -> Text {
        let long = "long ".repeat(30);
        let choices =
            ["", "", "word", "GET /cart", "\"quoted\"\\\n\u{1}", "größe 東京", "$bytes", &long];
        Text::from(self.of(&choices))
    }

    fn double(&mut self) -> f64 {
        let random = f64::from_bits(self.next());
        self.of(&[0.0, -0.0, 1.0, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, random])
    }

    fn int(&mut self) -> i64 {
        let random = self.next() as i64;
        self.of(&[0, 1, -1, 200, i64::MAX, i64::MIN, random])
    }

    fn value(&mut self, depth: u32) -> AnyValue {
        let kinds = if depth == 0 { 6 } else { 8 };
        match self.below(kinds) {
            0 => AnyValue::Empty,
            1 => AnyValue::Bool(self.one_in(2)),
            2 => AnyValue::Int(self.int()),
            3 => AnyValue::Double(self.double()),
            4 => AnyValue::Bytes(vec![self.next() as u8; self.below(5) as usize]),
            5 => AnyValue::String(self.text()),
            6 => AnyValue::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let names = ["$bytes", "$double", "$map", "a", "a", ""];
                let entry =
                    |random: &mut Random| (Text::from(random.of(&names)), random.value(depth - 1));
                AnyValue::Map(Attributes((0..self.below(4)).map(|_| entry(self)).collect()))
            }
        }
    }

    fn attributes(&mut self, names: &[&str], most: u64) -> Attributes {
        let mut attributes = Attributes::default();
        for _ in 0..self.below(most + 1) {
            let others = ["thread.id", "peer", "", "größe"];
            let promoted = !names.is_empty() && self.one_in(2);
            let name = if promoted { self.of(names) } else { self.of(&others) };
            let value = if self.one_in(2) { AnyValue::String(self.text()) } else { self.value(2) };
            attributes.push(name, value);
        }
        attributes
    }

    fn time(&mut self) -> u64 {
        let near = BASE + self.below(180_000_000_000);
        let any = self.next();
        if self.one_in(20) { any } else { self.of(&[near, near, near, near, 0]) }
    }

    fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut id = [0; N];
        if !self.one_in(4) {
            id.fill_with(|| self.next() as u8);
        }
        id
    }

    fn span(&mut self) -> Span {
        let names: Vec<&str> = SPAN_TEXTS.iter().chain(SPAN_INTEGERS).copied().collect();
        let start = self.time();
        let end =
            if self.one_in(10) { self.next() } else { start.wrapping_add(self.below(1 << 30)) };
        let event = |random: &mut Random| SpanEvent {
            time_unix_nanos: random.time(),
            name: random.text(),
            attributes: random.attributes(&[], 3),
        };
        let link = |random: &mut Random| SpanLink {
            trace_id: random.id(),
            span_id: random.id(),
            trace_state: random.text(),
            flags: random.below(3) as u32,
            attributes: random.attributes(&[], 2),
        };
        Span {
            trace_id: self.id(),
            span_id: self.id(),
            parent_span_id: self.id(),
            trace_state: self.text(),
            flags: self.next() as u32,
            name: self.text(),
            kind: self.of(&[
                SpanKind::Unspecified,
                SpanKind::Internal,
                SpanKind::Server,
                SpanKind::Client,
                SpanKind::Producer,
                SpanKind::Consumer,
            ]),
            start_unix_nanos: start,
            end_unix_nanos: end,
            attributes: self.attributes(&names, 8),
            events: (0..self.below(3)).map(|_| event(self)).collect(),
            links: (0..self.below(2)).map(|_| link(self)).collect(),
            status: self.of(&[SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error]),
            status_message: self.text(),
        }
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nanos: self.time(),
            observed_time_unix_nanos: self.time(),
            severity_number: self.of(&[0, 9, 17, i32::MIN]),
            severity_text: self.text(),
            body: self.value(3),
            attributes: self.attributes(LOG_TEXTS, 5),
            flags: self.next() as u32,
            trace_id: self.id(),
            span_id: self.id(),
            event_name: self.text(),
        }
    }

    fn metric(&mut self) -> Metric {
        let temporality =
            self.of(&[Temporality::Unspecified, Temporality::Delta, Temporality::Cumulative]);
        let count = self.below(5);
        let data = match self.below(6) {
            0 => MetricData::Empty,
            1 => MetricData::Gauge((0..count).map(|_| self.number()).collect()),
            2 => MetricData::Sum {
                temporality,
                monotonic: self.one_in(2),
                points: (0..count).map(|_| self.number()).collect(),
            },
            3 => MetricData::Histogram {
                temporality,
                points: (0..count).map(|_| self.histogram()).collect(),
            },
            4 => MetricData::ExponentialHistogram {
                temporality,
                points: (0..count).map(|_| self.exponential()).collect(),
            },
            _ => MetricData::Summary((0..count).map(|_| self.summary()).collect()),
        };
        Metric {
            name: Text::from(self.of(&["latency", "requests", ""])),
            description: Text::from("what it is"),
            unit: Text::from(self.of(&["", "s"])),
            data,
        }
    }

    fn header(&mut self) -> PointHeader {
        let exemplar = |random: &mut Random| Exemplar {
            filtered_attributes: random.attributes(&[], 2),
            time_unix_nanos: random.time(),
            value: Number::Double(random.double()),
            trace_id: random.id(),
            span_id: random.id(),
        };
        let start = self.time();
        PointHeader {
            attributes: self.attributes(&[], 1),
            start_time_unix_nanos: self.of(&[0, 0, BASE, start]),
            time_unix_nanos: self.time(),
            flags: self.of(&[0, 0, 0, 1]),
            exemplars: (0..self.below(8).saturating_sub(5)).map(|_| exemplar(self)).collect(),
        }
    }

    fn number(&mut self) -> NumberPoint {
        let value = match self.below(4) {
            0 => None,
            1 => Some(Number::Int(self.int())),
            _ => Some(Number::Double(self.double())),
        };
        NumberPoint { header: self.header(), value }
    }

    fn maybe(&mut self) -> Option<f64> {
        let double = self.double();
        (!self.one_in(3)).then_some(double)
    }

    fn histogram(&mut self) -> HistogramPoint {
        let bounds: &[f64] = self.of(&[&[][..], &[1.0, 2.0][..], &[0.5][..]]);
        let buckets = if bounds.is_empty() && self.one_in(2) { 0 } else { bounds.len() + 1 };
        HistogramPoint {
            header: self.header(),
            count: self.next(),
            sum: self.maybe(),
            bucket_counts: (0..buckets).map(|_| self.next()).collect(),
            explicit_bounds: bounds.to_vec(),
            min: self.maybe(),
            max: self.maybe(),
        }
    }

    fn exponential(&mut self) -> ExponentialPoint {
        let buckets = |random: &mut Random| ExponentialBuckets {
            offset: random.int() as i32,
            bucket_counts: (0..random.below(4)).map(|_| random.next()).collect(),
        };
        ExponentialPoint {
            header: self.header(),
            count: self.next(),
            sum: self.maybe(),
            scale: self.of(&[0, 20, -10]),
            zero_count: self.next(),
            zero_threshold: self.double(),
            positive: buckets(self),
            negative: buckets(self),
            min: self.maybe(),
            max: self.maybe(),
        }
    }

    fn summary(&mut self) -> SummaryPoint {
        let quantiles: &[f64] = self.of(&[&[][..], &[0.5, 0.99][..]]);
        SummaryPoint {
            header: self.header(),
            count: self.next(),
            sum: self.double(),
            quantiles: quantiles.iter().map(|quantile| (*quantile, self.double())).collect(),
        }
    }
}

/// Each item as a text, sorted: two lists are the same when nothing is lost, added or changed. The
/// order of attributes is not kept, but that of values of one key is.
pub fn told(batches: &[(Batch, Timestamp)]) -> Vec<String> {
    let mut told = Vec::new();
    for (batch, arrival) in batches {
        match batch {
            Batch::Traces(groups) => groups.iter().for_each(|group| {
                let spans = group.items.iter();
                told.extend(
                    spans.map(|span| tell_span(&group.resource, &group.scope, span, *arrival)),
                );
            }),
            Batch::Logs(groups) => groups.iter().for_each(|group| {
                let logs = group.items.iter();
                told.extend(logs.map(|log| tell_log(&group.resource, &group.scope, log, *arrival)));
            }),
            Batch::Metrics(groups) => groups.iter().for_each(|group| {
                let metrics = group.items.iter();
                told.extend(
                    metrics.flat_map(|metric| tell_points(&group.resource, &group.scope, metric)),
                );
            }),
        }
    }
    told.sort();
    told
}

/// The same of batches of any table.
pub fn told_back(batches: &[RecordBatch]) -> Vec<String> {
    let mut told = Vec::new();
    for batch in batches {
        if batch.column_by_name("times").is_some() {
            let series = rows::series(batch).unwrap();
            told.extend(
                series.iter().flat_map(|row| tell_points(&row.resource, &row.scope, &row.metric)),
            );
        } else if batch.column_by_name("body").is_some() {
            let logs = rows::logs(batch).unwrap();
            told.extend(
                logs.iter()
                    .map(|row| tell_log(&row.resource, &row.scope, &row.record, row.arrival)),
            );
        } else {
            let spans = rows::spans(batch).unwrap();
            told.extend(
                spans
                    .iter()
                    .map(|row| tell_span(&row.resource, &row.scope, &row.span, row.arrival)),
            );
        }
    }
    told.sort();
    told
}

pub fn of_table(batches: &[(Batch, Timestamp)], table: Table) -> Vec<(Batch, Timestamp)> {
    batches.iter().filter(|(batch, _)| Table::of(batch.signal()) == table).cloned().collect()
}

fn sorted(attributes: &Attributes) -> Attributes {
    let mut attributes = attributes.clone();
    attributes.0.sort_by(|(left, _), (right, _)| left.as_str().cmp(right.as_str()));
    attributes
}

fn tell_span(
    resource: &Resource,
    scope: &InstrumentationScope,
    span: &Span,
    arrival: Timestamp,
) -> String {
    let span = Span { attributes: sorted(&span.attributes), ..span.clone() };
    format!("{resource:?} {scope:?} {span:?} {arrival:?}")
}

fn tell_log(
    resource: &Resource,
    scope: &InstrumentationScope,
    log: &LogRecord,
    arrival: Timestamp,
) -> String {
    let log = LogRecord { attributes: sorted(&log.attributes), ..log.clone() };
    let arrival = kept_arrival(arrival);
    format!("{resource:?} {scope:?} {log:?} {arrival:?}")
}

fn tell_points(resource: &Resource, scope: &InstrumentationScope, metric: &Metric) -> Vec<String> {
    let of = format!(
        "{resource:?} {scope:?} {:?} {:?} {:?}",
        metric.name, metric.description, metric.unit
    );
    let tell = |header: &PointHeader, kind: &str, rest: String| {
        let header = PointHeader { attributes: sorted(&header.attributes), ..header.clone() };
        format!("{of} {kind} {header:?} {rest}")
    };
    let bare = PointHeader::default;
    match &metric.data {
        MetricData::Empty => Vec::new(),
        MetricData::Gauge(points) => points
            .iter()
            .map(|point| tell(&point.header, "gauge", format!("{:?}", point.value)))
            .collect(),
        MetricData::Sum { temporality, monotonic, points } => {
            let kind = format!("sum {temporality:?} {monotonic}");
            points
                .iter()
                .map(|point| tell(&point.header, &kind, format!("{:?}", point.value)))
                .collect()
        }
        MetricData::Histogram { temporality, points } => {
            let rest = |point: &HistogramPoint| {
                format!("{:?}", HistogramPoint { header: bare(), ..point.clone() })
            };
            let kind = format!("histogram {temporality:?}");
            points.iter().map(|point| tell(&point.header, &kind, rest(point))).collect()
        }
        MetricData::ExponentialHistogram { temporality, points } => {
            let rest = |point: &ExponentialPoint| {
                format!("{:?}", ExponentialPoint { header: bare(), ..point.clone() })
            };
            let kind = format!("exponential {temporality:?}");
            points.iter().map(|point| tell(&point.header, &kind, rest(point))).collect()
        }
        MetricData::Summary(points) => {
            let rest = |point: &SummaryPoint| {
                format!("{:?}", SummaryPoint { header: bare(), ..point.clone() })
            };
            points.iter().map(|point| tell(&point.header, "summary", rest(point))).collect()
        }
    }
}

/// Shows the first difference alone: the lists are long.
pub fn check_same(found: &[String], expected: &[String]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}
