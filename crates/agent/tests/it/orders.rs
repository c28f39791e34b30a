//! Orders: once each, frozen, asked about, and commands.

use std::time::Duration;

use agent::{ClientEvent, Freeze, FromAgent};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{Action, ActionId, ActionKind};

use crate::lab::{Lab, lines};

fn run(lab: &Lab, id: &str, command: &str) -> Action {
    let kind = ActionKind::RunCommand { command: command.to_owned() };
    lab.action(id, kind, Expectation::NoProcess)
}

#[tokio::test]
async fn an_order_said_many_times_acts_once() {
    let mut lab = Lab::new();
    lab.add_command("count", "echo run >> runs; cat gate; echo end", HumanDuration::from_secs(10));
    // Holds the command until the test opens it.
    let gate = lab.dir.path().join("gate");
    let made = std::process::Command::new("/usr/bin/mkfifo").arg(&gate).status().unwrap();
    assert!(made.success());
    lab.start_agent();
    let mut server = lab.server().await;
    let order = run(&lab, "1-1", "count");
    for _ in 0..3 {
        server.client.perform(order.clone()).unwrap();
    }
    let id = ActionId("1-1".into());
    let in_progress = ClientEvent::Message(FromAgent::InProgress(id.clone()));
    server.expect("in progress", |event| *event == in_progress).await;
    server.client.query(id.clone()).unwrap();
    server.expect("in progress again", |event| *event == in_progress).await;
    let busy = server.perform(run(&lab, "1-2", "count")).await;
    assert_eq!(busy, (OutcomeResult::Refused, "action 1-1 is under way on it".into()));
    tokio::task::spawn_blocking(move || std::fs::write(gate, "")).await.unwrap().unwrap();
    let outcome = server.outcome("1-1").await;
    assert_eq!((outcome.result, &*outcome.detail), (OutcomeResult::Done, "ended with 0: end"));
    assert_eq!(server.perform(order.clone()).await.0, OutcomeResult::Done);

    // Nor after a restart of the agent; and an id is not for another action.
    lab.kill_agent();
    lab.start_agent();
    let wanted = |event: &ClientEvent| matches!(event, ClientEvent::Connected(_));
    server.expect("the new agent", wanted).await;
    server.client.query(id.clone()).unwrap();
    assert_eq!(server.outcome("1-1").await, outcome);
    assert_eq!(server.perform(order.clone()).await.0, OutcomeResult::Done);
    server.client.perform(Action { kind: ActionKind::Restart, ..order }).unwrap();
    assert!(server.refusal().await.contains("used for another action"));
    assert_eq!(lines(&lab.dir.path().join("runs")), 1);

    let unknown = ActionId("9-9".into());
    server.client.query(unknown.clone()).unwrap();
    let unknown = ClientEvent::Message(FromAgent::Unknown(unknown));
    server.expect("unknown", |event| *event == unknown).await;
}

#[tokio::test]
async fn a_frozen_agent_refuses_even_after_it_was_killed() {
    let mut lab = Lab::new();
    lab.add_command("count", "echo run >> runs", HumanDuration::from_secs(10));
    lab.start_agent();
    let mut server = lab.server().await;
    let freeze = Freeze { who: "ann".into(), reason: "sale".into() };
    server.client.freeze(freeze.clone()).unwrap();
    let frozen = ClientEvent::Message(FromAgent::Frozen(Some(freeze)));
    server.expect("frozen", |event| *event == frozen).await;
    let refused = (OutcomeResult::Refused, "frozen by ann: sale".to_owned());
    assert_eq!(server.perform(run(&lab, "1", "count")).await, refused);
    lab.kill_agent();
    lab.start_agent();
    let wanted = |event: &ClientEvent| match event {
        ClientEvent::Connected(welcome) => welcome.frozen.is_some(),
        _ => false,
    };
    server.expect("a frozen agent", wanted).await;
    assert_eq!(server.perform(run(&lab, "2", "count")).await, refused);
    server.client.inject(lab.kill_fault("f", Duration::from_secs(60))).unwrap();
    assert_eq!(server.fault("f", agent::FaultState::Refused).await.detail, "the agent is frozen");
    server.client.thaw("ann").unwrap();
    assert_eq!(server.perform(run(&lab, "3", "count")).await.0, OutcomeResult::Done);
    assert_eq!(lines(&lab.dir.path().join("runs")), 1);
}

#[tokio::test]
async fn commands_end_as_they_end_and_are_killed_when_they_take_too_long() {
    let mut lab = Lab::new();
    let limit = HumanDuration::from_millis(400);
    lab.add_command("fail", "echo a; echo went wrong >&2; exit 3", HumanDuration::from_secs(10));
    lab.add_command("hang", "echo waiting; sleep 300 & echo $! > child; wait", limit);
    lab.add_command("leave", "sleep 300 & echo $! > left; exit 0", HumanDuration::from_secs(10));
    lab.add_command("noise", "yes | head -c 3000000; echo done", HumanDuration::from_secs(10));
    lab.add_command("secret", "echo ${IMMUNE_TEST_ROLE:-none}", HumanDuration::from_secs(10));
    lab.start_agent();
    let mut server = lab.server().await;
    let (result, detail) = server.perform(run(&lab, "1", "fail")).await;
    assert_eq!(result, OutcomeResult::Failed);
    assert_eq!(detail, "ended with exit status: 3: went wrong");
    let (result, detail) = server.perform(run(&lab, "2", "hang")).await;
    assert_eq!((result, &*detail), (OutcomeResult::Failed, "killed after 400ms: waiting"));
    let host = agent::process::Host::this().unwrap();
    let pid = |name: &str| -> u32 {
        let text = std::fs::read_to_string(lab.dir.path().join(name)).unwrap();
        text.trim().parse().unwrap()
    };
    crate::lab::until("its child", || host.identity(pid("child")).is_none().then_some(())).await;
    // What a command leaves running is not waited for.
    let (result, detail) = server.perform(run(&lab, "3", "leave")).await;
    assert_eq!((result, &*detail), (OutcomeResult::Done, "ended with 0"));
    let left = host.identity(pid("left")).unwrap();
    let left = agent::process::ProcessHandle::open(&host, &left).unwrap().unwrap();
    left.signal(rustix::process::Signal::KILL).unwrap();
    let (_, detail) = server.perform(run(&lab, "4", "noise")).await;
    assert_eq!(detail, "ended with 0: done");
    // Of the agent's own variables a command sees only what is passed on.
    let (_, detail) = server.perform(run(&lab, "5", "secret")).await;
    assert_eq!(detail, "ended with 0: none");
}

#[tokio::test]
async fn killed_at_any_moment_the_agent_runs_nothing_twice_and_forgets_nothing() {
    let mut lab = Lab::new();
    lab.add_command("mark", "echo run >> runs", HumanDuration::from_secs(10));
    let runs = lab.dir.path().join("runs");
    let mut seen = std::collections::BTreeSet::new();
    // Moments are spread over the time that an undisturbed order takes on this machine now.
    lab.start_agent();
    let mut server = lab.server().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(server.perform(run(&lab, "whole", "mark")).await.0, OutcomeResult::Done);
    let whole = begun.elapsed();
    drop(server);
    lab.kill_agent();
    for round in 0..16_u32 {
        let before = lines(&runs);
        let id = ActionId(format!("{round}-1"));
        let order = run(&lab, &id.0, "mark");
        lab.start_agent();
        let mut server = lab.server().await;
        server.client.perform(order.clone()).unwrap();
        match round {
            // However slow the machine has become since: once after the end.
            15 => drop(server.outcome(&id.0).await),
            _ => tokio::time::sleep(whole * round / 8).await,
        }
        lab.kill_agent();
        drop(server);

        lab.start_agent();
        let mut server = lab.server().await;
        // Said again, as a server does that does not know whether it was heard.
        server.client.query(id.clone()).unwrap();
        let about = |event: &ClientEvent| match event {
            ClientEvent::Message(FromAgent::Outcome(outcome)) => outcome.action == id,
            ClientEvent::Message(FromAgent::Unknown(unknown)) => *unknown == id,
            _ => false,
        };
        let answer = server.expect("an answer", about).await;
        // A command that outlived its agent may still be about to write.
        let ran = || lines(&runs) - before;
        match answer {
            ClientEvent::Message(FromAgent::Outcome(outcome)) => {
                seen.insert(outcome.result.as_str());
                match outcome.result {
                    OutcomeResult::Done => assert_eq!(ran(), 1, "round {round}"),
                    OutcomeResult::Interrupted => assert!(ran() <= 1, "round {round}"),
                    other => panic!("round {round}: {other:?}: {}", outcome.detail),
                }
                let again = server.perform(order).await;
                assert_eq!(again, (outcome.result, outcome.detail), "round {round}");
                assert!(ran() <= 1, "round {round}");
            }
            _ => {
                seen.insert("unknown");
                assert_eq!(ran(), 0, "round {round}");
            }
        }
        lab.kill_agent();
    }
    assert!(seen.len() > 1, "the moments were all alike: {seen:?}");
}
