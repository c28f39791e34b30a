//! HTTP proxies: what passes, what faults do, what is refused.

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::lab::{Lab, PATIENCE, connect, is_up};

/// An upstream that answers with the head and body that it got, and says which request it was.
async fn mirror() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(reflect(stream));
        }
    });
    address
}

async fn reflect(mut stream: TcpStream) -> Option<()> {
    let mut got = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut got).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&got[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while got.len() < head + length {
            stream.read_buf(&mut got).await.ok()?;
        }
        let request: Vec<u8> = got.drain(..head + length).collect();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: x-hop\r\nx-hop: 1\r\n\
             x-version: 7\r\ncontent-type: text/x-mirror\r\n\r\n",
            request.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.write_all(&request).await.ok()?;
    }
}

struct Shop {
    lab: Lab,
    client: Client,
    url: String,
}

impl Shop {
    /// A proxy `shop` before a mirror, with these faults.
    async fn open(faults: Value) -> Shop {
        let lab = Lab::start().await;
        let body = json!({"name": "shop", "upstream": mirror().await, "faults": faults});
        let created = lab.post("/http-proxies", body).await.expect(201);
        let url = format!("http://{}", created["listen"].as_str().unwrap());
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Shop { lab, client, url }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn requests_pass_with_all_but_what_belongs_to_one_hop() {
    let shop = Shop::open(json!([])).await;
    let request = shop.client.post(format!("{}/cart?id=1", shop.url)).body("three apples");
    let request = request
        .header("host", "shop.example")
        .header("x-kept", "yes")
        .header("connection", "x-dropped")
        .header("x-dropped", "no");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "x-version"), Some("7"));
    assert_eq!(header(&response, "x-hop"), None);
    let seen = response.text().await.unwrap();
    assert!(seen.starts_with("POST /cart?id=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("host: shop.example\r\n") && seen.contains("x-kept: yes\r\n"), "{seen}");
    assert!(!seen.contains("x-dropped"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nthree apples"), "{seen}");
}

#[tokio::test]
async fn abort_answers_instead_of_the_upstream() {
    let fault = json!([{"name": "cart down", "path_prefix": "/cart", "abort": 503}]);
    let shop = Shop::open(fault).await;
    let response = shop.get("/cart/1").await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-immune-fault"), Some("cart down"));
    assert_eq!(response.text().await.unwrap(), "fault injected: cart down\n");
    assert_eq!(shop.get("/cartoon").await.status(), 200);
}

#[tokio::test]
async fn delay_is_for_its_method_and_route() {
    let fault = json!([{"name": "slow", "method": "GET", "path_prefix": "/pay", "delay_ms": 1000}]);
    let shop = Shop::open(fault).await;
    let began = Instant::now();
    assert_eq!(shop.get("/pay").await.status(), 200);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let began = Instant::now();
    let post = shop.client.request(Method::POST, format!("{}/pay", shop.url));
    assert_eq!(post.send().await.unwrap().status(), 200);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_share_of_requests_fails_and_the_seed_decides_which() {
    let failures = async || {
        let shop = Shop::open(json!([{"name": "some", "share": 0.3, "abort": 500}])).await;
        let mut failures = Vec::new();
        for number in 0..200 {
            if shop.get("/").await.status() == 500 {
                failures.push(number);
            }
        }
        failures
    };
    let (one, other) = (failures().await, failures().await);
    assert!((30..90).contains(&one.len()), "{} of 200", one.len());
    assert_eq!(one, other);
}

#[tokio::test]
async fn headers_are_set_and_removed_both_ways() {
    let fault = json!([{
        "name": "headers",
        "request_headers": {"set": {"x-a": "1"}, "remove": ["authorization"]},
        "response_headers": {"set": {"x-b": "2"}, "remove": ["x-version"]},
    }]);
    let shop = Shop::open(fault).await;
    let request = shop.client.get(&shop.url).header("authorization", "secret");
    let response = request.send().await.unwrap();
    assert_eq!((header(&response, "x-b"), header(&response, "x-version")), (Some("2"), None));
    let seen = response.text().await.unwrap();
    assert!(seen.contains("x-a: 1\r\n") && !seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn bodies_are_replaced_and_their_headers_fit() {
    let fault = json!([{
        "name": "garbage",
        "request_body": {"text": "other"},
        "response_body": {"text": "{\"broken\": ", "content_type": "application/json"},
    }]);
    let shop = Shop::open(fault).await;
    let response = shop.client.post(&shop.url).body("a long body").send().await.unwrap();
    assert_eq!(header(&response, "content-length"), Some("11"));
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(response.text().await.unwrap(), "{\"broken\": ");
    // A second request on what was kept open is not disturbed by the first one's body.
    let response = shop.client.post(&shop.url).body("again").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "{\"broken\": ");
    assert_eq!(shop.lab.delete("/http-proxies/shop/faults/garbage").await.status, 204);
    let response = shop.client.post(&shop.url).body("as it is").send().await.unwrap();
    assert!(response.text().await.unwrap().ends_with("as it is"));
}

#[tokio::test]
async fn a_head_request_gets_no_body() {
    let shop = Shop::open(json!([{"name": "a", "response_body": {"text": "x"}}])).await;
    let address = shop.url.strip_prefix("http://").unwrap();
    let mut stream = connect(address).await;
    let request = "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn bodies_stream_through_as_they_come() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lab = Lab::start().await;
    let address = upstream.local_addr().unwrap().to_string();
    let body = json!({"name": "stream", "upstream": address});
    let created = lab.post("/http-proxies", body).await.expect(201);
    let mut client = connect(created["listen"].as_str().unwrap()).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let (mut server, _) = upstream.accept().await.unwrap();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    server.write_all(head).await.unwrap();
    let mut got = Vec::new();
    // The end has not come yet, and may never come.
    while !got.ends_with(b"first\r\n") {
        assert_ne!(timeout(PATIENCE, client.read_buf(&mut got)).await.unwrap().unwrap(), 0);
    }
    server.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    while !got.ends_with(b"0\r\n\r\n") {
        assert_ne!(timeout(PATIENCE, client.read_buf(&mut got)).await.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_bad_gateway() {
    let lab = Lab::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap().to_string();
    drop(gone);
    let body = json!({"name": "a", "upstream": address});
    let created = lab.post("/http-proxies", body).await.expect(201);
    let url = format!("http://{}", created["listen"].as_str().unwrap());
    let response = Client::new().get(url).send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(
        response.text().await.unwrap().contains(&format!("upstream {address} does not answer"))
    );
}

#[tokio::test]
async fn proxies_and_faults_are_managed_over_the_api() {
    let shop = Shop::open(json!([])).await;
    let lab = &shop.lab;
    let address = shop.url.strip_prefix("http://").unwrap();
    let path = "/http-proxies/shop";

    let fault = json!({"name": "a", "abort": 500, "share": 1.0});
    assert_eq!(lab.post(&format!("{path}/faults"), fault.clone()).await.expect(200), fault);
    let again = lab.post(&format!("{path}/faults"), fault.clone()).await;
    again.expect_error(409, "fault already exists");
    assert_eq!(lab.get(path).await.expect(200)["faults"], json!([fault]));
    assert_eq!(lab.get("/http-proxies").await.expect(200)["shop"]["enabled"], true);
    assert_eq!(shop.get("/").await.status(), 500);

    lab.patch(path, json!({"enabled": false})).await.expect(200);
    assert!(!is_up(address).await);
    assert_eq!(lab.post("/reset", json!({})).await.status, 204);
    assert_eq!(shop.get("/").await.status(), 200);

    lab.patch(path, json!({"listen": "localhost:1"})).await.expect(400);
    lab.post("/http-proxies", json!({"name": "x", "upstream": "no port"})).await.expect(400);
    let unknown = json!({"name": "x", "upstream": "localhost:1", "walrus": 1});
    lab.post("/http-proxies", unknown).await.expect(400);
    lab.delete(&format!("{path}/faults/a")).await.expect_error(404, "fault not found");
    assert_eq!(lab.delete(path).await.status, 204);
    assert!(!is_up(address).await);
    lab.get(path).await.expect_error(404, "proxy not found");
}
