//! Durations as people write them in configuration and scenarios: `250ms`, `10s`, `5m`, `1h30m`,
//! `28d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in configuration. Text such as `10s`; units `ms s m h d`, may be combined (`1h30m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

/// Longest duration accepted, so that arithmetic on times cannot overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(400 * 86_400);

impl HumanDuration {
    pub const fn from_millis(millis: u64) -> Self {
        HumanDuration(Duration::from_millis(millis))
    }
    pub const fn from_secs(secs: u64) -> Self {
        HumanDuration(Duration::from_secs(secs))
    }

    /// Reads `1h30m`, `250ms`, `10s`. Errors say what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not a duration; write for example 250ms, 10s, 5m or 1h30m");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit_ms: u64 = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(bad()),
            };
            rest = &rest[letters..];
            let millis = number.checked_mul(unit_ms).ok_or_else(bad)?;
            total = total.checked_add(Duration::from_millis(millis)).ok_or_else(bad)?;
        }
        if total > DURATION_MAX {
            return Err(format!("`{text}` is longer than the 400 days that are allowed"));
        }
        Ok(HumanDuration(total))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit_ms, unit) in
            [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")]
        {
            if millis >= unit_ms {
                write!(f, "{}{unit}", millis / unit_ms)?;
                millis %= unit_ms;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HumanDuration::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "examples": ["250ms", "10s", "5m", "1h30m", "28d"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["250ms", "10s", "5m", "1h30m", "28d", "1d2h3m4s5ms"] {
            assert_eq!(HumanDuration::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_bare_numbers_and_unknown_units() {
        for text in ["", "10", "10 s", "s", "5w", "99999999999999999999s", "500d", "1é"] {
            assert!(HumanDuration::parse(text).is_err(), "{text}");
        }
    }
}
