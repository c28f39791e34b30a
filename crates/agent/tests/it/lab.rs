//! A folder, an address of its own, an agent that can be killed, and a server's client.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent::client::ClientConfig;
use agent::config::{self, ProcessMatch, Restart, Start, Target};
use agent::process::{Found, Host, ProcessHandle, find, holders};
use agent::{
    AgentConfig, Client, ClientEvent, FaultReport, FaultState, FromAgent, Injection, Step,
};
use model::experiment::Fault;
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::{ProcessIdentity, ProcessState};
use model::{Action, ActionId, ActionKind, Outcome, Timestamp};
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::names::Nameserver;
use crate::service::{Proxies, serve};

/// Far more than it takes: a machine that is busy with all tests at once is slow, not wrong.
pub const WITHIN: Duration = Duration::from_secs(60);
const ROLE: &str = "IMMUNE_TEST_ROLE";
const DIR: &str = "IMMUNE_TEST_DIR";
const KILL_AT: &str = "IMMUNE_TEST_KILL_AT";
const ALONE_MS: &str = "IMMUNE_TEST_ALONE_MS";
const ADDRESS: &str = "IMMUNE_TEST_ADDRESS";
const ENTRY: &str = "lab::this_program_plays_the_role_that_it_is_given";

pub struct Lab {
    pub dir: tempfile::TempDir,
    pub target: Target,
    agent: Option<Child>,
    others: Vec<Child>,
    proxies: Option<Proxies>,
    nameserver: Option<Nameserver>,
    host: Host,
}

pub struct Server {
    pub client: Client,
    pub events: mpsc::Receiver<ClientEvent>,
}

fn address() -> String {
    std::env::var(ADDRESS).unwrap()
}

/// Runs this program as a service or an agent when a lab asks for it; else shows that it would.
#[test]
fn this_program_plays_the_role_that_it_is_given() {
    match std::env::var(ROLE).as_deref() {
        Ok("service") => serve(&address(), false, true),
        Ok("deaf service") => serve(&address(), true, true),
        Ok("echo service") => serve(&address(), false, false),
        Ok("agent") => run_agent(),
        Ok("keeper") => {
            let _ = rustls::crypto::ring::default_provider().install_default();
            std::process::exit(i32::from(agent::keep().is_err()))
        }
        _ => {
            let mut service = command("service");
            service.env(ADDRESS, "no address");
            assert_eq!(service.status().unwrap().code(), Some(3));
        }
    }
}

fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([ENTRY, "--exact", "--nocapture"]).env(ROLE, role);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn run_agent() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let mut config = AgentConfig::new(&dir, dir.join("agent.sock"));
    config.keeper = agent::KeeperCommand {
        arguments: [ENTRY, "--exact", "--nocapture"].map(str::to_owned).into(),
        environment: BTreeMap::from([(ROLE.to_owned(), "keeper".to_owned())]),
        ..agent::KeeperCommand::default()
    };
    config.on_step = Some(die_there);
    if let Ok(millis) = std::env::var(ALONE_MS) {
        config.alone_for = Duration::from_millis(millis.parse().unwrap());
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(agent::run(config, std::future::pending()));
    std::process::exit(i32::from(result.is_err()));
}

fn die_there(step: Step) {
    if std::env::var(KILL_AT).is_ok_and(|at| at == format!("{step:?}")) {
        rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
        // The signal is on its way.
        std::thread::park();
    }
}

/// An address that no other test has.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let first = 20 + (NEXT.fetch_add(1, Ordering::Relaxed) % 200) as u8;
    let probe = TcpListener::bind(SocketAddr::from(([127, first, high, low], 0))).unwrap();
    probe.local_addr().unwrap()
}

impl Lab {
    pub fn new() -> Lab {
        Lab::with_role("service")
    }

    pub fn with_role(role: &str) -> Lab {
        Lab::in_folder("", role)
    }

    /// In a folder whose name begins so.
    pub fn in_folder(prefix: &str, role: &str) -> Lab {
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(prefix).permissions(private).tempdir().unwrap();
        let address = own_address();
        let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
        let line = [exe, ENTRY.to_owned(), "--exact".to_owned(), "--nocapture".to_owned()];
        let variables = [(ROLE, role.to_owned()), (ADDRESS, address.to_string())];
        let start = Start {
            command: line.into(),
            directory: None,
            environment: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            log: Some(dir.path().join("service.log")),
            detached: true,
        };
        let restart = Restart {
            start,
            stop_timeout: HumanDuration::from_millis(500),
            ready_within: HumanDuration::from_secs(10),
        };
        let target = Target {
            name: "orders".into(),
            service: "orders".into(),
            instance: Some("orders-1".into()),
            environment: "production".into(),
            process: Some(ProcessMatch::ListensOn(address)),
            restart: Some(restart),
            ..Target::default()
        };
        let host = Host::this().unwrap();
        Lab { dir, target, agent: None, others: Vec::new(), proxies: None, nameserver: None, host }
    }

    /// The service listens there instead.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.target.process = Some(ProcessMatch::ListensOn(address));
        let start = self.target.restart.as_mut().map(|restart| &mut restart.start);
        start.unwrap().environment.insert(ADDRESS.to_owned(), address.to_string());
    }

    pub fn add_command(&mut self, name: &str, script: &str, timeout: HumanDuration) {
        let line = ["/bin/sh", "-c", script];
        let command = config::Command {
            command: line.map(str::to_owned).into(),
            timeout,
            directory: Some(self.dir.path().to_owned()),
            environment: BTreeMap::new(),
            undo: None,
        };
        self.target.commands.insert(name.to_owned(), command);
    }

    pub fn start_agent(&mut self) {
        self.start_agent_with(&[]);
    }

    /// An agent that kills itself when it reaches the step.
    pub fn start_agent_dying_at(&mut self, step: Step) {
        self.start_agent_with(&[(KILL_AT, format!("{step:?}"))]);
    }

    pub fn start_agent_leaving_after(&mut self, alone: Duration) {
        self.start_agent_with(&[(ALONE_MS, alone.as_millis().to_string())]);
    }

    fn start_agent_with(&mut self, variables: &[(&str, String)]) {
        assert!(self.agent.is_none(), "one agent at a time");
        self.agent = Some(self.spawn_agent(variables));
    }

    pub fn spawn_agent(&self, variables: &[(&str, String)]) -> Child {
        let mut command = command("agent");
        command.env(DIR, self.dir.path()).envs(variables.iter().cloned());
        command.spawn().unwrap()
    }

    pub fn kill_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    pub async fn agent_exit(&mut self) -> ExitStatus {
        let mut agent = self.agent.take().unwrap();
        wait_exit(&mut agent).await
    }

    /// Starts the service as a stranger would, not through the agent.
    pub async fn start_service(&mut self) -> ProcessIdentity {
        let start = &self.target.restart.as_ref().unwrap().start;
        let mut command = Command::new(&start.command[0]);
        command.args(&start.command[1..]).envs(&start.environment);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let up = until("the service runs, or has ended", || {
            let ended = child.try_wait().unwrap().map(Err);
            ended.or_else(|| self.service().filter(|_| self.answers()).map(Ok))
        });
        let up = up.await.unwrap_or_else(|status| panic!("the service ended: {status}"));
        self.others.push(child);
        up
    }

    pub fn start_proxies(&mut self) {
        self.proxies = Some(Proxies::start(self.address()));
    }

    pub fn start_nameserver(&mut self) {
        self.nameserver = Some(Nameserver::start(self.address().ip()));
    }

    pub fn nameserver(&self) -> SocketAddr {
        self.nameserver.as_ref().unwrap().address
    }

    pub fn proxies(&self) -> &Proxies {
        self.proxies.as_ref().unwrap()
    }

    pub fn kill_service(&mut self, identity: &ProcessIdentity) {
        let handle = ProcessHandle::open(&self.host, identity).unwrap().unwrap();
        handle.signal(Signal::KILL).unwrap();
        assert!(handle.wait_gone(WITHIN).unwrap());
    }

    pub fn service(&self) -> Option<ProcessIdentity> {
        match blocking(|| find(&self.host, &self.target.process)).unwrap() {
            Found::Process(holder) => Some(holder.identity),
            Found::Nothing | Found::Hidden(_) => None,
        }
    }

    pub async fn service_up(&self) -> ProcessIdentity {
        until("the service runs", || self.service().filter(|_| self.answers())).await
    }

    /// That process serves no more. Another may already: a keeper is quick to start it.
    pub async fn service_gone(&self, identity: &ProcessIdentity) {
        let is_gone = || (self.service().as_ref() != Some(identity)).then_some(());
        until("the process that served is gone", is_gone).await;
    }

    pub fn answers(&self) -> bool {
        let Some(ProcessMatch::ListensOn(address)) = &self.target.process else { unreachable!() };
        TcpStream::connect_timeout(address, Duration::from_millis(200)).is_ok()
    }

    pub fn address(&self) -> SocketAddr {
        let Some(ProcessMatch::ListensOn(address)) = &self.target.process else { unreachable!() };
        *address
    }

    /// Keepers of this lab's faults, found without help of what is tested.
    pub fn keepers(&self) -> Vec<u32> {
        let ending = format!(" of {}\0", self.dir.path().display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if line.ends_with(ending.as_bytes()) && self.host.identity(pid).is_some() {
                found.push(pid);
            }
        }
        found
    }

    pub fn ledger(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("ledger.jsonl")).unwrap_or_default()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    pub async fn server(&self) -> Server {
        self.server_with_lease(HumanDuration::from_secs(30)).await
    }

    pub async fn server_with_lease(&self, lease: HumanDuration) -> Server {
        let targets = vec![self.target.clone()];
        let (client, events) =
            Client::start(ClientConfig { socket: self.socket(), targets, lease });
        let mut server = Server { client, events };
        server.expect("welcome", |event| matches!(event, ClientEvent::Connected(_))).await;
        server
    }

    pub fn action(&self, id: &str, kind: ActionKind, expect: Expectation) -> Action {
        Action {
            id: ActionId(id.to_owned()),
            target: self.target.name.clone(),
            entity: self.target.entity(),
            kind,
            expect,
            not_after: now() + Duration::from_secs(60),
        }
    }

    /// What the agent kept of a process before the action of that id ended it.
    pub fn kept(&self, id: &str) -> String {
        let path = self.dir.path().join("captures").join(format!("{id}.txt"));
        std::fs::read_to_string(path).unwrap()
    }

    pub fn restart(&self, id: &str, expect: Expectation) -> Action {
        self.action(id, ActionKind::Restart, expect)
    }

    pub fn kill_fault(&self, id: &str, after: Duration) -> Injection {
        self.fault(id, Fault::KillProcess, after)
    }

    pub fn fault(&self, id: &str, fault: Fault, after: Duration) -> Injection {
        Injection {
            id: agent::FaultId(id.to_owned()),
            fault,
            target: self.target.name.clone(),
            environment: self.target.environment.clone(),
            deadline: now() + after,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for mut child in self.agent.take().into_iter().chain(self.others.drain(..)) {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.keepers() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid as i32).unwrap(),
                Signal::KILL,
            );
        }
        let holders = blocking(|| holders(&self.host, &self.target.process));
        for identity in holders.unwrap_or_default() {
            if let Ok(Some(handle)) = ProcessHandle::open(&self.host, &identity) {
                let _ = handle.signal(Signal::KILL);
            }
        }
    }
}

impl Server {
    pub async fn expect(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&ClientEvent) -> bool,
    ) -> ClientEvent {
        let mut seen = Vec::new();
        let found = timeout(WITHIN, async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event) {
                    return event;
                }
                seen.push(event);
                seen.drain(..seen.len().saturating_sub(6));
            }
            std::future::pending().await
        });
        let found = found.await.ok();
        found.unwrap_or_else(|| panic!("{what} did not come; the last were {seen:?}"))
    }

    pub async fn outcome(&mut self, id: &str) -> Outcome {
        let what = format!("outcome of {id}");
        let wanted = |event: &ClientEvent| {
            matches!(event,
            ClientEvent::Message(FromAgent::Outcome(outcome)) if outcome.action.0 == id)
        };
        match self.expect(&what, wanted).await {
            ClientEvent::Message(FromAgent::Outcome(outcome)) => outcome,
            _ => unreachable!(),
        }
    }

    /// Orders and waits for the outcome.
    pub async fn perform(&mut self, action: Action) -> (OutcomeResult, String) {
        let id = action.id.0.clone();
        self.client.perform(action).unwrap();
        let outcome = self.outcome(&id).await;
        (outcome.result, outcome.detail)
    }

    pub async fn fault(&mut self, id: &str, state: FaultState) -> FaultReport {
        let wanted = |event: &ClientEvent| {
            matches!(event,
            ClientEvent::Message(FromAgent::Fault(report))
                if report.id.0 == id && report.state == state)
        };
        match self.expect(&format!("{state:?} of {id}"), wanted).await {
            ClientEvent::Message(FromAgent::Fault(report)) => report,
            _ => unreachable!(),
        }
    }

    pub async fn refusal(&mut self) -> String {
        let wanted =
            |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Refused { .. }));
        match self.expect("refusal", wanted).await {
            ClientEvent::Message(FromAgent::Refused { reason }) => reason,
            _ => unreachable!(),
        }
    }

    /// Waits until the target is reported so.
    pub async fn report(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&ProcessState) -> bool,
    ) -> ProcessState {
        let mut found = None;
        self.expect(what, |event| {
            let ClientEvent::Message(FromAgent::Report { processes, .. }) = event else {
                return false;
            };
            found = processes.iter().map(|report| report.state.clone()).find(|state| wanted(state));
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub async fn running(&mut self) -> ProcessIdentity {
        match self.report("running", |state| matches!(state, ProcessState::Running(_))).await {
            ProcessState::Running(identity) => identity,
            _ => unreachable!(),
        }
    }
}

/// Does what blocks apart from the runtime of the test, as the agent does in threads of its own.
fn blocking<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// A program of another package, `None` when it is not installed: then the test is skipped, which
/// is said past the capture of output. In CI it must be there.
pub fn installed(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(program));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

pub fn skip(why: &str) {
    use std::io::Write;
    assert!(std::env::var_os("CI").is_none(), "{why}");
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

#[allow(clippy::disallowed_methods, reason = "tests speak to an agent that reads the real clock")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_nanos() as u64)
}

/// Looks until there is something to see.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {WITHIN:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub async fn wait_exit(child: &mut Child) -> ExitStatus {
    until("exit", || child.try_wait().unwrap()).await
}

pub fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}
