//! Starts, kills and stops the parts of the shop as processes, on free ports, in a folder.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long any awaited state may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a state is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// The instances of the catalog.
pub const CATALOGS: [&str; 2] = ["catalog-1", "catalog-2"];

/// A running shop. Dropping it kills what still runs.
pub struct Fleet {
    folder: tempfile::TempDir,
    endpoint: Option<String>,
    parts: BTreeMap<String, Child>,
    ports: BTreeMap<String, u16>,
}

impl Fleet {
    /// Starts every part and waits until each is healthy.
    pub async fn start(endpoint: Option<String>) -> Fleet {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (parts, ports) = (BTreeMap::new(), BTreeMap::new());
        let mut fleet = Fleet { folder, endpoint, parts, ports };
        // Gateway and checkout call each other, so one port must be known beforehand.
        fleet.ports.insert("gateway".to_owned(), free_port());
        fleet.start_part("provider", &["provider"]).await;
        for payment in ["payment-1", "payment-2"] {
            fleet.start_payment(payment).await;
        }
        fleet.start_part("inventory", &["inventory"]).await;
        std::fs::write(fleet.path("release"), "1.4.0").expect("write the release");
        for catalog in CATALOGS {
            let command = fleet.catalog();
            fleet.start_part(catalog, &words(&command)).await;
        }
        let catalogs = |fleet: &Fleet| {
            let url = |name| ["--catalog".to_owned(), fleet.url(name)];
            CATALOGS.map(url).concat()
        };
        let cart = [vec!["cart".to_owned()], catalogs(&fleet)].concat();
        fleet.start_part("cart", &words(&cart)).await;
        let balancer = format!("{}/internal", fleet.url("gateway"));
        let (inventory, cart) = (fleet.url("inventory"), fleet.url("cart"));
        let own = ["checkout", "--inventory", &inventory, "--cart", &cart, "--payment", &balancer];
        let checkout = [own.map(str::to_owned).to_vec(), catalogs(&fleet)].concat();
        fleet.start_part("checkout", &words(&checkout)).await;
        let checkout = fleet.url("checkout");
        let (first, second) = (fleet.url("payment-1"), fleet.url("payment-2"));
        let own = ["gateway", "--checkout", &checkout, "--cart", &cart];
        let payments = ["--payment", &first, "--payment", &second];
        let gateway = [own.map(str::to_owned).to_vec(), catalogs(&fleet)].concat();
        let gateway = [words(&gateway), payments.to_vec()].concat();
        fleet.start_part("gateway", &gateway).await;
        fleet
    }

    /// Starts users on `journeys`; returns their log.
    pub fn start_users(&mut self, journeys: &str, rate: &str) -> PathBuf {
        let (file, log) = (self.path("journeys.yaml"), self.path("users.jsonl"));
        std::fs::write(&file, journeys).expect("write the journeys");
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.args(["users", "--rate", rate, "--seed", "7", "--url", &self.url("gateway")]);
        command.arg("--journeys").arg(&file).arg("--log").arg(&log);
        self.parts.insert("users".to_owned(), command.spawn().expect("start users"));
        log
    }

    /// SIGKILL.
    pub fn kill(&mut self, name: &str) {
        let mut part = self.parts.remove(name).expect("it runs");
        part.kill().expect("kill");
        part.wait().expect("reap");
    }

    /// Starts a payment instance, after a kill on its former port and data.
    pub async fn start_payment(&mut self, name: &str) {
        let provider = self.url("provider");
        self.start_part(name, &["payment", "--provider", &provider]).await;
    }

    /// Deploys the catalog with `shop release`; returns what it printed.
    pub fn release(&mut self, to: &[&str]) -> String {
        let instances: Vec<_> = CATALOGS.map(|name| self.deployed(name)).to_vec();
        let file = self.path("release");
        let deployment = serde_json::json!({ "release_file": file, "instances": instances });
        std::fs::write(self.path("catalog.json"), deployment.to_string()).expect("write");
        let deployment = self.deployment();
        let arguments = [&["release", deployment.as_str()], to].concat();
        let told = self.run(&arguments).unwrap_or_else(|told| panic!("{told}"));
        for name in CATALOGS {
            if let Some(mut ended) = self.parts.remove(name) {
                ended.wait().expect("reap");
            }
        }
        told
    }

    /// What `shop release` is told of the catalog.
    pub fn deployment(&self) -> String {
        self.path("catalog.json").display().to_string()
    }

    /// Runs a command of an operator: what it printed, or what it complained of.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_shop")).args(arguments).output();
        let output = output.expect("run shop");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn deployed(&self, name: &str) -> serde_json::Value {
        let port = self.ports[name].to_string();
        let pid_file = self.path(&format!("{name}.pid"));
        let (pid, data) = (pid_file.display().to_string(), self.folder.path().display());
        let data = data.to_string();
        let listen = ["--listen", &port, "--instance", name, "--pid-file", &pid, "--data", &data];
        let own = [vec![env!("CARGO_BIN_EXE_shop").to_owned()], self.catalog()].concat();
        let command = [own, listen.map(str::to_owned).to_vec()].concat();
        serde_json::json!({
            "url": self.url(name),
            "pid_file": pid_file,
            "log": self.path(&format!("{name}.log")),
            "command": command,
            "environment": { "OTEL_SDK_DISABLED": "true" },
        })
    }

    /// Ends what `shop release` has started, which is no child of this process.
    pub fn end_released(&self, name: &str) {
        let text = std::fs::read_to_string(self.path(&format!("{name}.pid"))).expect("a pid file");
        let pid = Pid::from_raw(text.parse().expect("a pid")).expect("a pid");
        kill_process(pid, Signal::KILL).expect("signal");
    }

    /// An operator's request; the answer's status line and body.
    pub fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> String {
        let answer = self.ask_within(Duration::from_secs(5), name, method, path, body);
        answer.expect("an answer")
    }

    /// As `ask`; an error where nothing comes for so long.
    pub fn ask_within(
        &self,
        patience: Duration,
        name: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[name]))?;
        stream.set_read_timeout(Some(patience))?;
        let length = body.len();
        let head = "host: t\r\nconnection: close\r\ncontent-type: application/json";
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn catalog(&self) -> Vec<String> {
        let file = self.path("release").display().to_string();
        let inventory = self.url("inventory");
        ["catalog", "--inventory", &inventory, "--release-file", &file].map(str::to_owned).to_vec()
    }

    /// SIGTERM to the users, then to all others at once; each must end well.
    pub fn stop_all(&mut self) {
        stop(self.parts.remove_entry("users").into_iter().collect());
        stop(std::mem::take(&mut self.parts));
    }

    pub async fn start_part(&mut self, name: &str, args: &[&str]) {
        let port_file = self.path(&format!("{name}.port"));
        let pid_file = self.path(&format!("{name}.pid"));
        let _ = std::fs::remove_file(&port_file);
        let port = self.ports.get(name).copied().unwrap_or(0).to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.args(args).args(["--listen", &port]);
        command.arg("--port-file").arg(&port_file).arg("--pid-file").arg(&pid_file);
        if !["gateway", "provider"].contains(&args[0]) {
            command.arg("--data").arg(self.folder.path());
        }
        if ["payment", "catalog"].contains(&args[0]) {
            command.args(["--instance", name]);
        }
        match &self.endpoint {
            Some(endpoint) => command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            None => command.env("OTEL_SDK_DISABLED", "true"),
        };
        command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
        command.env("OTEL_BSP_SCHEDULE_DELAY", "100").env("OTEL_BLRP_SCHEDULE_DELAY", "100");
        command.env("OTEL_METRIC_EXPORT_INTERVAL", "200");
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).expect("create the log");
        let child = command.stdout(Stdio::from(log)).spawn().expect("start a part");
        let pid = child.id();
        self.parts.insert(name.to_owned(), child);
        eventually(&format!("the port of {name}"), || port_file.exists()).await;
        let text = std::fs::read_to_string(&port_file).expect("read the port");
        let port: u16 = text.parse().expect("a port");
        self.ports.insert(name.to_owned(), port);
        let written = std::fs::read_to_string(&pid_file).expect("read the pid");
        assert_eq!(written, pid.to_string(), "the pid file of {name}");
        eventually(&format!("{name} to be healthy"), || is_healthy(port)).await;
    }

    /// Where a part is.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports[name])
    }

    fn path(&self, file: &str) -> PathBuf {
        Path::join(self.folder.path(), file)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for part in self.parts.values_mut() {
            let _ = part.kill();
            let _ = part.wait();
        }
    }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn stop(mut parts: BTreeMap<String, Child>) {
    for part in parts.values() {
        kill_process(Pid::from_child(part), Signal::TERM).expect("signal");
    }
    for (name, part) in &mut parts {
        let status = part.wait().expect("reap");
        assert!(status.success(), "{name} ended with {status}");
    }
}

/// Waits until `state` is true; fails with `what` when patience ends.
pub async fn eventually(what: &str, mut state: impl FnMut() -> bool) {
    let waiting = async {
        while !state() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}

fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
