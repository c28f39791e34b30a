//! Restarts: what is started, stopped, refused, and left behind.

use std::time::Duration;

use agent::Step;
use agent::config::ProcessMatch;
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::{ProcessIdentity, ProcessState};
use model::{ActionKind, Entity, Scope};

use crate::lab::{Lab, now};

#[tokio::test]
async fn a_process_killed_with_sigkill_is_reported_gone_and_restarted() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    assert_eq!(server.running().await, first);
    lab.kill_service(&first);
    let gone = server.report("gone", |state| matches!(state, ProcessState::Gone { .. })).await;
    let ProcessState::Gone { last, last_seen, stop_requested } = gone else { unreachable!() };
    assert_eq!((&last, stop_requested), (&first, false));
    assert!(now().since(last_seen) < Duration::from_secs(10));

    let (result, detail) = server.perform(lab.restart("1-1", Expectation::Gone(last))).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let second = lab.service_up().await;
    assert!(detail.starts_with(&format!("started pid {}", second.pid)), "{detail}");
    let running = ProcessState::Running(second.clone());
    server.report("the new process", |state| *state == running).await;

    // It does not hang on the agent: what the agent started outlives it.
    lab.kill_agent();
    assert_eq!(lab.service(), Some(second));
}

#[tokio::test]
async fn a_running_process_is_stopped_first_and_its_end_is_no_crash() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    server.running().await;
    let (result, detail) = server.perform(lab.restart("1-1", Expectation::Running(first))).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let second = lab.service_up().await;
    assert!(detail.contains("with SIGTERM") && detail.contains(&second.pid.to_string()));
    let kept = lab.kept("1-1");
    assert!(kept.contains("== status\nName:") && kept.contains("== end of"), "{kept}");
}

#[tokio::test]
async fn one_that_does_not_heed_sigterm_gets_sigkill() {
    let mut lab = Lab::with_role("deaf service");
    let first = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let (result, detail) = server.perform(lab.restart("1-1", Expectation::Running(first))).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert!(detail.contains("with SIGKILL"), "{detail}");
}

#[tokio::test]
async fn a_target_that_is_not_as_expected_is_not_touched() {
    let mut lab = Lab::new();
    let here = lab.start_service().await;
    lab.start_agent();
    let mut server = lab.server().await;
    let reused = ProcessIdentity { start_ticks: here.start_ticks - 1, ..here.clone() };
    let elsewhere = ProcessIdentity { host: "elsewhere".into(), ..here.clone() };
    let staging = Scope::new("default", "staging");
    let other = Entity::instance(&staging, "orders", "orders-1");
    let late = |id, by| {
        let action = lab.restart(id, Expectation::Running(here.clone()));
        model::Action { not_after: now() - by, ..action }
    };
    let one = Duration::from_secs(1);
    let sibling = Entity::instance(&lab.target.entity().scope, "orders", "orders-2");
    let running = || lab.restart("x", Expectation::Running(here.clone()));
    let named = |id: &str, action: model::Action| model::Action {
        id: model::ActionId(id.to_owned()),
        ..action
    };
    let cases = [
        (lab.restart("1", Expectation::Gone(reused.clone())), "already running as pid"),
        (lab.restart("2", Expectation::Gone(here.clone())), "already running as pid"),
        (lab.restart("3", Expectation::Running(reused)), "expected was pid"),
        (lab.restart("4", Expectation::Running(elsewhere)), "the order is for host elsewhere"),
        (lab.restart("5", Expectation::NoProcess), "already running as pid"),
        (late("6", one), "too late"),
        (
            model::Action { not_after: now() + Duration::from_secs(3_600), ..late("6b", one) },
            "dated in the future",
        ),
        (named("7", model::Action { entity: other, ..running() }), "staging"),
        (named("8", model::Action { entity: sibling, ..running() }), "orders-2"),
        (named("9", model::Action { target: "ordersX".into(), ..running() }), "no target"),
        (
            named(
                "10",
                model::Action {
                    kind: ActionKind::RunCommand { command: "rm -rf".into() },
                    ..running()
                },
            ),
            "declares no such action",
        ),
    ];
    for (action, reason) in cases {
        let id = action.id.clone();
        let (result, detail) = server.perform(action).await;
        assert_eq!(result, OutcomeResult::Refused, "{id}: {detail}");
        assert!(detail.contains(reason), "{id}: {detail}");
    }
    assert_eq!(lab.service(), Some(here));
}

#[tokio::test]
async fn a_start_command_that_fails_is_told_with_the_last_line_of_its_log() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    let script = "echo no such database; exit 7";
    lab.target.restart.as_mut().unwrap().start.command =
        ["/bin/sh", "-c", script].map(str::to_owned).into();
    lab.start_agent();
    let mut server = lab.server().await;
    server.running().await;
    lab.kill_service(&first);
    let (result, detail) = server.perform(lab.restart("1", Expectation::Gone(first))).await;
    assert_eq!(result, OutcomeResult::Failed);
    assert!(detail.contains("exit status: 7"), "{detail}");
    assert!(detail.ends_with("`no such database`"), "{detail}");
}

#[tokio::test]
async fn one_that_never_gets_ready_is_stopped_again_with_all_its_children() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    let child = lab.dir.path().join("child");
    let script = format!("sleep 300 & echo $! > {}; wait", child.display());
    let restart = lab.target.restart.as_mut().unwrap();
    restart.start.command = ["/bin/sh", "-c", &script].map(str::to_owned).into();
    restart.ready_within = HumanDuration::from_millis(700);
    lab.start_agent();
    let mut server = lab.server().await;
    lab.kill_service(&first);
    let (result, detail) = server.perform(lab.restart("1", Expectation::Gone(first))).await;
    assert_eq!(result, OutcomeResult::Failed);
    assert!(detail.contains("not ready within 700ms") && detail.contains("again"), "{detail}");
    let child: u32 = std::fs::read_to_string(child).unwrap().trim().parse().unwrap();
    let host = agent::process::Host::this().unwrap();
    crate::lab::until("its child is gone", || host.identity(child).is_none().then_some(())).await;
}

#[tokio::test]
async fn a_target_with_a_pid_file_is_ready_when_its_file_can_be_believed() {
    for (umask, expected) in [("022", OutcomeResult::Done), ("0", OutcomeResult::Failed)] {
        let mut lab = Lab::new();
        let file = lab.dir.path().join("pid");
        let script = format!("umask {umask}; echo $$ > {}; exec sleep 300", file.display());
        let restart = lab.target.restart.as_mut().unwrap();
        restart.start.command = ["/bin/sh", "-c", &script].map(str::to_owned).into();
        restart.ready_within = HumanDuration::from_secs(1);
        lab.target.process = Some(ProcessMatch::PidFile(file.clone()));
        let mut first = std::process::Command::new("/bin/sleep").arg("300").spawn().unwrap();
        std::fs::write(&file, first.id().to_string()).unwrap();
        lab.start_agent();
        let mut server = lab.server().await;
        let identity = server.running().await;
        assert_eq!(identity.pid, first.id());
        first.kill().unwrap();
        first.wait().unwrap();
        std::fs::remove_file(&file).unwrap();
        let (result, detail) = server.perform(lab.restart("1", Expectation::Gone(identity))).await;
        assert_eq!(result, expected, "{detail}");
        if expected == OutcomeResult::Failed {
            assert!(detail.contains("not believed: every user may write it"), "{detail}");
            assert!(detail.contains("again"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_start_command_may_put_the_target_into_the_background() {
    let mut lab = Lab::new();
    let first = lab.start_service().await;
    let start = &mut lab.target.restart.as_mut().unwrap().start;
    let script = format!("{} >/dev/null 2>&1 &", start.command.join(" "));
    start.command = ["/bin/sh", "-c", &script].map(str::to_owned).into();
    lab.start_agent();
    let mut server = lab.server().await;
    lab.kill_service(&first);
    let (result, detail) = server.perform(lab.restart("1", Expectation::Gone(first))).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    lab.service_up().await;
}

#[tokio::test]
async fn an_agent_killed_in_the_middle_says_interrupted_and_never_runs_it_again() {
    for step in [Step::ActionAccepted, Step::TargetStopped, Step::TargetStarted] {
        let mut lab = Lab::new();
        let first = lab.start_service().await;
        lab.start_agent_dying_at(step);
        let server = lab.server().await;
        let order = lab.restart("7-1", Expectation::Running(first.clone()));
        server.client.perform(order.clone()).unwrap();
        assert!(!lab.agent_exit().await.success());
        drop(server);

        lab.start_agent();
        let mut server = lab.server().await;
        let outcome = server.outcome("7-1").await;
        assert_eq!(outcome.result, OutcomeResult::Interrupted, "{step:?}");
        // The order is repeated: the same answer, and nothing happens.
        let (result, _) = server.perform(order).await;
        assert_eq!(result, OutcomeResult::Interrupted, "{step:?}");
        match step {
            Step::ActionAccepted => assert_eq!(lab.service(), Some(first)),
            Step::TargetStopped => {
                let wanted = |state: &ProcessState| {
                    matches!(state, ProcessState::Gone { stop_requested: true, .. })
                };
                server.report("stopped by request", wanted).await;
                assert_eq!(lab.service(), None);
            }
            // It had been started, and outlived the agent.
            _ => assert_ne!(lab.service_up().await, first),
        }
        assert_eq!(lab.ledger().matches("action_accepted").count(), 1);
    }
}
