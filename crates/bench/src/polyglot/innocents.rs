//! What happens every day and is nobody's fault: there must be no page at all.

use std::time::Duration;

use anyhow::Result;
use model::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;
use server::clock;
use tokio::time::sleep;

use super::drills::drill;
use super::kind::Kind;
use super::score::Run;
use super::stage::{RATE, Stage};
use crate::figures::rounded;

const RATES: std::ops::Range<f64> = 2.0..4.0;
const SURGE: f64 = 4.0;
const SURGE_LASTS: Duration = Duration::from_secs(60);
/// Traffic against which the surge is measured.
const BEFORE: Duration = Duration::from_secs(30);
/// After the instance was started again.
const SCALED_OUT_FOR: Duration = Duration::from_secs(15);
/// A surge counts as one when the users' own log shows at least this many times the requests.
const SURGE_SEEN: f64 = 2.5;

pub async fn placebo(stage: &mut Stage, number: usize, generator: &mut StdRng) -> Result<Run> {
    let (rate, since) = begin(stage, generator).await?;
    let (record, card) = drill(stage, Kind::Placebo, None, rate, generator).await?;
    stage.keep(&format!("run-{number}.json"), &record)?;
    let mut run = end(stage, Kind::Placebo, number, rate, since).await?;
    run.took_effect = card.aborted.is_none();
    run.problems.extend(card.failures);
    Ok(run)
}

pub async fn surge(stage: &mut Stage, number: usize, generator: &mut StdRng) -> Result<Run> {
    let (rate, since) = begin(stage, generator).await?;
    sleep(BEFORE).await;
    let begun = clock::now();
    stage.users.set_rate(rate * SURGE)?;
    sleep(SURGE_LASTS).await;
    let ended = clock::now();
    stage.users.set_rate(rate)?;
    sleep(stage.plot.watch).await;
    let mut run = end(stage, Kind::Surge, number, rate, since).await?;
    let before = stage.users.felt(begun - BEFORE, begun)?.requests as f64 / BEFORE.as_secs_f64();
    let during = stage.users.felt(begun, ended)?.requests as f64 / SURGE_LASTS.as_secs_f64();
    eprintln!("  {before:.1} requests/s before, {during:.1} in the surge");
    run.took_effect = during >= before * SURGE_SEEN;
    Ok(run)
}

pub async fn rolling_restart(
    stage: &mut Stage,
    number: usize,
    generator: &mut StdRng,
) -> Result<Run> {
    let (rate, since) = begin(stage, generator).await?;
    let before = stage.system.description()?.pids;
    let version = format!("v{}", number + 1);
    stage.system.control(&["rolling-restart", "--version", &version]).await?;
    sleep(stage.plot.watch).await;
    let mut run = end(stage, Kind::RollingRestart, number, rate, since).await?;
    let after = stage.system.description()?.pids;
    let is_new =
        |name| after.get(name).is_some_and(|pid| pid.is_some() && before.get(name) != Some(pid));
    run.took_effect = is_new("orders-1") && is_new("orders-2");
    Ok(run)
}

pub async fn scale_in(stage: &mut Stage, number: usize, generator: &mut StdRng) -> Result<Run> {
    let (rate, since) = begin(stage, generator).await?;
    stage.system.control(&["stop-service", "orders-2"]).await?;
    sleep(stage.plot.watch).await;
    let is_gone = stage.system.description()?.pids.get("orders-2") == Some(&None);
    // For the next run; scaling out must not page either.
    stage.system.control(&["start-service", "orders-2"]).await?;
    sleep(SCALED_OUT_FOR).await;
    let mut run = end(stage, Kind::ScaleIn, number, rate, since).await?;
    run.took_effect = is_gone;
    Ok(run)
}

async fn begin(stage: &Stage, generator: &mut StdRng) -> Result<(f64, Timestamp)> {
    let rate = rounded(generator.random_range(RATES));
    stage.users.set_rate(rate)?;
    Ok((rate, clock::now()))
}

async fn end(
    stage: &mut Stage,
    kind: Kind,
    number: usize,
    rate: f64,
    since: Timestamp,
) -> Result<Run> {
    let incidents = stage.charge_incidents().await?;
    let deeds = stage.deeds_since(since, kind.target()).await?;
    let felt = stage.users.felt(since, clock::now())?;
    if !incidents.is_empty() {
        stage.keep(&format!("run-{number}-incidents.json"), &incidents)?;
    }
    stage.users.set_rate(RATE)?;
    Ok(Run {
        pages: incidents.len(),
        other_pages: incidents.len(),
        actions: deeds.ordered,
        harmful: deeds.ordered,
        double: deeds.double,
        harmed_requests: felt.harmed,
        problems: incidents.into_iter().map(|i| format!("page: {}", i.title)).collect(),
        ..Run::new(number, kind, rate)
    })
}
