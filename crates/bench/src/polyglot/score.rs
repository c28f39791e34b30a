//! What the runs come to.

use std::fmt;

use model::experiment::Decision;
use serde::Serialize;
use serde_json::{Value, json};

use super::kind::Kind;
use crate::figures::{count, quantile};

/// One run. For an innocent event everything is "other": it has no page of its own.
#[derive(Debug, Serialize)]
pub struct Run {
    pub number: usize,
    #[serde(serialize_with = "name")]
    pub kind: Kind,
    /// Users' sessions per second.
    pub rate: f64,
    /// Which of the kind's faults it was.
    pub shade: Option<&'static str>,
    pub took_effect: bool,
    pub detected: bool,
    /// Where the experiment says which it should be.
    pub cause_first: Option<bool>,
    /// The first cause as it was named.
    pub cause: Option<String>,
    pub right_decision: bool,
    pub acted: bool,
    pub verified: bool,
    /// By an action, by the users' own log.
    pub recovered: bool,
    pub undone: bool,
    pub pages: usize,
    pub other_pages: usize,
    pub actions: usize,
    pub harmful: usize,
    pub double: usize,
    pub harmed_requests: u64,
    pub times: Times,
    /// It could not be brought to its end; `problems` says why.
    pub broken: bool,
    pub problems: Vec<String>,
}

/// Seconds; `None` where one end did not happen.
#[derive(Debug, Default, Serialize)]
pub struct Times {
    /// From the arrival of the first failed server span to the opening of the incident.
    pub detect_s: Option<f64>,
    /// From the end of the first failed request, as telemetry tells it, to the opening.
    pub detect_from_onset_s: Option<f64>,
    /// From the end of the client's first harmed request to the opening.
    pub client_s: Option<f64>,
    /// From there to the arrival of the first failed span: time that no detector can save.
    pub signal_s: Option<f64>,
    /// From the opening to the order.
    pub acted_s: Option<f64>,
    /// From the kill to the end of the client's last harmed request.
    pub recovered_s: Option<f64>,
    /// From the kill to the end of verification.
    pub verified_s: Option<f64>,
}

impl Run {
    pub fn new(number: usize, kind: Kind, rate: f64) -> Run {
        Run {
            number,
            kind,
            rate,
            shade: None,
            took_effect: false,
            detected: false,
            cause_first: None,
            cause: None,
            right_decision: false,
            acted: false,
            verified: false,
            recovered: false,
            undone: false,
            pages: 0,
            other_pages: 0,
            actions: 0,
            harmful: 0,
            double: 0,
            harmed_requests: 0,
            times: Times::default(),
            broken: false,
            problems: Vec::new(),
        }
    }

    /// Did everything go as it should have?
    pub fn is_good(&self) -> bool {
        let found =
            self.detected && self.cause_first != Some(false) && self.right_decision && self.undone;
        let right = match self.kind.decision() {
            Some(Decision::Heal) => found && self.verified && self.recovered,
            Some(Decision::Escalate) => found && self.actions == 0,
            Some(Decision::LeaveAlone) => self.right_decision && self.undone && self.actions == 0,
            None => self.actions == 0,
        };
        let harmless = self.harmful == 0 && self.double == 0 && self.other_pages == 0;
        right && harmless && self.took_effect && !self.broken
    }

    /// A run that could not be brought to its end. It counts, and for nothing good.
    pub fn broken(number: usize, kind: Kind, error: &anyhow::Error) -> Run {
        let problems = vec![format!("broke: {error:#}")];
        Run { broken: true, problems, ..Run::new(number, kind, 0.0) }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |value: bool| if value { "yes" } else { "NO" };
        let seconds = |value: Option<f64>| value.map_or("-".to_owned(), |s| format!("{s:.1} s"));
        write!(f, "run {}, {}", self.number, self.kind.as_str())?;
        if let Some(shade) = self.shade {
            write!(f, " ({shade})")?;
        }
        write!(f, ": took effect {}", yes(self.took_effect))?;
        if self.kind.hurts() {
            let times = &self.times;
            write!(f, ", detected {} from the signal", seconds(times.detect_s))?;
            write!(f, " ({} from the first harmed request)", seconds(times.client_s))?;
            write!(f, ", cause first {}", self.cause_first.map_or("-", yes))?;
            write!(f, ", right decision {}", yes(self.right_decision))?;
            if self.kind.decision() == Some(Decision::Heal) {
                write!(f, ", acted {}, verified {}", yes(self.acted), yes(self.verified))?;
                write!(f, ", users recovered {}", yes(self.recovered))?;
                write!(f, " after {}", seconds(times.recovered_s))?;
            }
            write!(f, ", other pages {}", self.other_pages)?;
        } else {
            write!(f, ", pages {}, actions {}", self.pages, self.actions)?;
            write!(f, ", harmed requests {}", self.harmed_requests)?;
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The keys that docs rely on, and each run as it went.
pub fn figures(runs: &[Run]) -> Value {
    let of = |kind: Kind| runs.iter().filter(|run| run.kind == kind).collect::<Vec<_>>();
    let kinds = |innocent: bool| {
        Kind::ALL.into_iter().filter(move |k| k.is_innocent() == innocent && !of(*k).is_empty())
    };
    let drills: Vec<Value> = kinds(false).map(|kind| drill(kind, &of(kind))).collect();
    let innocents: Vec<Value> = kinds(true).map(|kind| innocent(kind, &of(kind))).collect();
    let innocent_runs: Vec<&Run> = runs.iter().filter(|run| run.kind.is_innocent()).collect();
    let hurting: Vec<&Run> = runs.iter().filter(|run| run.kind.hurts()).collect();
    let drilled: Vec<&Run> = runs.iter().filter(|run| !run.kind.is_innocent()).collect();
    let detect: Vec<f64> = hurting.iter().filter_map(|run| run.times.detect_s).collect();
    json!({
        "runs": runs.len(),
        "hurting_runs": hurting.len(),
        "detected": count(&hurting, |run| run.detected),
        "cause_runs": count(&hurting, |run| run.cause_first.is_some()),
        "cause_first": count(&hurting, |run| run.cause_first == Some(true)),
        "drill_runs": drilled.len(),
        "took_effect": count(&drilled, |run| run.took_effect),
        "right_decision": count(&drilled, |run| run.right_decision),
        "detect_p50_s": quantile(&detect, 0.5),
        "detect_p95_s": quantile(&detect, 0.95),
        "false_pages": runs.iter().map(|run| run.other_pages).sum::<usize>(),
        "harmful_actions": runs.iter().map(|run| run.harmful).sum::<usize>(),
        "double_actions": runs.iter().map(|run| run.double).sum::<usize>(),
        "drills": drills,
        "innocents": innocents,
        "innocent_runs": innocent_runs.len(),
        "innocent_pages": innocent_runs.iter().map(|run| run.pages).sum::<usize>(),
        "all_runs": runs,
    })
}

fn drill(kind: Kind, runs: &[&Run]) -> Value {
    let mut figures = json!({
        "name": kind.as_str(),
        "runs": runs.len(),
        "took_effect": count(runs, |run| run.took_effect),
        "detected": count(runs, |run| run.detected),
        "cause_first": count(runs, |run| run.cause_first == Some(true)),
        "right_decision": count(runs, |run| run.right_decision),
        "acted": count(runs, |run| run.acted),
        "verified": count(runs, |run| run.verified),
        "recovered": count(runs, |run| run.recovered),
        "undone": count(runs, |run| run.undone),
        "broken": count(runs, |run| run.broken),
        "other_pages": runs.iter().map(|run| run.other_pages).sum::<usize>(),
    });
    let mut times = |name: &str, of: fn(&Times) -> Option<f64>| {
        let values: Vec<f64> = runs.iter().filter_map(|run| of(&run.times)).collect();
        figures[format!("{name}_p50_s")] = json!(quantile(&values, 0.5));
        figures[format!("{name}_p95_s")] = json!(quantile(&values, 0.95));
    };
    times("detect", |times| times.detect_s);
    times("detect_from_onset", |times| times.detect_from_onset_s);
    times("client", |times| times.client_s);
    times("signal", |times| times.signal_s);
    times("acted", |times| times.acted_s);
    times("recovered", |times| times.recovered_s);
    times("verified", |times| times.verified_s);
    figures
}

fn innocent(kind: Kind, runs: &[&Run]) -> Value {
    json!({
        "name": kind.as_str(),
        "runs": runs.len(),
        "took_effect": count(runs, |run| run.took_effect),
        "broken": count(runs, |run| run.broken),
        "pages": runs.iter().map(|run| run.pages).sum::<usize>(),
        "actions": runs.iter().map(|run| run.actions).sum::<usize>(),
        "harmed_requests": runs.iter().map(|run| run.harmed_requests).sum::<u64>(),
    })
}

fn name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_and_innocent_events_are_counted_apart() {
        let mut killed = Run::new(1, Kind::OrdersKilled, 3.0);
        (killed.detected, killed.pages) = (true, 1);
        killed.times.detect_s = Some(2.5);
        let mut surge = Run::new(2, Kind::Surge, 3.0);
        surge.pages = 2;
        let figures = figures(&[killed, surge]);
        assert_eq!(figures["drills"][0]["detected"], 1);
        assert_eq!(figures["drills"][0]["detect_p95_s"], 2.5);
        assert_eq!(figures["drills"][0]["client_p50_s"], Value::Null);
        assert_eq!((&figures["innocent_runs"], &figures["innocent_pages"]), (&json!(1), &json!(2)));
    }
}
