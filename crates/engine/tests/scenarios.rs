//! Runs every `scenarios/*.test`. `BLESS=1 cargo test -p engine` rewrites what differs; read the
//! diff then. `SCENARIO=crash,leak` runs only the files whose names begin so.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use engine::scenario;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .filter(|path| {
            let wanted = std::env::var("SCENARIO").unwrap_or_default();
            path.file_name().is_some_and(|name| {
                wanted.split(',').any(|prefix| name.to_string_lossy().starts_with(prefix))
            })
        })
        .collect();
    files.sort();
    files
}

/// Runs one file; what differs, in words. Blesses it when asked to.
fn run(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let report = match scenario::check(&text) {
        Ok(report) => report,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    if report.passed() {
        return None;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, report.bless(&text)).unwrap();
    }
    Some(format!("{name}: {}\n{}", report.title, report.difference.join("\n")))
}

#[test]
fn every_scenario_comes_out_as_expected() {
    let files = files();
    let is_all = std::env::var_os("SCENARIO").is_none();
    assert!(files.len() >= 12 || !is_all, "scenarios are missing: {}", files.len());
    // Each is alone with its world, so that all cores can be used.
    let lanes = std::thread::available_parallelism().map_or(2, |cores| cores.get());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let lane = || {
        let mut failures = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            failures.extend(run(file));
        }
        failures
    };
    let mut failures: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    failures.sort();
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
        ("topology a -> b\nat 5m crash c\nrun 9m\nexpect silence", 2, "`c`"),
        ("topology a -> b\nat 9m crash b\nrun 9m\nexpect silence", 2, "after the end"),
        ("topology a -> b\nat 1m probe p fail\nrun 9m\nexpect silence", 2, "probe `p`"),
        ("topology a -> b\ntarget c\nrun 9m\nexpect silence", 1, "`c`"),
        ("topology a -> b\nat 1m change a fix x\nrun 9m\nexpect silence", 2, "deploy"),
        ("topology a -> b\nrun 9m\nexpect silence\nexpect 1m human", 3, "silence"),
        ("topology a -> b\nat 1m lock b\nrun 9m\nexpect silence", 2, "database `b`"),
        ("topology a -> b\nat 1m cut a db:x/y\nrun 9m\nexpect silence", 2, "database"),
        ("topology a -> b\nat 1m clock a 90s\nrun 9m\nexpect silence", 2, "+90s"),
        ("topology a -> b\nat 1m retries a b 9", 2, "retries"),
        ("topology a -> b\nat 1m disk a 2GiB", 2, "30%"),
        ("topology a -> b\nrun 9m\nexpect 1m confidence leak a", 3, "confidence"),
    ] {
        let error = scenario::check(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
}

/// What comes before its reason does not count as what was expected.
#[test]
fn an_alarm_before_its_reason_does_not_pass() {
    let text = "topology web -> cart\ntraffic web 20/s\nat 2m errors cart 50%\nat 8m crash cart\n\
                run 9m\nexpect 8m10s incident service=web symptom=availability_burn";
    let report = scenario::check(text).unwrap();
    assert!(report.happened.iter().any(|happened| happened.words.starts_with("incident")));
    assert!(!report.passed());
}

/// One extra line is one line of difference.
#[test]
fn a_difference_is_as_small_as_it_is() {
    let text = std::fs::read_to_string(files().iter().find(|f| f.ends_with("crash.test")).unwrap());
    let broken: Vec<String> = text
        .unwrap()
        .lines()
        .filter(|line| !(line.starts_with("expect") && line.contains(" cause kind=crash ")))
        .map(str::to_owned)
        .collect();
    let report = scenario::check(&broken.join("\n")).unwrap();
    let changed = report.difference.iter().filter(|line| !line.starts_with("  ")).count();
    assert_eq!(changed, 1, "{:?}", report.difference);
}
