//! The stock OpenTelemetry SDK for Rust, unchanged, over every transport, encoding and compression
//! it has.

use model::signal::{Batch, MetricData, Signal, SpanKind, SpanStatus, Temporality};
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, Status, Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SdkTracerProvider;
use receivers::counters::Transport;
use receivers::{Accepted, Encoding};

use crate::rig::Rig;

const COMPRESSIONS: [Option<Compression>; 3] =
    [None, Some(Compression::Gzip), Some(Compression::Zstd)];

fn resource() -> Resource {
    Resource::builder().with_service_name("checkout").build()
}

/// Runs what blocks (flushes do) beside the receivers.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

macro_rules! exporters {
    ($exporter:ident, $rig:expr, $path:literal) => {{
        let mut exporters = Vec::new();
        for compression in COMPRESSIONS {
            let builder = $exporter::builder().with_tonic();
            let builder = builder.with_endpoint(format!("http://{}", $rig.grpc));
            let builder = match compression {
                Some(compression) => builder.with_compression(compression),
                None => builder,
            };
            exporters.push((Encoding::Protobuf, builder.build().unwrap()));
            for (encoding, protocol) in
                [(Encoding::Protobuf, Protocol::HttpBinary), (Encoding::Json, Protocol::HttpJson)]
            {
                let builder = $exporter::builder().with_http().with_protocol(protocol);
                let builder = builder.with_endpoint($rig.url($path));
                let builder = match compression {
                    Some(compression) => builder.with_compression(compression),
                    None => builder,
                };
                exporters.push((encoding, builder.build().unwrap()));
            }
        }
        exporters
    }};
}

fn check_counts(rig: &Rig, signal: Signal, requests: usize) {
    let (grpc, http) = (rig.counts(signal, Transport::Grpc), rig.counts(signal, Transport::Http));
    assert_eq!(grpc.requests + http.requests, requests as u64);
    assert_eq!(http.requests, 2 * grpc.requests);
    assert_eq!(grpc.rejected_items + http.rejected_items, 0);
}

fn check_replay(accepted: &[Accepted]) {
    for each in accepted {
        let decoded = receivers::decode(each.signal, each.encoding, &each.body).unwrap();
        assert_eq!(decoded.batch, each.batch);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_arrive_by_every_way_the_sdk_has() {
    let rig = Rig::start().await;
    let exporters = exporters!(SpanExporter, rig, "/v1/traces");
    let ways = exporters.len();
    for (encoding, exporter) in exporters {
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        let scope = InstrumentationScope::builder("shop").with_version("1.2").build();
        let mut span = provider
            .tracer_with_scope(scope)
            .span_builder("POST /pay")
            .with_kind(opentelemetry::trace::SpanKind::Server)
            .with_attributes([KeyValue::new("http.response.status_code", 503)])
            .start(&provider.tracer("shop"));
        span.add_event("exception", vec![KeyValue::new("exception.type", "Timeout")]);
        span.set_status(Status::error("upstream"));
        span.end();
        aside(move || provider.shutdown().unwrap()).await;
        let accepted = rig.accepted().pop().unwrap();
        assert_eq!(accepted.encoding, encoding);
        let Batch::Traces(groups) = accepted.batch else { panic!("not traces") };
        assert_eq!(groups[0].resource.attributes.str("service.name"), Some("checkout"));
        let span = &groups[0].items[0];
        assert_eq!((span.name.as_str(), span.kind), ("POST /pay", SpanKind::Server));
        assert_eq!((span.status, span.status_message.as_str()), (SpanStatus::Error, "upstream"));
        assert_eq!(span.attributes.i64("http.response.status_code"), Some(503));
        assert_eq!(span.events[0].attributes.str("exception.type"), Some("Timeout"));
        assert!(span.end_unix_nanos >= span.start_unix_nanos && span.start_unix_nanos > 1 << 60);
    }
    check_counts(&rig, Signal::Traces, ways);
    check_replay(&rig.accepted());
    rig.stop().await;
}

fn record_metrics(provider: &SdkMeterProvider) {
    let meter = provider.meter("shop");
    meter.u64_counter("requests").build().add(3, &[KeyValue::new("route", "/pay")]);
    meter.i64_up_down_counter("connections").build().add(-2, &[]);
    meter.f64_gauge("temperature").build().record(20.5, &[]);
    let histogram = meter.f64_histogram("duration").with_boundaries(vec![0.1, 1.0]).build();
    let exponential = meter.f64_histogram("exponential").build();
    for value in [0.05, 0.5, 5.0] {
        histogram.record(value, &[]);
        exponential.record(value, &[]);
    }
}

fn exponential_view(instrument: &Instrument) -> Option<Stream> {
    let aggregation = Aggregation::Base2ExponentialHistogram {
        max_size: 160,
        max_scale: 20,
        record_min_max: true,
    };
    let stream = || Stream::builder().with_aggregation(aggregation).build().unwrap();
    (instrument.name() == "exponential").then(stream)
}

fn check_metrics(batch: &Batch, expected: Temporality) {
    let Batch::Metrics(groups) = batch else { panic!("not metrics") };
    let data =
        |name: &str| &groups[0].items.iter().find(|metric| metric.name == name).unwrap().data;
    match data("requests") {
        MetricData::Sum { temporality, monotonic: true, points } if *temporality == expected => {
            assert_eq!(points[0].value.unwrap().as_f64(), 3.0);
            assert_eq!(points[0].header.attributes.str("route"), Some("/pay"));
        }
        other => panic!("{other:?}"),
    }
    match data("connections") {
        MetricData::Sum { monotonic: false, points, .. } => {
            assert_eq!(points[0].value.unwrap().as_f64(), -2.0);
        }
        other => panic!("{other:?}"),
    }
    match data("temperature") {
        MetricData::Gauge(points) => assert_eq!(points[0].value.unwrap().as_f64(), 20.5),
        other => panic!("{other:?}"),
    }
    match data("duration") {
        MetricData::Histogram { temporality, points } if *temporality == expected => {
            assert_eq!(points[0].bucket_counts, [1, 1, 1]);
            assert_eq!(points[0].explicit_bounds, [0.1, 1.0]);
            assert_eq!((points[0].count, points[0].max), (3, Some(5.0)));
        }
        other => panic!("{other:?}"),
    }
    match data("exponential") {
        MetricData::ExponentialHistogram { temporality, points } if *temporality == expected => {
            assert_eq!((points[0].count, points[0].min), (3, Some(0.05)));
            assert_eq!(points[0].positive.bucket_counts.iter().sum::<u64>(), 3);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_every_kind_arrive_as_delta_and_as_cumulative() {
    use opentelemetry_sdk::metrics::Temporality as Sdk;
    let rig = Rig::start().await;
    for (asked, expected) in
        [(Sdk::Delta, Temporality::Delta), (Sdk::Cumulative, Temporality::Cumulative)]
    {
        let tonic = MetricExporter::builder().with_tonic().with_temporality(asked);
        let json = MetricExporter::builder().with_http().with_temporality(asked);
        let exporters = [
            tonic
                .with_endpoint(format!("http://{}", rig.grpc))
                .with_compression(Compression::Zstd)
                .build()
                .unwrap(),
            json.with_endpoint(rig.url("/v1/metrics"))
                .with_protocol(Protocol::HttpJson)
                .with_compression(Compression::Gzip)
                .build()
                .unwrap(),
        ];
        for exporter in exporters {
            let provider = SdkMeterProvider::builder()
                .with_periodic_exporter(exporter)
                .with_view(exponential_view)
                .with_resource(resource())
                .build();
            record_metrics(&provider);
            aside(move || provider.shutdown().unwrap()).await;
            check_metrics(&rig.accepted().last().unwrap().batch, expected);
        }
    }
    check_replay(&rig.accepted());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_records_arrive_by_every_way_the_sdk_has() {
    let rig = Rig::start().await;
    let exporters = exporters!(LogExporter, rig, "/v1/logs");
    let ways = exporters.len();
    for (encoding, exporter) in exporters {
        let provider = SdkLoggerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        let logger = provider.logger("shop");
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Error);
        record.set_body(AnyValue::from("payment refused"));
        record.add_attribute("order", 42);
        logger.emit(record);
        aside(move || provider.shutdown().unwrap()).await;
        let accepted = rig.accepted().pop().unwrap();
        assert_eq!(accepted.encoding, encoding);
        let Batch::Logs(groups) = accepted.batch else { panic!("not logs") };
        let record = &groups[0].items[0];
        assert_eq!((record.severity_number, record.body.as_str()), (17, Some("payment refused")));
        assert_eq!(record.attributes.i64("order"), Some(42));
    }
    check_counts(&rig, Signal::Logs, ways);
    check_replay(&rig.accepted());
    rig.stop().await;
}
