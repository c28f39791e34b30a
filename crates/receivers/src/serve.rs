//! Accepts connections for both receivers and ends them: bounded in number, in idle time, and at
//! shutdown.

mod idle;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use self::idle::IdleTimeout;
use crate::config::Limits;
use crate::intake::Intake;
use crate::{otlp_grpc, otlp_http};

/// HTTP/2 settings: what one connection may make us hold.
const STREAMS_MAX: u32 = 128;
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// A peer that does not answer a ping is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Time that requests under way have to end after shutdown was asked for.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// Pause after a failed accept (no file descriptors left, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
#[error("cannot use the listener")]
pub struct ServeError(#[from] io::Error);

/// Serves OTLP/HTTP (HTTP/1.1 and HTTP/2 without TLS) until `shutdown` resolves and requests under
/// way are done.
pub async fn serve_http(
    listener: TcpListener,
    intake: Arc<Intake>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let loopback = listener.local_addr()?.ip().to_canonical().is_loopback();
    let limits = intake.config().limits.clone();
    let builder = builder(&limits);
    serve(listener, builder, otlp_http::router(&intake, loopback), &limits, shutdown).await;
    Ok(())
}

/// Serves OTLP/gRPC until `shutdown` resolves and requests under way are done.
pub async fn serve_grpc(
    listener: TcpListener,
    intake: Arc<Intake>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let limits = intake.config().limits.clone();
    let builder = builder(&limits).http2_only();
    serve(listener, builder, otlp_grpc::router(&intake), &limits, shutdown).await;
    Ok(())
}

/// Serves other routes within the same bounds, until `shutdown` resolves and requests under way are
/// done.
pub async fn serve_routes(
    listener: TcpListener,
    routes: Router,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) {
    serve(listener, builder(limits), routes, limits, shutdown).await;
}

type Builder = auto::Builder<TokioExecutor>;

fn builder(limits: &Limits) -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle_timeout.0);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES);
    builder
}

async fn serve(
    listener: TcpListener,
    builder: Builder,
    router: Router,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections as usize));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &permits) => {
                let Some((stream, permit)) = accepted else { continue };
                let io = IdleTimeout::new(stream, limits.idle_timeout.0);
                let connection = connect(builder.clone(), io, router.clone(), stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME_MAX, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "closed connections that did not end");
    }
}

/// Waits for a free place first: beyond the bound, clients wait in the kernel's backlog.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Only latency is lost where this fails.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection; once the channel closes, ends it after the requests under way.
async fn connect(
    builder: Builder,
    io: IdleTimeout<TcpStream>,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "connection ended");
    }
}
