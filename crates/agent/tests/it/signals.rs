//! Signals, and targets without a process of their own.

use std::path::PathBuf;

use agent::config::ProcessMatch;
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::tick::{ProcessIdentity, ProcessState};
use model::{Action, ActionKind, SignalName};

use crate::lab::{Lab, lines, until};

fn signal(lab: &Lab, id: &str, signal: SignalName, process: &ProcessIdentity) -> Action {
    lab.action(id, ActionKind::Signal { signal }, Expectation::Running(process.clone()))
}

/// A shell that writes a line for each SIGHUP, as the lab's target.
struct Shell {
    child: std::process::Child,
    heard: PathBuf,
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn shell(lab: &mut Lab) -> Shell {
    let (pid, heard) = (lab.dir.path().join("pid"), lab.dir.path().join("heard"));
    let script = format!(
        "trap 'echo hup >> {}' HUP; echo $$ > {}; while :; do sleep 0.05; done",
        heard.display(),
        pid.display()
    );
    let mut command = std::process::Command::new("/bin/sh");
    let child = command.args(["-c", &script]).spawn().unwrap();
    until("the shell is ready", || {
        std::fs::read_to_string(&pid).ok()?.ends_with('\n').then_some(())
    })
    .await;
    lab.target.process = Some(ProcessMatch::PidFile(pid));
    lab.target.restart = None;
    Shell { child, heard }
}

#[tokio::test]
async fn a_declared_signal_reaches_the_process_that_handles_it_and_no_other_is_sent() {
    let mut lab = Lab::new();
    let shell = shell(&mut lab).await;
    lab.target.signals = [SignalName::Hup, SignalName::Usr1].into();
    lab.start_agent();
    let mut server = lab.server().await;
    let process = server.running().await;
    let (result, detail) = server.perform(signal(&lab, "1", SignalName::Hup, &process)).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    assert_eq!(detail, format!("sent SIGHUP to pid {}", process.pid));
    until("it is heard", || (lines(&shell.heard) == 1).then_some(())).await;

    // It has no handler for this one, and would die of it.
    let (result, detail) = server.perform(signal(&lab, "2", SignalName::Usr1, &process)).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("does not handle SIGUSR1"), "{detail}");
    let (result, detail) = server.perform(signal(&lab, "3", SignalName::Term, &process)).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("declares no such action: SIGTERM"), "{detail}");
    let other = ProcessIdentity { start_ticks: process.start_ticks - 1, ..process.clone() };
    let (result, _) = server.perform(signal(&lab, "4", SignalName::Hup, &other)).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert_eq!(lines(&shell.heard), 1);
    assert_eq!(server.running().await, process);
}

#[tokio::test]
async fn a_process_ended_by_a_signal_was_stopped_on_request_and_its_last_state_is_kept() {
    let mut lab = Lab::new();
    let mut shell = shell(&mut lab).await;
    lab.target.signals = [SignalName::Term].into();
    lab.start_agent();
    let mut server = lab.server().await;
    let process = server.running().await;
    let (result, detail) = server.perform(signal(&lab, "a-7-1", SignalName::Term, &process)).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let file = lab.dir.path().join("captures/a-7-1.txt");
    assert!(detail.ends_with(&format!("; its last state is in {}", file.display())), "{detail}");
    let kept = lab.kept("a-7-1");
    assert!(kept.contains("while :; do sleep 0.05; done"), "{kept}");
    assert!(kept.contains("== open descriptors"), "{kept}");
    shell.child.wait().unwrap();
    let wanted =
        |state: &ProcessState| matches!(state, ProcessState::Gone { stop_requested: true, .. });
    server.report("stopped on request", wanted).await;
    let (result, _) = server.perform(signal(&lab, "2", SignalName::Term, &process)).await;
    assert_eq!(result, OutcomeResult::Refused);
}

#[tokio::test]
async fn a_target_without_a_process_takes_only_orders_that_name_none() {
    let mut lab = Lab::new();
    let here = lab.start_service().await;
    lab.target.process = None;
    lab.target.restart = None;
    lab.add_command("count", "echo run >> runs", HumanDuration::from_secs(10));
    lab.start_agent();
    let mut server = lab.server().await;
    let run = |id: &str, expect| {
        lab.action(id, ActionKind::RunCommand { command: "count".to_owned() }, expect)
    };
    let (result, detail) = server.perform(run("1", Expectation::Running(here.clone()))).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("the target declares none"), "{detail}");
    assert_eq!(server.perform(run("2", Expectation::Gone(here))).await.0, OutcomeResult::Refused);
    let (result, detail) = server.perform(run("3", Expectation::NoProcess)).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let refused = server.perform(lab.restart("4", Expectation::NoProcess)).await;
    assert_eq!(refused.0, OutcomeResult::Refused);
    assert_eq!(lines(&lab.dir.path().join("runs")), 1);
}
