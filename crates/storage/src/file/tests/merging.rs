//! Merged files hold what their inputs held, once.

use std::cell::Cell;

use model::Timestamp;
use proptest::prelude::*;

use super::super::{OpenFile, Written, merge};
use super::{all_rows, opened, options, written};
use crate::columns::tests::random::{BASE, Random, check_same, told_back};
use crate::columns::{EngineKind, EngineSample, Hot};
use crate::rows::Integers;
use crate::schema::Table;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_keeps_every_row_and_point_exactly_once(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        for table in Table::ALL {
            let mut by_day: std::collections::BTreeMap<_, Vec<Written>> = Default::default();
            for input in 0..4 {
                let folder = folder.path().join(format!("{}-{input}", table.as_str()));
                std::fs::create_dir(&folder).unwrap();
                for file in written(&folder, *table, &random.batches(20), &options()) {
                    by_day.entry(file.day).or_default().push(file);
                }
            }
            for (day, files) in by_day {
                let inputs: Vec<OpenFile> = files.iter().map(|file| opened(&file.path)).collect();
                let path = folder.path().join(format!("merged-{}-{day}", table.as_str()));
                let merged = merge(&inputs, &path, *table, &options(), &|| false).unwrap();
                let before: Vec<_> = inputs.iter().flat_map(all_rows).collect();
                let open = opened(&path);
                prop_assert_eq!(open.day(), day);
                let points: u64 = files.iter().map(|file| file.points).sum();
                prop_assert_eq!((merged.points, merged.rows), (points, open.rows()));
                check_same(&told_back(&all_rows(&open)), &told_back(&before));
                let first = files.iter().map(|file| file.time_min).min();
                let last = files.iter().map(|file| file.time_max).max();
                prop_assert_eq!((Some(merged.time_min), Some(merged.time_max)), (first, last));
            }
        }
    }
}

/// A file with a point of each of ten series.
fn minute(folder: &std::path::Path, minute: u64) -> OpenFile {
    let sample = |service: u64| EngineSample {
        metric: "requests",
        unit: "1",
        kind: EngineKind::Gauge,
        service: format!("service-{service}"),
        attributes: Vec::new(),
        at: Timestamp(BASE - minute * 1_000_000_000),
        value: minute as f64,
    };
    let mut hot = Hot::new();
    hot.append_engine(&(0..10).map(sample).collect::<Vec<_>>());
    let path = folder.join(format!("{minute}"));
    let rows = hot.take().unwrap().samples;
    super::write(Table::Samples, rows, &mut |_| path.clone(), &options()).unwrap();
    opened(&path)
}

#[test]
fn a_merge_joins_the_points_of_a_series() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<OpenFile> = (0..30).map(|at| minute(folder.path(), at)).collect();
    let path = folder.path().join("merged");
    let merged = merge(&inputs, &path, Table::Samples, &options(), &|| false).unwrap();
    assert_eq!((merged.rows, merged.points), (10, 300));
    for batch in all_rows(&opened(&path)) {
        let points = Integers::of(&batch, "points").unwrap();
        assert!((0..batch.num_rows()).all(|row| points.get(row) == Some(30)));
    }
}

#[test]
fn rows_of_a_series_do_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let sample = |at: u64| EngineSample {
        metric: "requests",
        unit: "",
        kind: EngineKind::Gauge,
        service: String::new(),
        attributes: Vec::new(),
        at: Timestamp(BASE - 10_000 + at),
        value: 0.0,
    };
    let mut inputs = Vec::new();
    for input in 0..5 {
        let mut hot = Hot::new();
        hot.append_engine(&(0..700).map(|at| sample(at * 5 + input)).collect::<Vec<_>>());
        let path = folder.path().join(format!("{input}"));
        let rows = hot.take().unwrap().samples;
        super::write(Table::Samples, rows, &mut |_| path.clone(), &options()).unwrap();
        inputs.push(opened(&path));
    }
    let path = folder.path().join("merged");
    let merged = merge(&inputs, &path, Table::Samples, &options(), &|| false).unwrap();
    assert_eq!((merged.rows, merged.points), (5, 3_500));
}

#[test]
fn a_cancelled_merge_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<OpenFile> = (0..3).map(|at| minute(folder.path(), at)).collect();
    let asked = Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        true
    };
    let path = folder.path().join("merged");
    let result = merge(&inputs, &path, Table::Samples, &options(), &cancelled);
    assert!(matches!(result, Err(crate::Error::Cancelled)));
    assert_eq!(asked.get(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn files_of_another_table_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [minute(folder.path(), 1)];
    let path = folder.path().join("merged");
    let error = merge(&inputs, &path, Table::Spans, &options(), &|| false).unwrap_err();
    assert!(error.to_string().contains("it holds samples, not spans"), "{error}");
}
