//! Log records: search, histogram and live tail.
//!
//! [`search_logs`] gives a page of records, newest or oldest first; [`histogram`] counts them by
//! time and severity; [`tail`] picks those of a batch on its arrival. All three mean the same by a
//! query, and are exact.

mod arrived;
mod stored;

mod units;

mod read;

mod select;

mod cursor;

mod entry;

mod search;

mod histogram;

mod tail;

#[cfg(test)]
mod tests;

pub use arrived::ArrivedRow;
pub use cursor::{Cursor, Order};
pub use entry::LogEntry;
pub use histogram::{BUCKETS_MAX, Bucket, Histogram, histogram};
pub use search::{LogPage, PAGE_RECORDS_MAX, Search, search_logs};
pub use tail::{matches, tail};
