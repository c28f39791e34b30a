//! Connects to upstreams: by name, or to an address with a mark that leads past a rule.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::upstream::connect_marked;

/// An upstream that does not answer for so long is not there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub enum Connector {
    Named(HttpConnector),
    Marked(u32),
}

impl Connector {
    pub fn new(mark: Option<u32>) -> Connector {
        if let Some(mark) = mark {
            return Connector::Marked(mark);
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        Connector::Named(connector)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Connector::Named(connector) => connector.poll_ready(context).map_err(io::Error::other),
            Connector::Marked(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, upstream: Uri) -> Self::Future {
        match self {
            Connector::Named(connector) => {
                let connecting = connector.call(upstream);
                Box::pin(async { connecting.await.map_err(io::Error::other) })
            }
            Connector::Marked(mark) => Box::pin(marked(upstream, *mark)),
        }
    }
}

async fn marked(upstream: Uri, mark: u32) -> io::Result<TokioIo<TcpStream>> {
    let address = upstream.authority().and_then(|authority| authority.as_str().parse().ok());
    let address: SocketAddr = address.ok_or_else(|| io::Error::other("not an address"))?;
    let stream = tokio::time::timeout(CONNECT_TIME_MAX, connect_marked(address, mark)).await??;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}
