//! The socket: who may speak, nonsense, several servers, and the agent's own end.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use agent::config::{ProcessMatch, Target};
use agent::protocol::{FRAME_MAX, FromAgent, Hello, ToAgent, decode, encode};
use agent::{ClientEvent, FaultState};
use model::Timestamp;
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::{ProcessIdentity, ProcessState};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::lab::{Lab, WITHIN, until, wait_exit};

struct Raw {
    read: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Raw {
    async fn connect(lab: &Lab) -> Raw {
        let socket = lab.socket();
        until("the socket", || std::os::unix::net::UnixStream::connect(&socket).ok()).await;
        let (read, write) = UnixStream::connect(socket).await.unwrap().into_split();
        Raw { read: BufReader::new(read).lines(), write }
    }

    async fn send(&mut self, message: &ToAgent) {
        self.write.write_all(&encode(message).unwrap()).await.unwrap();
    }

    /// The next message that is no report; `None` when the agent closed the connection.
    async fn next(&mut self) -> Option<FromAgent> {
        loop {
            // A connection that is closed with unread bytes is reset.
            let line = timeout(WITHIN, self.read.next_line()).await.unwrap().ok()??;
            let message = decode(line.as_bytes()).unwrap();
            if !matches!(message, FromAgent::Report { .. }) {
                return Some(message);
            }
        }
    }
}

fn hello(lab: &Lab) -> ToAgent {
    let lease = HumanDuration::from_secs(30);
    ToAgent::Hello(Hello { targets: vec![lab.target.clone()], lease })
}

#[tokio::test]
async fn nonsense_gets_a_reason_and_harms_nobody() {
    let mut lab = Lab::new();
    lab.start_agent();
    let mut raw = Raw::connect(&lab).await;
    raw.send(&ToAgent::Heartbeat).await;
    assert!(matches!(raw.next().await, Some(FromAgent::Refused { .. })));
    let deep = format!("{{\"version\":1,\"message\":{}\n", "[".repeat(500_000));
    let unknown_field = "{\"version\":1,\"message\":{\"hello\":{\"targets\":[{\"cmd\":1}]}}}\n";
    let frames =
        ["\n", "{\"version\":1,\"message\":{\"undo\":[]}}\n", "\0\0\0\n", &deep, unknown_field];
    for frame in frames {
        raw.write.write_all(frame.as_bytes()).await.unwrap();
        let answer = raw.next().await;
        assert!(matches!(answer, Some(FromAgent::Refused { .. })), "{answer:?}");
    }
    // The same connection still works.
    raw.send(&hello(&lab)).await;
    assert!(matches!(raw.next().await, Some(FromAgent::Welcome(_))));

    let mut huge = Raw::connect(&lab).await;
    let written = huge.write.write_all(&vec![b'x'; FRAME_MAX * 3]).await;
    match huge.next().await {
        Some(FromAgent::Refused { reason }) => assert!(reason.contains("larger"), "{reason}"),
        other => assert!(other.is_none() && written.is_err()),
    }
    let mut other = Raw::connect(&lab).await;
    other.write.write_all(b"{\"version\":2,\"message\":{\"dance\":1}}\n").await.unwrap();
    let Some(FromAgent::Refused { reason }) = other.next().await else { panic!() };
    assert!(reason.contains("version 2"), "{reason}");
    assert_eq!(other.next().await, None);
    let mut bad = Raw::connect(&lab).await;
    let _ = bad.write.write_all("{}\n".repeat(1_000).as_bytes()).await;
    while bad.next().await.is_some() {}
    let mut nobody = Raw::connect(&lab).await;
    nobody.write.write_all(b"{\"version\":1,\"mess").await.unwrap();
    drop(nobody);
    raw.send(&ToAgent::Thaw { who: "ann".into() }).await;
    assert_eq!(raw.next().await, Some(FromAgent::Frozen(None)));
}

#[tokio::test]
async fn a_hello_that_cannot_be_used_changes_nothing() {
    let mut lab = Lab::new();
    lab.start_agent();
    let mut raw = Raw::connect(&lab).await;
    let mut bad = lab.target.clone();
    bad.restart.as_mut().unwrap().start.command[0] = "sh".into();
    let lease = HumanDuration::from_secs(30);
    raw.send(&ToAgent::Hello(Hello { targets: vec![bad], lease })).await;
    let Some(FromAgent::Refused { reason }) = raw.next().await else { panic!() };
    assert!(reason.starts_with("targets[0].restart.start.command[0]: `sh`"), "{reason}");
    let lease = HumanDuration::from_millis(5);
    raw.send(&ToAgent::Hello(Hello { targets: vec![], lease })).await;
    assert!(matches!(raw.next().await, Some(FromAgent::Refused { .. })));
    assert!(!lab.dir.path().join("targets.json").exists());
}

#[tokio::test]
async fn a_new_server_takes_the_place_of_the_old_one() {
    let mut lab = Lab::new();
    let service = lab.start_service().await;
    lab.start_agent();
    let mut old = Raw::connect(&lab).await;
    old.send(&hello(&lab)).await;
    assert!(matches!(old.next().await, Some(FromAgent::Welcome(_))));
    let mut server = lab.server().await;
    assert!(matches!(old.next().await, Some(FromAgent::Refused { .. })));
    // What the old one still says is not heard.
    let order = lab.restart("1-1", Expectation::Running(service.clone()));
    let _ = old.write.write_all(&encode(&ToAgent::Perform(order.clone())).unwrap()).await;
    server.client.query(order.id.clone()).unwrap();
    let unknown = ClientEvent::Message(FromAgent::Unknown(order.id));
    server.expect("unknown", |event| *event == unknown).await;
    assert_eq!(lab.service(), Some(service));
}

#[tokio::test]
async fn outcomes_wait_for_a_server_that_is_away() {
    let mut lab = Lab::new();
    let service = lab.start_service().await;
    lab.start_agent();
    let mut raw = Raw::connect(&lab).await;
    raw.send(&hello(&lab)).await;
    assert!(matches!(raw.next().await, Some(FromAgent::Welcome(_))));
    raw.send(&ToAgent::Perform(lab.restart("1-1", Expectation::Running(service)))).await;
    until("acceptance", || lab.ledger().contains("action_accepted").then_some(())).await;
    drop(raw);
    until("the end", || lab.ledger().contains("action_ended").then_some(())).await;
    let mut server = lab.server().await;
    let outcome = server.outcome("1-1").await;
    assert_eq!(outcome.result, OutcomeResult::Done, "{}", outcome.detail);
}

/// As many targets as an agent takes, with names as long as they may be together, all of them gone:
/// their report is larger than a frame.
fn many_targets(lab: &Lab) -> Vec<Target> {
    let last = ProcessIdentity {
        host: "h".repeat(64),
        boot_id: "b".repeat(36),
        pid: 4_000_000_000,
        start_ticks: u64::MAX,
    };
    let mut sightings = serde_json::Map::new();
    let targets = (0..1_000).map(|number| {
        let process = ProcessMatch::PidFile(format!("/none/{number}").into());
        let name = format!("{number:x>64}");
        let sighting = serde_json::json!({
            "process": process,
            "last": last,
            "last_seen": Timestamp::from_secs(1),
            "stop_requested": last,
        });
        sightings.insert(name.clone(), sighting);
        Target {
            name,
            service: "s".repeat(255),
            instance: Some("i".repeat(255)),
            environment: "e".repeat(90),
            process: Some(process),
            restart: None,
            ..lab.target.clone()
        }
    });
    let targets: Vec<Target> = targets.collect();
    let save = |name: &str, saved: serde_json::Value| {
        std::fs::write(lab.dir.path().join(name), saved.to_string()).unwrap();
    };
    save("processes.json", serde_json::json!({ "version": 1, "targets": sightings }));
    save("targets.json", serde_json::json!({ "version": 1, "targets": targets }));
    targets
}

#[tokio::test]
async fn reports_of_many_targets_with_long_names_arrive() {
    let mut lab = Lab::new();
    let targets = many_targets(&lab);
    lab.start_agent();
    let mut raw = Raw::connect(&lab).await;
    let lease = HumanDuration::from_secs(30);
    raw.send(&ToAgent::Hello(Hello { targets, lease })).await;
    let (mut told, mut bytes) = (BTreeSet::new(), 0);
    while told.len() < 1_000 {
        let line = timeout(WITHIN, raw.read.next_line()).await.unwrap().unwrap().unwrap();
        let message = decode::<FromAgent>(line.as_bytes()).unwrap();
        let FromAgent::Report { processes, .. } = message else { continue };
        bytes += if processes.is_empty() { 0 } else { line.len() };
        for report in processes {
            assert!(matches!(report.state, ProcessState::Gone { .. }));
            assert!(told.insert(report.target), "told twice before all were told");
        }
    }
    assert!(bytes > FRAME_MAX, "{bytes} bytes would fit into one frame");
}

#[tokio::test]
async fn an_agent_in_a_folder_deep_down_is_reached_and_leaves_no_socket() {
    let mut lab = Lab::in_folder(&"deep-".repeat(40), "service");
    let service = lab.start_service().await;
    lab.start_agent();
    assert!(lab.socket().as_os_str().len() > 200);
    let mut server = lab.server().await;
    assert_eq!(server.running().await, service);
    // A dead agent's socket is replaced, a living one's is not.
    lab.kill_agent();
    assert!(lab.socket().exists());
    lab.start_agent();
    let wanted = |event: &ClientEvent| matches!(event, ClientEvent::Connected(_));
    server.expect("the new agent", wanted).await;
    server.client.stop().unwrap();
    assert!(lab.agent_exit().await.success());
    assert!(!lab.socket().exists());
}

#[tokio::test]
async fn a_torn_ledger_is_cut_with_a_message() {
    let mut lab = Lab::new();
    lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    server.client.inject(lab.kill_fault("f", Duration::from_secs(600))).unwrap();
    server.fault("f", FaultState::Effective).await;
    lab.kill_agent();
    let path = lab.dir.path().join("ledger.jsonl");
    let torn = format!("{}{{\"crc\":\"00", std::fs::read_to_string(&path).unwrap());
    std::fs::write(&path, torn).unwrap();
    lab.start_agent();
    let wanted = |event: &ClientEvent| {
        matches!(event, ClientEvent::Message(FromAgent::Log { message, .. })
            if message.contains("cut 10 bytes"))
    };
    server.expect("the message", wanted).await;
    server.fault("f", FaultState::Undone).await;
    lab.service_up().await;
}

#[tokio::test]
async fn one_agent_works_in_a_folder_and_its_socket_is_private() {
    let mut lab = Lab::new();
    lab.start_agent();
    let _server = lab.server().await;
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(lab.socket()), 0o600);
    assert_eq!(mode(lab.dir.path().to_owned()), 0o700);
    let mut second = lab.spawn_agent(&[]);
    assert_eq!(wait_exit(&mut second).await.code(), Some(1));
    lab.kill_agent();
    std::fs::set_permissions(lab.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut third = lab.spawn_agent(&[]);
    assert_eq!(wait_exit(&mut third).await.code(), Some(1));
}

#[tokio::test]
async fn an_agent_that_nobody_needs_ends_by_itself_but_not_with_a_fault_to_undo() {
    let mut lab = Lab::new();
    lab.start_service().await;
    lab.start_agent_leaving_after(Duration::from_millis(300));
    let mut server = lab.server_with_lease(HumanDuration::from_secs(2)).await;
    server.client.inject(lab.kill_fault("f", Duration::from_secs(600))).unwrap();
    server.fault("f", FaultState::Effective).await;
    drop(server);
    assert!(lab.agent_exit().await.success());
    assert!(lab.ledger().contains("the server was silent"));
    assert!(lab.answers());
}
