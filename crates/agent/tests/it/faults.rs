//! Faults: their effect, their undo, and death of everybody who could undo them.

use std::time::Duration;

use agent::{FaultId, FaultReport, FaultState, Injection, Step};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::ProcessState;

use crate::lab::{Lab, Server, until};

const LONG: Duration = Duration::from_secs(600);

/// Injects and waits for the effect.
async fn inject(lab: &Lab, server: &mut Server, id: &str, deadline: Duration) -> FaultReport {
    server.client.inject(lab.kill_fault(id, deadline)).unwrap();
    server.fault(id, FaultState::Effective).await
}

#[tokio::test]
async fn a_killed_process_is_seen_gone_and_started_again_at_the_deadline() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    server.running().await;
    let effective = inject(&lab, &mut server, "f", Duration::from_millis(1_500)).await;
    assert!(effective.injected_at <= effective.effective_at);
    // To everybody else it is a crash: no report tells of the fault.
    let gone = server.report("gone", |state| matches!(state, ProcessState::Gone { .. })).await;
    assert!(
        matches!(gone, ProcessState::Gone { last, stop_requested: false, .. } if last == first)
    );
    let undone = server.fault("f", FaultState::Undone).await;
    let second = lab.service_up().await;
    let expected = format!("undone because its deadline passed: started pid {}", second.pid);
    assert!(undone.detail.starts_with(&expected), "{}", undone.detail);
    assert_eq!(undone.effective_at, effective.effective_at);
    // Said again, the order does nothing.
    server.client.inject(lab.kill_fault("f", LONG)).unwrap();
    assert_eq!(server.fault("f", FaultState::Undone).await, undone);
    assert_eq!(lab.service(), Some(second));
}

#[tokio::test]
async fn an_undo_finds_that_the_healer_was_quicker() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    server.running().await;
    inject(&lab, &mut server, "f", LONG).await;
    let (result, detail) = server.perform(lab.restart("1-1", Expectation::Gone(first))).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let healed = lab.service_up().await;
    server.client.undo(FaultId("f".into())).unwrap();
    let undone = server.fault("f", FaultState::Undone).await;
    let how = format!("undone because it was asked for: already running as pid {}", healed.pid);
    assert_eq!(undone.detail, how);
    server.client.undo(FaultId("f".into())).unwrap();
    assert_eq!(server.fault("f", FaultState::Undone).await, undone);
    assert_eq!(lab.service(), Some(healed));
}

#[tokio::test]
async fn faults_that_reach_too_far_are_refused() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let order = |id: &str| lab.kill_fault(id, LONG);
    let past = crate::lab::now() - Duration::from_secs(1);
    let cases = [
        (Injection { environment: "staging".into(), ..order("1") }, "is in environment production"),
        (Injection { target: "cart".into(), ..order("2") }, "no target of that name"),
        (Injection { deadline: past, ..order("3") }, "has passed"),
        (lab.kill_fault("4", Duration::from_secs(3_700)), "more than an hour ahead"),
    ];
    for (injection, reason) in cases {
        let id = injection.id.0.clone();
        server.client.inject(injection).unwrap();
        let refused = server.fault(&id, FaultState::Refused).await;
        assert!(refused.detail.contains(reason), "{id}: {}", refused.detail);
    }
    assert_eq!(lab.service(), Some(first));
    inject(&lab, &mut server, "5", LONG).await;
    server.client.inject(order("6")).unwrap();
    assert_eq!(server.fault("6", FaultState::Refused).await.detail, "fault 5 is active on it");
    // A target that cannot be started cannot be hit.
    lab.target.restart = None;
    server.client.undo(FaultId("5".into())).unwrap();
    server.fault("5", FaultState::Undone).await;
    server.client.set_targets(vec![lab.target.clone()]);
    let wanted = |event: &agent::ClientEvent| {
        matches!(event, agent::ClientEvent::Message(agent::FromAgent::Welcome(_)))
    };
    server.expect("the new targets", wanted).await;
    server.client.inject(lab.kill_fault("7", LONG)).unwrap();
    let refused = server.fault("7", FaultState::Refused).await;
    assert!(refused.detail.contains("no `restart`"), "{}", refused.detail);
}

#[tokio::test]
async fn whenever_the_injector_is_killed_the_next_agent_undoes_without_any_server() {
    for step in [Step::FaultRecorded, Step::FaultInjected, Step::UndoBegun, Step::TargetStarted] {
        let mut lab = Lab::new();
        let first = lab.start_service().await;
        lab.start_agent_dying_at(step);
        let mut server = lab.server().await;
        server.running().await;
        server.client.inject(lab.kill_fault("f", Duration::from_millis(300))).unwrap();
        assert!(!lab.agent_exit().await.success());
        drop(server);
        if step == Step::UndoBegun {
            lab.service_gone(&first).await;
        }

        // Injector and server are both dead.
        lab.start_agent();
        until("undone", || lab.ledger().contains("fault_undone").then_some(())).await;
        let running = lab.service_up().await;
        assert_eq!(running == first, step == Step::FaultRecorded, "{step:?}");
        let mut server = lab.server().await;
        server.client.query_fault(FaultId("f".into())).unwrap();
        let undone = server.fault("f", FaultState::Undone).await;
        assert!(undone.detail.contains("the agent was restarted"), "{step:?}: {}", undone.detail);
        assert_eq!(undone.detail.contains("was not hit"), running == first, "{}", undone.detail);
        assert_eq!(lab.ledger().matches("fault_undone").count(), 1);
    }
}

#[tokio::test]
async fn a_silent_server_gets_its_fault_undone() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server_with_lease(HumanDuration::from_secs(2)).await;
    inject(&lab, &mut server, "f", LONG).await;
    // Heartbeats hold it for longer than the lease.
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(!lab.answers());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(server);
    assert_ne!(lab.service_up().await, first);
    until("undone", || lab.ledger().contains("the server was silent").then_some(())).await;
}

#[tokio::test]
async fn a_failed_undo_is_tried_again_until_it_succeeds() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    let start = &mut lab.target.restart.as_mut().unwrap().start;
    let script = format!("test -e allowed && exec {}", start.command.join(" "));
    start.command = ["/bin/sh", "-c", &script].map(str::to_owned).into();
    start.directory = Some(lab.dir.path().to_owned());
    lab.start_agent();
    let mut server = lab.server().await;
    inject(&lab, &mut server, "f", LONG).await;
    server.client.undo(FaultId("f".into())).unwrap();
    let failed = server.fault("f", FaultState::UndoFailed).await;
    assert!(failed.detail.contains("attempt 1 to undo failed"), "{}", failed.detail);
    std::fs::write(lab.dir.path().join("allowed"), "").unwrap();
    server.fault("f", FaultState::Undone).await;
    assert_ne!(lab.service_up().await, first);
}

#[tokio::test]
async fn a_stop_undoes_faults_before_the_agent_ends() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    inject(&lab, &mut server, "f", LONG).await;
    server.client.stop().unwrap();
    let undone = server.fault("f", FaultState::Undone).await;
    assert!(undone.detail.contains("the agent is stopping"), "{}", undone.detail);
    assert!(lab.agent_exit().await.success());
    assert_ne!(lab.service_up().await, first);
    assert!(!lab.socket().exists());
}
