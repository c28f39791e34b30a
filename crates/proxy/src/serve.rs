//! Serves HTTP/1 on a listener: connections are bounded in number and in the time that a request's
//! head may take, and cut at the end.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The head of a request, and the next request of a kept connection, have to come within this.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Requests under way may end after the end was asked for.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause after a failed accept (no file descriptors left, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the end of serving does to requests under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// They may end, for a bounded time.
    Drain,
    /// They are cut.
    Cut,
}

/// Serves until `stop` resolves, each connection by a service of its own. More than
/// `connections_max` connections are closed at once.
pub async fn serve<S, B>(
    listener: TcpListener,
    service_of: impl Fn(&TcpStream) -> S,
    connections_max: usize,
    at_end: AtEnd,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    let (ending, ended) = tokio::sync::watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < connections_max => {
                let service = service_of(&stream);
                connections.spawn(connection(stream, service, ended.clone()));
            }
            Ok(_) => tracing::warn!(connections_max, "too many HTTP connections: one is closed"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if at_end == AtEnd::Drain {
        drop(ending);
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, drained).await;
    }
    connections.shutdown().await;
}

async fn connection<S, B>(stream: TcpStream, service: S, mut end: tokio::sync::watch::Receiver<()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send,
    S::Future: Send,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    // Without it only latency is lost.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).half_close(false);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        _ = end.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}
