//! Connections without toxics: ends, cuts, bounds, counters.

use proxy::Config;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::lab::{Lab, connect, is_up, pass, rest};

#[tokio::test]
async fn bytes_pass_both_ways_unchanged() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    let bytes: Vec<u8> = (0..8 << 20).map(|index: u32| (index % 249) as u8).collect();
    pass(&mut client, &mut server, &bytes).await;
    pass(&mut server, &mut client, &bytes).await;
}

#[tokio::test]
async fn a_client_that_has_sent_everything_still_gets_its_answer() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await.unwrap(), b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await.unwrap(), b"answer");
}

#[tokio::test]
async fn what_is_delayed_still_arrives_after_the_other_side_has_gone() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    lab.toxic("latency", "downstream", json!({"latency": 200})).await;
    server.write_all(b"last words").await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await.unwrap(), b"last words");
}

#[tokio::test]
async fn disabling_cuts_connections() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    pass(&mut client, &mut server, b"hello").await;
    lab.patch("/proxies/test", json!({"enabled": false})).await.expect(200);
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_eq!(rest(&mut server).await.unwrap(), b"");
}

#[tokio::test]
async fn an_upstream_that_is_down_closes_the_client() {
    let lab = Lab::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = gone.local_addr().unwrap().to_string();
    drop(gone);
    let listen = lab.proxy("test", &upstream).await;
    assert_eq!(rest(&mut connect(&listen).await).await.unwrap(), b"");
    assert!(is_up(&listen).await);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_counted() {
    let lab = Lab::with(Config { seed: 1, connections_max: 1 }).await;
    let (mut client, mut server) = lab.connected().await;
    let listen = lab.get("/proxies/test").await.expect(200)["listen"].clone();
    let mut excess = connect(listen.as_str().unwrap()).await;
    assert_eq!(rest(&mut excess).await.unwrap(), b"");
    pass(&mut client, &mut server, b"the first one goes on").await;
    let metrics = lab.get("/metrics").await.text;
    let refused = metrics.lines().find(|line| {
        line.starts_with("immune_proxy_connections_refused_total{") && line.ends_with(" 1")
    });
    assert!(refused.is_some(), "{metrics}");
}

#[tokio::test]
async fn bytes_are_counted_as_toxiproxy_counts_them() {
    let lab = Lab::start().await;
    let (mut client, mut server) = lab.connected().await;
    pass(&mut client, &mut server, b"12345").await;
    lab.toxic("noop", "downstream", json!({})).await;
    pass(&mut server, &mut client, b"123").await;
    let proxy = lab.get("/proxies/test").await.expect(200);
    let (listen, upstream) = (&proxy["listen"], &proxy["upstream"]);
    let answer = lab.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for (name, direction, bytes) in [
        ("received", "upstream", 5),
        ("sent", "upstream", 5),
        ("received", "downstream", 3),
        ("sent", "downstream", 3),
    ] {
        let line = format!(
            "toxiproxy_proxy_{name}_bytes_total{{direction=\"{direction}\",listener={listen},\
             proxy=\"test\",upstream={upstream}}} {bytes}\n"
        );
        assert!(answer.text.contains(&line), "{line}{}", answer.text);
    }
}
