//! What a process takes: processor time and memory, as Linux counts it.

use std::fmt;

use anyhow::{Context, Result};

use crate::figures::rounded;

/// Linux counts processor time for user space in hundredths of a second on every architecture.
const TICKS_PER_S: f64 = 100.0;

/// Processor time used so far, in seconds, of all threads (proc_pid_stat(5), fields 14 and 15).
pub fn cpu_s(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name, may hold anything; the last `)` ends it.
    let (_, rest) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let ticks: Vec<f64> =
        rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_S)
}

/// Resident memory now, in MiB.
pub fn rss_mb(pid: u32) -> Result<f64> {
    memory_mb(pid, "VmRSS:")
}

/// The most resident memory so far, in MiB.
pub fn rss_peak_mb(pid: u32) -> Result<f64> {
    memory_mb(pid, "VmHWM:")
}

/// Resident memory in MiB, and what of it is the process's own and what belongs to files.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    pub all_mb: f64,
    pub own_mb: f64,
    pub files_mb: f64,
}

impl Resident {
    pub fn of(pid: u32) -> Result<Resident> {
        Ok(Resident {
            all_mb: rss_mb(pid)?,
            own_mb: memory_mb(pid, "RssAnon:")?,
            files_mb: memory_mb(pid, "RssFile:")?,
        })
    }
}

impl fmt::Display for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resident { all_mb, own_mb, files_mb } = self;
        write!(f, "{all_mb} MB resident, {own_mb} its own, {files_mb} of files")
    }
}

fn memory_mb(pid: u32, what: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(rounded(kib.with_context(|| format!("no {what} in /proc"))? / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_time() {
        let own = std::process::id();
        assert!(cpu_s(own).unwrap() >= 0.0);
        assert!(rss_peak_mb(own).unwrap() >= rss_mb(own).unwrap() * 0.5);
    }
}
