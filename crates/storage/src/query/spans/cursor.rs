//! Where a page of spans ended, as a text for the next question.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::best::Rank;
use super::record::{hex, id_of};
use super::{Order, SpanFilter};

/// The last span of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    pub(super) rank: Rank,
    /// How many spans that are the same in all were given already.
    pub(super) seen: u32,
}

impl Cursor {
    /// `found` is a page; `before` ended the one before.
    pub(super) fn after<T>(found: &[(Rank, T)], before: Option<&Cursor>) -> Option<Cursor> {
        let (rank, _) = found.last()?;
        let here = found.iter().rev().take_while(|(other, _)| other == rank).count();
        let earlier = before.filter(|before| before.rank == *rank).map_or(0, |before| before.seen);
        Some(Cursor { rank: *rank, seen: earlier.saturating_add(here as u32) })
    }

    /// Leaves out what cannot come after it.
    pub(super) fn narrow(&self, order: Order, filter: &mut SpanFilter) {
        match order {
            Order::Newest => {
                let end = self.rank.time() + Duration::from_nanos(1);
                filter.to = filter.to.min(end);
            }
            Order::Slowest => {
                let most = Duration::from_nanos(self.rank.duration_nanos());
                let asked = filter.duration_max.unwrap_or(most);
                filter.duration_max = Some(asked.min(most));
            }
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rank { first, second, trace_id, span_id, order } = &self.rank;
        let order = if *order == Order::Newest { 'n' } else { 's' };
        let (trace_id, span_id) = (hex(trace_id), hex(span_id));
        write!(f, "{order}-{first:x}-{second:x}-{trace_id}-{span_id}-{:x}", self.seen)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        parse(text).ok_or_else(|| "not a cursor: give `next` of the page before".to_owned())
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let parts: Vec<&str> = text.splitn(7, '-').collect();
    let [order, first, second, trace_id, span_id, seen] = parts.as_slice() else { return None };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let order = match *order {
        "n" => Order::Newest,
        "s" => Order::Slowest,
        _ => return None,
    };
    let rank = Rank {
        first: number(first)?,
        second: number(second)?,
        trace_id: id_of(trace_id)?,
        span_id: id_of(span_id)?,
        order,
    };
    let seen = u32::try_from(number(seen)?).ok().filter(|seen| *seen <= super::SEEN_MAX)?;
    Some(Cursor { rank, seen })
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cursor, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Cursor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SpanCursor".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_what_it_writes(
            first: u64, second: u64, trace_id: [u8; 16], span_id: [u8; 8], seen in 0u32..100
        ) {
            for order in [Order::Newest, Order::Slowest] {
                let cursor = Cursor {
                    rank: Rank { first, second, trace_id, span_id, order },
                    seen,
                };
                prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
            }
        }

        #[test]
        fn no_text_is_harm(text in "([ns]-)?[0-9a-f\\-é]{0,40}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
