//! Immune itself on one line: how fresh what it knows is, what healing may do, and its own health.

use std::time::Duration;

use model::Mode;

use super::super::units;
use super::Overview;

/// Telemetry that is older proves nothing any more.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(30);
/// A loop that is later than this is in trouble.
const LATE_AFTER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bottom {
    /// Each with whether it is as it should be.
    pub(crate) parts: Vec<(String, bool)>,
}

pub(crate) fn bottom(overview: &Overview) -> Bottom {
    let status = &overview.status;
    let mut parts = Vec::new();
    parts.push(match overview.heard() {
        None => ("no telemetry yet".to_owned(), false),
        Some(heard) => {
            let age = status.now.since(heard);
            (format!("telemetry {} old", units::span(age)), age <= STALE_AFTER)
        }
    });
    parts.push(healing(overview));
    if !status.pauses.is_empty() {
        parts.push((units::plural(status.pauses.len(), "pause", "pauses"), true));
    }
    parts.push(match status.agent_connected {
        true => ("agent there".to_owned(), true),
        false => ("no agent".to_owned(), false),
    });
    if status.alerts_firing > 0 {
        let alerts = units::plural(status.alerts_firing, "alert", "alerts");
        parts.push((format!("{alerts} of other systems: `immune alerts`"), true));
    }
    let refused: u64 = status.telemetry.iter().map(|counts| counts.refused_requests).sum();
    if refused > 0 {
        parts.push((format!("{} refused", units::count(refused)), false));
    }
    let late = status.now.since(status.last_tick);
    if late > LATE_AFTER {
        parts.push((format!("the loop is {} late", units::span(late)), false));
    }
    if !overview.storage.trouble.is_empty() {
        parts.push(("storage in trouble".to_owned(), false));
    }
    Bottom { parts }
}

fn healing(overview: &Overview) -> (String, bool) {
    let status = &overview.status;
    if status.frozen.is_some() {
        return ("healing frozen".to_owned(), false);
    }
    if status.catching_up_until.is_some_and(|until| until > status.now) {
        return ("healing rests: catching up".to_owned(), false);
    }
    let words = match status.healing_mode {
        Mode::Off => "healing off",
        Mode::DryRun => "healing dry run",
        Mode::Approve => "healing asks first",
        Mode::Auto => "healing acts",
    };
    (words.to_owned(), true)
}
