//! The demo shop's processes, which send their telemetry to a given port. Dropping a `Shop` kills
//! them.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::programs::Programs;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(20);

const PARTS: usize = 8;

/// Name, port, and what else it is told.
type Part = (&'static str, u16, Vec<(&'static str, String)>);

pub struct Shop {
    parts: Vec<Child>,
    url: String,
}

impl Shop {
    /// Starts all parts and waits until they serve.
    pub async fn start(programs: &Programs, folder: &Path, otlp_grpc: u16) -> Result<Shop> {
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let [gateway, checkout, cart, catalog, inventory, provider, one, other] = free_ports()?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let data = ("--data", data.to_string_lossy().into_owned());
        let instance = |name: &str| ("--instance", name.to_owned());
        let at = |option, port| (option, url(port));
        let network = at("--provider", provider);
        let balancer = ("--payment", format!("{}/internal", url(gateway)));
        let (catalogs, stock) = (at("--catalog", catalog), at("--inventory", inventory));
        let carts = at("--cart", cart);
        let orders = [data.clone(), catalogs.clone(), stock.clone(), carts.clone(), balancer];
        let calls = [catalogs.clone(), carts, at("--checkout", checkout)];
        let payments = [at("--payment", one), at("--payment", other)];
        let lines: [Part; PARTS] = [
            ("provider", provider, vec![]),
            ("payment", one, vec![instance("payment-1"), data.clone(), network.clone()]),
            ("payment", other, vec![instance("payment-2"), data.clone(), network]),
            ("inventory", inventory, vec![data.clone()]),
            ("catalog", catalog, vec![data.clone(), stock]),
            ("cart", cart, vec![data, catalogs]),
            ("checkout", checkout, orders.to_vec()),
            ("gateway", gateway, [&calls[..], &payments].concat()),
        ];
        let mut shop = Shop { parts: Vec::new(), url: url(gateway) };
        for (part, port, more) in lines {
            let said = File::create(folder.join(format!("{part}-{port}.log")))?;
            let child = Command::new(programs.shop()?)
                .arg(part)
                .args(["--listen", &port.to_string()])
                .args(more.iter().flat_map(|(name, value)| [*name, value.as_str()]))
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", url(otlp_grpc))
                .stdin(Stdio::null())
                .stdout(said.try_clone()?)
                .stderr(said)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("{part} cannot be started"))?;
            shop.parts.push(child);
            serves(&url(port)).await?;
        }
        Ok(shop)
    }

    /// Users that visit it until they are dropped.
    pub fn users(&self, programs: &Programs, folder: &Path, rate: f64, seed: u64) -> Result<Child> {
        let said = File::create(folder.join("users.out"))?;
        Command::new(programs.shop()?)
            .args(["users", "--url", &self.url])
            .args(["--rate", &rate.to_string(), "--seed", &seed.to_string()])
            .arg("--log")
            .arg(folder.join("users.jsonl"))
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .context("users cannot be started")
    }

    /// Politely, so that they send what they have left.
    pub async fn stop(mut self) -> Result<()> {
        for part in &mut self.parts {
            if let Some(pid) = part.id().and_then(|pid| Pid::from_raw(pid as i32)) {
                kill_process(pid, Signal::TERM)?;
            }
        }
        for part in &mut self.parts {
            timeout(STOP_WITHIN, part.wait()).await.context("a part of the shop hangs")??;
        }
        Ok(())
    }
}

async fn serves(url: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        let answer = client.get(format!("{url}/healthz")).send().await;
        // Checkout and gateway may wait for one another: to answer at all is enough.
        if answer.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("{url} does not serve within 30 s");
}

fn free_ports() -> Result<[u16; PARTS]> {
    let mut held = Vec::new();
    for _ in 0..PARTS {
        held.push(TcpListener::bind("127.0.0.1:0")?);
    }
    let mut ports = [0; PARTS];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
