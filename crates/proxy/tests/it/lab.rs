//! A server of proxies with its API, upstreams, and connections through them.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use proxy::{Config, Server};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Lab {
    pub url: String,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Holds it to a status and returns what it says.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Holds it to a refusal, as Toxiproxy words and sends it.
    pub fn expect_error(&self, status: u16, message: &str) {
        assert_eq!(self.expect(status), json!({"error": message, "status": status}));
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8");
        assert!(self.text.ends_with('\n'));
    }
}

impl Lab {
    pub async fn start() -> Lab {
        Lab::with(Config { seed: 1, connections_max: 100 }).await
    }

    pub async fn with(config: Config) -> Lab {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            Server::new(config).serve(listener, stopped).await;
        });
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Lab { url, client, stop: Some(stop), serving: Some(serving) }
    }

    /// Ends the server, and waits until it has ended.
    pub async fn end(mut self) {
        drop(self.stop.take());
        timeout(PATIENCE, self.serving.take().unwrap()).await.unwrap().unwrap();
    }

    pub async fn send(&self, method: Method, path: &str, agent: &str, body: String) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let response = request.header("user-agent", agent).body(body).send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "test", String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, "test", body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, "test", body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "test", String::new()).await
    }

    /// A proxy to `upstream` on a free port; its address.
    pub async fn proxy(&self, name: &str, upstream: &str) -> String {
        let listen = format!("{}:0", own_host());
        let body = json!({"name": name, "listen": listen, "upstream": upstream});
        let created = self.post("/proxies", body).await.expect(201);
        created["listen"].as_str().unwrap().to_owned()
    }

    /// Adds a toxic to the proxy `test`.
    pub async fn toxic(&self, kind: &str, stream: &str, attributes: Value) {
        let body = json!({"type": kind, "stream": stream, "attributes": attributes});
        self.post("/proxies/test/toxics", body).await.expect(200);
    }

    /// An upstream, a proxy `test` before it, and a connection: (client's end, upstream's end).
    pub async fn connected(&self) -> (TcpStream, TcpStream) {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = upstream.local_addr().unwrap().to_string();
        let listen = self.proxy("test", &address).await;
        let client = connect(&listen).await;
        (client, timeout(PATIENCE, upstream.accept()).await.unwrap().unwrap().0)
    }
}

/// A loopback address that nothing else of this process uses: a port that was given back there is
/// not taken by another test.
pub fn own_host() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("127.9.{high}.{}", low.max(1))
}

pub async fn connect(address: &str) -> TcpStream {
    let stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub async fn is_up(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}

/// Sends bytes one way and waits until all have arrived; how long it took.
pub async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    let mut arrived = vec![0; bytes.len()];
    let reading = timeout(PATIENCE, to.read_exact(&mut arrived));
    let (written, read) = tokio::join!(from.write_all(bytes), reading);
    written.unwrap();
    read.expect("bytes do not arrive").unwrap();
    assert!(arrived == bytes, "other bytes arrived");
    began.elapsed()
}

/// Everything that still arrives, or the error.
pub async fn rest(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut arrived = Vec::new();
    let reading = stream.read_to_end(&mut arrived);
    timeout(PATIENCE, reading).await.expect("the connection does not end")?;
    Ok(arrived)
}

/// Whether nothing arrives for a while.
pub async fn is_silent(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    timeout(Duration::from_millis(150), stream.read(&mut byte)).await.is_err()
}
