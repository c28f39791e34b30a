//! Every kind of fault: its effect, its undo, and who may die meanwhile. Whether a fault is there
//! is told here by looks of its own, not by what the agent says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use agent::config::{Command, FaultCommand};
use agent::process::usage;
use agent::{ClientEvent, FaultId, FaultState, FromAgent, Injection, Step};
use model::ByteSize;
use model::fault::{self, Fault};
use model::human::HumanDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, Server, now, until};
use crate::service::TIME;

const LONG: Duration = Duration::from_secs(600);

/// What a host without the right, the kernel or the library for a fault says.
const LACKS: &[&str] = &["CAP_NET_ADMIN", "nf_tables", "libfaketime is not installed"];

/// A fault, and how to tell whether it is there.
pub struct Kind {
    pub name: &'static str,
    pub fault: fn(&Lab) -> Fault,
    pub is_there: fn(&Lab) -> bool,
}

/// The service and what is declared for it; `None` when this host cannot do the fault.
async fn stage(kind: &Kind, mut lab: Lab) -> Option<(Lab, Fault)> {
    declare_flag(&mut lab);
    lab.target.disks = vec![shm(&lab)];
    lab.start_service().await;
    lab.start_proxies();
    lab.start_nameserver();
    let fault = (kind.fault)(&lab);
    lab.start_agent();
    let mut server = lab.server().await;
    let aimed = dry_run(&lab, &mut server, &fault).await;
    server.client.stop().unwrap();
    lab.agent_exit().await;
    match aimed {
        Err(why) if LACKS.iter().any(|lack| why.contains(lack)) => {
            // Seen by people, though the output of passed tests is not.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {fault} on this host: {why}");
            None
        }
        aimed => {
            assert!(!aimed.unwrap().is_empty());
            assert!(!(kind.is_there)(&lab), "a dry run does nothing");
            Some((lab, fault))
        }
    }
}

/// A fault whose presence is that of a file.
fn declare_flag(lab: &mut Lab) {
    let flag = lab.dir.path().join("flag").display().to_string();
    let command = |line: &[&str]| Command {
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
    lab.target.faults.insert("flag".to_owned(), declared);
}

async fn dry_run(lab: &Lab, server: &mut Server, fault: &Fault) -> Result<String, String> {
    server.client.aim(lab.fault("dry", fault.clone(), LONG)).unwrap();
    let wanted =
        |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Aimed { .. }));
    match server.expect("what it would do", wanted).await {
        ClientEvent::Message(FromAgent::Aimed { aim, .. }) => aim,
        _ => unreachable!(),
    }
}

/// Injects, and returns when the fault is there.
async fn inject(lab: &Lab, kind: &Kind, server: &mut Server, order: Injection) {
    let id = order.id.0.clone();
    server.client.inject(order).unwrap();
    server.fault(&id, FaultState::Effective).await;
    assert!((kind.is_there)(lab), "it is told as effective, and is not there");
}

async fn gone(lab: &Lab, kind: &Kind, why: &str) {
    until(&format!("gone {why}"), || (!(kind.is_there)(lab)).then_some(())).await;
    until("no keeper is left", || lab.keepers().is_empty().then_some(())).await;
}

pub async fn is_gone_whoever_dies(kind: &Kind, lab: Lab) {
    let Some((mut lab, fault)) = stage(kind, lab).await else { return };

    // Asked for, with everybody alive.
    lab.start_agent();
    let mut server = lab.server().await;
    inject(&lab, kind, &mut server, lab.fault("asked", fault.clone(), LONG)).await;
    server.client.undo(FaultId("asked".into())).unwrap();
    server.fault("asked", FaultState::Undone).await;
    gone(&lab, kind, "when it was asked for").await;
    lab.service_up().await;

    // Its keeper dies: gone at the deadline at the latest.
    let order = lab.fault("keeper", fault.clone(), Duration::from_secs(6));
    inject(&lab, kind, &mut server, order).await;
    for pid in lab.keepers() {
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
    }
    server.fault("keeper", FaultState::Undone).await;
    gone(&lab, kind, "though its keeper died").await;
    lab.service_up().await;
    drop(server);

    // The server dies: gone after the lease.
    let mut server = lab.server_with_lease(HumanDuration::from_secs(2)).await;
    inject(&lab, kind, &mut server, lab.fault("server", fault.clone(), LONG)).await;
    drop(server);
    gone(&lab, kind, "though the server died").await;
    until("it is written down", || lab.ledger().contains("the server was silent").then_some(()))
        .await;
    lab.service_up().await;

    // The injector dies, and the server with it: nobody is left but the keeper, or the kernel.
    let mut server = lab.server().await;
    inject(&lab, kind, &mut server, lab.fault("both", fault.clone(), LONG)).await;
    lab.kill_agent();
    drop(server);
    gone(&lab, kind, "though injector and server died").await;
    lab.service_up().await;

    // The injector dies at the worst moments. A fault at a time: the one before is undone first.
    let mut before = "both".to_owned();
    for step in [Step::FaultRecorded, Step::KeeperStarted, Step::FaultInjected] {
        let id = format!("{step:?}");
        lab.start_agent_dying_at(step);
        let mut server = lab.server().await;
        server.running().await;
        server.client.query_fault(FaultId(before.clone())).unwrap();
        server.fault(&before, FaultState::Undone).await;
        server.client.inject(lab.fault(&id, fault.clone(), LONG)).unwrap();
        assert!(!lab.agent_exit().await.success());
        drop(server);
        gone(&lab, kind, &id).await;
        lab.service_up().await;
        // The next agent has nothing left to do, and says so.
        lab.start_agent();
        let mut server = lab.server().await;
        server.client.query_fault(FaultId(id.clone())).unwrap();
        server.fault(&id, FaultState::Undone).await;
        server.client.stop().unwrap();
        lab.agent_exit().await;
        before = id;
    }
}

const KINDS: &[Kind] = &[
    Kind {
        name: "a killed process",
        fault: |_| Fault::KillProcess,
        is_there: |lab| !lab.answers(),
    },
    Kind {
        name: "a paused process",
        fault: |_| Fault::PauseProcess,
        is_there: |lab| state(lab) == Some(b'T'),
    },
    Kind {
        name: "busy processors",
        fault: |_| Fault::Cpu(fault::Cpu { cores: 1 }),
        is_there: |lab| lab.keepers().into_iter().any(counts),
    },
    Kind {
        name: "taken memory",
        fault: |_| Fault::Memory(fault::Memory { bytes: ByteSize::mib(200) }),
        is_there: |lab| {
            let taken = lab.keepers().into_iter().filter_map(usage::memory_bytes);
            taken.sum::<u64>() > 150 << 20
        },
    },
    Kind {
        name: "a full file system",
        fault: |lab| {
            let free = *SHM_FREE.get_or_init(shm_free);
            let leave_free = ByteSize(free - SHM_TAKEN);
            Fault::DiskFill(fault::DiskFill { path: shm(lab), leave_free })
        },
        is_there: |_| shm_free() < SHM_FREE.get().unwrap() - SHM_TAKEN / 2,
    },
    Kind {
        name: "no more files",
        fault: |_| Fault::FileDescriptors(fault::FileDescriptors { spare: 0 }),
        is_there: |lab| {
            let limit = lab.service().and_then(|service| usage::open_files_limit(service.pid));
            limit.is_some_and(|(soft, _)| soft.is_some_and(|soft| soft < 30))
        },
    },
    Kind {
        name: "a partition",
        fault: |lab| {
            let (port, peer) = (Some(lab.address().port()), Some(lab.address().ip()));
            Fault::Partition(fault::Partition { port, peer })
        },
        is_there: |lab| !connects(lab),
    },
    Kind {
        name: "lost packets",
        fault: |lab| {
            let (port, peer) = (Some(lab.address().port()), Some(lab.address().ip()));
            Fault::PacketLoss(fault::PacketLoss { port, peer, share: 0.8 })
        },
        is_there: |lab| (0..8).any(|_| !connects(lab)),
    },
    Kind {
        name: "late TCP connections",
        fault: |lab| {
            let (port, peer) = (lab.address().port(), Some(lab.address().ip()));
            Fault::Tcp(fault::Tcp { port, peer, toxics: late() })
        },
        is_there: |lab| is_late(lab.address()),
    },
    Kind {
        name: "requests that are answered by another",
        fault: |lab| {
            let (port, peer) = (lab.address().port(), Some(lab.address().ip()));
            Fault::Http(fault::Http { port, peer, abort: Some(503), ..fault::Http::default() })
        },
        is_there: |lab| is_refused_a_page(lab).unwrap_or(false),
    },
    Kind {
        name: "a name that is not known any more",
        fault: |lab| {
            Fault::Dns(fault::Dns {
                names: vec!["*.internal".to_owned()],
                answer: fault::DnsAnswer::Nxdomain,
                server: Some(lab.nameserver().ip()),
            })
        },
        is_there: |lab| resolves(lab.nameserver(), "orders.internal") == Some(agent::dns::NXDOMAIN),
    },
    Kind {
        name: "a clock that is ahead",
        fault: |_| {
            Fault::Clock(fault::Clock { offset: HumanDuration::from_secs(86_400), behind: false })
        },
        is_there: |lab| skew(lab).is_some_and(|skew| skew > Duration::from_secs(80_000)),
    },
    Kind {
        name: "a toxic on a proxy",
        fault: |lab| {
            let (api, proxy) = (lab.proxies().api, "orders".to_owned());
            Fault::Toxiproxy(fault::Toxiproxy { api, proxy, toxics: late() })
        },
        is_there: |lab| is_late(lab.proxies().orders),
    },
    Kind {
        name: "a declared fault",
        fault: |_| Fault::Command(fault::CommandFault { name: "flag".into() }),
        is_there: |lab| lab.dir.path().join("flag").exists(),
    },
];

/// Bytes that a test may take in memory.
const SHM_TAKEN: u64 = 256 << 20;
static SHM_FREE: OnceLock<u64> = OnceLock::new();

fn state(lab: &Lab) -> Option<u8> {
    let pid = lab.service()?.pid;
    agent::process::identity::stat(pid).map(|stat| stat.state)
}

/// Does a thread of it do nothing but count?
fn counts(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut names = threads
        .map(|thread| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default());
    names.any(|name| name.starts_with("busy-"))
}

/// A folder of a file system in memory, which is full sooner than a disk.
fn shm(_: &Lab) -> PathBuf {
    PathBuf::from("/dev/shm")
}

fn shm_free() -> u64 {
    let stat = rustix::fs::statvfs("/dev/shm").unwrap();
    stat.f_bavail * stat.f_frsize
}

fn late() -> fault::Toxics {
    fault::Toxics { latency: Some(HumanDuration::from_millis(1_500)), ..fault::Toxics::default() }
}

/// The service sends back at once what comes.
fn is_late(at: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(500)) else {
        return false;
    };
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    if stream.write_all(b"hello").is_err() {
        return false;
    }
    stream.read(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn is_refused_a_page(lab: &Lab) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&lab.address(), Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: orders\r\n\r\n")?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    Ok(&begin == b"HTTP/1.1 503")
}

/// The code of the answer, if there is one.
pub fn resolves(server: SocketAddr, name: &str) -> Option<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.send(&agent::dns::query(7, name).unwrap()).ok()?;
    let mut answer = [0; 512];
    let read = socket.recv(&mut answer).ok()?;
    agent::dns::read_answer(7, &answer[..read], None).map(|(code, _)| code)
}

/// How far the clock of the service is ahead, as it says itself.
fn skew(lab: &Lab) -> Option<Duration> {
    let mut stream = TcpStream::connect_timeout(&lab.address(), Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(TIME).ok()?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).ok()?;
    Some(Duration::from_nanos(u64::from_le_bytes(answer).saturating_sub(now().0)))
}

fn connects(lab: &Lab) -> bool {
    TcpStream::connect_timeout(&lab.address(), Duration::from_millis(500)).is_ok()
}

/// All at once: what takes time is waiting.
#[test]
fn every_kind_of_fault_is_gone_whoever_dies() {
    // That of containers is in `containers`.
    assert_eq!(KINDS.len() + 1, agent::faults::ALL.len(), "a fault without its proof");
    std::thread::scope(|scope| {
        let run = |kind: &'static Kind| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(is_gone_whoever_dies(kind, Lab::new()));
        };
        let threads: Vec<_> =
            KINDS.iter().map(|kind| (kind.name, scope.spawn(move || run(kind)))).collect();
        let failed: Vec<&str> = threads
            .into_iter()
            .filter_map(|(name, thread)| thread.join().is_err().then_some(name))
            .collect();
        assert_eq!(failed, Vec::<&str>::new());
    });
}

#[tokio::test]
async fn what_the_host_cannot_do_or_may_not_be_done_is_refused_with_the_reason() {
    let mut lab = Lab::new();
    let service = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let fill = |path: &str, leave_free| {
        Fault::DiskFill(fault::DiskFill { path: path.into(), leave_free: ByteSize(leave_free) })
    };
    let cases = [
        (Fault::Cpu(fault::Cpu { cores: 4_000 }), "4000 asked for"),
        (Fault::Memory(fault::Memory { bytes: ByteSize(1 << 50) }), "without harm"),
        (fill("/", 1 << 30), "name it in `disks`"),
        (fill(lab.dir.path().to_str().unwrap(), 1 << 30), "name it in `disks`"),
        (fill("/nowhere/at/all", 1 << 30), "No such file"),
        (fill("/dev/shm", 1 << 60), "free already"),
        (fill("/proc", 1 << 20), ""),
        (Fault::Partition(fault::Partition { port: None, peer: None }), "would be cut"),
        (Fault::Command(fault::CommandFault { name: "none".into() }), "declares no fault"),
    ];
    for (fault, why) in cases {
        let refused = dry_run(&lab, &mut server, &fault).await.unwrap_err();
        assert!(refused.contains(why), "{fault}: {refused}");
        let id = format!("{fault}");
        server.client.inject(lab.fault(&id, fault, LONG)).unwrap();
        let report = server.fault(&id, FaultState::Refused).await;
        assert!(report.detail.contains(why), "{}", report.detail);
    }
    assert_eq!(lab.service(), Some(service));
    assert_eq!(lab.keepers(), Vec::<u32>::new());
}

#[tokio::test]
async fn a_declared_fault_is_undone_as_it_was_declared_when_everything_is_asked_to_be_undone() {
    let mut lab = Lab::new();
    lab.start_service().await;
    declare_flag(&mut lab);
    lab.start_agent();
    let mut server = lab.server().await;
    let flag = Fault::Command(fault::CommandFault { name: "flag".into() });
    server.client.inject(lab.fault("f", flag.clone(), LONG)).unwrap();
    server.fault("f", FaultState::Effective).await;
    let refused = dry_run(&lab, &mut server, &flag).await.unwrap_err();
    assert!(refused.contains("fault f is active on it"), "{refused}");
    // The configuration does not know it any more.
    lab.target.faults.clear();
    server.client.set_targets(vec![lab.target.clone()]);
    let welcome =
        |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Welcome(_)));
    server.expect("the new targets", welcome).await;
    server.client.undo_all().unwrap();
    let undone = server.fault("f", FaultState::Undone).await;
    assert!(undone.detail.contains("everything was asked to be undone"), "{}", undone.detail);
    assert!(!lab.dir.path().join("flag").exists());
}

/// The kernel keeps what a process has open; only more is refused.
#[tokio::test]
async fn a_process_without_files_left_keeps_its_connections_and_takes_no_more() {
    let mut lab = Lab::new();
    let service = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let fault = Fault::FileDescriptors(fault::FileDescriptors { spare: 1 });
    let before = usage::open_files_limit(service.pid).unwrap().0;
    server.client.inject(lab.fault("f", fault, LONG)).unwrap();
    let effective = server.fault("f", FaultState::Effective).await;
    let open = usage::open_files(service.pid).unwrap();
    let limit = usage::open_files_limit(service.pid).unwrap().0.unwrap();
    let free = limit - open.iter().filter(|number| **number < limit).count() as u64;
    assert_eq!(free, 1, "{}: {open:?} below {limit}", effective.detail);
    server.client.undo(FaultId("f".into())).unwrap();
    server.fault("f", FaultState::Undone).await;
    assert_eq!(usage::open_files_limit(service.pid).unwrap().0, before);
}
