//! Memory of decoded requests: bounded for all, for each, and held as long as the batches.

use std::io::Write;
use std::time::Duration;

use model::signal::{Batch, Signal};
use receivers::ByteSize;
use receivers::config::{Limits, Otlp};
use receivers::counters::{Reason, Transport};
use reqwest::Client;

use crate::http::span;
use crate::protobuf::field;
use crate::rig::Rig;

async fn rig(limits: Limits) -> Rig {
    Rig::with(Otlp { limits, ..Otlp::default() }, receivers::allow_everyone()).await
}

/// A small body of `records` log records that decode to many times their size.
fn dense(records: usize) -> Vec<u8> {
    let record = field(2, &field(5, &field(1, b"abcdefghijkl")));
    gzip(&field(1, &field(2, &record.repeat(records))))
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(message).unwrap();
    gzip.finish().unwrap()
}

fn post_dense(rig: &Rig, records: usize) -> reqwest::RequestBuilder {
    let request = Client::new().post(rig.url("/v1/logs")).timeout(Duration::from_secs(20));
    let request = request.header("content-type", "application/x-protobuf");
    request.header("content-encoding", "gzip").body(dense(records))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoded_memory_is_bounded_and_held_as_long_as_the_batches() {
    let limit = 16 << 20;
    let decoded_bytes = ByteSize(limit as u64);
    let rig = rig(Limits { decoded_bytes, ..Limits::default() }).await;
    rig.sink.gate.forget_permits(usize::MAX);
    // Each stands for some 3 MiB, in few bytes.
    let sending: Vec<_> = (0..7).map(|_| tokio::spawn(post_dense(&rig, 20_000).send())).collect();
    let refusal = async {
        while rig.refused(Signal::Logs, Transport::Http, Reason::Overloaded) < 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refusal).await.unwrap();
    rig.sink.gate.add_permits(100);
    let mut statuses = Vec::new();
    for request in sending {
        let response = request.await.unwrap().unwrap();
        statuses.push(response.status().as_u16());
        if response.status() == 503 {
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    let peak = rig.intake.decoded_bytes_peak();
    assert!((limit / 2..=limit).contains(&peak), "{peak}");
    // Answered, and still held by the sink.
    let held = rig.accepted().iter().map(|each| each.memory.bytes()).sum::<usize>();
    assert_eq!(rig.intake.decoded_bytes(), held);
    assert_eq!(post_dense(&rig, 20_000).send().await.unwrap().status(), 503);
    rig.sink.accepted.lock().unwrap().clear();
    assert_eq!(rig.intake.decoded_bytes(), 0);
    assert_eq!(post_dense(&rig, 20_000).send().await.unwrap().status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_that_asks_for_more_memory_than_its_share_is_413() {
    let rig = rig(Limits { decoded_bytes: ByteSize::mib(16), ..Limits::default() }).await;
    let response = post_dense(&rig, 40_000).send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert!(response.text().await.unwrap().contains("4MiB of memory"));
    assert!(rig.intake.decoded_bytes_peak() <= 4 << 20);
    assert_eq!((rig.intake.decoded_bytes(), rig.intake.in_flight_bytes()), (0, 0));
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_tells_less_of_its_size_than_there_is_is_read_whole() {
    let rig = rig(Limits::default()).await;
    // The last member's size is what gzip tells of all.
    for (first, spans) in [(1, 2), (100, 101), (20_000, 20_001)] {
        let body = [gzip(&span().repeat(first)), gzip(&span())].concat();
        let request = Client::new().post(rig.url("/v1/traces")).body(body);
        let request = request.header("content-type", "application/x-protobuf");
        let response = request.header("content-encoding", "gzip").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(rig.accepted().last().unwrap().batch.len(), spans);
    }
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_reserved_is_what_the_lists_and_the_body_take() {
    let rig = rig(Limits::default()).await;
    let body = span().repeat(1000);
    let request = Client::new().post(rig.url("/v1/traces")).body(body);
    let request = request.header("content-type", "application/x-protobuf");
    assert_eq!(request.send().await.unwrap().status(), 200);
    // Not a clone: it would have other capacities.
    let accepted = rig.sink.accepted.lock().unwrap().remove(0);
    let Batch::Traces(groups) = &accepted.batch else { panic!() };
    let spans = groups.iter().map(|group| group.items.capacity() * size_of_val(&group.items[0]));
    let lists = spans.sum::<usize>() + groups.capacity() * size_of_val(&groups[0]);
    // Texts are slices of the body, which is held with them.
    assert_eq!(accepted.memory.bytes(), lists + accepted.body.len());
    rig.stop().await;
}
