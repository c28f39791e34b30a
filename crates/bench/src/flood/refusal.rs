//! What it costs the server to refuse a request.
//!
//! A flood is mostly refused, so that is what its cost is. A server of its own is told to keep more
//! room on the disk than there is: it refuses all telemetry, in the same place in which it refuses
//! what its memory cannot hold.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::figures::rounded;
use crate::ingest::configuration;
use crate::process::cpu_s;
use crate::programs::Programs;
use crate::serving::{Leftovers, Server};
use crate::telemetry::line::Prepared;
use crate::telemetry::sending::{Pace, Width, send};

const LASTS: Duration = Duration::from_secs(3);
/// More than it can refuse, so that none waits for its moment.
const PER_S: f64 = 100_000.0;
const WIDTH: Width = Width { connections: 8, streams: 1 };

/// Processor time of one refused request.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub server_us: f64,
    pub sender_us: f64,
}

impl Refusal {
    pub async fn measure(
        programs: &Programs,
        folder: &Path,
        all: &Arc<Vec<Prepared>>,
    ) -> Result<Refusal> {
        let folder = folder.join("refusal");
        std::fs::create_dir_all(&folder)?;
        let (config, data) = (folder.join("immune.yaml"), folder.join("immune"));
        let mut settings = configuration();
        settings["storage"] = serde_json::json!({ "disk": { "free_min": "1000000GiB" } });
        std::fs::write(&config, format!("{settings:#}\n"))?;
        let _leftovers = Leftovers::of(&data);
        let mut server = Server::spawn(programs, &config, &data, &folder.join("immune.log"))?;
        let listening = server.ready().await?;
        let pid = server.pid().context("the server has ended")?;
        let before = [cpu_s(pid)?, cpu_s(std::process::id())?];
        let pace = Pace::Flood { per_s: PER_S, lasts: LASTS };
        let sent = send(listening, all.clone(), WIDTH, pace).await?;
        let after = [cpu_s(pid)?, cpu_s(std::process::id())?];
        ensure!(sent.refused > 0 && sent.requests == 0, "a full disk refused nothing: {sent:?}");
        server.stop().await?;
        let each = |of: usize| rounded((after[of] - before[of]) * 1e6 / sent.refused as f64);
        Ok(Refusal { server_us: each(0), sender_us: each(1) })
    }
}
