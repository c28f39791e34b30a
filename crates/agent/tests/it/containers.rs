//! Containers of a real Docker daemon, which the test starts for itself.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::config::{Compose, Container, Limits};
use agent::{ClientEvent, FaultState, FromAgent};
use model::fault::{ContainerFault, Fault};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{ActionKind, ByteSize, ContainerOperation as Operation};
use serde_json::{Value, json};

use crate::kinds::{Kind, is_gone_whoever_dies};
use crate::lab::{Lab, Server};

/// A daemon in a folder and a network namespace of its own, that dies with the test.
struct Daemon {
    dir: tempfile::TempDir,
    child: Child,
    client: reqwest::Client,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// None, which is said, where it is not installed or may not run.
    async fn start() -> Option<Daemon> {
        let (program, box_) = (Path::new("/usr/sbin/dockerd"), Path::new("/bin/busybox"));
        if !program.exists() || !box_.exists() || !rustix::process::geteuid().is_root() {
            say("docker.io or busybox-static is not installed, or this is not root");
            return None;
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::Builder::new().prefix("dk-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut command = Command::new("/usr/bin/unshare");
        command
            .arg("--net")
            .arg("--")
            .arg(program)
            .arg("-H")
            .arg(format!("unix://{}", at("docker.sock").display()));
        command.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
        command.arg("-p").arg(at("pid"));
        command.args(["--bridge=none", "--iptables=false", "--ip-forward=false"]);
        command.args(["--ip-masq=false", "--storage-driver=vfs"]);
        let log = std::fs::File::create(at("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        let client = reqwest::Client::builder().unix_socket(at("docker.sock")).build().unwrap();
        let mut daemon = Daemon { dir, child, client };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while daemon.client.get("http://docker/_ping").send().await.is_err() {
            let ended = daemon.child.try_wait().unwrap().is_some();
            if ended || tokio::time::Instant::now() > deadline {
                let log = std::fs::read_to_string(daemon.dir.path().join("log")).unwrap();
                say(&format!("dockerd cannot run here: {}", log.lines().last().unwrap_or("")));
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        daemon.image();
        Some(daemon)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// An image of one program.
    fn image(&self) {
        let root = self.dir.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let tar = self.dir.path().join("image.tar");
        let made = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".").status();
        assert!(made.unwrap().success());
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>, kind: &str) {
        let request =
            self.client.post(format!("http://docker/{path}")).header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap());
    }

    /// A network, and a container on it that is known there by two names and has an address.
    async fn networked(&self, name: &str) {
        let subnet = json!({ "Config": [{ "Subnet": "10.213.7.0/24" }] });
        let network = json!({ "Name": "shop", "Driver": "bridge", "IPAM": subnet });
        let json = "application/json";
        if self.get("networks/shop").await.get("Id").is_none() {
            self.post("networks/create", network.to_string(), json).await;
        }
        let spec = json!({
            "Image": "box:1",
            "Cmd": ["/bin/busybox", "sleep", "300"],
            "HostConfig": { "NetworkMode": "shop" },
            "NetworkingConfig": { "EndpointsConfig": { "shop": { "Aliases": ["pay"] } } },
        });
        self.post(&format!("containers/create?name={name}"), spec.to_string(), json).await;
        self.post(&format!("containers/{name}/start"), "", json).await;
    }

    async fn container(&self, name: &str, number: u32) {
        let labels = json!({
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "payment",
            "com.docker.compose.container-number": number.to_string(),
        });
        let spec = json!({
            "Image": "box:1",
            "Cmd": ["/bin/busybox", "sleep", "300"],
            "Labels": labels,
            "HostConfig": {"NetworkMode": "none"},
        });
        let json = "application/json";
        self.post(&format!("containers/create?name={name}"), spec.to_string(), json).await;
    }

    async fn inspect(&self, name: &str) -> Value {
        self.get(&format!("containers/{name}/json")).await
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://docker/{path}");
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// Where no daemon can run that is no defect, in CI neither.
fn say(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

async fn order(
    lab: &Lab,
    server: &mut Server,
    id: &str,
    kind: ActionKind,
) -> (OutcomeResult, String) {
    server.perform(lab.action(id, kind, Expectation::NoProcess)).await
}

fn declared(daemon: &Daemon) -> Container {
    let roomy = Limits { memory: Some(ByteSize::mib(64)), cpus: Some(0.5), undo: None };
    Container {
        name: "shop-payment-1".into(),
        socket: daemon.socket(),
        operations: [
            Operation::Restart,
            Operation::Pause,
            Operation::Unpause,
            Operation::ScaleOut,
            Operation::ScaleIn,
        ]
        .into(),
        limits: [("roomy".to_owned(), roomy)].into(),
        compose: Some(Compose {
            project: "shop".into(),
            service: "payment".into(),
            copies_min: 1,
            copies_max: 2,
        }),
        stop_timeout: HumanDuration::from_secs(1),
        timeout: HumanDuration::from_secs(10),
    }
}

/// A lab whose target is that container.
fn lab(daemon: &Daemon, name: &str) -> Lab {
    let mut lab = Lab::new();
    let container = Container { name: name.into(), compose: None, ..declared(daemon) };
    let operations = [Operation::Restart].into();
    lab.target.container = Some(Container { operations, ..container });
    lab
}

/// The container as Docker shows it, asked without help of what is tested.
fn shown(lab: &Lab) -> Value {
    let container = lab.target.container.as_ref().unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(&container.socket).unwrap();
    let path = format!("/containers/{}/json", container.name);
    write!(stream, "GET {path} HTTP/1.0\r\nhost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

const KINDS: &[Kind] = &[
    Kind {
        name: "paused",
        fault: |_| Fault::Container(ContainerFault::Pause),
        is_there: |lab| shown(lab)["State"]["Paused"] == true,
    },
    Kind {
        name: "killed",
        fault: |_| Fault::Container(ContainerFault::Kill),
        is_there: |lab| shown(lab)["State"]["Running"] == false,
    },
    Kind {
        name: "disconnected",
        fault: |_| Fault::Container(ContainerFault::Disconnect),
        is_there: |lab| shown(lab)["NetworkSettings"]["Networks"]["shop"].is_null(),
    },
];

#[tokio::test]
async fn faults_of_containers_are_gone_whoever_dies() {
    let Some(daemon) = Daemon::start().await else { return };
    let tar = std::fs::read(daemon.dir.path().join("image.tar")).unwrap();
    daemon.post("images/create?fromSrc=-&repo=box&tag=1", tar, "application/x-tar").await;
    for kind in KINDS {
        daemon.networked(kind.name).await;
    }
    let before = daemon.inspect("disconnected").await["NetworkSettings"]["Networks"].clone();
    let labs: Vec<Lab> = KINDS.iter().map(|kind| lab(&daemon, kind.name)).collect();
    let threads: Vec<_> = KINDS
        .iter()
        .zip(labs)
        .map(|(kind, lab)| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(is_gone_whoever_dies(kind, lab));
            })
        })
        .collect();
    for thread in threads {
        let ended = tokio::task::spawn_blocking(|| thread.join().is_ok()).await;
        assert!(ended.unwrap());
    }
    let after = daemon.inspect("disconnected").await["NetworkSettings"]["Networks"].clone();
    assert_eq!(after["shop"]["IPAddress"], before["shop"]["IPAddress"]);
    assert_eq!(after["shop"]["Aliases"], before["shop"]["Aliases"]);
}

#[tokio::test]
async fn a_container_that_cannot_be_hurt_and_put_back_is_left_alone() {
    let Some(daemon) = Daemon::start().await else { return };
    let tar = std::fs::read(daemon.dir.path().join("image.tar")).unwrap();
    daemon.post("images/create?fromSrc=-&repo=box&tag=1", tar, "application/x-tar").await;
    let spec = json!({
        "Image": "box:1",
        "Cmd": ["/bin/busybox", "sleep", "300"],
        "HostConfig": { "NetworkMode": "none", "AutoRemove": true },
    });
    let json = "application/json";
    daemon.post("containers/create?name=lonely", spec.to_string(), json).await;
    let mut lab = lab(&daemon, "lonely");
    lab.start_agent();
    let mut server = lab.server().await;
    let refused = async |server: &mut Server, id: &str, what| {
        let long = Duration::from_secs(60);
        server.client.inject(lab.fault(id, Fault::Container(what), long)).unwrap();
        server.fault(id, FaultState::Refused).await.detail
    };
    let why = refused(&mut server, "a", ContainerFault::Pause).await;
    assert!(why.contains("does not run"), "{why}");
    daemon.post("containers/lonely/start", "", json).await;
    let why = refused(&mut server, "b", ContainerFault::Kill).await;
    assert!(why.contains("is removed when it ends"), "{why}");
    let why = refused(&mut server, "c", ContainerFault::Disconnect).await;
    assert!(why.contains("on no network"), "{why}");
    lab.target.container = None;
    server.client.set_targets(vec![lab.target.clone()]);
    let welcome =
        |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Welcome(_)));
    server.expect("the new targets", welcome).await;
    let long = Duration::from_secs(60);
    let pause = Fault::Container(ContainerFault::Pause);
    server.client.inject(lab.fault("d", pause, long)).unwrap();
    let why = server.fault("d", FaultState::Refused).await.detail;
    assert!(why.contains("declares no `container`"), "{why}");
    daemon.post("containers/lonely/kill", "", json).await;
}

#[tokio::test]
async fn containers_are_restarted_paused_limited_and_scaled_as_declared() {
    let Some(daemon) = Daemon::start().await else { return };
    let tar = std::fs::read(daemon.dir.path().join("image.tar")).unwrap();
    daemon.post("images/create?fromSrc=-&repo=box&tag=1", tar, "application/x-tar").await;
    for (name, number) in [("shop-payment-1", 1), ("shop-payment-2", 2), ("shop-payment-3", 3)] {
        daemon.container(name, number).await;
    }
    daemon.post("containers/shop-payment-1/start", "", "application/json").await;
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    lab.target.container = Some(declared(&daemon));
    lab.start_agent();
    let mut server = lab.server().await;
    let before = daemon.inspect("shop-payment-1").await["State"]["Pid"].clone();
    let steps = [
        (Operation::Pause, OutcomeResult::Done, "paused container shop-payment-1"),
        (Operation::Pause, OutcomeResult::Refused, "paused already"),
        (Operation::Unpause, OutcomeResult::Done, "unpaused container shop-payment-1"),
        (Operation::Restart, OutcomeResult::Done, "restarted container shop-payment-1, now pid"),
        (Operation::ScaleIn, OutcomeResult::Refused, "1 copies of payment run, 1 to 2 may"),
        (Operation::ScaleOut, OutcomeResult::Done, "started container shop-payment-2: 2 copies"),
        (Operation::ScaleOut, OutcomeResult::Refused, "2 copies of payment run, 1 to 2 may"),
        (Operation::ScaleIn, OutcomeResult::Done, "stopped container shop-payment-2: 1 copies"),
    ];
    for (index, (operation, result, detail)) in steps.into_iter().enumerate() {
        let kind = ActionKind::Container { operation };
        let (was, said) = order(&lab, &mut server, &format!("a-{index}"), kind).await;
        assert_eq!(was, result, "{operation}: {said}");
        assert!(said.contains(detail), "{operation}: {said}");
    }
    assert_ne!(daemon.inspect("shop-payment-1").await["State"]["Pid"], before);
    assert_eq!(daemon.inspect("shop-payment-3").await["State"]["Status"], "created");
    let kind = ActionKind::ContainerLimits { limits: "roomy".into() };
    let (result, said) = order(&lab, &mut server, "b", kind).await;
    assert_eq!(result, OutcomeResult::Done, "{said}");
    let limits = daemon.inspect("shop-payment-1").await["HostConfig"].clone();
    assert_eq!((&limits["Memory"], &limits["NanoCpus"]), (&json!(67_108_864), &json!(500_000_000)));

    daemon.post("containers/shop-payment-1/kill", "", "application/json").await;
    drop(daemon);
    let kind = ActionKind::Container { operation: Operation::Restart };
    let (result, said) = order(&lab, &mut server, "c", kind).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(said.contains("cannot connect"), "{said}");
}
