//! Is every part of the loop missed by some scenario when it is left out?
//!
//! `docs/reference/parts.md` names for each part scenarios that miss it. The test that always runs
//! leaves out each part in the first of them. The other one looks through all scenarios and writes
//! the page: `cargo xtask mutate-detectors`, which takes some minutes. `PART=guardrail,cause`
//! restricts it to parts whose name contains one of the words; nothing is written then.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod backstop;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::Config;
use engine::parts::Part;
use engine::scenario::{self, Scenario};

const PAGE: &str = "docs/reference/parts.md";
/// Scenarios that the page names of a part.
const NAMED_MAX: usize = 2;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Stems of the files in a folder that end so.
fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(repository().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

fn read(name: &str) -> Scenario {
    let file = repository().join(format!("scenarios/{name}.test"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    Scenario::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Is a part that no scenario can come to missed in its own case? `None` for all others.
fn backstop_misses(part: Part) -> Option<(bool, &'static str)> {
    let case = backstop::ALL.iter().find(|case| case.part == part)?;
    let mut without = Config::default();
    part.leave_out(&mut without);
    Some(((case.orders)(&Config::default()) != (case.orders)(&without), case.words))
}

/// Does `work` for each item, on all cores; results in the order of the items.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..cores).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Rows of the page: a part, and the scenarios that miss it.
fn page() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(repository().join(PAGE)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split_once("` | "));
    rows.map(|(part, rest)| {
        let names = rest.trim_end_matches(" |").split(", ");
        (part.to_owned(), names.map(|name| name.trim_matches('`').to_owned()).collect())
    })
    .collect()
}

#[test]
fn every_part_is_missed_by_the_scenario_that_is_named() {
    let page = page();
    let parts = Part::all();
    let known: BTreeSet<String> = parts.iter().map(Part::to_string).collect();
    let listed: BTreeSet<String> = page.keys().cloned().collect();
    assert_eq!(listed, known, "{PAGE} is not up to date: cargo xtask mutate-detectors");
    let missed = on_all_cores(&parts, |part| {
        if let Some((is_missed, _)) = backstop_misses(*part) {
            return is_missed;
        }
        let first = &page[&part.to_string()][0];
        !scenario::run_without(&read(first), *part).passed()
    });
    let unnoticed: Vec<String> = parts
        .iter()
        .zip(missed)
        .filter(|(_, is_missed)| !is_missed)
        .map(|(part, _)| format!("{part} is not missed by {}", page[&part.to_string()][0]))
        .collect();
    assert!(
        unnoticed.is_empty(),
        "{}\nlook for others with: cargo xtask mutate-detectors",
        unnoticed.join("\n")
    );
}

#[test]
#[ignore = "some minutes; cargo xtask mutate-detectors"]
fn search_for_scenarios_that_miss_a_part() {
    let word = std::env::var("PART").unwrap_or_default();
    let all = Part::all();
    let is_whole = word.is_empty();
    let is_wanted = |part: &Part| word.split(',').any(|word| part.to_string().contains(word));
    let wanted = all.into_iter().filter(is_wanted);
    let parts: Vec<Part> = wanted.collect();
    assert!(!parts.is_empty(), "no part is named `{word}`");
    let names: Vec<String> = stems("scenarios", "test").into_iter().collect();
    let mut plays = on_all_cores(&names, |name| Play::of(name));
    // Short ones first, for most parts are soon missed.
    plays.sort_by_key(|play| play.scenario.run_for);
    let found: Vec<Vec<String>> = on_all_cores(&parts, |part| {
        if let Some((is_missed, words)) = backstop_misses(*part) {
            return is_missed.then(|| words.to_owned()).into_iter().collect();
        }
        let concerned = plays.iter().filter(|play| play.may_miss(*part));
        let missing =
            concerned.filter(|play| !scenario::run_without(&play.scenario, *part).passed());
        let names = missing.map(|play| play.name.clone()).take(NAMED_MAX).collect::<Vec<String>>();
        let told = if names.is_empty() { "NOBODY".to_owned() } else { names.join(", ") };
        // The harness keeps what is printed.
        let _ = writeln!(std::io::stderr(), "{part}: {told}");
        names
    });
    let rows: Vec<(String, Vec<String>)> = parts.iter().map(Part::to_string).zip(found).collect();
    let unnoticed: Vec<&str> =
        rows.iter().filter(|(_, names)| names.is_empty()).map(|(part, _)| part.as_str()).collect();
    if is_whole && unnoticed.is_empty() {
        std::fs::write(repository().join(PAGE), written(&rows)).unwrap();
    }
    assert!(unnoticed.is_empty(), "no scenario misses: {}", unnoticed.join(", "));
}

/// A scenario as the whole loop fares in it.
struct Play {
    name: String,
    scenario: Scenario,
    has_incident: bool,
    has_plan: bool,
}

impl Play {
    fn of(name: &str) -> Play {
        let scenario = read(name);
        let report = scenario::run(&scenario);
        assert!(report.passed(), "{name} fails with the whole loop");
        let has = |word: &str| report.happened.iter().any(|it| it.words.starts_with(word));
        let (has_incident, has_plan) = (has("incident"), has("plan") || has("action"));
        Play { name: name.to_owned(), scenario, has_incident, has_plan }
    }

    /// Diagnosis is asked about incidents alone, and guardrails about plans.
    fn may_miss(&self, part: Part) -> bool {
        match part {
            Part::Inspection(_) | Part::CatchUp => true,
            Part::Diagnosis(_) => self.has_incident,
            Part::Guardrail(_) => self.has_plan,
        }
    }
}

fn written(rows: &[(String, Vec<String>)]) -> String {
    let mut text = "# Parts of the loop\n\n\
        What detection, diagnosis and healing are made of, and scenarios that come out \
        differently when\nthe part is left out. Written by `cargo xtask mutate-detectors`.\n\n\
        | part | missed by |\n|---|---|\n"
        .to_owned();
    for (part, names) in rows {
        // A case of its own is told in words.
        let name =
            |name: &String| if name.contains(' ') { name.clone() } else { format!("`{name}`") };
        let names: Vec<String> = names.iter().map(name).collect();
        text += &format!("| `{part}` | {} |\n", names.join(", "));
    }
    text
}

/// What a folder holds is in the list by which the loop goes, and so among the parts.
#[test]
fn every_file_of_a_part_is_in_its_list() {
    let listed = |word: &str| -> BTreeSet<String> {
        let parts = Part::all().into_iter().map(|part| part.to_string());
        parts.filter_map(|part| part.strip_prefix(word).map(str::to_owned)).collect()
    };
    assert_eq!(stems("crates/detect/src/inspections", "rs"), listed("inspection "));
    let mut causes = stems("crates/diagnose/src/causes", "rs");
    assert!(causes.remove("unknown"), "what remains is no part");
    assert_eq!(causes, listed("cause "));
    let folder = "crates/remediate/src/guardrails";
    let rules = stems(folder, "rs").into_iter().filter(|stem| {
        let file = repository().join(folder).join(format!("{stem}.rs"));
        std::fs::read_to_string(file).unwrap().contains("const GUARDRAIL")
    });
    assert_eq!(rules.count(), listed("guardrail ").len());
}
