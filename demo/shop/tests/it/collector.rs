//! A telemetry receiver for tests: keeps what the parts send over OTLP/gRPC.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1 as logs;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Parts that an order passes through and that send telemetry.
const PARTS: usize = 6;

type Attributes = BTreeMap<String, String>;

/// A running receiver.
#[derive(Clone)]
pub struct Collector {
    received: Arc<Mutex<Received>>,
    port: u16,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    /// Service and metric.
    metrics: BTreeSet<(String, String)>,
    /// Services with a log line that belongs to a trace.
    logs_in_a_trace: BTreeSet<String>,
}

/// A span as far as tests look at it.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub resource: Attributes,
    attributes: Attributes,
    trace_id: Vec<u8>,
    id: Vec<u8>,
    parent_id: Vec<u8>,
    is_error: bool,
}

/// The spans of one trace.
pub struct Trace {
    spans: Vec<Span>,
}

impl Collector {
    pub async fn start() -> Collector {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let collector = Collector { received: Arc::default(), port };
        let server = tonic::transport::Server::builder()
            .add_service(trace::trace_service_server::TraceServiceServer::new(collector.clone()))
            .add_service(metrics::metrics_service_server::MetricsServiceServer::new(
                collector.clone(),
            ))
            .add_service(logs::logs_service_server::LogsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        collector
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A trace with a span from every part, once its payment's database span is there and no
    /// span waits for its parent: each part exports on its own time.
    pub fn whole_order(&self) -> Option<Trace> {
        let received = self.received();
        let charges = received.spans.iter().filter(|span| span.name.starts_with("INSERT charges"));
        charges
            .map(|charge| Trace {
                spans: received
                    .spans
                    .iter()
                    .filter(|span| span.trace_id == charge.trace_id)
                    .cloned()
                    .collect(),
            })
            .find(|trace| {
                let services: BTreeSet<&str> =
                    trace.spans.iter().map(|span| span.service.as_str()).collect();
                let ids: BTreeSet<&[u8]> =
                    trace.spans.iter().map(|span| span.id.as_slice()).collect();
                let has_parent = |span: &Span| {
                    span.parent_id.is_empty() || ids.contains(span.parent_id.as_slice())
                };
                services.len() == PARTS && trace.spans.iter().all(has_parent)
            })
    }

    pub fn has_metric(&self, service: &str, name: &str) -> bool {
        self.received().metrics.contains(&(service.to_owned(), name.to_owned()))
    }

    pub fn has_log_in_a_trace(&self, service: &str) -> bool {
        self.received().logs_in_a_trace.contains(service)
    }

    /// A client span whose connection was refused, marked as an error.
    pub fn has_refused_call(&self, service: &str) -> bool {
        let refused = |span: &Span| {
            span.service == service
                && span.is_error
                && span.attribute("error.type") == "connect_error"
                && span.attribute("http.response.status_code").is_empty()
        };
        self.received().spans.iter().any(refused)
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().expect("no test panics while it holds this")
    }
}

impl Span {
    /// The attribute's value as text; empty where there is none.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

impl Trace {
    /// The spans from the root down to the database span of `service`.
    pub fn path_to_the_database_of(&self, service: &str) -> Vec<&Span> {
        let is_end =
            |span: &&Span| span.service == service && !span.attribute("db.system.name").is_empty();
        let mut path: Vec<&Span> = self.spans.iter().filter(is_end).take(1).collect();
        while let Some(parent) =
            path.last().and_then(|last| self.spans.iter().find(|span| span.id == last.parent_id))
        {
            path.push(parent);
        }
        path.reverse();
        path
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect()
}

fn resource_of(resource: Option<&Resource>) -> (String, Attributes) {
    let attributes = resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    (attributes.get("service.name").cloned().unwrap_or_default(), attributes)
}

#[tonic::async_trait]
impl trace::trace_service_server::TraceService for Collector {
    async fn export(
        &self,
        request: Request<trace::ExportTraceServiceRequest>,
    ) -> Result<Response<trace::ExportTraceServiceResponse>, Status> {
        for batch in request.into_inner().resource_spans {
            let (service, resource) = resource_of(batch.resource.as_ref());
            for span in batch.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let is_error = span.status.as_ref().is_some_and(|s| s.code() == StatusCode::Error);
                self.received().spans.push(Span {
                    service: service.clone(),
                    name: span.name,
                    resource: resource.clone(),
                    attributes: attributes(&span.attributes),
                    trace_id: span.trace_id,
                    id: span.span_id,
                    parent_id: span.parent_span_id,
                    is_error,
                });
            }
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl metrics::metrics_service_server::MetricsService for Collector {
    async fn export(
        &self,
        request: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, Status> {
        for batch in request.into_inner().resource_metrics {
            let (service, _) = resource_of(batch.resource.as_ref());
            for metric in batch.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                self.received().metrics.insert((service.clone(), metric.name));
            }
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl logs::logs_service_server::LogsService for Collector {
    async fn export(
        &self,
        request: Request<logs::ExportLogsServiceRequest>,
    ) -> Result<Response<logs::ExportLogsServiceResponse>, Status> {
        for batch in request.into_inner().resource_logs {
            let (service, _) = resource_of(batch.resource.as_ref());
            let mut records = batch.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            if records.any(|record| record.trace_id.len() == 16) {
                self.received().logs_in_a_trace.insert(service);
            }
        }
        Ok(Response::new(Default::default()))
    }
}
