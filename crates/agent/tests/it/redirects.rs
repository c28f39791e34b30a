//! What becomes of connections that are led through a proxy, and of those that were open before or
//! are open when the fault ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use agent::config::ProcessMatch;
use agent::{ClientEvent, FaultId, FaultState, FromAgent};
use model::ByteSize;
use model::fault::{self, Fault, Toxics};
use model::human::HumanDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, Server, WITHIN, skip};
use crate::service::ANSWER;

const LONG: Duration = Duration::from_secs(60);
const GREETING: &[u8] = b"hello";

/// A service, an agent, and whether this host can lead connections at all.
async fn stage(mut lab: Lab) -> Option<(Lab, Server)> {
    lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let fault = led(&lab, Toxics { down: true, ..Toxics::default() });
    match aim(&lab, &mut server, fault).await {
        Err(why) if why.contains("CAP_NET_ADMIN") || why.contains("nf_tables") => {
            skip(&why);
            None
        }
        aimed => {
            assert!(aimed.unwrap().contains("those that are open are cut"));
            Some((lab, server))
        }
    }
}

fn led(lab: &Lab, toxics: Toxics) -> Fault {
    let (port, peer) = (lab.address().port(), Some(lab.address().ip()));
    Fault::Tcp(fault::Tcp { port, peer, toxics })
}

async fn aim(lab: &Lab, server: &mut Server, fault: Fault) -> Result<String, String> {
    server.client.aim(lab.fault("dry", fault, LONG)).unwrap();
    let wanted =
        |event: &ClientEvent| matches!(event, ClientEvent::Message(FromAgent::Aimed { .. }));
    match server.expect("what it would do", wanted).await {
        ClientEvent::Message(FromAgent::Aimed { aim, .. }) => aim,
        _ => unreachable!(),
    }
}

fn connect(lab: &Lab) -> TcpStream {
    let stream = TcpStream::connect(lab.address()).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream
}

/// A connection on which something went to and fro.
fn talked(lab: &Lab) -> TcpStream {
    let mut stream = connect(lab);
    stream.write_all(GREETING).unwrap();
    stream.read_exact(&mut [0; GREETING.len()]).unwrap();
    stream
}

/// What the service, or somebody before it, answers to a request for that path.
fn asked(lab: &Lab, path: &str) -> String {
    let mut stream = connect(lab);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

fn some(millis: u64) -> Option<HumanDuration> {
    Some(HumanDuration::from_millis(millis))
}

#[tokio::test]
async fn each_toxic_is_seen_by_a_connection_of_the_agents_own() {
    let Some((lab, mut server)) = stage(Lab::new()).await else { return };
    let slicer = fault::Slicer {
        average_size: ByteSize(16),
        size_variation: ByteSize(4),
        delay: HumanDuration::from_millis(50),
    };
    let none = Toxics::default;
    let cases = [
        ("latency", Toxics { latency: some(200), jitter: some(50), ..none() }, "64 came back"),
        ("bandwidth", Toxics { bandwidth: Some(ByteSize(8_000)), ..none() }, "2000 came back"),
        ("timeout", Toxics { timeout: some(0), ..none() }, " 0 came back"),
        ("reset_peer", Toxics { reset_peer: some(0), ..none() }, "then it was reset"),
        ("limit_data", Toxics { limit_data: Some(ByteSize(100)), ..none() }, "then it was closed"),
        ("slicer", Toxics { slicer: Some(slicer), ..none() }, "64 came back"),
        (
            "upstream",
            Toxics { latency: some(200), stream: fault::Stream::Upstream, ..none() },
            "64",
        ),
        ("share", Toxics { latency: some(200), toxicity: Some(0.3), ..none() }, "64 came back"),
        ("down", Toxics { down: true, ..none() }, "is refused"),
    ];
    for (id, toxics, seen) in cases {
        server.client.inject(lab.fault(id, led(&lab, toxics), LONG)).unwrap();
        let effective = server.fault(id, FaultState::Effective).await;
        assert!(effective.detail.contains(seen), "{id}: {}", effective.detail);
        server.client.undo(FaultId(id.into())).unwrap();
        server.fault(id, FaultState::Undone).await;
        talked(&lab);
    }
}

#[tokio::test]
async fn connections_that_are_open_are_cut_and_go_through_the_proxy_when_made_anew() {
    let Some((lab, mut server)) = stage(Lab::new()).await else { return };
    let mut before = talked(&lab);
    let toxics = Toxics { limit_data: Some(ByteSize(8)), ..Toxics::default() };
    server.client.inject(lab.fault("f", led(&lab, toxics), LONG)).unwrap();
    server.fault("f", FaultState::Effective).await;
    let error = before.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let mut anew = talked(&lab);
    anew.write_all(&[0; 64]).unwrap();
    let mut rest = Vec::new();
    let _ = anew.read_to_end(&mut rest);
    assert_eq!(rest.len(), 8 - GREETING.len());
}

#[tokio::test]
async fn each_fault_of_requests_is_seen_by_a_request_of_the_agents_own() {
    let Some((lab, mut server)) = stage(Lab::new()).await else { return };
    let headers = |set: &[(&str, &str)], remove: &[&str]| {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let remove = remove.iter().map(|name| (*name).to_owned()).collect();
        Some(fault::Headers { set: set.collect(), remove })
    };
    let body = |text: &str| {
        Some(fault::Body { text: text.to_owned(), content_type: Some("text/csv".to_owned()) })
    };
    let (port, peer) = (lab.address().port(), Some(lab.address().ip()));
    let none = || fault::Http { port, peer, ..fault::Http::default() };
    let post = Some("POST".to_owned());
    let cases = [
        ("abort", fault::Http { abort: Some(503), ..none() }, "answered 503"),
        ("delay", fault::Http { delay: some(200), jitter: some(50), ..none() }, "answered 200"),
        ("share", fault::Http { abort: Some(418), share: Some(0.3), ..none() }, "answered 418"),
        ("asked", fault::Http { request_headers: headers(&[("a", "b")], &["c"]), ..none() }, "200"),
        ("answer", fault::Http { response_headers: headers(&[], &["etag"]), ..none() }, "200"),
        ("body", fault::Http { response_body: body("{"), ..none() }, "answered 200"),
        ("sent", fault::Http { request_body: body("1;2"), method: post, ..none() }, "answered 200"),
    ];
    for (id, http, seen) in cases {
        server.client.inject(lab.fault(id, Fault::Http(http), LONG)).unwrap();
        let effective = server.fault(id, FaultState::Effective).await;
        assert!(effective.detail.contains(seen), "{id}: {}", effective.detail);
        server.client.undo(FaultId(id.into())).unwrap();
        server.fault(id, FaultState::Undone).await;
        assert!(asked(&lab, "/").as_bytes().starts_with(ANSWER), "{id}");
    }
}

#[tokio::test]
async fn requests_of_other_routes_reach_the_service() {
    let Some((lab, mut server)) = stage(Lab::new()).await else { return };
    let (port, peer) = (lab.address().port(), None);
    let (route, abort) = (Some("/cart".to_owned()), Some(503));
    let http = fault::Http { port, peer, route, abort, ..fault::Http::default() };
    server.client.inject(lab.fault("f", Fault::Http(http), LONG)).unwrap();
    server.fault("f", FaultState::Effective).await;
    assert!(asked(&lab, "/cart/1").starts_with("HTTP/1.1 503"), "{}", asked(&lab, "/cart/1"));
    assert!(asked(&lab, "/cartoon").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_does_not_speak_http_is_not_led() {
    let Some((lab, mut server)) = stage(Lab::with_role("echo service")).await else { return };
    let (port, peer) = (lab.address().port(), Some(lab.address().ip()));
    let http = fault::Http { port, peer, abort: Some(503), ..fault::Http::default() };
    let refused = aim(&lab, &mut server, Fault::Http(http)).await.unwrap_err();
    assert!(refused.contains("does not answer in HTTP/1.1"), "{refused}");
}

/// The kernel may not take back the rules before the last packets have been led back.
#[tokio::test]
async fn who_waits_for_an_answer_when_the_proxy_is_killed_hears_of_it() {
    let Some((lab, mut server)) = stage(Lab::new()).await else { return };
    for round in 0..3 {
        let id = format!("f-{round}");
        let toxics = Toxics { latency: some(50), ..Toxics::default() };
        server.client.inject(lab.fault(&id, led(&lab, toxics), LONG)).unwrap();
        server.fault(&id, FaultState::Effective).await;
        let mut waiting: Vec<TcpStream> = (0..20).map(|_| talked(&lab)).collect();
        for pid in lab.keepers() {
            kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
        }
        for stream in &mut waiting {
            match stream.read(&mut [0; 8]) {
                Ok(read) => assert_eq!(read, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
        server.client.undo(FaultId(id.clone())).unwrap();
        server.fault(&id, FaultState::Undone).await;
        talked(&lab);
    }
}

#[tokio::test]
async fn connections_over_ipv6_are_led_too() {
    let Ok(probe) = std::net::TcpListener::bind("[::1]:0") else { return skip("no IPv6") };
    let address = probe.local_addr().unwrap();
    drop(probe);
    let mut lab = Lab::new();
    lab.move_to(address);
    let Some((lab, mut server)) = stage(lab).await else { return };
    assert!(matches!(lab.target.process, Some(ProcessMatch::ListensOn(at)) if at.is_ipv6()));
    let toxics = Toxics { latency: some(200), ..Toxics::default() };
    let everybody =
        Fault::Tcp(fault::Tcp { port: address.port(), peer: None, toxics: toxics.clone() });
    for (id, fault) in [("peer", led(&lab, toxics)), ("all", everybody)] {
        server.client.inject(lab.fault(id, fault, LONG)).unwrap();
        let effective = server.fault(id, FaultState::Effective).await;
        assert!(effective.detail.contains("[::1]"), "{}", effective.detail);
        talked(&lab);
        server.client.undo(FaultId(id.into())).unwrap();
        server.fault(id, FaultState::Undone).await;
    }
}

#[tokio::test]
async fn where_nobody_accepts_connections_nothing_is_led() {
    let Some((mut lab, mut server)) = stage(Lab::new()).await else { return };
    let service = lab.service().unwrap();
    lab.kill_service(&service);
    let toxics = Toxics { latency: some(200), ..Toxics::default() };
    let refused = aim(&lab, &mut server, led(&lab, toxics)).await.unwrap_err();
    assert!(refused.contains("accepts no connection before the fault"), "{refused}");
}
