//! Ejection and return at real load balancers: users' requests show who is in rotation.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::config::{Command as Declared, EjectTo, Haproxy, LoadBalancer, Nginx};
use model::ActionKind;
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};

use crate::lab::{Lab, Server, installed, until};

const SECONDS: HumanDuration = HumanDuration(Duration::from_secs(10));

/// A server that answers every request with its own address.
fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = address.to_string();
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    address
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A balancer that dies with the test.
struct Balancer {
    child: Child,
    front: SocketAddr,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Balancer {
    async fn start(program: &Path, arguments: &[&str], front: SocketAddr) -> Balancer {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let balancer = Balancer { child: command.spawn().unwrap(), front };
        until("the balancer answers", || balancer.ask()).await;
        balancer
    }

    /// Who answers one request.
    fn ask(&self) -> Option<SocketAddr> {
        let mut stream = TcpStream::connect(self.front).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.rsplit("\r\n").next()?.parse().ok()
    }

    /// Who answers twenty.
    fn in_rotation(&self) -> BTreeSet<SocketAddr> {
        (0..20).filter_map(|_| self.ask()).collect()
    }
}

fn declare(lab: &mut Lab, balancer: LoadBalancer) {
    lab.target.process = None;
    lab.target.restart = None;
    lab.target.load_balancer = Some(balancer);
}

/// The server anew, with the targets as they are now; two at a time would fight for the agent.
async fn again(lab: &Lab, before: Server) -> Server {
    drop(before);
    lab.server().await
}

async fn order(
    lab: &Lab,
    server: &mut Server,
    id: &str,
    kind: ActionKind,
) -> (OutcomeResult, String) {
    server.perform(lab.action(id, kind, Expectation::NoProcess)).await
}

async fn haproxy(lab: &Lab, program: &Path, backends: &[SocketAddr; 2]) -> (Balancer, PathBuf) {
    let (front, socket) = (free_address(), lab.dir.path().join("admin.sock"));
    let config = format!(
        "global\n stats socket {} mode 600 level admin\n\
         defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
         frontend front\n bind {front}\n default_backend pay\n\
         backend pay\n balance roundrobin\n server pay-1 {}\n server pay-2 {}\n",
        socket.display(),
        backends[0],
        backends[1]
    );
    let path = lab.dir.path().join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    (Balancer::start(program, &["-db", "-f", path.to_str().unwrap()], front).await, socket)
}

#[tokio::test]
async fn haproxy_loses_a_server_and_gets_it_back_but_never_loses_the_last() {
    let Some(program) = installed("haproxy") else { return };
    let mut lab = Lab::new();
    let backends = [backend(), backend()];
    let (balancer, socket) = haproxy(&lab, &program, &backends).await;
    let place = Haproxy {
        socket: Some(socket),
        address: None,
        backend: "pay".into(),
        eject_to: EjectTo::Drain,
    };
    let declared = LoadBalancer {
        server: "pay-1".into(),
        keep_min: 1,
        haproxy: Some(place.clone()),
        nginx: None,
        timeout: SECONDS,
    };
    declare(&mut lab, declared.clone());
    lab.start_agent();
    let mut server = lab.server().await;
    assert_eq!(balancer.in_rotation(), backends.into());
    let (result, detail) = order(&lab, &mut server, "1", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert_eq!(detail, "set pay/pay-1 to drain: pay-1 is out of rotation, 1 others are in it");
    assert_eq!(balancer.in_rotation(), [backends[1]].into());

    // The other one is the last.
    let other = LoadBalancer {
        server: "pay-2".into(),
        haproxy: Some(Haproxy { eject_to: EjectTo::Maint, ..place.clone() }),
        ..declared.clone()
    };
    lab.target.load_balancer = Some(other);
    server = again(&lab, server).await;
    let (result, detail) = order(&lab, &mut server, "2", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert_eq!(detail, "without pay-2 0 would be in rotation, 1 must be");
    assert_eq!(balancer.in_rotation(), [backends[1]].into());

    lab.target.load_balancer = Some(declared.clone());
    server = again(&lab, server).await;
    let (result, detail) = order(&lab, &mut server, "3", ActionKind::Return).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert_eq!(balancer.in_rotation(), backends.into());

    let unknown = LoadBalancer { server: "pay-3".into(), ..declared };
    lab.target.load_balancer = Some(unknown);
    server = again(&lab, server).await;
    let (result, detail) = order(&lab, &mut server, "4", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("knows no server pay-3 in backend pay"), "{detail}");
    drop(balancer);
    let (result, detail) = order(&lab, &mut server, "5", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("HAProxy's runtime API: "), "{detail}");
}

struct NginxFiles {
    upstream: PathBuf,
    config: PathBuf,
    pid: PathBuf,
    front: SocketAddr,
}

fn nginx_files(lab: &Lab, backends: &[SocketAddr; 2]) -> NginxFiles {
    let dir = lab.dir.path();
    let files = NginxFiles {
        upstream: dir.join("upstream.conf"),
        config: dir.join("nginx.conf"),
        pid: dir.join("nginx.pid"),
        front: free_address(),
    };
    let servers = format!("# payment\nserver {};\nserver {};\n", backends[0], backends[1]);
    std::fs::write(&files.upstream, servers).unwrap();
    let config = format!(
        "daemon off;\nworker_processes 2;\npid {};\nerror_log {}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n access_log off;\n upstream pay {{ include {}; }}\n\
         server {{ listen {}; location / {{ proxy_pass http://pay; }} }}\n}}\n",
        files.pid.display(),
        dir.display(),
        files.upstream.display(),
        files.front
    );
    std::fs::write(&files.config, config).unwrap();
    files
}

#[tokio::test]
async fn nginx_loses_a_server_and_gets_it_back_and_a_configuration_it_refuses_is_put_back() {
    let Some(program) = installed("nginx") else { return };
    let mut lab = Lab::new();
    let backends = [backend(), backend()];
    let files = nginx_files(&lab, &backends);
    let config = files.config.to_str().unwrap();
    let balancer = Balancer::start(&program, &["-c", config], files.front).await;
    let test = [program.to_str().unwrap(), "-t", "-q", "-c", config].map(str::to_owned).into();
    let declared = LoadBalancer {
        server: backends[0].to_string(),
        keep_min: 1,
        haproxy: None,
        nginx: Some(Nginx {
            upstream_file: files.upstream.clone(),
            test: Declared {
                command: test,
                timeout: SECONDS,
                directory: None,
                environment: Default::default(),
                undo: None,
            },
            pid_file: files.pid.clone(),
        }),
        timeout: SECONDS,
    };
    declare(&mut lab, declared.clone());
    lab.start_agent();
    let mut server = lab.server().await;
    assert_eq!(balancer.in_rotation(), backends.into());
    let before = std::fs::read_to_string(&files.upstream).unwrap();
    let (result, detail) = order(&lab, &mut server, "1", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert_eq!(balancer.in_rotation(), [backends[1]].into());
    let (result, detail) = order(&lab, &mut server, "2", ActionKind::Return).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert_eq!(balancer.in_rotation(), backends.into());
    assert_eq!(std::fs::read_to_string(&files.upstream).unwrap(), before);

    // Somebody else broke the configuration: nothing is reloaded, and the file is as it was.
    let good = std::fs::read_to_string(&files.config).unwrap();
    std::fs::write(&files.config, format!("{good}nonsense\n")).unwrap();
    let (result, detail) = order(&lab, &mut server, "3", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Failed);
    assert!(
        detail.contains("nginx does not accept it") && detail.contains("as before"),
        "{detail}"
    );
    assert_eq!(std::fs::read_to_string(&files.upstream).unwrap(), before);
    assert_eq!(balancer.in_rotation(), backends.into());

    // Nor is a file touched that holds more than servers, or the last server ejected.
    std::fs::write(&files.config, good).unwrap();
    std::fs::write(&files.upstream, format!("{before}include /etc/more;\n")).unwrap();
    let (result, detail) = order(&lab, &mut server, "4", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("is not touched"), "{detail}");
    std::fs::write(&files.upstream, format!("server {};\n", backends[0])).unwrap();
    let (result, detail) = order(&lab, &mut server, "5", ActionKind::Eject).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.starts_with("without"), "{detail}");
}
