//! What toxics do to real connections: Toxiproxy's own tests (`toxics/*_test.go`), and that changes
//! reach connections that are open.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::lab::{Lab, PATIENCE, connect, is_silent, pass, rest};

const MS: Duration = Duration::from_millis(1);
/// How much later than due something may come on a busy machine; never earlier. That it comes
/// exactly when it is due is shown in virtual time, by the tests of the chain.
const LATE_MAX: Duration = Duration::from_secs(3);

fn assert_took(took: Duration, expected_ms: u32) {
    let expected = MS * expected_ms;
    assert!(took >= expected, "{took:?} is earlier than {expected:?}");
    assert!(took < expected + LATE_MAX, "{took:?} is much later than {expected:?}");
}

async fn exchange(client: &mut TcpStream, server: &mut TcpStream, up_ms: u32, down_ms: u32) {
    let mut message = b"hello world ".to_vec();
    message.resize(32 << 10, b'a');
    assert_took(pass(client, server, &message).await, up_ms);
    assert_took(pass(server, client, &message).await, down_ms);
}

#[tokio::test]
async fn latency_delays_each_way_as_told() {
    for (up_ms, down_ms) in [(100, 0), (0, 100), (100, 100), (400, 50)] {
        let lab = Lab::start().await;
        let (mut client, mut server) = lab.connected().await;
        lab.toxic("latency", "upstream", json!({"latency": up_ms})).await;
        lab.toxic("latency", "downstream", json!({"latency": down_ms})).await;
        exchange(&mut client, &mut server, up_ms, down_ms).await;
        exchange(&mut client, &mut server, up_ms, down_ms).await;
        lab.post("/reset", json!({})).await;
        exchange(&mut client, &mut server, 0, 0).await;
    }
}

#[tokio::test]
async fn two_latencies_add_up() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    for name in ["one", "two"] {
        let body = json!({"name": name, "type": "latency", "stream": "upstream",
            "attributes": {"latency": 200}});
        lab.post("/proxies/test/toxics", body).await.expect(200);
    }
    assert_took(pass(&mut client, &mut server, b"hello").await, 400);
}

#[tokio::test]
async fn latency_does_not_limit_throughput() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("latency", "downstream", json!({"latency": 100})).await;
    let bytes = vec![7; 32 << 20];
    let took = pass(&mut server, &mut client, &bytes).await;
    // If each chunk waited for the one before it, this would take 50 s.
    assert!(took >= 100 * MS && took < 20_000 * MS, "{took:?}");
}

#[tokio::test]
async fn latency_survives_clients_that_come_and_go() {
    let lab = Lab::start().await;
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = lab.proxy("test", &upstream.local_addr().unwrap().to_string()).await;
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = upstream.accept().await {
            drop(stream);
        }
    });
    for _ in 0..100 {
        lab.toxic("latency", "upstream", json!({"latency": 10})).await;
        let mut client = connect(&listen).await;
        client.write_all(b"hello").await.unwrap();
        drop(client);
        assert_eq!(lab.delete("/proxies/test/toxics/latency_upstream").await.status, 204);
    }
    accepting.abort();
}

#[tokio::test]
async fn bandwidth_is_kept_to() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("bandwidth", "upstream", json!({"rate": 1000})).await;
    let bytes = b"hello world ".repeat(40_000);
    assert_took(pass(&mut client, &mut server, &bytes).await, 470);
}

#[tokio::test]
async fn slow_close_delays_the_close() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("slow_close", "downstream", json!({"delay": 300})).await;
    pass(&mut server, &mut client, b"bye").await;
    let began = Instant::now();
    drop(server);
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_took(began.elapsed(), 300);
}

#[tokio::test]
async fn timeout_stops_bytes_and_closes() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    let began = Instant::now();
    lab.toxic("timeout", "downstream", json!({"timeout": 300})).await;
    server.write_all(b"lost").await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_took(began.elapsed(), 300);
    assert_eq!(rest(&mut server).await.unwrap(), b"");
}

#[tokio::test]
async fn removing_a_timeout_closes_the_connection() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("timeout", "upstream", json!({"timeout": 0})).await;
    client.write_all(b"lost").await.unwrap();
    assert!(is_silent(&mut server).await);
    assert_eq!(lab.delete("/proxies/test/toxics/timeout_upstream").await.status, 204);
    assert_eq!(rest(&mut server).await.unwrap(), b"");
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn removing_a_timeout_at_once_closes_the_connection_too() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("timeout", "upstream", json!({"timeout": 0})).await;
    assert_eq!(lab.delete("/proxies/test/toxics/timeout_upstream").await.status, 204);
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_eq!(rest(&mut server).await.unwrap(), b"");
}

#[tokio::test]
async fn reset_peer_resets_both_sides() {
    for (stream, timeout_ms) in [("upstream", 0), ("upstream", 100), ("downstream", 100)] {
        let lab = Lab::start().await;
        let (mut client, mut server) = lab.connected().await;
        lab.toxic("reset_peer", stream, json!({"timeout": timeout_ms})).await;
        let began = Instant::now();
        let sender = if stream == "upstream" { &mut client } else { &mut server };
        sender.write_all(b"reset toxic payload\n").await.unwrap();
        for side in [&mut client, &mut server] {
            let error = rest(side).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{stream}");
        }
        assert_took(began.elapsed(), timeout_ms);
    }
}

#[tokio::test]
async fn reset_peer_without_toxicity_leaves_connections_alone() {
    let lab = Lab::start().await;
    let body = json!({"type": "reset_peer", "toxicity": 0, "attributes": {"timeout": 0}});
    let (mut client, mut server) = lab.connected().await;
    lab.post("/proxies/test/toxics", body).await.expect(200);
    pass(&mut server, &mut client, b"hello").await;
    drop(server);
    // A plain end, not a reset.
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn slicer_changes_no_byte() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    let attributes = json!({"average_size": 1024, "size_variation": 512, "delay": 10});
    lab.toxic("slicer", "upstream", attributes).await;
    let bytes = b"hello world ".repeat(40_000);
    pass(&mut client, &mut server, &bytes).await;
}

#[tokio::test]
async fn slices_arrive_one_by_one() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    let attributes = json!({"average_size": 10, "size_variation": 0, "delay": 20_000});
    lab.toxic("slicer", "upstream", attributes).await;
    client.write_all(&[1; 40]).await.unwrap();
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 40 {
        let mut buffer = [0; 64];
        sizes.push(server.read(&mut buffer).await.unwrap());
    }
    assert_eq!(sizes, [10, 10, 10, 10]);
}

#[tokio::test]
async fn limit_data_delivers_its_bytes_and_closes() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("limit_data", "downstream", json!({"bytes": 1000})).await;
    server.write_all(&[5; 1_500]).await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), [5; 1_000]);
    // What was too much was never read by anyone: the upstream may see a reset instead of an end.
    let _ = rest(&mut server).await;
}

#[tokio::test]
async fn packet_loss_loses_what_it_says() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("packet_loss", "upstream", json!({"loss_rate": 1})).await;
    client.write_all(b"lost").await.unwrap();
    assert!(is_silent(&mut server).await);
    lab.post("/reset", json!({})).await;
    pass(&mut client, &mut server, b"here").await;
}

#[tokio::test]
async fn toxics_come_and_go_while_bytes_flow() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    let bytes: Vec<u8> = (0..32 << 20).map(|index: u32| (index % 251) as u8).collect();
    let changing = async {
        for round in 0..40_u32 {
            let kind = ["latency", "noop", "slicer", "bandwidth"][round as usize % 4];
            let attributes = match kind {
                "latency" => json!({"latency": 20, "jitter": 20}),
                "slicer" => json!({"average_size": 9_000, "size_variation": 4_000}),
                "bandwidth" => json!({"rate": 500_000}),
                _ => json!({}),
            };
            lab.toxic(kind, "upstream", attributes).await;
            let path = format!("/proxies/test/toxics/{kind}_upstream");
            assert_eq!(lab.delete(&path).await.status, 204);
        }
    };
    let (took, ()) = tokio::join!(pass(&mut client, &mut server, &bytes), changing);
    assert!(took < PATIENCE);
    pass(&mut server, &mut client, b"and back").await;
}
