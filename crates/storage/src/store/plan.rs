//! Which files to merge, delete, upload and evict: decided from the catalog alone. Pure.
//!
//! Merging is by size, within a table and day. Files grow through tiers, each tier merged when it
//! holds [`MERGE_MIN`] files, so that a row is written again only a few times. Neighbours in time
//! are merged, so that files stay narrow in time while there are many of them. A day that has ended
//! is settled: what is left of it becomes as few files as fit.
//!
//! Invariants: what is planned names each file once; every merge makes at least two files one, so
//! merging comes to an end. It does not look at the clock or the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Timestamp;

use crate::file::Day;
use crate::schema::Table;

#[cfg(test)]
mod tests;

/// A file, as far as plans need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub id: u64,
    pub table: Table,
    pub day: Day,
    pub bytes: u64,
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    pub local: bool,
    pub remote: bool,
}

/// Files of a tier that are merged while their day goes on.
pub(super) const MERGE_MIN: usize = 8;
/// The same of the last tier: those are large enough to be read well, and merging them while much
/// arrives would cost more than it gains.
pub(super) const MERGE_LARGE_MIN: usize = 64;
/// Files of one merge.
pub(super) const MERGE_MAX: usize = 32;
/// Where tiers begin, as parts of the size wanted.
const TIER_PARTS: [u64; 3] = [512, 64, 8];
const LAST_TIER: usize = TIER_PARTS.len();
/// A day takes late arrivals this long after its end before it is settled.
const SETTLED_AFTER: Duration = Duration::from_secs(3600);
/// A settled day's few files are merged only if the largest is at most this many times the others
/// together; else a late trickle would have it written again and again.
const SETTLE_RATIO: u64 = 3;

/// The next merge, or none: ids of files of one table and day, in order of time. `skip` names files
/// that could not be merged.
pub(super) fn merge(
    files: &[Candidate],
    now: Timestamp,
    file_bytes: u64,
    skip: &BTreeSet<u64>,
) -> Option<Vec<u64>> {
    let mut days: BTreeMap<(Day, Table), Vec<&Candidate>> = BTreeMap::new();
    for file in files {
        if file.local && is_small(file, file_bytes) && !skip.contains(&file.id) {
            days.entry((file.day, file.table)).or_default().push(file);
        }
    }
    // The day that grows first: merging it saves queries the most.
    for ((day, _), mut small) in days.into_iter().rev() {
        small.sort_by_key(|file| (file.time_min, file.id));
        let group = if is_settled(day, now) {
            settle(&small, file_bytes)
        } else {
            fullest_tier(&small, file_bytes)
        };
        if let Some(group) = group {
            return Some(group.iter().map(|file| file.id).collect());
        }
    }
    None
}

/// Files this large are left alone.
fn is_small(file: &Candidate, file_bytes: u64) -> bool {
    file.bytes < file_bytes / 2
}

fn is_settled(day: Day, now: Timestamp) -> bool {
    now.since(day.end()) >= SETTLED_AFTER
}

/// Of a day that goes on: the oldest files of the lowest tier that holds enough of them.
fn fullest_tier<'a>(small: &[&'a Candidate], file_bytes: u64) -> Option<Vec<&'a Candidate>> {
    let mut tiers: BTreeMap<usize, Vec<&Candidate>> = BTreeMap::new();
    for file in small {
        tiers.entry(tier(file.bytes, file_bytes)).or_default().push(file);
    }
    let wanted = |tier| if tier == LAST_TIER { MERGE_LARGE_MIN } else { MERGE_MIN };
    let (_, full) = tiers.into_iter().find(|(tier, files)| files.len() >= wanted(*tier))?;
    Some(run_from(&full, file_bytes)).filter(|group| group.len() > 1)
}

/// Tiers are apart by a factor of 8, about what a merge of [`MERGE_MIN`] files grows by; all files
/// below 1/512 of the target are one tier.
fn tier(bytes: u64, file_bytes: u64) -> usize {
    TIER_PARTS.iter().filter(|part| bytes >= file_bytes / **part).count()
}

/// Of a settled day: the first neighbours whose merging pays.
fn settle<'a>(small: &[&'a Candidate], file_bytes: u64) -> Option<Vec<&'a Candidate>> {
    let mut rest = small;
    while rest.len() > 1 {
        let group = run_from(rest, file_bytes);
        let total: u64 = group.iter().map(|file| file.bytes).sum();
        let largest = group.iter().map(|file| file.bytes).max().unwrap_or(0);
        let pays = group.len() >= MERGE_MIN || largest <= SETTLE_RATIO * (total - largest);
        if group.len() > 1 && pays {
            return Some(group);
        }
        rest = &rest[group.len()..];
    }
    None
}

/// The longest run from the front that makes one file of the size wanted; never empty.
fn run_from<'a>(files: &[&'a Candidate], file_bytes: u64) -> Vec<&'a Candidate> {
    let mut total = 0;
    let fits = |file: &&&Candidate| {
        total += file.bytes;
        total <= file_bytes
    };
    let count = files.iter().take(MERGE_MAX).take_while(fits).count();
    files[..count.max(1)].to_vec()
}

/// Files whose day ended longer than `keep` ago.
pub(super) fn expired(
    files: &[Candidate],
    now: Timestamp,
    keep: impl Fn(Table) -> Duration,
) -> Vec<u64> {
    let old = |file: &&Candidate| now.since(file.day.end()) >= keep(file.table);
    files.iter().filter(old).map(|file| file.id).collect()
}

/// Files to delete so that no table is larger than its budget: of the oldest days, the oldest
/// first.
pub(super) fn over_budget(
    files: &[Candidate],
    size_max: impl Fn(Table) -> Option<u64>,
) -> Vec<u64> {
    let mut over = Vec::new();
    for table in Table::ALL {
        let Some(size_max) = size_max(*table) else { continue };
        let of_table: Vec<&Candidate> = files.iter().filter(|file| file.table == *table).collect();
        let total: u64 = of_table.iter().map(|file| file.bytes).sum();
        over.extend(oldest(of_table, total.saturating_sub(size_max)));
    }
    over
}

/// The oldest files on this host, of whatever table, that free `bytes` when they go. The last day
/// of each table stays, so that a wrong bound never empties a store.
pub(super) fn to_free(files: &[Candidate], bytes: u64) -> Vec<u64> {
    let mut last_day: BTreeMap<Table, Day> = BTreeMap::new();
    for file in files {
        let last = last_day.entry(file.table).or_insert(file.day);
        *last = file.day.max(*last);
    }
    let may_go = |file: &&Candidate| file.local && file.day < last_day[&file.table];
    oldest(files.iter().filter(may_go).collect(), bytes)
}

/// The oldest files that this host can do without, since the object store has them, and that free
/// `bytes` when they are evicted.
pub(super) fn to_evict(files: &[Candidate], bytes: u64) -> Vec<u64> {
    let may_go = |file: &&Candidate| file.local && file.remote;
    oldest(files.iter().filter(may_go).collect(), bytes)
}

/// Bytes on this host beyond `local_size_max`.
pub(super) fn local_excess(files: &[Candidate], local_size_max: u64) -> u64 {
    let here: u64 = files.iter().filter(|file| file.local).map(|file| file.bytes).sum();
    here.saturating_sub(local_size_max)
}

/// As few of the oldest files as have `bytes` together.
fn oldest(mut files: Vec<&Candidate>, bytes: u64) -> Vec<u64> {
    files.sort_by_key(|file| (file.day, file.time_max, file.id));
    let mut freed = 0;
    let needed = |file: &&&Candidate| {
        let needed = freed < bytes;
        freed += file.bytes;
        needed
    };
    files.iter().take_while(needed).map(|file| file.id).collect()
}

/// The next file to upload, the oldest first: one that merging leaves alone, or of a settled day.
pub(super) fn to_upload(
    files: &[Candidate],
    now: Timestamp,
    file_bytes: u64,
    skip: &BTreeSet<u64>,
) -> Option<u64> {
    let about_to_merge: BTreeSet<u64> =
        merge(files, now, file_bytes, skip).unwrap_or_default().into_iter().collect();
    let ready = |file: &&Candidate| {
        file.local
            && !file.remote
            && !about_to_merge.contains(&file.id)
            && (!is_small(file, file_bytes) || is_settled(file.day, now))
    };
    let next = files.iter().filter(ready).min_by_key(|file| (file.day, file.time_max, file.id));
    next.map(|file| file.id)
}
