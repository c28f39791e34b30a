//! Containers of a real Docker daemon, which the test starts for itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::config::{Compose, Container, Limits};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{ActionKind, ByteSize, ContainerOperation as Operation};
use serde_json::{Value, json};

use crate::lab::{Lab, Server};

/// A daemon in a folder of its own, without networks, that dies with the test.
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
        let mut command = Command::new(program);
        command.arg("-H").arg(format!("unix://{}", at("docker.sock").display()));
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
        let url = format!("http://docker/containers/{name}/json");
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
