//! What faults are tried on: a service that talks, and proxies before it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::lab::now;

/// What the service answers with its time, in nanoseconds since 1970.
pub const TIME: &[u8] = b"what time is it";
/// What the service answers to a request.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Listens on the address until it is killed; a deaf one does not care for SIGTERM.
pub fn serve(address: &str, deaf: bool, speaks_http: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _signals = deaf.then(|| signal(SignalKind::terminate()).unwrap());
        let Ok(address) = address.parse::<SocketAddr>() else { std::process::exit(3) };
        let Ok(listener) = TcpListener::bind(address).await else { std::process::exit(4) };
        loop {
            if let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move { talk(&mut stream, speaks_http).await });
            }
        }
    });
}

/// Answers HTTP requests that have no body, if it can, and sends back whatever else comes.
async fn talk(stream: &mut TcpStream, speaks_http: bool) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let came = &buffer[..read];
        let is_request = came.starts_with(b"GET ") || came.starts_with(b"HEAD ");
        let time = now().0.to_le_bytes();
        let answer: &[u8] = match () {
            () if came == TIME => &time,
            () if is_request && speaks_http => ANSWER,
            () => came,
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Proxies with Toxiproxy's interface, which end with the lab.
pub struct Proxies {
    pub api: SocketAddr,
    /// Where the proxy `orders` listens, which leads to the service.
    pub orders: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Proxies {
    /// In a thread of their own: tests block theirs.
    pub fn start(upstream: SocketAddr) -> Proxies {
        let (stop, stopped) = oneshot::channel();
        let (told, tell) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let server = proxy::Server::new(proxy::Config::default());
                let wanted = format!(
                    r#"[{{"name": "orders", "listen": "127.0.0.1:0", "upstream": "{upstream}"}}]"#
                );
                let populated = server.populate(wanted.as_bytes()).await;
                let orders = populated.proxies[0].listen.parse().unwrap();
                let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send((api.local_addr().unwrap(), orders)).unwrap();
                server.serve(api, async { drop(stopped.await) }).await;
            });
        });
        let (api, orders) = tell.recv().unwrap();
        Proxies { api, orders, _stop: stop }
    }
}
