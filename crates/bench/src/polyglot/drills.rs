//! The drills: something is done to the system under load, and everything that follows is measured.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use model::Incident;
use model::experiment::{Experiment, Fault, Healed, Scorecard};
use model::fault::CommandFault;
use model::human::HumanDuration;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;
use server::clock;
use server::drills::Record;

use super::kind::Kind;
use super::score::{Run, Times};
use super::settings::LATENCY_LIMIT;
use super::stage::Stage;
use super::system;
use crate::arrival;
use crate::figures::{rounded, seconds};

/// Sessions per second, drawn for each run.
const RATES: std::ops::Range<f64> = 2.0..6.0;
const LATENCIES_MS: std::ops::Range<u64> = 2_000..3_000;

/// One drill, at a rate, in a shade and with a delay that are drawn.
pub async fn run(
    stage: &mut Stage,
    kind: Kind,
    number: usize,
    generator: &mut StdRng,
) -> Result<Run> {
    let since = clock::now();
    let rate = rounded(generator.random_range(RATES));
    let shade = kind.shades().choose(generator).copied();
    let (record, card) = drill(stage, kind, shade, rate, generator).await?;
    stage.quiet().await?;
    let incidents = stage.charge_incidents().await?;
    let deeds = stage.deeds_since(since, kind.target()).await?;
    let name = format!("run-{number}.json");
    stage.keep(&name, &json!({ "record": record, "incidents": incidents, "deeds": deeds }))?;
    let own = incidents.iter().find(|incident| Some(incident.id) == card.incident);
    let mut problems = card.failures.clone();
    for other in incidents.iter().filter(|incident| Some(incident.id) != card.incident) {
        problems.push(format!("another page: {}", other.title));
    }
    Ok(Run {
        shade,
        took_effect: card.took_effect == Some(true),
        pages: incidents.len(),
        other_pages: incidents.len() - usize::from(own.is_some()),
        detected: card.detected_at.is_some(),
        cause_first: expects_cause(&record).then_some(card.cause_first == Some(true)),
        cause: card.cause.clone(),
        right_decision: card.decision_right == Some(true),
        acted: card.acted_at.is_some(),
        verified: card.verified_at.is_some(),
        recovered: card.healed == Some(Healed::ByAction),
        undone: card.undone_at.is_some(),
        actions: deeds.ordered,
        harmful: deeds.harmful,
        double: deeds.double,
        harmed_requests: card.harmed_requests,
        times: times(stage, &card, own)?,
        problems,
        ..Run::new(number, kind, rate)
    })
}

/// Runs the kind's experiment, its onset delayed by chance.
pub async fn drill(
    stage: &Stage,
    kind: Kind,
    shade: Option<&str>,
    rate: f64,
    generator: &mut StdRng,
) -> Result<(Record, Scorecard)> {
    stage.users.set_rate(rate)?;
    let mut experiment = experiment(kind)?;
    if let Some(shade) = shade {
        eprintln!("  {shade}");
        experiment.fault = Some(Fault::Command(CommandFault { name: shade.to_owned() }));
    }
    if let Some(Fault::Tcp(tcp)) = &mut experiment.fault {
        tcp.port = stage.system.description()?.port_of_orders()?;
        let latency = Duration::from_millis(generator.random_range(LATENCIES_MS));
        eprintln!("  {latency:?}");
        tcp.toxics.latency = Some(HumanDuration(latency));
    }
    let delay_ms = generator.random_range(0..15_000);
    let held_for = experiment.steady_state.held_for.0;
    experiment.steady_state.held_for = HumanDuration(held_for + Duration::from_millis(delay_ms));
    experiment.client_log = Some(stage.users.log().display().to_string());
    let record = stage.drill(&experiment).await?;
    let card = record.scorecard.clone().context("the drill has no scorecard")?;
    Ok((record, card))
}

fn expects_cause(record: &Record) -> bool {
    record.drill.experiment.expect.cause.is_some()
}

fn experiment(kind: Kind) -> Result<Experiment> {
    read(&system::sources().join("experiments").join(format!("{}.yaml", kind.as_str())))
}

fn read(path: &Path) -> Result<Experiment> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
    chaos::parse(&text).with_context(|| format!("{file}"))
}

fn times(stage: &Stage, card: &Scorecard, own: Option<&Incident>) -> Result<Times> {
    let Some(effective) = card.effective_at.or(card.injected_at) else {
        return Ok(Times::default());
    };
    let injected = card.injected_at.unwrap_or(effective);
    let arrived = match card.detected_at {
        Some(_) => arrival::first_sign(&stage.data(), injected, LATENCY_LIMIT)?,
        None => None,
    };
    let opened = card.detected_at;
    let between = |from, to| Some(seconds(from?, to?));
    let onset = own.map(|incident| incident.onset);
    Ok(Times {
        detect_s: between(arrived, opened),
        detect_from_onset_s: between(onset, opened),
        // What users' log tells of may be the fault's end alone: it knows no slow requests.
        client_s: between(card.first_harm_at, opened).filter(|seconds| *seconds >= 0.0),
        signal_s: between(card.first_harm_at, arrived),
        acted_s: between(opened, card.acted_at),
        recovered_s: between(Some(injected), card.last_harm_at),
        verified_s: between(Some(injected), card.verified_at),
    })
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use model::experiment::Decision;

    use super::*;

    #[test]
    fn the_experiments_of_the_polyglot_system_are_good() {
        for kind in Kind::value_variants() {
            let Some(decision) = kind.decision() else { continue };
            let experiment = experiment(*kind).unwrap();
            assert_eq!(experiment.expect.decision, decision, "{}", kind.as_str());
            assert_eq!(experiment.target, kind.target(), "{}", kind.as_str());
        }
        let placebo = experiment(Kind::Placebo).unwrap();
        assert_eq!((placebo.fault, placebo.expect.decision), (None, Decision::LeaveAlone));
    }
}
