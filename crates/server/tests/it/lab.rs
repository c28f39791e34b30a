//! A server in a folder of its own, with a real process that it may restart. Whatever was started
//! is killed when the lab is dropped, the agent and the target included.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::{Value, json};

use crate::http::{self, Response};
use crate::wait::{until, within};

const PYTHON: &str = "/usr/bin/python3";

pub struct Lab {
    pub dir: tempfile::TempDir,
    pub config: Value,
    /// Where the target listens.
    pub target: SocketAddr,
    ip: Ipv4Addr,
    server: Option<Child>,
    api: Option<SocketAddr>,
    /// Where telemetry goes; `None` while there is no server.
    pub otlp: Arc<Mutex<Option<SocketAddr>>>,
    stranger: Option<Child>,
    token: Option<String>,
    /// Of the server, beside its own.
    pub environment: Vec<(&'static str, PathBuf)>,
}

/// A loopback address that no other lab has: its ports are free for good.
fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 150, high, low.max(1))
}

pub fn immune() -> Command {
    immune_through(env!("CARGO_BIN_EXE_immune"))
}

fn immune_through(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in ["IMMUNE_SERVER", "IMMUNE_TOKEN", "RUST_LOG", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

impl Lab {
    /// Heals crashes of `orders` by itself; times are short.
    pub fn new() -> Lab {
        let dir = tempfile::Builder::new().prefix("immune-it-").tempdir().unwrap();
        let ip = own_ip();
        let target = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
        let any = format!("{ip}:0");
        let config = json!({
            "storage": { "path": dir.path().join("data"), "snapshot_every": "5s" },
            "api": { "listen": any },
            "receivers": { "otlp": { "grpc": any, "http": any } },
            "detect": { "clear_after": "10s" },
            "healing": {
                "mode": "auto",
                "policies": [{
                    "name": "restart", "cause": "crash", "target": "orders",
                    "action": "restart", "verify_for": "5s", "verify_within": "50s",
                    "attempts": 3, "back_off": "6s",
                }],
            },
            "targets": [{
                "name": "orders", "service": "orders",
                "process": { "listens_on": target },
                "restart": { "start": {}, "stop_timeout": "2s", "ready_within": "30s" },
            }],
        });
        let mut lab = Lab {
            dir,
            config,
            target,
            ip,
            server: None,
            api: None,
            otlp: Arc::default(),
            stranger: None,
            token: None,
            environment: Vec::new(),
        };
        lab.start_takes(Duration::ZERO);
        lab
    }

    /// The start command writes a line, waits this long, then becomes the target.
    pub fn start_takes(&mut self, time: Duration) {
        let script = format!(
            "echo started >> {}; sleep {}; exec {}",
            self.starts_file().display(),
            time.as_secs_f32(),
            self.serve().join(" ")
        );
        self.config["targets"][0]["restart"]["start"] = json!({
            "command": ["/bin/sh", "-c", script],
            "log": self.dir.path().join("target.log"),
        });
    }

    pub fn policy(&mut self) -> &mut Value {
        &mut self.config["healing"]["policies"][0]
    }

    pub fn use_token(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    fn serve(&self) -> [String; 6] {
        let (ip, port) = (self.target.ip().to_string(), self.target.port().to_string());
        [PYTHON, "-m", "http.server", &port, "--bind", &ip].map(str::to_owned)
    }

    fn starts_file(&self) -> PathBuf {
        self.dir.path().join("starts")
    }

    /// How often the agent ran the start command.
    pub fn starts(&self) -> usize {
        std::fs::read_to_string(self.starts_file()).unwrap_or_default().lines().count()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    pub fn write_config(&self) -> PathBuf {
        let path = self.dir.path().join("immune.yaml");
        std::fs::write(&path, serde_json::to_string_pretty(&self.config).unwrap()).unwrap();
        path
    }

    /// Runs the server without waiting for anything.
    pub fn spawn(&mut self) {
        assert!(self.server.is_none(), "one server at a time");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("server.log"))
            .unwrap();
        // A file that may not grow is then an error, as on a full disk, and no signal.
        let program = immune().get_program().to_owned();
        let mut command = immune_through("/bin/sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program);
        command.arg("run").arg("-c").arg(self.write_config());
        command.env("RUST_LOG", "info,server=debug");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().unwrap());
    }

    /// Runs the server until it can be reached.
    pub fn start(&mut self) {
        self.spawn();
        let pid = self.server.as_ref().unwrap().id();
        let file = self.data().join("listening.json");
        let listening = until("the server listens", || {
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log());
            let text = std::fs::read_to_string(&file).ok()?;
            let listening: Value = serde_json::from_str(&text).expect("written in one piece");
            (listening["pid"] == pid).then_some(listening)
        });
        let address = |name: &str| listening[name].as_str().unwrap().parse().unwrap();
        self.api = Some(address("api"));
        *self.otlp.lock().unwrap() = Some(address("otlp_http"));
    }

    /// Runs the server until the agent is there too.
    pub fn start_with_agent(&mut self) {
        self.start();
        self.until_agent();
    }

    pub fn until_agent(&self) {
        until("the agent is connected", || {
            (self.get("status")["agent_connected"] == true).then_some(())
        });
    }

    /// Lets the server's files grow no further than this; `None`: as they like.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = i32::try_from(self.server.as_ref().unwrap().id()).unwrap();
        let limit = Rlimit { current: bytes, maximum: None };
        rustix::process::prlimit(Pid::from_raw(pid), Resource::Fsize, limit).unwrap();
    }

    pub fn kill_server(&mut self) {
        *self.otlp.lock().unwrap() = None;
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// SIGTERM, and waits for an orderly end.
    pub fn stop_server(&mut self) {
        *self.otlp.lock().unwrap() = None;
        let mut server = self.server.take().unwrap();
        kill(server.id(), Signal::TERM);
        let status = until("the server ends", || server.try_wait().unwrap());
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Waits until the server gives up by itself; returns what it said.
    pub fn ended(&mut self) -> String {
        let mut server = self.server.take().unwrap();
        let status = until("the server ends", || server.try_wait().unwrap());
        assert_eq!(status.code(), Some(1), "{}", self.log());
        self.log()
    }

    pub fn kill_agent(&self) {
        self.signal_agent(Signal::KILL);
    }

    pub fn signal_agent(&self, signal: Signal) {
        let agents = self.agents();
        assert_eq!(agents.len(), 1, "one agent runs: {agents:?}");
        kill(agents[0], signal);
    }

    pub fn agents(&self) -> Vec<u32> {
        let dir = self.data().join("agent").display().to_string();
        processes(|line| line.get(1).is_some_and(|a| a == "agent") && line.contains(&dir))
    }

    // The target.

    /// Starts the target as a stranger would, not through the agent.
    pub fn start_target(&mut self) -> u32 {
        let line = self.serve();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.stranger = Some(command.spawn().unwrap());
        self.target_up()
    }

    pub fn target_up(&self) -> u32 {
        until("the target answers", || {
            self.target_answers().then(|| self.target_pids().last().copied()).flatten()
        })
    }

    pub fn target_answers(&self) -> bool {
        TcpStream::connect_timeout(&self.target, Duration::from_millis(500)).is_ok()
    }

    pub fn target_pids(&self) -> Vec<u32> {
        let line = self.serve();
        processes(|found| found == line)
    }

    pub fn kill_target(&mut self) {
        for pid in self.target_pids() {
            kill(pid, Signal::KILL);
        }
        if let Some(mut stranger) = self.stranger.take() {
            stranger.wait().unwrap();
        }
    }

    // The API and the command line.

    pub fn api(&self) -> SocketAddr {
        self.api.expect("the server was started")
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let path = format!("/api/v1/{path}");
        http::request(self.api(), method, &path, &headers, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let response = self.ask("GET", path, None);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        response.json()
    }

    pub fn post(&self, path: &str, body: Option<Value>) -> Response {
        self.ask("POST", path, body.map(|body| body.to_string()).as_deref())
    }

    /// Runs `immune ARGUMENTS --server …`.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = immune();
        command.args(arguments).args(["--server", &format!("http://{}", self.api())]);
        if let Some(token) = &self.token {
            command.env("IMMUNE_TOKEN", token);
        }
        command.output().unwrap()
    }

    pub fn said(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{error}");
        text
    }

    // What the loop says.

    /// The first incident, once there is one and it is as wanted.
    pub fn incident(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.one_of("incidents", what, wanted)
    }

    /// A plan that is as wanted.
    pub fn plan(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.one_of("plans", what, wanted)
    }

    pub fn plan_in(&self, state: &str) -> Value {
        self.plan(state, |plan| plan["state"] == state)
    }

    fn one_of(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = within(crate::wait::WITHIN, || {
            last = self.get(path);
            last.as_array().unwrap().iter().find(|one| wanted(one)).cloned()
        });
        found.unwrap_or_else(|| {
            panic!("no {path} {what}; the last were {last:#}\n{}", self.log());
        })
    }

    pub fn events(&self) -> Vec<Value> {
        self.get("events").as_array().unwrap().clone()
    }

    /// The journal in short: what happened, in order, without repetitions.
    pub fn story(&self) -> Vec<String> {
        let mut story: Vec<String> = Vec::new();
        for event in self.events() {
            let line = match event["event"].as_str().unwrap() {
                "incident" => format!("incident {}", event["reason"].as_str().unwrap()),
                "plan" => format!("plan {}", event["plan"]["state"].as_str().unwrap()),
                "outcome" => format!("outcome {}", event["outcome"]["result"].as_str().unwrap()),
                other => other.to_owned(),
            };
            if line != "incident updated" && story.last() != Some(&line) {
                story.push(line);
            }
        }
        story
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        // The folder and the address are this lab's alone.
        let (dir, ip) = (self.dir.path().display().to_string(), self.ip.to_string());
        let own = |line: &[String]| {
            line.iter().any(|argument| argument.contains(&dir) || *argument == ip)
        };
        for pid in processes(own) {
            kill(pid, Signal::KILL);
        }
        if let Some(mut stranger) = self.stranger.take() {
            let _ = stranger.wait();
        }
    }
}

fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Processes whose command line is as wanted.
fn processes(wanted: impl Fn(&[String]) -> bool) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(Path::new("/proc").join(entry.file_name()).join("cmdline"));
        let Ok(line) = line else { continue };
        let line: Vec<String> = line
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty())
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        if wanted(&line) {
            found.push(pid);
        }
    }
    found
}
