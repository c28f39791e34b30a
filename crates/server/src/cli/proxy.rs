//! `immune proxy`: proxies that inject network faults, apart from server and agent.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::proxy::{CONNECTIONS_MAX, Config, Server, listen};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::serve::{log_to_stderr, stop_signal};

/// Largest file of proxies, as large as a request may be.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Runs proxies.
#[derive(Args)]
pub(super) struct Proxy {
    /// Where the HTTP API listens; whoever reaches it may open ports here
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8474")]
    listen: String,
    /// Proxies to begin with, as JSON: [{"name": …, "listen": …, "upstream": …}]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Decides all that is random; without one it is drawn, and told in the log
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Connections that each proxy has at a time; more are closed at once and counted
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS_MAX)]
    connections: usize,
}

impl Proxy {
    pub(super) fn run(self) -> Result<ExitCode> {
        log_to_stderr();
        allow_many_connections();
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> Result<()> {
        let stop = stop_signal()?;
        let seed = self.seed.unwrap_or(Config::default().seed);
        let config = Config { seed, connections_max: self.connections };
        let server = Server::new(config);
        if let Some(path) = &self.config {
            let populated = server.populate(&read(path)?).await;
            if let Some(error) = populated.error {
                bail!("{}: {error}", path.display());
            }
        }
        let listener = listen::bind(&self.listen).await.map_err(anyhow::Error::msg)?;
        let api = listener.local_addr()?;
        if !api.ip().is_loopback() {
            tracing::warn!(%api, "anyone who reaches the API may open ports on this host");
        }
        tracing::info!(%api, seed = config.seed, "ready");
        server.serve(listener, stop).await;
        Ok(())
    }
}

/// Each connection takes two file descriptors; the usual limit of 1,024 would end at 500.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit of file descriptors stays as it is");
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let fits = bytes.len() as u64 <= FILE_BYTES_MAX;
    ensure!(fits, "{} has more than {FILE_BYTES_MAX} bytes", path.display());
    Ok(bytes)
}
