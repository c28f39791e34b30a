//! Where a page of log records ended, and the next one begins.
//!
//! Records are in order of time; those of the same time in the order of what they hold
//! ([`super::LogEntry::order`]), so that the place stays the same when records move from memory to
//! files and from file to file.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
}

/// The place of one record. Where several are the same in all they hold, any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub time: Timestamp,
    pub order: u64,
}

/// After a record; written `TIME-ORDER-GIVEN` in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) key: Key,
    /// How many records of exactly this key were given.
    pub(super) given: u32,
}

impl Order {
    pub fn compare(self, left: &Key, right: &Key) -> Ordering {
        let time = match self {
            Order::Newest => right.time.cmp(&left.time),
            Order::Oldest => left.time.cmp(&right.time),
        };
        time.then(left.order.cmp(&right.order))
    }
}

impl Cursor {
    /// Before all records of a time.
    pub(super) fn at(time: Timestamp) -> Cursor {
        Cursor { key: Key { time, order: 0 }, given: 0 }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.key.time.as_nanos(), self.key.order, self.given)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let mut parts = text.splitn(3, '-').map(|part| u64::from_str_radix(part, 16).ok());
        let mut next = || parts.next().flatten();
        let parsed = (next(), next(), next().and_then(|given| u32::try_from(given).ok()));
        let (Some(time), Some(order), Some(given)) = parsed else {
            return Err("this is no cursor: give `next` of the page before".to_owned());
        };
        Ok(Cursor { key: Key { time: Timestamp(time), order }, given })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cursor, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Cursor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LogCursor".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
