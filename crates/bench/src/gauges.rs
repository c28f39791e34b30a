//! What a running server says about itself at `/metrics`, and what of that is memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const MIB: f64 = 1024.0 * 1024.0;
/// These are of the disk.
const NOT_MEMORY: [&str; 3] = ["immune_disk_", "immune_store_bytes", "immune_store_local_"];

/// Asks for figures, again and again.
#[derive(Clone, Debug)]
pub struct Gauges {
    http: reqwest::Client,
    url: String,
}

/// Figures by name, labels included.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Gauges {
    pub fn new(api: SocketAddr) -> Result<Gauges> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Gauges { http, url: format!("http://{api}/metrics") })
    }

    pub async fn read(&self) -> Result<Figures> {
        let answer = self.http.get(&self.url).send().await?;
        Ok(Figures::parse(&answer.error_for_status()?.text().await?))
    }
}

impl Figures {
    fn parse(text: &str) -> Figures {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Figures(lines.filter_map(figure).collect())
    }

    pub fn get(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().with_context(|| format!("no {name} in the metrics"))
    }

    /// Parts of the memory that the server knows of, in MiB, by the names of their gauges.
    pub fn memory_mb(&self) -> BTreeMap<String, f64> {
        let is_memory = |name: &str| {
            let base = name.split('{').next().unwrap_or(name);
            base.ends_with("_bytes") && !NOT_MEMORY.iter().any(|other| base.starts_with(other))
        };
        let parts = self.0.iter().filter(|(name, _)| is_memory(name));
        parts.map(|(name, bytes)| (name.clone(), bytes / MIB)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_memory_are_gauges_of_bytes_that_are_not_of_the_disk() {
        let figures = Figures::parse(
            "# HELP immune_log_waiting_bytes Bytes that wait to be durable.\n\
             immune_log_waiting_bytes 1048576\n\
             immune_memory_bytes{part=\"hot\"} 2097152\n\
             immune_disk_free_bytes 5\n\
             immune_store_bytes{table=\"spans\"} 5\n\
             immune_received_bytes_total{signal=\"logs\"} 5\n\
             immune_tick_lag_seconds 0.5\n",
        );
        let parts: Vec<_> = figures.memory_mb().into_iter().collect();
        let expected =
            [("immune_log_waiting_bytes", 1.0), ("immune_memory_bytes{part=\"hot\"}", 2.0)];
        assert_eq!(parts, expected.map(|(name, mb)| (name.to_owned(), mb)));
        assert_eq!(figures.get("immune_tick_lag_seconds").unwrap(), 0.5);
        assert!(figures.get("immune_ticks_total").is_err());
    }
}
