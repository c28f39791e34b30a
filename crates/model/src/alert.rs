//! Alerts of other systems, as they told them to us.
//!
//! What an alert means here (whose it is, how grave) is not decided when it is taken but when it is
//! judged, by the configuration of then: so a replay with another table answers another question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The label that names an alert.
pub const ALERT_NAME: &str = "alertname";

/// One alert, as another system told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertReport {
    /// When it was told, by the server's clock.
    pub at: Timestamp,
    /// Who told it: the name of the token that was used.
    pub told_by: String,
    /// The same for the same alert, however often it is told: a hash of its labels.
    pub fingerprint: String,
    pub state: AlertState,
    /// When it began to fire, by the clock of who told it.
    pub starts_at: Timestamp,
    pub labels: BTreeMap<String, String>,
    /// One line for people; empty where none was told.
    pub summary: String,
    /// What to do about it; empty where none was told.
    pub runbook_url: String,
    /// Where it comes from; empty where that was not told.
    pub generator_url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertState {
    Firing,
    /// Over since then, by the clock of who told it.
    Resolved(Timestamp),
}

impl AlertReport {
    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        self.labels.get(ALERT_NAME).map_or("", String::as_str)
    }
}

/// A hash of labels for alerts that came without one: FNV-1a, 16 hex digits.
pub fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let bytes = labels.iter().flat_map(|(name, value)| {
        // Neither occurs in a text, so no two sets of labels read alike.
        name.bytes().chain([0xfe]).chain(value.bytes()).chain([0xff])
    });
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_labels_have_one_fingerprint() {
        let of = |pairs: &[(&str, &str)]| {
            fingerprint(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1b2")]), of(&[("a", "1"), ("b", "2")]));
        assert_eq!(of(&[]).len(), 16);
    }
}
