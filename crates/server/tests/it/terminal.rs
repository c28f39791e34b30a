//! `immune top` on a real terminal over a real server, and the commands beside it.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::healing::until_healed;
use crate::lab::{Lab, immune};
use crate::pty::Pty;
use crate::traffic::Traffic;
use crate::wait::{all_of, until};

const SIZE: (u16, u16) = (24, 80);

fn top(lab: &Lab) -> Command {
    let mut command = immune();
    command.args(["top", "--server", &format!("http://{}", lab.api())]);
    command.env_remove("NO_COLOR");
    command
}

/// A server that watches the storefront, and the target is well.
fn watched(set: impl FnOnce(&mut Lab)) -> (Lab, Traffic) {
    let mut lab = Lab::new();
    set(&mut lab);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    (lab, traffic)
}

fn colours(raw: &str) -> bool {
    // SGR with a foreground colour.
    raw.split("\x1b[").any(|part| {
        let sgr = part.split('m').next().unwrap_or_default();
        let codes = sgr.split(';').filter_map(|code| code.parse::<u32>().ok());
        codes.into_iter().any(|code| (30..=38).contains(&code) || (90..=97).contains(&code))
    })
}

fn shows_moves_opens_resizes_and_leaves() {
    let (lab, _traffic) = watched(|_| {});
    let mut pty = Pty::run(&top(&lab), SIZE);
    let screen = pty.until_shows("storefront");
    assert!(screen.contains("Services"), "{screen}");
    pty.until("a rate", |screen| screen.contains("/s"));
    pty.until("the bottom line", |screen| screen.contains("telemetry") && screen.contains("agent"));

    pty.press("?");
    pty.until_shows("Ctrl-Z");
    pty.press("x");
    pty.until_shows("Services");
    pty.press("\r");
    let screen = pty.until_shows("Esc back");
    assert!(screen.contains(" · default"), "{screen}");
    pty.press("\x1b");
    pty.until_shows("q quit");

    for (rows, columns) in [(40, 132), (10, 50), (3, 20), (24, 80)] {
        pty.resize(rows, columns);
        let screen = pty.until("drawn anew", |screen| !screen.trim().is_empty());
        assert!(screen.lines().count() <= usize::from(rows), "{screen}");
    }
    pty.until_shows("storefront");
    pty.press("q");
    assert_eq!(pty.ended().code(), Some(0));
    assert!(pty.is_restored(), "{:?}", pty.raw());
}

fn gives_the_terminal_back_when_a_signal_ends_it() {
    let (lab, _traffic) = watched(|_| {});
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut pty = Pty::run(&top(&lab), SIZE);
        pty.until_shows("Services");
        pty.signal(signal);
        assert_eq!(pty.ended().code(), Some(code));
        assert!(pty.is_restored(), "{:?}", pty.raw());
    }
}

fn reads_the_same_without_colour() {
    let (mut lab, _traffic) = watched(|lab| lab.config["healing"]["mode"] = json!("approve"));
    lab.kill_target();
    lab.plan_in("awaiting_approval");
    let coloured = Pty::run(&top(&lab), SIZE);
    coloured.until_shows("Incidents");
    coloured.until("coloured", |_| colours(&coloured.raw()));
    let mut plain = top(&lab);
    plain.env("NO_COLOR", "1");
    let plain = Pty::run(&plain, SIZE);
    let screen = plain.until_shows("Incidents");
    assert!(!colours(&plain.raw()), "{:?}", plain.raw());
    assert!(screen.lines().any(|line| line.trim_start().starts_with("! ")), "{screen}");
}

fn approves_only_after_the_question() {
    let (mut lab, _traffic) = watched(|lab| lab.config["healing"]["mode"] = json!("approve"));
    let mut pty = Pty::run(&top(&lab), SIZE);
    pty.until_shows("Services");
    lab.kill_target();
    pty.until_shows("waits for your approval");
    pty.press("a");
    pty.until_shows("Approve plan 1: restart orders");
    pty.press("n");
    pty.until_shows("nothing was done");
    assert_eq!(lab.starts(), 0);
    assert_eq!(lab.get("plans")[0]["state"], "awaiting_approval");
    pty.press("ay");
    pty.until_shows("plan 1 is approved");
    until_healed(&lab);
    assert_eq!(lab.starts(), 1);

    pty.press("fy");
    pty.until_shows("healing frozen");
    let frozen = lab.get("status")["frozen"].clone();
    assert_eq!(frozen["reason"], "from immune top", "{frozen}");
    pty.press("fy");
    until("thawed", || lab.get("status")["frozen"].is_null().then_some(()));
}

fn says_when_the_server_is_gone_and_goes_on_when_it_is_back() {
    let (mut lab, _traffic) = watched(|_| {});
    // The next server must be found at the same address.
    lab.config["api"]["listen"] = json!(lab.api());
    let mut pty = Pty::run(&top(&lab), SIZE);
    pty.until_shows("Services");
    lab.stop_server();
    let screen = pty.until_shows("no answer for");
    assert!(screen.contains("storefront"), "what was known stays: {screen}");
    lab.start();
    pty.until("answers again", |screen| !screen.contains("no answer for"));
    pty.press("\x03");
    assert_eq!(pty.ended().code(), Some(0));
}

fn without_a_terminal_it_names_what_to_use_instead() {
    let (lab, _traffic) = watched(|_| {});
    let output = top(&lab).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("immune status --json"), "{error}");
}

fn status_says_in_its_first_line_whether_anything_is_wrong() {
    let (mut lab, _traffic) = watched(|lab| lab.config["healing"]["mode"] = json!("approve"));
    let first = |lab: &Lab| lab.said(&["status"]).lines().next().unwrap().to_owned();
    let told = first(&lab);
    assert!(!told.contains("hurt") && !told.contains("fails"), "{told}");
    lab.kill_target();
    lab.plan_in("awaiting_approval");
    let told = first(&lab);
    assert!(told.ends_with("the restart of orders waits for your approval"), "{told}");
    let screen = lab.said(&["status"]);
    assert!(!screen.contains('\x1b'), "{screen}");
    assert!(lab.said(&["status", "--color", "always"]).contains('\x1b'));
    let json: Value = serde_json::from_str(&lab.said(&["status", "--json"])).unwrap();
    let headline = json["headline"].as_str().unwrap();
    assert!(headline.ends_with("the restart of orders waits for your approval"), "{headline}");
    assert_eq!(json["incidents"][0]["id"], 1);
    assert_eq!(json["plans"][0]["state"], "awaiting_approval");
    assert!(json["status"]["version"].is_string() && json["storage"].is_object());

    let draft = lab.said(&["explain", "1", "--markdown"]);
    for part in ["# Incident 1: ", "## Impact", "## Cause", "**crash**", "## Timeline (UTC)"] {
        assert!(draft.contains(part), "no `{part}` in:\n{draft}");
    }
    let denied: Value = serde_json::from_str(&lab.said(&["plan", "deny", "1", "--json"])).unwrap();
    assert_eq!(denied["result"], "done");
}

#[test]
fn top_on_a_terminal() {
    all_of(&[
        ("shows", shows_moves_opens_resizes_and_leaves),
        ("signals", gives_the_terminal_back_when_a_signal_ends_it),
        ("colour", reads_the_same_without_colour),
        ("approves", approves_only_after_the_question),
        ("server gone", says_when_the_server_is_gone_and_goes_on_when_it_is_back),
        ("no terminal", without_a_terminal_it_names_what_to_use_instead),
        ("status", status_says_in_its_first_line_whether_anything_is_wrong),
    ]);
}

/// Words that bash would offer for the last one of a line.
fn offered(line: &str) -> Vec<String> {
    let completions = immune().args(["completions", "bash"]).output().unwrap();
    let script = String::from_utf8(completions.stdout).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("immune.bash");
    std::fs::write(&file, script).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let ask = format!(
        "source {}; COMP_WORDS=({line}); [ -n '{last}' ] || COMP_WORDS+=(''); COMP_CWORD={cword}; \
         _immune immune '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display(),
        last = words[words.len() - 1],
        cword = words.len() - 1,
        before = words[words.len() - 2],
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offered("immune dri"), ["drill"]);
    assert!(offered("immune drill ").contains(&"matrix".to_owned()));
    assert_eq!(offered("immune explain --mark"), ["--markdown"]);
    assert_eq!(offered("immune incidents --state mit"), ["mitigated"]);
    assert!(!offered("immune ").contains(&"keep".to_owned()), "what is hidden stays hidden");
}

#[test]
fn completions_are_made_for_each_shell() {
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef immune"), ("fish", "complete -c immune")]
    {
        let output = immune().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains(mark), "{shell}:\n{script}");
        assert!(script.contains("suggest"), "{shell} knows commands of commands");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    assert!(immune().arg("man").arg(&folder).status().unwrap().success());
    for (page, says) in [
        ("immune.1", "immune\\-status"),
        ("immune-top.1", "approves"),
        ("immune-drill-run.1", "fail\\-fast"),
        ("immune-explain.1", "post\\-mortem"),
    ] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(says), "{page}:\n{text}");
    }
    assert!(!folder.join("immune-keep.1").exists());
}
