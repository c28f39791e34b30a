//! OTLP/gRPC with the generated client, status by status.

use std::sync::Arc;
use std::time::Duration;

use model::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use receivers::config::{Limits, Otlp};
use receivers::counters::{Reason, Transport};
use receivers::{ByteSize, Refusal};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::http::Status;
use crate::rig::Rig;

async fn traces(rig: &Rig) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(format!("http://{}", rig.grpc)).await.unwrap()
}

fn request(names: &[&str]) -> ExportTraceServiceRequest {
    let span = |name: &&str| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: (*name).to_owned(),
        ..Default::default()
    };
    let scope_spans = ScopeSpans { spans: names.iter().map(span).collect(), ..Default::default() };
    let scope_spans = vec![scope_spans];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }
}

#[tokio::test]
async fn success_keeps_the_bytes_as_sent_whatever_their_compression() {
    let rig = Rig::start().await;
    let plain = traces(&rig).await;
    let clients = [
        plain.clone(),
        plain.clone().send_compressed(CompressionEncoding::Gzip),
        plain.send_compressed(CompressionEncoding::Zstd),
    ];
    for mut client in clients {
        let response = client.export(request(&["a", "b"])).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
    }
    let accepted = rig.accepted();
    assert_eq!(accepted.len(), 3);
    for each in accepted {
        assert_eq!(each.body, request(&["a", "b"]).encode_to_vec());
        assert_eq!(each.batch.len(), 2);
    }
    assert_eq!(rig.counts(Signal::Traces, Transport::Grpc).items, 6);
    rig.stop().await;
}

#[tokio::test]
async fn the_three_services_answer_each_its_own_signal() {
    let rig = Rig::start().await;
    let url = format!("http://{}", rig.grpc);
    let log_records = vec![LogRecord { severity_number: 9, ..Default::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..Default::default() }];
    let mut logs = LogsServiceClient::connect(url.clone()).await.unwrap();
    logs.export(ExportLogsServiceRequest { resource_logs }).await.unwrap();
    let mut metrics = MetricsServiceClient::connect(url).await.unwrap();
    let answer = metrics.export(ExportMetricsServiceRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().partial_success, None);
    assert_eq!(rig.accepted().iter().map(|each| each.signal).collect::<Vec<_>>(), [Signal::Logs]);
    rig.stop().await;
}

#[tokio::test]
async fn partial_success_says_how_many_and_why() {
    let rig = Rig::start().await;
    let mut bad = request(&["a", "b"]);
    bad.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![1; 3];
    let partial = traces(&rig).await.export(bad).await.unwrap().into_inner().partial_success;
    let partial = partial.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("3 bytes instead of 16"), "{}", partial.error_message);
    rig.stop().await;
}

#[tokio::test]
async fn overload_is_unavailable_with_retry_info() {
    let rig = Rig::start().await;
    let retry_after = Duration::from_secs(7);
    *rig.sink.refusal.lock().unwrap() = Some(Refusal::Overloaded { retry_after });
    let error = traces(&rig).await.export(request(&["a"])).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let details = Status::decode(error.details()).unwrap();
    assert_eq!(details.code, Code::Unavailable as i32);
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(details.details[0].value, [10, 2, 8, 7]);
    assert_eq!(rig.refused(Signal::Traces, Transport::Grpc, Reason::Overloaded), 1);
    rig.stop().await;
}

/// Sends until the bound is reached, with each request held where it got to.
async fn check_bound(limits: Limits) {
    let rig = Rig::with(Otlp { limits, ..Otlp::default() }, receivers::allow_everyone()).await;
    rig.sink.gate.forget_permits(usize::MAX);
    let client = traces(&rig).await;
    let text = "x".repeat(3 << 20);
    let mut held = tokio::task::JoinSet::new();
    let refused = loop {
        let mut client = client.clone();
        let request = request(&[&text]);
        let arrived = held.len() + 1;
        held.spawn(async move { client.export(request).await });
        tokio::select! {
            () = rig.arrived(arrived) => assert!(arrived < 64, "there is no bound"),
            answer = held.join_next() => break answer.unwrap().unwrap().unwrap_err(),
        }
    };
    assert_eq!(refused.code(), Code::Unavailable);
    let details = Status::decode(refused.details()).unwrap();
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(rig.refused(Signal::Traces, Transport::Grpc, Reason::Overloaded), 1);
    rig.sink.gate.add_permits(64);
    assert!(held.join_all().await.iter().all(Result::is_ok));
    rig.sink.accepted.lock().unwrap().clear();
    assert_eq!((rig.intake.in_flight_bytes(), rig.intake.decoded_bytes()), (0, 0));
    rig.stop().await;
}

#[tokio::test]
async fn at_every_bound_clients_are_told_to_come_again_and_counted() {
    let limits = Limits::default();
    check_bound(Limits { in_flight_requests: 2, ..limits.clone() }).await;
    let small = Limits { compressed: ByteSize::mib(4), decompressed: ByteSize::mib(4), ..limits };
    check_bound(Limits { in_flight_bytes: ByteSize::mib(8), ..small.clone() }).await;
    check_bound(Limits { decoded_bytes: ByteSize::mib(16), ..small }).await;
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_unauthenticated() {
    let authenticator = Arc::new(|token: Option<&str>| token == Some("secret"));
    let rig = Rig::with(Otlp::default(), authenticator).await;
    let mut client = traces(&rig).await;
    let error = client.export(request(&["a"])).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let mut with_token = Request::new(request(&["a"]));
    with_token.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
    client.export(with_token).await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_resource_exhausted_also_after_decompression() {
    let limits = Limits {
        compressed: ByteSize::mib(1),
        decompressed: ByteSize::mib(2),
        ..Limits::default()
    };
    let rig = Rig::with(Otlp { limits, ..Otlp::default() }, receivers::allow_everyone()).await;
    let name = "x".repeat(3 << 20);
    let plain = traces(&rig).await;
    let compressed = plain.clone().send_compressed(CompressionEncoding::Gzip);
    for mut client in [plain, compressed] {
        let error = client.export(request(&[&name])).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        assert!(error.message().contains("2MiB"), "{}", error.message());
        // Not to be retried: the same request would fail again.
        assert!(Status::decode(error.details()).unwrap().details.is_empty());
    }
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}

/// A gRPC request by hand; the status, from the headers of an answer without body.
async fn raw(rig: &Rig, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let mut request = client.post(format!("http://{}{path}", rig.grpc)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let code = response.headers().get("grpc-status");
    let code = code.map_or(String::new(), |code| code.to_str().unwrap().to_owned());
    (response.status().as_u16(), code)
}

#[tokio::test]
async fn malformed_frames_and_foreign_requests_are_answered() {
    let rig = Rig::start().await;
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let grpc = [("content-type", "application/grpc")];
    for body in [
        vec![],
        vec![0, 0, 0],
        vec![0, 0, 0, 0, 9, 1],
        vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 0],
        vec![2, 0, 0, 0, 0],
        vec![0, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![0, 0, 0, 0, 2, 8, 1],
    ] {
        let outcome = raw(&rig, path, &grpc, body.clone()).await;
        assert_eq!(outcome, (200, "3".to_owned()), "{body:?}");
    }
    let outcome = raw(&rig, "/x.Y/Z", &grpc, vec![]).await;
    assert_eq!(outcome, (200, "12".to_owned()));
    let lzma = [("content-type", "application/grpc+proto"), ("grpc-encoding", "lzma")];
    assert_eq!(raw(&rig, path, &lzma, vec![]).await, (200, "12".to_owned()));
    let json = [("content-type", "application/json")];
    assert_eq!(raw(&rig, path, &json, vec![]).await.0, 415);
    rig.stop().await;
}
