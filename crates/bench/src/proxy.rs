//! `bench proxy`: what our TCP proxy costs, beside nginx's stream module, HAProxy, Envoy and a
//! plain copy by tokio, all between the same two ends on loopback.
//!
//! All are started first and take turns, round by round, so that a machine that is slower for a
//! while is so for all of them. A figure is the median over rounds. What is not there is said.

mod contestants;

mod load;

mod plain;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::figures::{Outcome, quantile, rounded};
use crate::programs::{Programs, Workplace};
use contestants::{Contestant, PLAIN_COPY};
use load::Upstream;

pub use plain::PlainCopy;

const OURS: &str = "immune";
/// What ours has to reach of a plain copy.
const SHARE_MIN: f64 = 0.9;
const DELAY_MS: u64 = 100;

#[derive(Args)]
pub struct Proxy {
    /// How often each takes its turn
    #[arg(long, default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long each sends in a turn
    #[arg(long, default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How many small messages go there and back in a turn
    #[arg(long, default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    messages: u32,
}

/// What one contestant showed, a value a round.
#[derive(Default)]
struct Shown {
    mb_per_s: Vec<f64>,
    added_us: Vec<f64>,
    delayed_mb_per_s: Vec<f64>,
    /// Throughput against the plain copy of the same round.
    of_plain_copy: Vec<f64>,
}

impl Proxy {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::new(None, false)?;
        let upstream = Upstream::start()?;
        let (all, absent) =
            contestants::start(&programs, workplace.path(), upstream.address).await?;
        let mut direct = Shown::default();
        let mut shown: BTreeMap<&str, Shown> = BTreeMap::new();
        for round in 1..=self.rounds {
            eprintln!("round {round} of {}", self.rounds);
            self.round(&all, &upstream, &mut direct, &mut shown).await?;
        }
        Ok(self.outcome(&programs, &direct, &shown, absent))
    }

    async fn round(
        &self,
        all: &[Contestant],
        upstream: &Upstream,
        direct: &mut Shown,
        shown: &mut BTreeMap<&'static str, Shown>,
    ) -> Result<()> {
        let lasts = Duration::from_secs(self.seconds);
        let direct_us = load::round_trip_us(upstream.address, self.messages).await?;
        direct.added_us.push(direct_us);
        direct.mb_per_s.push(load::mb_per_s(upstream.address, lasts).await?);
        let mut plain_copy = None;
        for contestant in all {
            let Contestant { name, address, .. } = contestant;
            let here = shown.entry(name).or_default();
            let told = |what: &str| format!("{name}: {what}");
            let us = load::round_trip_us(*address, self.messages).await;
            here.added_us.push(us.with_context(|| told("small messages"))? - direct_us);
            let rate = load::mb_per_s(*address, lasts).await;
            let rate = rate.with_context(|| told("throughput"))?;
            here.mb_per_s.push(rate);
            if *name == PLAIN_COPY {
                plain_copy = Some(rate);
            }
            if let Some(api) = contestant.api {
                contestants::delay(api, Some(DELAY_MS)).await?;
                let delayed = load::mb_per_s(*address, lasts).await;
                here.delayed_mb_per_s.push(delayed.with_context(|| told("throughput, delayed"))?);
                contestants::delay(api, None).await?;
            }
        }
        if let Some(plain_copy) = plain_copy {
            for here in shown.values_mut() {
                let rate = here.mb_per_s.last().copied().unwrap_or_default();
                here.of_plain_copy.push(rate / plain_copy);
            }
        }
        Ok(())
    }

    fn outcome(
        &self,
        programs: &Programs,
        direct: &Shown,
        shown: &BTreeMap<&str, Shown>,
        absent: Vec<(&str, String)>,
    ) -> Outcome {
        let mut figures = json!({
            "bench": "proxy",
            "rounds": self.rounds,
            "seconds": self.seconds,
            "direct": {
                "mb_per_s": quantile(&direct.mb_per_s, 0.5),
                "p50_us": quantile(&direct.added_us, 0.5),
            },
            "profile": programs.profile(),
        });
        for (name, here) in shown {
            figures[*name] = json!({
                "mb_per_s": quantile(&here.mb_per_s, 0.5),
                "added_p50_us": quantile(&here.added_us, 0.5),
                "mb_per_s_at_100ms": quantile(&here.delayed_mb_per_s, 0.5),
                "of_plain_copy": quantile(&here.of_plain_copy, 0.5),
            });
        }
        for (name, why) in absent {
            eprintln!("{name} is absent: {why}");
            figures[name] = json!({ "absent": why });
        }
        let share = shown.get(OURS).and_then(|ours| quantile(&ours.of_plain_copy, 0.5));
        let mut outcome = Outcome::new(figures);
        let told = share.map_or(Value::Null, |share| json!(rounded(share)));
        let broken = format!("the proxy reaches {told} of a plain copy, not {SHARE_MIN}");
        outcome.promise(share.is_some_and(|share| share >= SHARE_MIN), broken);
        outcome
    }
}
