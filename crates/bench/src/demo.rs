//! `bench demo`: `immune demo` for many seeds, each from nothing, and what came of all of them.
//!
//! What a seed's demo printed and stored is kept in a folder; a seed that is there is not played
//! again, so that a run that was interrupted goes on. Counts are the demo's own. When the first bad
//! request of the harm arrived that a page tells of is read from the server's input log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Args;
use engine::{Event, EventKind};
use model::experiment::Scorecard;
use model::human::HumanDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use server::journal::Journal;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::arrival;
use crate::figures::{Outcome, quantile, rounded, seconds};
use crate::programs::{Programs, Workplace};

/// What the demo promises its users.
const LATENCY_LIMIT: HumanDuration = HumanDuration::from_millis(500);
/// Shares of right causes and decisions that the product promises.
const RIGHT_MIN: f64 = 0.9;
/// From the arrival of the signal to the page.
const DETECT_P95_MAX_S: f64 = 15.0;
/// Of one incident, more than any has.
const EVENTS_MAX: usize = 100_000;
/// Counts of a drill that are summed.
const COUNTS: &[&str] = &[
    "runs",
    "took_effect",
    "to_detect",
    "detected",
    "cause_first",
    "right_decision",
    "to_heal",
    "recovered",
    "undone",
    "other_pages",
];

#[derive(Args)]
pub struct Demo {
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Demos that run at the same time
    #[arg(long, default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=64))]
    at_once: u64,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Go on in the folder of an earlier run
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    again: Option<PathBuf>,
}

/// What `immune demo --headless --json` prints, as far as it is summed.
#[derive(Deserialize)]
struct Played {
    drills: Vec<Map<String, Value>>,
    healthy_s: f64,
    healthy_pages: u64,
    harmful_actions: u64,
    double_actions: u64,
    passed: bool,
    scorecards: Vec<Scorecard>,
}

/// Drills of one kind, or of all.
#[derive(Default)]
struct Sums {
    counts: Map<String, Value>,
    detect_s: Vec<f64>,
    client_s: Vec<f64>,
}

impl Demo {
    pub async fn run(self) -> Result<Outcome> {
        let immune = Programs::find()?.immune()?;
        let workplace = Workplace::again_or_new(self.again.as_deref(), self.dir.as_deref())?;
        let turns = Arc::new(Semaphore::new(self.at_once as usize));
        let tasks: Vec<_> = (self.seed..self.seed.saturating_add(self.seeds))
            .map(|seed| {
                let (immune, turns) = (immune.clone(), Arc::clone(&turns));
                let folder = workplace.path().to_owned();
                tokio::spawn(async move {
                    let _turn = turns.acquire_owned().await?;
                    play(&immune, &folder, seed).await.with_context(|| format!("seed {seed}"))
                })
            })
            .collect();
        let mut played = Vec::new();
        for (seed, task) in (self.seed..).zip(tasks) {
            played.push((workplace.path().join(format!("demo-{seed}")), task.await??));
        }
        summed(&played)
    }
}

async fn play(immune: &Path, folder: &Path, seed: u64) -> Result<Played> {
    let told = folder.join(format!("{seed}.json"));
    let done = fs::read(&told).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(played) = done {
        eprintln!("seed {seed} was played already");
        return Ok(played);
    }
    eprintln!("seed {seed} begins");
    let story = fs::File::create(folder.join(format!("{seed}.err")))?;
    let output = Command::new(immune)
        .args(["demo", "--headless", "--json", "--seed", &seed.to_string(), "--dir"])
        .arg(folder.join(format!("demo-{seed}")))
        .stdin(Stdio::null())
        .stderr(story)
        .kill_on_drop(true)
        .output()
        .await?;
    let played: Played = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the demo printed no figures; its story is in {seed}.err"))?;
    fs::write(&told, &output.stdout)?;
    let word = if played.passed { "passed" } else { "did not pass" };
    eprintln!("seed {seed} {word}");
    Ok(played)
}

fn summed(played: &[(PathBuf, Played)]) -> Result<Outcome> {
    let mut kinds: Vec<(String, Sums)> = Vec::new();
    let mut all = Sums::default();
    for (folder, demo) in played {
        ensure!(demo.drills.len() == demo.scorecards.len(), "a kind was played twice in one demo");
        for (drill, card) in demo.drills.iter().zip(&demo.scorecards) {
            let name = drill["name"].as_str().unwrap_or_default();
            let at = kinds.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                kinds.push((name.to_owned(), Sums::default()));
                kinds.len() - 1
            });
            let times = times(&folder.join("immune"), card)?;
            for sums in [&mut all, &mut kinds[at].1] {
                sums.add(drill, times);
            }
        }
    }
    let sum = |of: fn(&Played) -> u64| played.iter().map(|(_, demo)| of(demo)).sum::<u64>();
    let healthy_s: f64 = played.iter().map(|(_, demo)| demo.healthy_s).sum();
    let (pages, harmful) = (sum(|demo| demo.healthy_pages), sum(|demo| demo.harmful_actions));
    let double = sum(|demo| demo.double_actions);
    let drills: Vec<Value> = kinds
        .iter()
        .map(|(name, sums)| {
            let mut figures = sums.figures();
            figures.insert("name".to_owned(), json!(name));
            Value::Object(figures)
        })
        .collect();
    let figures = json!({
        "bench": "demo",
        "seeds": played.len(),
        "drills": drills,
        "all": all.figures(),
        "healthy_s": rounded(healthy_s),
        "healthy_pages": pages,
        "harmful_actions": harmful,
        "double_actions": double,
        "passed": sum(|demo| u64::from(demo.passed)),
    });
    let mut outcome = Outcome::new(figures);
    for (key, of) in [("cause_first", "to_detect"), ("right_decision", "runs")] {
        let (right, of) = (all.count(key), all.count(of));
        let kept = right as f64 >= RIGHT_MIN * of as f64;
        outcome.promise(kept, format!("{key}: {right} of {of}, {RIGHT_MIN} promised"));
    }
    for (what, count) in [
        ("pages between drills", pages),
        ("other pages", all.count("other_pages")),
        ("harmful actions", harmful),
        ("double actions", double),
    ] {
        outcome.promise(count == 0, format!("{count} {what}"));
    }
    let p95 = quantile(&all.detect_s, 0.95).unwrap_or(0.0);
    outcome.promise(p95 <= DETECT_P95_MAX_S, format!("detected within {p95} s (p95)"));
    Ok(outcome)
}

/// Seconds until the page: from the arrival of the first bad request of the harm that it tells of,
/// and from the first one that users met.
fn times(data: &Path, card: &Scorecard) -> Result<[Option<f64>; 2]> {
    let (Some(injected), Some(detected)) = (card.injected_at, card.detected_at) else {
        return Ok([None, None]);
    };
    let events = match card.incident {
        Some(id) => Journal::open(&data.join("journal.db"))?.events_of(id.0, EVENTS_MAX)?,
        None => Vec::new(),
    };
    // An incident may be an earlier one that opened again, and be opened again by a later drill.
    let mut noticed = Vec::new();
    for event in events {
        if let EventKind::Incident { incident, .. } = serde_json::from_str::<Event>(&event)?.kind {
            noticed.extend(incident.symptoms);
        }
    }
    let of_page = noticed.iter().filter(|one| (injected..=detected).contains(&one.detected));
    let onset = of_page.map(|symptom| symptom.onset).min();
    let begin = onset.unwrap_or(injected).max(injected);
    let sign = arrival::first_sign(data, begin, LATENCY_LIMIT.0)?;
    let client = card.first_harm_at.map(|harm| seconds(harm, detected));
    Ok([sign.map(|sign| seconds(sign, detected)), client.filter(|seconds| *seconds >= 0.0)])
}

impl Sums {
    fn add(&mut self, drill: &Map<String, Value>, [detect, client]: [Option<f64>; 2]) {
        for key in COUNTS {
            let sum = self.count(key) + drill.get(*key).and_then(Value::as_u64).unwrap_or(0);
            self.counts.insert((*key).to_owned(), sum.into());
        }
        self.detect_s.extend(detect);
        self.client_s.extend(client);
    }

    fn count(&self, key: &str) -> u64 {
        self.counts.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    fn figures(&self) -> Map<String, Value> {
        let mut figures = self.counts.clone();
        for (key, values, q) in [
            ("detect_p50_s", &self.detect_s, 0.5),
            ("detect_p95_s", &self.detect_s, 0.95),
            ("detect_max_s", &self.detect_s, 1.0),
            ("client_p50_s", &self.client_s, 0.5),
            ("client_p95_s", &self.client_s, 0.95),
        ] {
            figures.insert(key.to_owned(), json!(quantile(values, q)));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_summed_and_promises_are_checked() {
        let demo = |cause: u64, pages: u64| {
            let drill = json!({ "name": "crash", "runs": 1, "to_detect": 1, "detected": 1,
                "cause_first": cause, "right_decision": 1, "other_pages": pages });
            let Value::Object(drill) = drill else { unreachable!() };
            let played = Played {
                drills: vec![drill],
                healthy_s: 60.0,
                healthy_pages: 0,
                harmful_actions: 0,
                double_actions: 0,
                passed: cause == 1,
                scorecards: vec![Scorecard::default()],
            };
            (PathBuf::from("nowhere"), played)
        };
        let good = summed(&[demo(1, 0), demo(1, 0)]).unwrap();
        assert_eq!(good.broken, Vec::<String>::new());
        assert_eq!(good.figures["drills"][0]["runs"], 2);
        assert_eq!(good.figures["passed"], 2);
        let bad = summed(&[demo(1, 0), demo(0, 1)]).unwrap();
        assert_eq!(bad.broken, ["cause_first: 1 of 2, 0.9 promised", "1 other pages"]);
    }
}
