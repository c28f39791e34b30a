//! What is merged, deleted, uploaded and evicted, and what is left alone.

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const TARGET: u64 = 128 * MIB;

/// A file of spans whose rows follow each other by id.
fn file(id: u64, day: u32, bytes: u64) -> Candidate {
    let time_min = Timestamp(Day(day).start().0 + id * model::time::SECOND);
    Candidate {
        id,
        table: Table::Spans,
        day: Day(day),
        bytes,
        time_min,
        time_max: time_min,
        local: true,
        remote: false,
    }
}

fn files(day: u32, sizes: &[u64]) -> Vec<Candidate> {
    (1..).zip(sizes).map(|(id, bytes)| file(id, day, *bytes)).collect()
}

/// Noon of a day.
fn noon(day: u32) -> Timestamp {
    Timestamp(Day(day).start().0 + 12 * 3600 * model::time::SECOND)
}

fn merged(files: &[Candidate], today: u32) -> Option<Vec<u64>> {
    merge(files, noon(today), TARGET, &BTreeSet::new())
}

/// Merges until nothing is left to merge; the sizes then, and the bytes that were written.
fn settle_all(mut files: Vec<Candidate>, today: u32) -> (Vec<u64>, u64) {
    let mut written = 0;
    let mut next_id = 1_000_000;
    while let Some(group) = merged(&files, today) {
        let (gone, mut left): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| group.contains(&file.id));
        assert!(gone.len() > 1 && gone.len() == group.len());
        let bytes: u64 = gone.iter().map(|file| file.bytes).sum();
        written += bytes;
        left.push(Candidate { id: next_id, bytes, ..gone[0].clone() });
        next_id += 1;
        files = left;
    }
    let mut sizes: Vec<u64> = files.iter().map(|file| file.bytes).collect();
    sizes.sort();
    (sizes, written)
}

#[test]
fn a_few_small_files_of_today_are_left_and_many_are_merged() {
    let seven = files(10, &[MIB; 7]);
    assert_eq!(merged(&seven, 10), None);
    let nine = files(10, &[MIB; 9]);
    assert_eq!(merged(&nine, 10), Some((1..=9).collect()));
}

#[test]
fn files_of_other_size_are_not_written_again_for_small_ones() {
    let mut sizes = vec![30 * MIB, 40 * MIB];
    sizes.extend([MIB / 10; 8]);
    assert_eq!(merged(&files(10, &sizes), 10), Some((3..=10).collect()));
}

#[test]
fn large_files_of_a_busy_day_are_merged_only_when_there_are_many() {
    assert_eq!(merged(&files(10, &[20 * MIB; 63]), 10), None);
    assert_eq!(merged(&files(10, &[20 * MIB; 64]), 10), Some((1..=6).collect()));
    assert_eq!(merged(&files(10, &[20 * MIB; 63]), 12), Some((1..=6).collect()));
}

#[test]
fn well_sized_files_are_never_touched() {
    assert_eq!(merged(&files(10, &[64 * MIB; 40]), 10), None);
    assert_eq!(merged(&files(10, &[64 * MIB; 40]), 12), None);
}

#[test]
fn a_settled_day_becomes_few_files() {
    let (sizes, _) = settle_all(files(10, &[MIB; 100]), 12);
    assert_eq!(sizes, [6 * MIB, 94 * MIB]);
    let (sizes, _) = settle_all(files(10, &[MIB, 2 * MIB]), 12);
    assert_eq!(sizes, [3 * MIB]);
}

#[test]
fn a_late_trickle_does_not_have_a_large_file_written_again() {
    let sizes = [60 * MIB, MIB / 100, MIB / 100];
    assert_eq!(merged(&files(10, &sizes), 12), None);
    let mut many = vec![60 * MIB];
    many.extend([MIB / 100; 7]);
    assert_eq!(merged(&files(10, &many), 12).map(|group| group.len()), Some(8));
}

#[test]
fn tables_and_days_are_never_mixed() {
    let mut all = files(10, &[MIB; 7]);
    all.extend(
        files(11, &[MIB; 7]).into_iter().map(|file| Candidate { id: file.id + 100, ..file }),
    );
    let logs = files(11, &[MIB; 7]);
    all.extend(logs.into_iter().map(|file| Candidate {
        id: file.id + 200,
        table: Table::Logs,
        ..file
    }));
    assert_eq!(merged(&all, 10), None);
}

#[test]
fn a_day_in_small_files_is_written_a_few_times_at_most() {
    // A flush a minute, merged as they come.
    let mut all: Vec<Candidate> = Vec::new();
    let mut written = 0;
    for minute in 0..1440 {
        all.push(file(minute + 1, 10, 300 << 10));
        while let Some(group) = merged(&all, 10) {
            let gone: Vec<_> = all.extract_if(.., |file| group.contains(&file.id)).collect();
            let bytes: u64 = gone.iter().map(|file| file.bytes).sum();
            written += bytes;
            let id = 100_000 + written;
            all.push(Candidate { id, bytes, ..gone[0].clone() });
        }
    }
    assert!(all.len() < 3 * MERGE_MIN + MERGE_LARGE_MIN, "{} files", all.len());
    let total: u64 = all.iter().map(|file| file.bytes).sum();
    assert!(written < 4 * total, "written {} times", written as f64 / total as f64);
    let (sizes, _) = settle_all(all, 12);
    assert!(sizes.len() <= 6, "{sizes:?}");
}

#[test]
fn a_day_expires_once_it_has_ended_long_enough_ago() {
    let all = [file(1, 10, 5), file(2, 11, 5)];
    let keep = |_| Duration::from_secs(86_400);
    assert_eq!(expired(&all, Day(11).end(), keep), [1]);
    assert_eq!(expired(&all, Timestamp(Day(11).end().0 - 1), keep), Vec::<u64>::new());
}

#[test]
fn the_oldest_day_goes_first_when_a_table_is_over_its_budget() {
    let logs = Candidate { table: Table::Logs, ..file(9, 1, 1000) };
    let all = [file(1, 12, 50), file(2, 10, 50), file(3, 11, 50), logs];
    let size_max = |table| (table == Table::Spans).then_some(99);
    assert_eq!(over_budget(&all, size_max), [2, 3]);
    assert_eq!(over_budget(&all, |_| None), Vec::<u64>::new());
}

#[test]
fn freeing_takes_the_oldest_and_leaves_the_last_day() {
    let all = [file(1, 12, 50), file(2, 10, 50), file(3, 11, 50)];
    assert_eq!(to_free(&all, 60), [2, 3]);
    assert_eq!(to_free(&all, 1000), [2, 3]);
}

#[test]
fn only_what_the_object_store_has_is_evicted() {
    let remote = |file: Candidate| Candidate { remote: true, ..file };
    let all = [file(1, 10, 50), remote(file(2, 11, 50)), remote(file(3, 12, 50))];
    assert_eq!(local_excess(&all, 100), 50);
    assert_eq!(to_evict(&all, 50), [2]);
    assert_eq!(to_evict(&all, 150), [2, 3]);
    assert_eq!(to_evict(&all, 0), Vec::<u64>::new());
}

#[test]
fn uploaded_is_what_merging_leaves_alone() {
    let none = BTreeSet::new();
    let today = files(10, &[MIB, 70 * MIB]);
    assert_eq!(to_upload(&today, noon(10), TARGET, &none), Some(2));
    let small = files(10, &[MIB, MIB]);
    assert_eq!(to_upload(&small, noon(10), TARGET, &none), None);
    assert_eq!(to_upload(&small, noon(12), TARGET, &none), None, "it is to be merged first");
    assert_eq!(to_upload(&small[..1], noon(12), TARGET, &none), Some(1));
}

proptest! {
    #[test]
    fn merging_ends_and_keeps_every_byte(
        sizes in prop::collection::vec(0u64..200 * MIB, 0..120), settled: bool,
    ) {
        let total: u64 = sizes.iter().sum();
        let count = sizes.len();
        let (after, written) = settle_all(files(10, &sizes), if settled { 12 } else { 10 });
        prop_assert_eq!(after.iter().sum::<u64>(), total);
        prop_assert!(after.len() <= count);
        prop_assert!(written <= 6 * total);
    }
}
