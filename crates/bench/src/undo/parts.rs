//! The processes of one run: a service, an agent, and the server's part, each of which can be
//! killed. What is left of them is killed with the stage.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agent::config::{self, FaultCommand, ProcessMatch, Restart, Start, Target};
use agent::process::{Host, ProcessHandle, holders};
use agent::{Client, ClientConfig, ClientEvent, FaultId, FaultState, FromAgent, Injection};
use anyhow::{Context, Result};
use clap::Args;
use model::Timestamp;
use model::human::HumanDuration;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::docker::Docker;
use super::kinds::Kind;

const READY_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A part of `bench undo`, started by it.
#[derive(Args)]
pub struct UndoPart {
    /// Listen here until killed
    #[arg(long, conflicts_with = "folder")]
    listen: Option<SocketAddr>,
    /// Order the fault that is described here, and live until killed
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub struct Stage {
    folder: PathBuf,
    /// The agent's own.
    data: PathBuf,
    kind: &'static Kind,
    target: Target,
    host: Host,
    pub address: SocketAddr,
    pub proxies: Proxies,
    nameserver: Option<JoinHandle<()>>,
    docker: Option<Arc<Docker>>,
    /// Free bytes before the fault.
    pub disk_free: u64,
    pub service: Child,
    pub agent: Child,
    pub server: Child,
}

/// Proxies with Toxiproxy's interface, which end with the stage.
pub struct Proxies {
    pub api: SocketAddr,
    /// Where the proxy `service` listens.
    pub listen: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Proxies {
    async fn start(upstream: SocketAddr) -> Result<Proxies> {
        let server = proxy::Server::new(proxy::Config::default());
        let wanted = serde_json::json!([
            { "name": "service", "listen": "127.0.0.1:0", "upstream": upstream }
        ]);
        let populated = server.populate(wanted.to_string().as_bytes()).await;
        let listen = populated.proxies.first().context("no proxy")?.listen.parse()?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { server.serve(listener, async { drop(stopped.await) }).await });
        Ok(Proxies { api, listen, _stop: stop })
    }
}

/// Knows every name. Without the right to port 53 there is none, and the agent says what it lacks.
async fn nameserver(ip: IpAddr) -> Option<JoinHandle<()>> {
    let socket = UdpSocket::bind((ip, 53)).await.ok()?;
    Some(tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((read, from)) = socket.recv_from(&mut buffer).await {
            let query = buffer.get(..read).unwrap_or_default();
            let Some(question) = agent::dns::Question::read(query) else { continue };
            let answer = question.answer(query, agent::dns::NO_ERROR, None);
            let _ = socket.send_to(&answer, from).await;
        }
    }))
}

impl Stage {
    /// Everything runs, the agent with its files in `data`; nothing is ordered yet.
    pub async fn set(
        kind: &'static Kind,
        immune: &Path,
        folder: &Path,
        data: &Path,
        docker: Option<Arc<Docker>>,
    ) -> Result<Stage> {
        for folder in [folder, data] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let exe = std::env::current_exe()?.to_str().context("odd path of a program")?.to_owned();
        let address = TcpListener::bind(own_address())?.local_addr()?;
        let mut target = target(folder, &exe, address);
        if let Some(docker) = &docker {
            target.container = Some(container(folder, docker)?);
        }
        let line = &target.restart.as_ref().context("no restart")?.start.command;
        let service = start(Command::new(&line[0]).args(&line[1..]))?;
        let agent = start_agent(immune, folder, data)?;
        // A process that holds the place of the server until the order.
        let server = start(Command::new("/bin/sleep").arg("0"))?;
        let stage = Stage {
            folder: folder.to_owned(),
            data: data.to_owned(),
            kind,
            target,
            host: Host::this()?,
            address,
            proxies: Proxies::start(address).await?,
            nameserver: nameserver(address.ip()).await,
            docker,
            disk_free: Stage::free_bytes(),
            service,
            agent,
            server,
        };
        let up = async {
            while !stage.folder.join("a.sock").exists()
                || std::net::TcpStream::connect(address).is_err()
            {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(READY_WITHIN, up).await.context("service and agent are not ready")?;
        Ok(stage)
    }

    /// Starts an agent anew, the one before being gone.
    pub fn start_agent(&mut self, immune: &Path) -> Result<()> {
        self.agent = start_agent(immune, &self.folder, &self.data)?;
        Ok(())
    }

    /// Starts the server's part, which orders the fault.
    pub fn order(&mut self, deadline: Timestamp) -> Result<()> {
        let injection = Injection {
            id: FaultId("undo".to_owned()),
            fault: (self.kind.fault)(self),
            target: self.target.name.clone(),
            environment: self.target.environment.clone(),
            deadline,
        };
        let described = serde_json::to_vec(&(&self.target, injection))?;
        fs::write(self.folder.join("order.json"), described)?;
        let _ = self.server.wait();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("undo-part").arg("--folder").arg(&self.folder);
        self.server = start(&mut command)?;
        Ok(())
    }

    pub fn refusal(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("refused")).ok()
    }

    pub fn has_paused_container(&self) -> bool {
        let container = self.target.container.as_ref();
        let asked = self.docker.as_ref().zip(container);
        asked.is_some_and(|(docker, container)| docker.is_paused(&container.name))
    }

    pub fn flag(&self) -> PathBuf {
        self.folder.join("flag")
    }

    /// A file system in memory, which nobody's data is on.
    pub fn disk() -> PathBuf {
        PathBuf::from("/dev/shm")
    }

    pub fn free_bytes() -> u64 {
        rustix::fs::statvfs("/dev/shm").map_or(0, |stat| stat.f_bavail * stat.f_frsize)
    }

    /// Keepers of this stage's fault.
    pub fn keepers(&self) -> Vec<u32> {
        let ending = format!(" of {}\0", self.data.display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.ends_with(ending.as_bytes()) && self.host.identity(pid).is_some() {
                found.push(pid);
            }
        }
        found
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(nameserver) = &self.nameserver {
            nameserver.abort();
        }
        for child in [&mut self.server, &mut self.agent, &mut self.service] {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.keepers() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        // A service that was started again.
        for identity in holders(&self.host, &self.target.process).unwrap_or_default() {
            if let Ok(Some(handle)) = ProcessHandle::open(&self.host, &identity) {
                let _ = handle.signal(Signal::KILL);
            }
        }
    }
}

fn start_agent(immune: &Path, folder: &Path, data: &Path) -> Result<Child> {
    let mut command = Command::new(immune);
    command.arg("agent").arg("--dir").arg(data).arg("--socket").arg(folder.join("a.sock"));
    start(&mut command)
}

fn start(command: &mut Command) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))
}

/// Of loopback, and of this process alone, so that rules for it hit nobody else.
fn own_address() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 77, high, low.max(1)], 0))
}

/// A container of this run alone.
fn container(folder: &Path, docker: &Docker) -> Result<config::Container> {
    let number = folder.file_name().and_then(|name| name.to_str()).context("odd folder")?;
    let name = format!("service-{number}");
    docker.container(&name)?;
    Ok(config::Container {
        name,
        socket: docker.socket(),
        operations: Default::default(),
        limits: Default::default(),
        compose: None,
        stop_timeout: HumanDuration::from_secs(1),
        timeout: HumanDuration::from_secs(10),
    })
}

fn target(folder: &Path, exe: &str, address: SocketAddr) -> Target {
    let line = [exe, "undo-part", "--listen", &address.to_string()].map(str::to_owned);
    let start = Start {
        command: line.into(),
        directory: None,
        environment: Default::default(),
        log: None,
        detached: true,
    };
    let flag = folder.join("flag").display().to_string();
    let command = |line: &[&str]| config::Command {
        command: line.iter().map(|part| (*part).to_owned()).collect(),
        timeout: HumanDuration::from_secs(5),
        directory: None,
        environment: Default::default(),
        undo: None,
    };
    let declared = FaultCommand {
        inject: command(&["/bin/touch", &flag]),
        undo: command(&["/bin/rm", "-f", &flag]),
        check: command(&["/usr/bin/test", "-e", &flag]),
    };
    Target {
        name: "service".to_owned(),
        service: "service".to_owned(),
        instance: None,
        environment: "bench".to_owned(),
        process: Some(ProcessMatch::ListensOn(address)),
        restart: Some(Restart {
            start,
            stop_timeout: HumanDuration::from_secs(1),
            ready_within: HumanDuration::from_secs(10),
        }),
        faults: [("flag".to_owned(), declared)].into(),
        ..Target::default()
    }
}

impl UndoPart {
    pub async fn run(self) -> Result<()> {
        if let Some(address) = self.listen {
            let listener = tokio::net::TcpListener::bind(address).await?;
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { continue };
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while let Ok(1..) = stream.read(&mut request).await {
                        let seconds = server::clock::now().0 / 1_000_000_000;
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-seconds: {seconds}\r\n\r\n"
                        );
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
        serve(&self.folder.context("--folder is missing")?).await
    }
}

/// Orders the fault and lives on, as a server does.
async fn serve(folder: &Path) -> Result<()> {
    let order = fs::read(folder.join("order.json"))?;
    let (target, injection): (Target, Injection) = serde_json::from_slice(&order)?;
    let config = ClientConfig {
        socket: folder.join("a.sock"),
        targets: vec![target],
        lease: HumanDuration::from_secs(30),
    };
    let (client, mut events) = Client::start(config);
    while let Some(event) = events.recv().await {
        match event {
            // Said again after a new connection, it does nothing.
            ClientEvent::Connected(_) => client.inject(injection.clone())?,
            ClientEvent::Message(FromAgent::Fault(report))
                if report.state == FaultState::Refused =>
            {
                fs::write(folder.join("refused"), report.detail)?;
            }
            _ => {}
        }
    }
    Ok(())
}
