//! Runs every `scenarios/*.test`. `BLESS=1 cargo test -p engine` rewrites what differs; read the
//! diff then.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use engine::scenario;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_comes_out_as_expected() {
    let files = files();
    assert!(files.len() >= 12, "scenarios are missing: {}", files.len());
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let report = match scenario::check(&text) {
            Ok(report) => report,
            Err(error) => panic!("{}: {error}", file.display()),
        };
        if report.passed() {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, report.bless(&text)).unwrap();
        }
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        failures.push(format!("{name}: {}\n{}", report.title, report.difference.join("\n")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn the_same_scenario_gives_the_same_bytes() {
    for file in files().into_iter().take(4) {
        let text = std::fs::read_to_string(file).unwrap();
        let once = scenario::check(&text).unwrap();
        let twice = scenario::check(&text).unwrap();
        assert_eq!(format!("{once:?}"), format!("{twice:?}"));
    }
}

/// A scenario's expectations must be able to fail: each is broken in turn.
#[test]
fn a_wrong_expectation_is_noticed() {
    for file in files().into_iter().step_by(4) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let Some(at) = lines.iter().position(|line| line.starts_with("expect ")) else { continue };
        let mut broken: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        broken[at] = match broken[at].as_str() {
            "expect silence" => "expect 1h incident service=nobody symptom=stalled".to_owned(),
            line => format!("{line}x"),
        };
        let report = scenario::check(&broken.join("\n")).unwrap();
        assert!(!report.passed(), "{}", file.display());
    }
}

#[test]
fn mistakes_are_told_by_line() {
    for (text, line, says) in [
        ("topolgy a -> b", 1, "topolgy"),
        ("topology a ->", 1, "write topology"),
        ("topology a -> b\ntraffic a 20\nrun 1m", 2, "20/s"),
        ("topology a -> b\nat 5x crash a", 2, "duration"),
        ("topology a -> b\nat 5m explode a", 2, "explode"),
        ("topology a -> b\nat 5m errors a 130%", 2, "errors"),
        ("config\n  healing: {mood: auto}\ntopology a -> b\nrun 1m\nexpect silence", 1, "mood"),
        ("topology a -> b\nexpect silence", 1, "run"),
        ("topology a -> b\nrun 9d", 2, "7d"),
    ] {
        let error = scenario::check(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
}
