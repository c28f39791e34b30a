//! The stock OpenTelemetry SDK: traces, metrics and logs over OTLP/gRPC with default batching.
//!
//! Configured by the standard environment variables alone (`OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`,
//! `OTEL_SDK_DISABLED`). The shop works the same when nobody listens: what cannot be exported is
//! dropped by the SDK in bounded memory. Log lines also go to standard output.

pub mod database;
pub mod inbound;
pub mod outbound;

use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Instrumentation scope of everything the shop reports.
const SCOPE: &str = "shop";
/// How long a stopping process waits for its last telemetry to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// What is logged unless `RUST_LOG` says otherwise. The exporters' own libraries stay silent:
/// exporting their log lines would cause more of them.
const LOG_FILTER: &str = "info,opentelemetry=off,h2=off,hyper=off,hyper_util=off,tonic=off,\
                          tower=off";
/// Bucket bounds that the semantic conventions advise for durations in seconds.
const DURATION_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of this process; no-ops where telemetry is off.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(Instruments::register);

/// Who this process is, unless the environment says otherwise.
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// `service.instance.id`.
    pub instance: String,
    /// `service.version`.
    pub version: String,
}

/// The running pipelines.
pub struct Telemetry {
    pipelines: Option<Pipelines>,
}

struct Pipelines {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

struct Instruments {
    server_duration: Histogram<f64>,
    server_active: UpDownCounter<i64>,
    client_duration: Histogram<f64>,
    database_duration: Histogram<f64>,
}

impl Telemetry {
    /// Starts the pipelines and the log lines. Must run inside the async runtime.
    pub fn install(service: Service) -> Telemetry {
        let disabled = std::env::var("OTEL_SDK_DISABLED")
            .is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let built = if disabled { None } else { Some(Pipelines::build(resource(service))) };
        let (pipelines, trouble) = match built {
            Some(Ok(pipelines)) => (Some(pipelines), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let filter =
            || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false);
        let bridge = pipelines.as_ref().map(|pipelines| {
            OpenTelemetryTracingBridge::new(&pipelines.logs).with_filter(filter())
        });
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter()));
        if subscriber.with(bridge).try_init().is_err() {
            eprintln!("log lines were already set up; keeping the first set-up");
        }
        if let Some(error) = trouble {
            tracing::warn!("no telemetry is exported: {}", crate::problem::chain(&error));
        }
        Telemetry { pipelines }
    }

    /// Sends what is still queued, for at most [`FLUSH_TIMEOUT`].
    pub fn shutdown(self) {
        let Some(pipelines) = self.pipelines else { return };
        let (done, flushed) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            // Failing to flush is what happens when nobody listens: there is nobody to tell.
            let _ = pipelines.traces.shutdown();
            let _ = pipelines.logs.shutdown();
            let _ = pipelines.metrics.shutdown();
            let _ = done.send(());
        });
        let _ = flushed.recv_timeout(FLUSH_TIMEOUT);
    }
}

impl Pipelines {
    fn build(resource: Resource) -> Result<Pipelines, opentelemetry_otlp::ExporterBuildError> {
        let spans = SpanExporter::builder().with_tonic().build()?;
        let metrics = MetricExporter::builder().with_tonic().build()?;
        let logs = LogExporter::builder().with_tonic().build()?;
        let pipelines = Pipelines {
            traces: SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(spans)
                .build(),
            metrics: SdkMeterProvider::builder()
                .with_resource(resource.clone())
                .with_periodic_exporter(metrics)
                .build(),
            logs: SdkLoggerProvider::builder()
                .with_resource(resource)
                .with_batch_exporter(logs)
                .build(),
        };
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(pipelines.traces.clone());
        global::set_meter_provider(pipelines.metrics.clone());
        Ok(pipelines)
    }
}

impl Instruments {
    fn register() -> Instruments {
        let meter = global::meter(SCOPE);
        let duration = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(DURATION_BOUNDS_S.to_vec())
                .build()
        };
        Instruments {
            server_duration: duration(
                "http.server.request.duration",
                "Duration of HTTP server requests.",
            ),
            server_active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Number of active HTTP server requests.")
                .build(),
            client_duration: duration(
                "http.client.request.duration",
                "Duration of HTTP client requests.",
            ),
            database_duration: duration(
                "db.client.operation.duration",
                "Duration of database client operations.",
            ),
        }
    }
}

/// What a part is called: as the environment says, else by its `own` name.
pub fn service_name(own: &str) -> String {
    let stated = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    stated.unwrap_or_else(|| own.to_owned())
}

/// What the environment says about this process, completed by what it knows of itself.
fn resource(service: Service) -> Resource {
    // The SDK's own detectors: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, telemetry.sdk.*.
    let stated = Resource::builder().build();
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || stated_in_environment("service.name");
    let mut known = vec![
        KeyValue::new("service.instance.id", service.instance),
        KeyValue::new("service.version", service.version),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("process.command", "shop"),
    ];
    if let Ok(host) = rustix::system::uname().nodename().to_str() {
        known.push(KeyValue::new("host.name", host.to_owned()));
    }
    known.retain(|attribute| stated.get(&attribute.key).is_none());
    if !named {
        known.push(KeyValue::new(Key::from_static_str("service.name"), service.name));
    }
    Resource::builder().with_attributes(known).build()
}

fn stated_in_environment(key: &str) -> bool {
    let stated = std::env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    stated.split(',').any(|pair| pair.split('=').next().is_some_and(|name| name.trim() == key))
}
