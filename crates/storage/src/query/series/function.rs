//! What is told of the points of a window.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written `last`, `avg`, `min`, `max`, `sum`, `count`, `rate`, `increase`, `quantile(0.95)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// Not of histograms and summaries.
    Last,
    /// Of histograms and summaries: of what was observed, as for all below.
    Average,
    Minimum,
    Maximum,
    Sum,
    /// Number of points; of histograms and summaries: of observations.
    Count,
    /// By how much it grew a second. What counts may start from anew.
    Rate,
    /// By how much it grew.
    Increase,
    /// From 0 to 1.
    Quantile(f64),
}

const NAMES: &[(&str, Function)] = &[
    ("last", Function::Last),
    ("avg", Function::Average),
    ("min", Function::Minimum),
    ("max", Function::Maximum),
    ("sum", Function::Sum),
    ("count", Function::Count),
    ("rate", Function::Rate),
    ("increase", Function::Increase),
];

impl Function {
    /// It looks at how the series grew, not at its values.
    pub(super) fn is_growth(self) -> bool {
        matches!(self, Function::Rate | Function::Increase)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Function::Quantile(q) = self {
            return write!(f, "quantile({q})");
        }
        let named = NAMES.iter().find(|(_, function)| function == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Function, String> {
        let text = text.trim();
        if let Some((_, function)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*function);
        }
        let inner = text.strip_prefix("quantile(").and_then(|rest| rest.strip_suffix(')'));
        let q = inner.and_then(|inner| inner.trim().parse::<f64>().ok());
        q.filter(|q| (0.0..=1.0).contains(q)).map(Function::Quantile).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is none of {}, quantile(0.95)", names.join(", "))
        })
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Function, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_read_what_they_write() {
        let written = NAMES.iter().map(|(name, _)| *name).chain(["quantile(0.95)", "quantile(1)"]);
        for text in written {
            assert_eq!(text.parse::<Function>().unwrap().to_string(), text);
        }
        for text in ["", "p95", "quantile(1.1)", "quantile(NaN)", "quantile(", "quantile()"] {
            assert!(text.parse::<Function>().is_err(), "{text}");
        }
    }
}
