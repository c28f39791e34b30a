//! OTLP/HTTP, status by status.

use std::time::Duration;

use model::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use receivers::config::Otlp;
use receivers::counters::{Reason, Transport};
use receivers::{Encoding, Refusal};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response};

use crate::protobuf::{field, request};
use crate::rig::Rig;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// One valid span.
pub fn span() -> Vec<u8> {
    request(&[field(1, &[1; 16]), field(2, &[2; 8]), field(5, b"GET /")].concat())
}

const SPAN_JSON: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
    {"traceId":"01010101010101010101010101010101","spanId":"0202020202020202",
    "name":"GET /"}]}]}]}"#;

async fn post(rig: &Rig, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Response {
    let mut request = Client::new().post(rig.url("/v1/traces")).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn json(response: Response) -> serde_json::Value {
    assert_eq!(response.headers()["content-type"], JSON);
    response.json().await.unwrap()
}

/// `google.rpc.Status`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

async fn status(response: Response) -> Status {
    assert_eq!(response.headers()["content-type"], PROTOBUF);
    Status::decode(response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn success_answers_in_the_encoding_of_the_request_and_keeps_the_bytes_as_sent() {
    let rig = Rig::start().await;
    let response = post(&rig, &[("content-type", PROTOBUF)], span()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &PROTOBUF.parse().unwrap())
    );
    assert!(response.bytes().await.unwrap().is_empty());
    let with_charset = [("content-type", "Application/JSON; charset=utf-8")];
    let response = post(&rig, &with_charset, SPAN_JSON).await;
    assert_eq!(response.status(), 200);
    assert_eq!(json(response).await, serde_json::json!({}));
    let accepted = rig.accepted();
    assert_eq!(accepted[0].batch, accepted[1].batch);
    assert_eq!((accepted[0].encoding, accepted[1].encoding), (Encoding::Protobuf, Encoding::Json));
    assert_eq!((&accepted[0].body[..], &accepted[1].body[..]), (&span()[..], SPAN_JSON.as_bytes()));
    let counts = rig.counts(Signal::Traces, Transport::Http);
    assert_eq!((counts.requests, counts.items, counts.rejected_items), (2, 2, 0));
    rig.stop().await;
}

#[tokio::test]
async fn an_empty_request_is_success_and_reaches_no_sink() {
    let rig = Rig::start().await;
    for (content_type, body) in [(PROTOBUF, ""), (JSON, "{}")] {
        for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
            let request = Client::new().post(rig.url(path)).header("content-type", content_type);
            assert_eq!(request.body(body).send().await.unwrap().status(), 200);
        }
    }
    assert!(rig.accepted().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn partial_success_says_how_many_and_why() {
    let rig = Rig::start().await;
    let both = [span(), request(&field(1, &[1; 16]))].concat();
    let response = post(&rig, &[("content-type", PROTOBUF)], both).await;
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    let partial = ExportTraceServiceResponse::decode(body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(partial.error_message, "1 of 2 spans rejected; the first: a span has no span id");
    let response = post(&rig, &[("content-type", JSON)], SPAN_JSON.replace("0202", "0000")).await;
    assert_eq!(
        json(response).await,
        serde_json::json!({ "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "1 of 1 spans rejected; the first: a span has no span id",
        }})
    );
    // The second had nothing to keep.
    assert_eq!(rig.accepted().len(), 1);
    assert_eq!(rig.counts(Signal::Traces, Transport::Http).rejected_items, 2);
    rig.stop().await;
}

#[tokio::test]
async fn bad_data_is_400_with_a_status_in_kind() {
    let rig = Rig::start().await;
    let response = post(&rig, &[("content-type", PROTOBUF)], vec![0x08, 0x01]).await;
    assert_eq!(response.status(), 400);
    let status = status(response).await;
    assert_eq!(status.code, 3);
    assert!(status.message.contains("wrong wire type"), "{}", status.message);
    let response = post(&rig, &[("content-type", JSON)], "{").await;
    assert_eq!(response.status(), 400);
    assert_eq!(json(response).await["code"], 3);
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::BadData), 2);
    rig.stop().await;
}

#[tokio::test]
async fn other_content_types_and_encodings_are_415() {
    let rig = Rig::start().await;
    for content_type in ["text/plain", "application/protobuf", "application/jsonx", ""] {
        let response = post(&rig, &[("content-type", content_type)], "{}").await;
        assert_eq!(response.status(), 415, "{content_type}");
        assert!(json(response).await["message"].as_str().unwrap().contains("content type"));
    }
    assert_eq!(post(&rig, &[], "{}").await.status(), 415);
    for encoding in ["br", "deflate", "gzip, gzip", "gzip, zstd"] {
        let headers = [("content-type", JSON), ("content-encoding", encoding)];
        let response = post(&rig, &headers, "{}").await;
        assert_eq!(response.status(), 415, "{encoding}");
        assert_eq!(response.headers()["accept-encoding"], "gzip, zstd, identity");
    }
    let headers = [("content-type", JSON), ("content-encoding", "identity")];
    assert_eq!(post(&rig, &headers, "{}").await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_404() {
    let rig = Rig::start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
        let response = Client::new().request(method, rig.url("/v1/logs")).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "POST, OPTIONS");
    }
    let response = Client::new().post(rig.url("/v1/profiles")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(json(response).await["code"], 5);
    rig.stop().await;
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_401() {
    let authenticator = std::sync::Arc::new(|token: Option<&str>| token == Some("secret"));
    let rig = Rig::with(Otlp::default(), authenticator).await;
    let large = vec![0; 3 << 20];
    for authorization in ["", "Bearer wrong", "Basic secret", "secret"] {
        let headers = [("content-type", PROTOBUF), ("authorization", authorization)];
        let response = post(&rig, &headers, large.clone()).await;
        assert_eq!(response.status(), 401, "{authorization}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(status(response).await.code, 16);
    }
    let headers = [("content-type", PROTOBUF), ("authorization", "bearer secret")];
    assert_eq!(post(&rig, &headers, span()).await.status(), 200);
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::Unauthenticated), 4);
    rig.stop().await;
}

#[tokio::test]
async fn what_the_sink_refuses_is_429_or_503_with_retry_after() {
    let rig = Rig::start().await;
    let retry_after = Duration::from_millis(2500);
    *rig.sink.refusal.lock().unwrap() = Some(Refusal::Overloaded { retry_after });
    let response = post(&rig, &[("content-type", PROTOBUF)], span()).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "3");
    let status = status(response).await;
    assert_eq!((status.code, status.details.len()), (14, 1));
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    // RetryInfo { retry_delay: Duration { seconds: 2, nanos: 500000000 } }
    assert_eq!(status.details[0].value, [10, 8, 8, 2, 16, 0x80, 0xCA, 0xB5, 0xEE, 1]);
    let reason = "the disk is full".to_owned();
    let retry_after = Duration::ZERO;
    *rig.sink.refusal.lock().unwrap() = Some(Refusal::Unavailable { retry_after, reason });
    let response = post(&rig, &[("content-type", JSON)], SPAN_JSON).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let body = json(response).await;
    assert!(body["message"].as_str().unwrap().contains("the disk is full"));
    assert_eq!(body["details"][0]["retryDelay"], "0.000s");
    rig.stop().await;
}

async fn preflight(rig: &Rig, origin: &str) -> (u16, HeaderMap) {
    let response = Client::new()
        .request(Method::OPTIONS, rig.url("/v1/traces"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,authorization")
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.headers().clone())
}

#[tokio::test]
async fn pages_of_this_machine_and_configured_origins_may_send() {
    let cors_origins = vec!["https://shop.example".to_owned()];
    let config = Otlp { cors_origins, ..Otlp::default() };
    let rig = Rig::with(config, receivers::allow_everyone()).await;
    for origin in ["http://localhost:3000", "https://shop.example"] {
        let (status, headers) = preflight(&rig, origin).await;
        assert_eq!(status, 200);
        assert_eq!(headers["access-control-allow-origin"], origin);
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        for header in ["content-type", "content-encoding", "authorization", "traceparent"] {
            assert!(allowed.contains(header), "{allowed}");
        }
        let response = post(&rig, &[("content-type", JSON), ("origin", origin)], "{}").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
    }
    let (status, headers) = preflight(&rig, "https://evil.example").await;
    assert_eq!(status, 403);
    assert!(!headers.contains_key("access-control-allow-origin"));
    let headers = [("content-type", JSON), ("origin", "https://evil.example")];
    assert_eq!(post(&rig, &headers, "{}").await.status(), 403);
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::Forbidden), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_name_rebound_to_this_machine_is_403() {
    let hosts = vec!["immune.internal".to_owned()];
    let rig = Rig::with(Otlp { hosts, ..Otlp::default() }, receivers::allow_everyone()).await;
    for (host, expected) in [
        ("evil.example:4318", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:4318", 200),
        ("[::1]", 200),
        ("immune.internal:4318", 200),
    ] {
        let response = post(&rig, &[("content-type", JSON), ("host", host)], "{}").await;
        assert_eq!(response.status(), expected, "{host}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn http_2_without_tls_and_kept_connections_are_served() {
    let rig = Rig::start().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    for client in [client, Client::new()] {
        for _ in 0..3 {
            let request = client.post(rig.url("/v1/traces")).header("content-type", PROTOBUF);
            assert_eq!(request.body(span()).send().await.unwrap().status(), 200);
        }
    }
    assert_eq!(rig.accepted().len(), 6);
    rig.stop().await;
}
