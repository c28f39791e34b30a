//! Telemetry as it was received, decoded: OpenTelemetry's words and shapes.
//!
//! Owned and simple. Receivers build these from protobuf or JSON; `observe` and storage read them.
//! Names of fields follow the OTLP protocol buffers; identifiers that are absent are zero, as
//! there. Texts are slices of the request ([`Text`]): who keeps one beyond the batch copies it.

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// The value of an attribute or log body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum AnyValue {
    #[default]
    Empty,
    String(Text),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Vec<AnyValue>),
    Map(Attributes),
    Bytes(Vec<u8>),
}

impl AnyValue {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            AnyValue::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            AnyValue::Int(number) => Some(*number),
            // Old instrumentation sends ports and status codes as text.
            AnyValue::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Attributes in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attributes(pub Vec<(Text, AnyValue)>);

impl Attributes {
    pub fn get(&self, key: &str) -> Option<&AnyValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    /// The text of `key`; absent when missing, empty, or not text.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(AnyValue::as_str).filter(|text| !text.is_empty())
    }
    pub fn i64(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(AnyValue::as_i64)
    }
    /// The first of `keys` that is present as text: new names before old ones.
    pub fn first_str(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.str(key))
    }
    pub fn first_i64(&self, keys: &[&str]) -> Option<i64> {
        keys.iter().find_map(|key| self.i64(key))
    }
    pub fn push(&mut self, key: &str, value: AnyValue) {
        self.0.push((Text::from(key), value));
    }
    pub fn with_str(mut self, key: &str, value: &str) -> Self {
        self.push(key, AnyValue::String(Text::from(value)));
        self
    }
    pub fn with_i64(mut self, key: &str, value: i64) -> Self {
        self.push(key, AnyValue::Int(value));
        self
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    pub attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstrumentationScope {
    pub name: Text,
    pub version: Text,
    pub attributes: Attributes,
}

/// One decoded export request, of one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Batch {
    Traces(Vec<Group<Span>>),
    Metrics(Vec<Group<Metric>>),
    Logs(Vec<Group<LogRecord>>),
}

impl Batch {
    pub fn signal(&self) -> Signal {
        match self {
            Batch::Traces(_) => Signal::Traces,
            Batch::Metrics(_) => Signal::Metrics,
            Batch::Logs(_) => Signal::Logs,
        }
    }

    /// Number of spans, metric data points, or log records.
    pub fn len(&self) -> usize {
        match self {
            Batch::Traces(groups) => groups.iter().map(|group| group.items.len()).sum(),
            Batch::Metrics(groups) => {
                groups.iter().flat_map(|group| &group.items).map(Metric::len).sum()
            }
            Batch::Logs(groups) => groups.iter().map(|group| group.items.len()).sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub const ALL: &[Signal] = &[Signal::Traces, Signal::Metrics, Signal::Logs];

    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }
}

/// Items of one resource and one instrumentation scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group<T> {
    pub resource: std::sync::Arc<Resource>,
    pub scope: InstrumentationScope,
    pub items: Vec<T>,
}

pub type TraceId = [u8; 16];
pub type SpanId = [u8; 8];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: SpanId,
    pub trace_state: Text,
    /// W3C trace flags in bits 0–7; bit 8 "parent is remote is known", bit 9 "parent is remote".
    pub flags: u32,
    pub name: Text,
    pub kind: SpanKind,
    pub start_unix_nanos: u64,
    pub end_unix_nanos: u64,
    pub attributes: Attributes,
    pub events: Vec<SpanEvent>,
    pub links: Vec<SpanLink>,
    pub status: SpanStatus,
    pub status_message: Text,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanStatus {
    #[default]
    Unset,
    Ok,
    Error,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanEvent {
    pub time_unix_nanos: u64,
    pub name: Text,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanLink {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub trace_state: Text,
    pub flags: u32,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    pub time_unix_nanos: u64,
    pub observed_time_unix_nanos: u64,
    pub severity_number: i32,
    pub severity_text: Text,
    pub body: AnyValue,
    pub attributes: Attributes,
    pub flags: u32,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub event_name: Text,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: Text,
    pub description: Text,
    pub unit: Text,
    pub data: MetricData,
}

impl Metric {
    /// Number of data points.
    pub fn len(&self) -> usize {
        match &self.data {
            MetricData::Empty => 0,
            MetricData::Gauge(points) => points.len(),
            MetricData::Sum { points, .. } => points.len(),
            MetricData::Histogram { points, .. } => points.len(),
            MetricData::ExponentialHistogram { points, .. } => points.len(),
            MetricData::Summary(points) => points.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum MetricData {
    #[default]
    Empty,
    Gauge(Vec<NumberPoint>),
    Sum {
        temporality: Temporality,
        monotonic: bool,
        points: Vec<NumberPoint>,
    },
    Histogram {
        temporality: Temporality,
        points: Vec<HistogramPoint>,
    },
    ExponentialHistogram {
        temporality: Temporality,
        points: Vec<ExponentialPoint>,
    },
    Summary(Vec<SummaryPoint>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Temporality {
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }
}

/// Fields that all data points share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PointHeader {
    pub attributes: Attributes,
    pub start_time_unix_nanos: u64,
    pub time_unix_nanos: u64,
    /// Bit 0: no recorded value.
    pub flags: u32,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    pub filtered_attributes: Attributes,
    pub time_unix_nanos: u64,
    pub value: Number,
    pub trace_id: TraceId,
    pub span_id: SpanId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberPoint {
    pub header: PointHeader,
    /// `None` when the point says "no recorded value".
    pub value: Option<Number>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramPoint {
    pub header: PointHeader,
    pub count: u64,
    pub sum: Option<f64>,
    /// One more count than bounds, or both empty.
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExponentialPoint {
    pub header: PointHeader,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExponentialBuckets {
    pub offset: i32,
    pub bucket_counts: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SummaryPoint {
    pub header: PointHeader,
    pub count: u64,
    pub sum: f64,
    /// Pairs of quantile (0–1) and value.
    pub quantiles: Vec<(f64, f64)>,
}
