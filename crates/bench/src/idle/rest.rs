//! A server at rest: how memory goes down over time, and what little it does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep_until};

use crate::figures::rounded;
use crate::gauges::Gauges;
use crate::process::{Resident, cpu_s, rss_mb};

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Processor time is told of the end of the rest, when nothing is left to be worked off.
const LAST: Duration = Duration::from_secs(300);
/// When memory is told: after these looks, then every few minutes.
const TOLD_AT: [u64; 6] = [0, 10, 30, 60, 120, 300];
const TOLD_EVERY_S: u64 = 300;

/// Of the server and of its agent, in this order, where there are two.
pub struct Rest {
    pub lasted_s: f64,
    /// How long the last part was.
    pub last_s: f64,
    pub rss_mb: f64,
    pub agent_rss_mb: f64,
    /// Of one core, over the whole rest.
    pub cpu_percent: [f64; 2],
    /// Of one core, over its last part.
    pub cpu_percent_last: [f64; 2],
    /// Seconds of rest, and memory then.
    pub rss_by_s: Vec<(u64, f64)>,
    /// What the server says of its memory in the end.
    pub parts_mb: BTreeMap<String, f64>,
}

/// One look.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    cpu_s: [f64; 2],
}

impl Rest {
    pub async fn look(api: SocketAddr, pids: [u32; 2], minutes: f64) -> Result<Rest> {
        let gauges = Gauges::new(api)?;
        let begin = Instant::now();
        let end = begin + Duration::from_secs_f64(minutes.max(0.05) * 60.0);
        let mut looks = vec![look(pids)?];
        let (mut rss_by_s, mut parts_mb) = (Vec::new(), BTreeMap::new());
        let mut told = None;
        loop {
            let (second, is_last) = (begin.elapsed().as_secs(), Instant::now() >= end);
            let due = due_at(second);
            if told != Some(due) || is_last {
                told = Some(due);
                let resident = Resident::of(pids[0])?;
                // Asked this rarely, the answer costs nothing that could be measured.
                parts_mb = gauges.read().await?.memory_mb();
                parts_mb.values_mut().for_each(|mb| *mb = rounded(*mb));
                eprintln!("{second:>5} s: {resident}; {parts_mb:?}");
                rss_by_s.push((second, resident.all_mb));
            }
            if is_last {
                break;
            }
            sleep_until((Instant::now() + LOOK_EVERY).min(end)).await;
            looks.push(look(pids)?);
        }
        let last = looks.last().copied().context("nothing was looked at")?;
        let of_last = |look: &&Look| last.at - look.at <= LAST;
        let begun = looks.iter().find(of_last).copied().unwrap_or(looks[0]);
        Ok(Rest {
            lasted_s: (last.at - looks[0].at).as_secs_f64(),
            last_s: (last.at - begun.at).as_secs_f64(),
            rss_mb: rss_mb(pids[0])?,
            agent_rss_mb: rss_mb(pids[1])?,
            cpu_percent: last.percent_since(looks[0]),
            cpu_percent_last: last.percent_since(begun),
            rss_by_s,
            parts_mb,
        })
    }
}

fn look(pids: [u32; 2]) -> Result<Look> {
    let [server, agent] = pids;
    Ok(Look { at: Instant::now(), cpu_s: [cpu_s(server)?, cpu_s(agent)?] })
}

impl Look {
    fn percent_since(self, earlier: Look) -> [f64; 2] {
        let passed_s = (self.at - earlier.at).as_secs_f64().max(1e-9);
        let percent = |of: usize| (self.cpu_s[of] - earlier.cpu_s[of]) / passed_s * 100.0;
        [rounded(percent(0)), rounded(percent(1))]
    }
}

/// The last moment at which memory is told, until this second of the rest.
fn due_at(second: u64) -> u64 {
    let early = TOLD_AT.into_iter().filter(|at| *at <= second).max().unwrap_or(0);
    early.max(second / TOLD_EVERY_S * TOLD_EVERY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_often_first_and_then_every_five_minutes() {
        let seconds = [0, 9, 11, 59, 61, 299, 599, 601, 3_601];
        let due = [0, 0, 10, 30, 60, 120, 300, 600, 3_600];
        assert_eq!(seconds.map(due_at), due);
    }
}
