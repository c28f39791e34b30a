//! A Docker daemon of our own, in a folder and a network namespace of its own, and its containers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const IMAGE: &str = "box:1";
const BUSYBOX: &str = "/bin/busybox";

pub struct Docker {
    folder: PathBuf,
    daemon: Child,
}

impl Docker {
    /// With an image of one program. An error says what this host lacks.
    pub async fn start(folder: &Path) -> Result<Docker> {
        std::fs::create_dir_all(folder.join("root/bin"))?;
        std::fs::copy(BUSYBOX, folder.join("root/bin/busybox")).context(BUSYBOX)?;
        let at = |name: &str| folder.join(name);
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "dockerd", "-H"]);
        command.arg(format!("unix://{}", at("docker.sock").display()));
        command.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
        command.arg("-p").arg(at("pid"));
        command.args(["--bridge=none", "--iptables=false", "--ip-forward=false"]);
        command.args(["--ip-masq=false", "--storage-driver=vfs"]);
        let log = std::fs::File::create(at("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = command.spawn().context("unshare")?;
        let mut docker = Docker { folder: folder.to_owned(), daemon };
        let until = server::clock::now() + READY_WITHIN;
        while docker.ask("GET", "_ping", "", b"").is_err() {
            let ended = docker.daemon.try_wait()?.is_some();
            ensure!(!ended && server::clock::now() < until, "dockerd cannot run here");
            sleep(LOOK_EVERY).await;
        }
        let tar = docker.folder.join("image.tar");
        let root = docker.folder.join("root");
        let made =
            Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&tar).arg(".").status()?;
        ensure!(made.success(), "tar: {made}");
        let tar = std::fs::read(tar)?;
        docker.ask("POST", "images/create?fromSrc=-&repo=box&tag=1", "application/x-tar", &tar)?;
        Ok(docker)
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// A container that runs, of that name.
    pub fn container(&self, name: &str) -> Result<()> {
        let spec = json!({
            "Image": IMAGE,
            "Cmd": [BUSYBOX, "sleep", "600"],
            "HostConfig": { "NetworkMode": "none" },
        });
        let create = format!("containers/create?name={name}");
        self.ask("POST", &create, "application/json", spec.to_string().as_bytes())?;
        self.ask("POST", &format!("containers/{name}/start"), "", b"")?;
        Ok(())
    }

    pub fn is_paused(&self, name: &str) -> bool {
        let shown = self.ask("GET", &format!("containers/{name}/json"), "", b"");
        let shown = shown.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        shown.is_some_and(|shown| shown["State"]["Paused"] == true)
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        let length = body.len();
        write!(
            stream,
            "{method} /{path} HTTP/1.0\r\nhost: docker\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")?;
        let status = answer.get(9..12).unwrap_or_default();
        ensure!(status.starts_with(b"2"), "{path}: {}", String::from_utf8_lossy(&answer));
        Ok(answer.split_off(end + 4))
    }
}

impl Drop for Docker {
    /// Containers end with their daemon.
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let until = server::clock::now() + STOPPED_WITHIN;
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if server::clock::now() > until {
                let _ = self.daemon.kill();
            }
            std::thread::yield_now();
        }
    }
}
