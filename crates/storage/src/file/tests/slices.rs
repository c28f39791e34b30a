//! Log records of one time lie together, and the ids that they share are held once.

use std::path::Path;
use std::sync::Arc;

use model::Timestamp;
use model::signal::{Attributes, Batch, Group, InstrumentationScope, LogRecord, Resource};
use parquet::basic::Encoding;

use super::super::{OpenFile, merge};
use super::{all_rows, opened, options, written};
use crate::columns::tests::random::{BASE, Random, check_same, told_back};
use crate::rows;
use crate::schema::Table;

const ROWS: u64 = 256;

/// Records of one service, a microsecond apart, the first at `BASE + from`.
fn logs_of(service: &str, from: u64, ids: impl Fn(u64) -> ([u8; 16], [u8; 8])) -> Batch {
    let attributes = Attributes::default().with_str("service.name", service);
    let record = |index: u64| {
        let (trace_id, span_id) = ids(index);
        let time_unix_nanos = BASE + from + index * 1_000;
        LogRecord { time_unix_nanos, trace_id, span_id, ..LogRecord::default() }
    };
    Batch::Logs(vec![Group {
        resource: Arc::new(Resource { attributes }),
        scope: InstrumentationScope::default(),
        items: (0..ROWS).map(record).collect(),
    }])
}

fn id<const N: usize>(number: u64) -> [u8; N] {
    let mut random = Random(number);
    let mut id = [0; N];
    id.fill_with(|| random.next() as u8);
    id
}

/// Two services that talk of the same traces, each from a span of its own.
fn file(folder: &Path, from: u64) -> OpenFile {
    std::fs::create_dir_all(folder).unwrap();
    let cart = logs_of("cart", from, |index| (id(from + index), id(from + index + 1_000_000)));
    let shop = logs_of("shop", from, |index| (id(from + index), id(from + index + 2_000_000)));
    let batches = [(shop, Timestamp(BASE)), (cart, Timestamp(BASE))];
    opened(&written(folder, Table::Logs, &batches, &options())[0].path)
}

/// Every row group has both services, is sorted, and begins when the one before has ended.
fn check_slices(file: &OpenFile) {
    let mut last = Timestamp::ZERO;
    for group in 0..file.row_groups() {
        assert_eq!(file.row_group_services(group), Some(("cart", "shop")), "{group}");
        let (first, end) = file.row_group_times(group);
        assert!(first >= last, "{group} begins before the one before it ends");
        last = end;
        let scan = super::Scan { row_groups: Some(vec![group]), ..super::Scan::default() };
        let batches: Vec<_> = file.scan(scan).collect::<Result<_, _>>().unwrap();
        let rows: Vec<_> = batches.iter().flat_map(|batch| rows::logs(batch).unwrap()).collect();
        let keys = rows.iter().map(|row| {
            let service = row.resource.attributes.str("service.name").unwrap();
            (service.to_owned(), row.record.time_unix_nanos)
        });
        assert!(keys.is_sorted(), "{group} is not sorted");
    }
}

fn has_dictionary(file: &OpenFile, name: &str) -> bool {
    let group = file.inner.footer.metadata.row_group(0);
    let column = group.columns().iter().find(|column| column.column_path().string() == name);
    column.unwrap().encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY)
}

#[test]
fn row_groups_of_log_records_follow_each_other_in_time_with_all_services_in_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), 0);
    assert_eq!(file.row_groups(), 8);
    check_slices(&file);
}

#[test]
fn a_merge_keeps_row_groups_of_log_records_as_narrow_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let apart = ROWS * 1_000;
    let inputs: Vec<OpenFile> =
        [2, 0, 1].map(|at| file(&folder.path().join(at.to_string()), at * apart)).into();
    let path = folder.path().join("merged");
    let merged = merge(&inputs, &path, Table::Logs, &options(), &|| false).unwrap();
    assert_eq!(merged.rows, 3 * 2 * ROWS);
    let open = opened(&path);
    assert_eq!(open.row_groups(), 24);
    check_slices(&open);
    let before: Vec<_> = inputs.iter().flat_map(all_rows).collect();
    check_same(&told_back(&all_rows(&open)), &told_back(&before));
}

#[test]
fn a_merge_joins_small_row_groups_of_log_records_that_are_neighbours_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let apart = ROWS * 1_000;
    let inputs: Vec<OpenFile> =
        [1, 0].map(|at| file(&folder.path().join(at.to_string()), at * apart)).into();
    let path = folder.path().join("merged");
    let larger = super::Options { row_group_rows: Some(300), ..options() };
    merge(&inputs, &path, Table::Logs, &larger, &|| false).unwrap();
    let open = opened(&path);
    let rows: Vec<u64> = (0..open.row_groups()).map(|group| open.row_group_rows(group)).collect();
    assert_eq!(rows, [256; 4]);
    check_slices(&open);
}

#[test]
fn ids_that_repeat_get_a_dictionary_and_others_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), 0);
    // Both services say something of each trace, once.
    assert!(has_dictionary(&file, "trace_id"));
    assert!(!has_dictionary(&file, "span_id"));
    let path = folder.path().join("merged");
    merge(&[file], &path, Table::Logs, &options(), &|| false).unwrap();
    let merged = opened(&path);
    assert!(has_dictionary(&merged, "trace_id"));
    assert!(!has_dictionary(&merged, "span_id"));
}

#[test]
fn arrival_and_observation_come_back_as_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let record = |time_unix_nanos, observed_time_unix_nanos| LogRecord {
        time_unix_nanos,
        observed_time_unix_nanos,
        ..LogRecord::default()
    };
    let times = [(BASE, BASE + 7), (BASE + 1, BASE - 5), (BASE + 2, 0), (0, BASE + 3), (0, 0)];
    let batch = Batch::Logs(vec![Group {
        resource: Arc::new(Resource::default()),
        scope: InstrumentationScope::default(),
        items: times.iter().map(|(time, observed)| record(*time, *observed)).collect(),
    }]);
    let arrival = Timestamp(BASE + 5_999_999);
    let written = written(folder.path(), Table::Logs, &[(batch, arrival)], &options());
    let batch = &all_rows(&opened(&written[0].path))[0];
    let stored = rows::logs(batch).unwrap();
    let found = stored.iter().map(|row| {
        let LogRecord { time_unix_nanos, observed_time_unix_nanos, .. } = row.record;
        assert_eq!(row.arrival, Timestamp(BASE + 5_000_000));
        (time_unix_nanos, observed_time_unix_nanos)
    });
    assert_eq!(found.collect::<Vec<_>>(), times);
    // What has no time of its own is found under the arrival that is told.
    let time = rows::Times::of(batch, "time").unwrap();
    assert_eq!(time.get(4), Some(Timestamp(BASE + 5_000_000)));
}
