//! A nameserver of the test's own, and what becomes of what it is asked.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use agent::dns::{NO_ERROR, Question, query, read_answer};
use agent::{ClientEvent, FaultId, FaultState, FromAgent};
use model::fault::{self, DnsAnswer, Fault};
use model::human::HumanDuration;

use crate::kinds::resolves;
use crate::lab::{Lab, WITHIN, skip};

const LONG: Duration = Duration::from_secs(60);
/// What it answers to every question.
const ADDRESS: [u8; 4] = [10, 1, 2, 3];

/// Answers every question for an address with the same one, by UDP and TCP, for as long as the test
/// runs.
pub struct Nameserver {
    pub address: SocketAddr,
}

impl Nameserver {
    pub fn start(ip: IpAddr) -> Nameserver {
        let address = SocketAddr::new(ip, 53);
        // Without the right to that port nothing of this can be done, which the agent says.
        if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                loop {
                    let (read, from) = udp.recv_from(&mut buffer).unwrap();
                    if let Some(answer) = answer(&buffer[..read]) {
                        let _ = udp.send_to(&answer, from);
                    }
                }
            });
            std::thread::spawn(move || {
                for stream in tcp.incoming() {
                    let _ = one(stream.unwrap());
                }
            });
        }
        Nameserver { address }
    }
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    Some(Question::read(query)?.answer(query, NO_ERROR, Some(IpAddr::from(ADDRESS))))
}

fn one(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(WITHIN))?;
    let query = message(&mut stream)?;
    let answer = answer(&query).unwrap_or_default();
    stream.write_all(&[&(answer.len() as u16).to_be_bytes(), &answer[..]].concat())
}

fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn by_tcp(server: SocketAddr, name: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    let query = query(9, name).unwrap();
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat()).unwrap();
    message(&mut stream).unwrap()
}

fn fault(lab: &Lab, answer: DnsAnswer) -> Fault {
    let names = vec!["Orders.internal".to_owned(), "*.example".to_owned()];
    Fault::Dns(fault::Dns { names, answer, server: Some(lab.nameserver().ip()) })
}

#[tokio::test]
async fn named_names_are_answered_as_the_fault_says_and_all_others_as_ever() {
    let mut lab = Lab::new();
    lab.start_service().await;
    lab.start_nameserver();
    lab.start_agent();
    let mut server = lab.server().await;
    server.client.aim(lab.fault("dry", fault(&lab, DnsAnswer::None), LONG)).unwrap();
    let wanted =
        |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Aimed { .. }));
    let aimed = server.expect("what it would do", wanted).await;
    if let ClientEvent::Message(FromAgent::Aimed { aim: Err(why), .. }) = aimed {
        assert!(why.contains("CAP_NET_ADMIN") || why.contains("nf_tables"), "{why}");
        return skip(&why);
    }
    let wrong: IpAddr = "192.0.2.9".parse().unwrap();
    let late = HumanDuration::from_millis(300);
    let cases = [
        ("nxdomain", DnsAnswer::Nxdomain, "code 3"),
        ("servfail", DnsAnswer::Servfail, "code 2"),
        ("address", DnsAnswer::Address(wrong), "code 0"),
        ("slow", DnsAnswer::Slow(late), "code 0"),
        ("none", DnsAnswer::None, "is not answered"),
    ];
    let right = Some(IpAddr::from(ADDRESS));
    for (id, answer, seen) in cases {
        server.client.inject(lab.fault(id, fault(&lab, answer.clone()), LONG)).unwrap();
        let effective = server.fault(id, FaultState::Effective).await;
        assert!(effective.detail.contains(seen), "{id}: {}", effective.detail);
        assert_eq!(resolves(lab.nameserver(), "other.internal"), Some(NO_ERROR), "{id}");
        assert_eq!(resolves(lab.nameserver(), "example"), Some(NO_ERROR), "{id}");
        let others = by_tcp(lab.nameserver(), "other.internal");
        assert_eq!(read_answer(9, &others, right), Some((NO_ERROR, true)), "{id}");
        if let DnsAnswer::Address(_) = answer {
            let named = by_tcp(lab.nameserver(), "payment.example");
            assert_eq!(read_answer(9, &named, Some(wrong)), Some((NO_ERROR, true)));
        }
        server.client.undo(FaultId(id.into())).unwrap();
        server.fault(id, FaultState::Undone).await;
        let named = by_tcp(lab.nameserver(), "orders.internal");
        assert_eq!(read_answer(9, &named, right), Some((NO_ERROR, true)), "{id}");
    }
}

#[tokio::test]
async fn where_no_nameserver_answers_no_name_is_taken() {
    let mut lab = Lab::new();
    lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let nobody = Some(lab.address().ip());
    let names = vec!["a".to_owned()];
    let dns = Fault::Dns(fault::Dns { names, answer: DnsAnswer::None, server: nobody });
    server.client.inject(lab.fault("f", dns, LONG)).unwrap();
    let refused = server.fault("f", FaultState::Refused).await.detail;
    let lacks = ["CAP_NET_ADMIN", "nf_tables"].iter().any(|lack| refused.contains(lack));
    assert!(lacks || refused.contains("answers a query before the fault"), "{refused}");
}
