//! The kinds of fault that are tried, and how each is told to be there without asking the agent.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use agent::process::usage;
use model::ByteSize;
use model::fault::{self, Fault};
use model::human::HumanDuration;

use super::parts::Stage;

const TAKEN: u64 = 128 << 20;
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);
/// An answer that takes longer than this is delayed.
const LATE: Duration = Duration::from_secs(1);

pub struct Kind {
    pub name: &'static str,
    pub fault: fn(&Stage) -> Fault,
    pub is_there: fn(&Stage) -> bool,
    pub needs_docker: bool,
}

pub const ALL: &[Kind] = &[
    Kind {
        name: "kill_process",
        fault: |_| Fault::KillProcess,
        is_there: |stage| !answers(stage),
        needs_docker: false,
    },
    Kind {
        name: "pause_process",
        fault: |_| Fault::PauseProcess,
        is_there: |stage| state(stage.service.id()) == Some('T'),
        needs_docker: false,
    },
    Kind {
        name: "cpu",
        fault: |_| Fault::Cpu(fault::Cpu { cores: 1 }),
        is_there: |stage| stage.keepers().into_iter().any(counts),
        needs_docker: false,
    },
    Kind {
        name: "memory",
        fault: |_| Fault::Memory(fault::Memory { bytes: ByteSize(TAKEN) }),
        is_there: |stage| {
            stage.keepers().into_iter().filter_map(usage::memory_bytes).sum::<u64>() > TAKEN * 3 / 4
        },
        needs_docker: false,
    },
    Kind {
        name: "disk_fill",
        fault: |stage| {
            let (path, free) = (Stage::disk(), stage.disk_free);
            let leave_free = ByteSize(free.saturating_sub(TAKEN));
            Fault::DiskFill(fault::DiskFill { path, leave_free })
        },
        is_there: |stage| Stage::free_bytes() < stage.disk_free.saturating_sub(TAKEN / 2),
        needs_docker: false,
    },
    Kind {
        name: "file_descriptors",
        fault: |_| Fault::FileDescriptors(fault::FileDescriptors { spare: 0 }),
        is_there: |stage| {
            let limit = usage::open_files_limit(stage.service.id());
            limit.is_some_and(|(soft, _)| soft.is_some_and(|soft| soft < 64))
        },
        needs_docker: false,
    },
    Kind {
        name: "partition",
        fault: |stage| {
            let (port, peer) = (Some(stage.address.port()), Some(stage.address.ip()));
            Fault::Partition(fault::Partition { port, peer })
        },
        is_there: |stage| !answers(stage),
        needs_docker: false,
    },
    Kind {
        name: "packet_loss",
        fault: |stage| {
            let (port, peer) = (Some(stage.address.port()), Some(stage.address.ip()));
            Fault::PacketLoss(fault::PacketLoss { port, peer, share: 0.8 })
        },
        is_there: |stage| (0..4).any(|_| !answers(stage)),
        needs_docker: false,
    },
    Kind {
        name: "tcp",
        fault: |stage| {
            let (port, peer) = (stage.address.port(), Some(stage.address.ip()));
            Fault::Tcp(fault::Tcp { port, peer, toxics: late() })
        },
        is_there: |stage| is_late(stage.address),
        needs_docker: false,
    },
    Kind {
        name: "http",
        fault: |stage| {
            let (port, peer) = (stage.address.port(), Some(stage.address.ip()));
            Fault::Http(fault::Http { port, peer, abort: Some(503), ..fault::Http::default() })
        },
        is_there: |stage| answer(stage.address).is_ok_and(|begin| &begin == b"HTTP/1.1 503"),
        needs_docker: false,
    },
    Kind {
        name: "dns",
        fault: |stage| {
            let (names, server) = (vec!["*.internal".to_owned()], Some(stage.address.ip()));
            Fault::Dns(fault::Dns { names, answer: fault::DnsAnswer::Nxdomain, server })
        },
        is_there: |stage| is_unknown(stage.address.ip()).unwrap_or(false),
        needs_docker: false,
    },
    Kind {
        name: "toxiproxy",
        fault: |stage| {
            let (api, proxy) = (stage.proxies.api, "service".to_owned());
            Fault::Toxiproxy(fault::Toxiproxy { api, proxy, toxics: late() })
        },
        is_there: |stage| is_late(stage.proxies.listen),
        needs_docker: false,
    },
    Kind {
        name: "clock",
        fault: |_| {
            Fault::Clock(fault::Clock { offset: HumanDuration::from_secs(86_400), behind: false })
        },
        is_there: |stage| is_ahead(stage.address).unwrap_or(false),
        needs_docker: false,
    },
    Kind {
        name: "container",
        fault: |_| Fault::Container(fault::ContainerFault::Pause),
        is_there: Stage::has_paused_container,
        needs_docker: true,
    },
    Kind {
        name: "command",
        fault: |_| Fault::Command(fault::CommandFault { name: "flag".to_owned() }),
        is_there: |stage| stage.flag().exists(),
        needs_docker: false,
    },
];

pub fn names() -> String {
    ALL.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// What a host without the right, the kernel or the library for it says.
pub fn is_lack_of_the_host(why: &str) -> bool {
    let lacks = ["CAP_NET_ADMIN", "nf_tables", "netfilter", "libfaketime is not installed"];
    lacks.iter().any(|lack| why.contains(lack))
}

fn answers(stage: &Stage) -> bool {
    TcpStream::connect_timeout(&stage.address, ANSWERED_WITHIN).is_ok()
}

fn late() -> fault::Toxics {
    fault::Toxics { latency: Some(HumanDuration::from_secs(2)), ..fault::Toxics::default() }
}

/// The service answers at once, by itself.
fn is_late(at: SocketAddr) -> bool {
    answer(at).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// How what is there begins its answer to a request.
fn answer(at: SocketAddr) -> std::io::Result<[u8; 12]> {
    let mut begin = [0; 12];
    asked(at)?.read_exact(&mut begin)?;
    Ok(begin)
}

/// Does the service answer with a time to come?
fn is_ahead(at: SocketAddr) -> std::io::Result<bool> {
    let mut answer = [0; 256];
    let read = asked(at)?.read(&mut answer)?;
    let answer = String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned();
    let time = answer.lines().find_map(|line| line.strip_prefix("x-seconds: ")?.parse().ok());
    let soon = server::clock::now() + Duration::from_secs(3_600);
    Ok(time.is_some_and(|time: u64| time > soon.0 / 1_000_000_000))
}

fn asked(at: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&at, ANSWERED_WITHIN)?;
    stream.set_read_timeout(Some(LATE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: service\r\n\r\n")?;
    Ok(stream)
}

/// Our nameserver knows every name, by itself.
fn is_unknown(server: IpAddr) -> std::io::Result<bool> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect((server, 53))?;
    socket.set_read_timeout(Some(LATE))?;
    socket.send(&agent::dns::query(7, "orders.internal").unwrap_or_default())?;
    let mut answer = [0; 512];
    let read = socket.recv(&mut answer)?;
    let answer = answer.get(..read).unwrap_or_default();
    Ok(agent::dns::read_answer(7, answer, None)
        .is_some_and(|(code, _)| code == agent::dns::NXDOMAIN))
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Does a thread of it do nothing but count?
fn counts(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut names = threads.map(|t| fs::read_to_string(t.path().join("comm")).unwrap_or_default());
    names.any(|name| name.starts_with("busy-"))
}
