//! Clients that send a byte a second, as attackers and bad networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

const BYTE_EVERY: Duration = Duration::from_secs(1);

pub struct Slow {
    clients: JoinSet<()>,
    opened: Arc<AtomicUsize>,
}

impl Slow {
    pub async fn start(http: SocketAddr, count: usize) -> Result<Slow> {
        let opened = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let opened = opened.clone();
            clients.spawn(async move {
                loop {
                    // However it ends, the next begins.
                    let _ = dribble(http, &opened).await;
                    sleep(BYTE_EVERY).await;
                }
            });
        }
        Ok(Slow { clients, opened })
    }

    /// How many connections there were.
    pub fn stop(self) -> usize {
        drop(self.clients);
        self.opened.load(Ordering::Relaxed)
    }
}

async fn dribble(http: SocketAddr, opened: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(http).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: {http}\r\ncontent-type: application/x-protobuf\r\n\
         content-length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(b"\n").await?;
        sleep(BYTE_EVERY).await;
    }
}
