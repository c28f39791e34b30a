//! How every part listens: address, port file, bounded admission, graceful stop on SIGTERM.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::problem::{Problem, no_such_path};
use crate::switches::Switches;
use crate::telemetry::inbound;

/// Requests in progress beyond this many are answered 503 at once.
const REQUESTS_MAX: usize = 256;
/// Largest request body.
const BODY_BYTES_MAX: usize = 64 << 10;
/// How long requests in progress may go on after SIGTERM.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where and as whom a part runs.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Address to listen on: a port of 127.0.0.1, or ADDRESS:PORT; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:0", value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// `service.instance.id` in telemetry [default: the part's name with -1]
    #[arg(long)]
    pub instance: Option<String>,
    /// Write the port that was bound to this file
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
}

/// Serves `routes` until SIGTERM or SIGINT, then lets requests in progress finish.
pub async fn serve(args: &ServeArgs, routes: Router) -> anyhow::Result<()> {
    serve_with(args, routes, Router::new()).await
}

/// As [`serve`], with more for operators beside `/admin/switches`. Administration is no part of the
/// shop's traffic: it is not observed.
pub async fn serve_with(args: &ServeArgs, routes: Router, admin: Router) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("listen on {}; pass another --listen", args.listen))?;
    let address = listener.local_addr().context("read the bound address")?;
    if let Some(path) = &args.pid_file {
        write_whole(path, std::process::id())?;
    }
    if let Some(path) = &args.port_file {
        write_whole(path, address.port())?;
    }
    tracing::info!("listening on {address}");

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut draining = stopped.clone();
    let server =
        axum::serve(listener, with_layers(routes, admin)).with_graceful_shutdown(async move {
            let _ = draining.wait_for(|stop| *stop).await;
        });
    let server = tokio::spawn(server.into_future());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let _ = stop.send(true);
    match tokio::time::timeout(DRAIN_TIMEOUT, server).await {
        Ok(served) => served.context("serve")?.context("serve"),
        Err(_) => {
            tracing::warn!("stopped with requests still in progress");
            Ok(())
        }
    }
}

/// Repeats `work` every `period` for as long as the process lives.
pub fn every<F>(period: Duration, mut work: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            work().await;
        }
    });
}

fn with_layers(routes: Router, admin: Router) -> Router {
    // The limit is inside the observed part: a refused request is a request that users see fail.
    let admission = Arc::new(Semaphore::new(REQUESTS_MAX));
    let switches = Switches::default();
    let admin = admin.merge(switches.routes()).layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    routes
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(switches, Switches::act))
        .layer(middleware::from_fn_with_state(admission, admit))
        .layer(middleware::from_fn(inbound::observe))
        .merge(admin)
}

async fn admit(State(admission): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = admission.try_acquire() else {
        let detail = format!("{REQUESTS_MAX} requests are already in progress");
        let refusal = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail);
        let mut response = refusal.into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    next.run(request).await
}

/// Writes a value so that a reader sees all of it or no file.
pub fn write_whole(path: &Path, value: impl ToString) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, value.to_string())
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("write {}", path.display()))
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse().map_err(|_| "write a port or ADDRESS:PORT, such as 127.0.0.1:7800".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_means_loopback() {
        let address = parse_listen("7800").expect("a port");
        assert_eq!(address.to_string(), "127.0.0.1:7800");
        assert!(parse_listen("0.0.0.0:80").is_ok());
        assert!(parse_listen("nonsense").is_err());
    }

    #[test]
    fn a_written_file_holds_the_whole_value() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("port");
        write_whole(&path, 7800).expect("write");
        assert_eq!(std::fs::read_to_string(path).expect("read"), "7800");
    }
}
