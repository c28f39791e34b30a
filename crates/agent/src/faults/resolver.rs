//! The resolver of the keeper's: answers some names as a fault says, and passes every other message
//! on to the nameserver that it was meant for, and its answer back, byte for byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::fault::{Dns, DnsAnswer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::dns::PORT;
use super::nft::{Owner, Redirect, Redirects, Table};
use super::partition::table_name;
use super::redirect::MARK;
use crate::dns::{MESSAGE_MAX, NO_ERROR, NXDOMAIN, Question, SERVFAIL};
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

/// Queries and connections that are under way at once; more are let fall, as a busy server does.
const AT_ONCE: usize = 1_024;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing is asked is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
const BACKLOG: i32 = 128;
const ERROR_PAUSE: Duration = Duration::from_millis(10);
const WORKERS: usize = 2;

struct Led {
    // In this order: queries go their way before nobody answers them here.
    _table: Table,
    _runtime: tokio::runtime::Runtime,
}

impl Grip for Led {}

/// What stands before one nameserver.
struct Front {
    server: IpAddr,
    udp: Socket,
    tcp: Socket,
}

struct Answers {
    names: Vec<String>,
    answer: DnsAnswer,
    room: Arc<Semaphore>,
}

/// What becomes of a query.
enum Fate {
    Answer(Vec<u8>),
    Silence,
    PassOn,
}

pub fn hold(record: &FaultRecord, dns: &Dns, servers: &[IpAddr]) -> Result<Box<dyn Grip>, String> {
    // Before the sockets: see `Owner`.
    let owner = Owner::open()?;
    let failed = |error: io::Error| format!("its resolver does not start: {error}");
    let fronts = servers
        .iter()
        .map(|server| Front::open(*server))
        .collect::<io::Result<Vec<Front>>>()
        .map_err(failed)?;
    let mut all = Vec::new();
    for front in &fronts {
        all.extend(front.redirects().map_err(failed)?);
    }
    let redirects = Redirects { mark: MARK, all };
    let start = || -> io::Result<tokio::runtime::Runtime> {
        let threads = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(WORKERS).enable_all().build()?;
        let inside = runtime.enter();
        let answers = Arc::new(Answers {
            names: dns.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            answer: dns.answer.clone(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        });
        for front in fronts {
            front.serve(&answers)?;
        }
        drop(inside);
        Ok(runtime)
    };
    // Served first: a query that is led here is answered.
    let runtime = start().map_err(failed)?;
    let table = redirects.hold(owner, &table_name(&record.id.0))?;
    Ok(Box::new(Led { _table: table, _runtime: runtime }))
}

impl Front {
    fn open(server: IpAddr) -> io::Result<Front> {
        let loopback: IpAddr = match server {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let address = SocketAddr::new(loopback, 0);
        let socket = |kind, protocol| -> io::Result<Socket> {
            let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
            socket.bind(&address.into())?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let udp = socket(Type::DGRAM, Protocol::UDP)?;
        let tcp = socket(Type::STREAM, Protocol::TCP)?;
        tcp.listen(BACKLOG)?;
        Ok(Front { server, udp, tcp })
    }

    fn redirects(&self) -> io::Result<[Redirect; 2]> {
        let to = |socket: &Socket| -> io::Result<u16> {
            let address = socket.local_addr()?.as_socket();
            Ok(address.ok_or_else(|| io::Error::other("a socket without an address"))?.port())
        };
        let redirect = |is_udp, to| Redirect { is_udp, address: self.server, port: PORT, to };
        Ok([redirect(true, to(&self.udp)?), redirect(false, to(&self.tcp)?)])
    }

    fn serve(self, answers: &Arc<Answers>) -> io::Result<()> {
        let udp = Arc::new(UdpSocket::from_std(self.udp.into())?);
        let tcp = TcpListener::from_std(self.tcp.into())?;
        tokio::spawn(datagrams(udp, self.server, Arc::clone(answers)));
        tokio::spawn(connections(tcp, self.server, Arc::clone(answers)));
        Ok(())
    }
}

impl Answers {
    async fn fate(&self, query: &[u8]) -> Fate {
        let Some(question) = Question::read(query) else { return Fate::PassOn };
        if !self.names.iter().any(|name| question.is_for(name)) {
            return Fate::PassOn;
        }
        let answer = |code, address| Fate::Answer(question.answer(query, code, address));
        match &self.answer {
            DnsAnswer::Nxdomain => answer(NXDOMAIN, None),
            DnsAnswer::Servfail => answer(SERVFAIL, None),
            DnsAnswer::Address(ip) => answer(NO_ERROR, Some(*ip)),
            DnsAnswer::None => Fate::Silence,
            DnsAnswer::Slow(delay) => {
                sleep(delay.0).await;
                Fate::PassOn
            }
        }
    }
}

async fn datagrams(socket: Arc<UdpSocket>, server: IpAddr, answers: Arc<Answers>) {
    let mut buffer = vec![0; MESSAGE_MAX];
    loop {
        // An error is mostly that of an earlier answer, to somebody who is gone.
        let Ok((read, client)) = socket.recv_from(&mut buffer).await else {
            sleep(ERROR_PAUSE).await;
            continue;
        };
        let Ok(room) = Arc::clone(&answers.room).try_acquire_owned() else { continue };
        let query = buffer.get(..read).unwrap_or_default().to_vec();
        let (socket, answers) = (Arc::clone(&socket), Arc::clone(&answers));
        tokio::spawn(async move {
            let answer = match answers.fate(&query).await {
                Fate::Answer(answer) => answer,
                Fate::Silence => return,
                Fate::PassOn => match timeout(ANSWER_WITHIN, ask_by_udp(server, &query)).await {
                    Ok(Ok(answer)) => answer,
                    _ => return,
                },
            };
            let _ = socket.send_to(&answer, client).await;
            drop(room);
        });
    }
}

async fn ask_by_udp(server: IpAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let local: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket2::SockRef::from(&socket).set_mark(MARK)?;
    socket.connect((server, PORT)).await?;
    socket.send(query).await?;
    let mut answer = vec![0; MESSAGE_MAX];
    let read = socket.recv(&mut answer).await?;
    answer.truncate(read);
    Ok(answer)
}

async fn connections(listener: TcpListener, server: IpAddr, answers: Arc<Answers>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(ERROR_PAUSE).await;
            continue;
        };
        let Ok(room) = Arc::clone(&answers.room).try_acquire_owned() else { continue };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // It ends with an error when either side goes.
            let _ = connection(client, server, &answers).await;
            drop(room);
        });
    }
}

/// One query after the other.
async fn connection(mut client: TcpStream, server: IpAddr, answers: &Answers) -> io::Result<()> {
    loop {
        let query = timeout(IDLE_MAX, read_message(&mut client)).await??;
        let answer = match answers.fate(&query).await {
            Fate::Answer(answer) => answer,
            Fate::Silence => continue,
            Fate::PassOn => timeout(ANSWER_WITHIN, ask_by_tcp(server, &query)).await??,
        };
        write_message(&mut client, &answer).await?;
    }
}

async fn ask_by_tcp(server: IpAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket2::SockRef::from(&socket).set_mark(MARK)?;
    let mut stream = socket.connect(SocketAddr::new(server, PORT)).await?;
    write_message(&mut stream, query).await?;
    read_message(&mut stream).await
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}
