//! The bounds: size, time, number and bytes in flight, and an orderly end.

use std::time::Duration;

use model::signal::Signal;
use receivers::config::{Limits, Otlp};
use receivers::counters::{Reason, Transport};
use receivers::{ByteSize, Refusal};
use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::span;
use crate::rig::Rig;

async fn rig(limits: Limits) -> Rig {
    Rig::with(Otlp { limits, ..Otlp::default() }, receivers::allow_everyone()).await
}

fn post(rig: &Rig, body: Vec<u8>) -> reqwest::RequestBuilder {
    let request = Client::new().post(rig.url("/v1/traces"));
    // A request that is let through by mistake would wait at the gate for ever.
    let request = request.timeout(Duration::from_secs(20));
    request.header("content-type", "application/x-protobuf").body(body)
}

/// Sends raw bytes and reads the answer to the end.
async fn speak(rig: &Rig, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_huge_body_is_413_whether_its_length_is_declared_or_not() {
    let rig = rig(Limits { decompressed: ByteSize(1 << 20), ..Limits::default() }).await;
    assert_eq!(post(&rig, vec![0; 2 << 20]).send().await.unwrap().status(), 413);
    let chunks =
        futures_util::stream::iter((0..32).map(|_| Ok::<_, std::io::Error>(vec![0; 65_536])));
    let request = post(&rig, Vec::new()).body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(request.send().await.unwrap().status(), 413);
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::TooLarge), 2);
    assert_eq!(post(&rig, span()).send().await.unwrap().status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_body_is_408_and_its_connection_is_closed() {
    let body_timeout = model::human::HumanDuration::from_millis(100);
    let rig = rig(Limits { body_timeout, ..Limits::default() }).await;
    let answer = speak(
        &rig,
        b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          content-length: 100\r\n\r\n{",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::TooSlow), 1);
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn idle_connections_and_slow_headers_are_closed() {
    let idle_timeout = model::human::HumanDuration::from_millis(100);
    let rig = rig(Limits { idle_timeout, ..Limits::default() }).await;
    assert_eq!(speak(&rig, b"").await, "");
    let answer = speak(&rig, b"POST /v1/traces HTTP/1.1\r\nhost: lo").await;
    assert!(!answer.contains("200"), "{answer}");
    rig.stop().await;
}

#[tokio::test]
async fn more_requests_than_the_bound_are_503_with_retry_after() {
    let rig = rig(Limits { in_flight_requests: 2, ..Limits::default() }).await;
    // Nothing becomes durable until the gate opens.
    rig.sink.gate.forget_permits(usize::MAX);
    let held: Vec<_> = (0..2).map(|_| tokio::spawn(post(&rig, span()).send())).collect();
    rig.arrived(2).await;
    let response = post(&rig, span()).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    rig.sink.gate.add_permits(3);
    for request in held {
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(post(&rig, span()).send().await.unwrap().status(), 200);
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::Overloaded), 1);
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_it_is_decoded() {
    let rig = rig(Limits::default()).await;
    let retry_after = Duration::from_secs(7);
    *rig.sink.closed.lock().unwrap() = Some(Refusal::Overloaded { retry_after });
    // Decoded, this would be 400.
    let answer = post(&rig, b"no protobuf".to_vec()).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(rig.refused(Signal::Traces, Transport::Http, Reason::Overloaded), 1);
    *rig.sink.closed.lock().unwrap() = None;
    assert_eq!(post(&rig, span()).send().await.unwrap().status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn more_bytes_than_the_bound_are_503_and_given_back() {
    let in_flight_bytes = ByteSize(span().len() as u64 + 10);
    let rig = rig(Limits { in_flight_bytes, ..Limits::default() }).await;
    rig.sink.gate.forget_permits(usize::MAX);
    let held = tokio::spawn(post(&rig, span()).send());
    rig.arrived(1).await;
    assert_eq!(rig.intake.in_flight_bytes(), span().len());
    assert_eq!(post(&rig, span()).send().await.unwrap().status(), 503);
    rig.sink.gate.add_permits(1);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_place_back() {
    let rig = rig(Limits { in_flight_requests: 1, ..Limits::default() }).await;
    rig.sink.gate.forget_permits(usize::MAX);
    let abandoned = tokio::spawn(post(&rig, span()).send());
    rig.arrived(1).await;
    abandoned.abort();
    rig.sink.gate.add_permits(10);
    // The server learns of it when the connection closes.
    while post(&rig, span()).send().await.unwrap().status() != 200 {
        tokio::task::yield_now().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn requests_under_way_end_well_at_shutdown() {
    let rig = rig(Limits::default()).await;
    rig.sink.gate.forget_permits(usize::MAX);
    let held = tokio::spawn(post(&rig, span()).send());
    rig.arrived(1).await;
    let gate = std::sync::Arc::clone(&rig.sink.gate);
    let stopping = tokio::spawn(rig.stop());
    tokio::task::yield_now().await;
    gate.add_permits(1);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(5), stopping).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_at_once_lose_nothing() {
    let rig = rig(Limits::default()).await;
    let client = Client::new();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..32_usize {
        // Some small, some large enough for a thread of their own.
        let body = span().repeat(if sender % 8 == 0 { 10_000 } else { 10 });
        let request = client.post(rig.url("/v1/traces"));
        let request = request.header("content-type", "application/x-protobuf").body(body);
        senders.spawn(async move {
            for _ in 0..4 {
                let response = request.try_clone().unwrap().send().await.unwrap();
                assert_eq!(response.status(), 200);
            }
        });
    }
    senders.join_all().await;
    let counts = rig.counts(Signal::Traces, Transport::Http);
    assert_eq!((counts.requests, counts.items), (128, 16 * 10_000 + 112 * 10));
    assert_eq!(rig.accepted().iter().map(|each| each.batch.len()).sum::<usize>(), 161_120);
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}
