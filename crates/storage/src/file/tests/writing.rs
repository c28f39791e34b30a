//! What a written file says of itself, and that it holds what it was given.

use std::sync::Arc;

use model::Timestamp;
use model::signal::{Attributes, Batch, Group, InstrumentationScope, Resource, Span};
use proptest::prelude::*;

use super::super::{Day, write};
use super::{all_rows, opened, options, place, written};
use crate::columns::Hot;
use crate::columns::tests::random::{BASE, Random, check_same, of_table, told, told_back};
use crate::rows::{Texts, Times};
use crate::schema::Table;

const DAY: u64 = 86_400_000_000_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn files_hold_what_they_were_given(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let batches = Random(seed).batches(12);
        for table in Table::ALL {
            let written = written(folder.path(), *table, &batches, &options());
            let mut rows = Vec::new();
            for file in &written {
                let open = opened(&file.path);
                prop_assert_eq!((open.table(), open.day()), (*table, file.day));
                prop_assert_eq!(open.rows(), file.rows);
                prop_assert_eq!(file.bytes, std::fs::metadata(&file.path).unwrap().len());
                rows.extend(all_rows(&open));
            }
            let given = of_table(&batches, *table);
            check_same(&told_back(&rows), &told(&given));
            let points: u64 = written.iter().map(|file| file.points).sum();
            let items: usize = given.iter().map(|(batch, _)| batch.len()).sum();
            prop_assert_eq!(points, items as u64);
        }
        let mut files = std::fs::read_dir(folder.path()).unwrap().flatten();
        let is_whole = files.all(|file| file.path().to_string_lossy().ends_with(".parquet"));
        prop_assert!(is_whole);
    }
}

pub fn spans_of(service: &str, times: impl IntoIterator<Item = u64>) -> Batch {
    let attributes = Attributes::default().with_str("service.name", service);
    let resource = Resource { attributes };
    let span = |(index, time): (usize, u64)| Span {
        trace_id: [index as u8; 16],
        start_unix_nanos: time,
        end_unix_nanos: time.wrapping_add(1_000),
        name: service.into(),
        ..Span::default()
    };
    Batch::Traces(vec![Group {
        resource: Arc::new(resource),
        scope: InstrumentationScope::default(),
        items: times.into_iter().enumerate().map(span).collect(),
    }])
}

#[test]
fn rows_go_to_the_day_of_their_time_unless_it_is_not_to_be_believed() {
    let folder = tempfile::tempdir().unwrap();
    let today = Day::of(Timestamp(BASE));
    let times = [
        BASE,
        BASE + DAY - 1, // Tomorrow: a clock may be a little ahead.
        BASE + DAY + 1, // More than a day ahead: counts as today.
        BASE - 3 * DAY, // Late.
        BASE - 8 * DAY, // Older than what is kept: counts as today.
        u64::MAX,       // Nonsense: counts as today.
    ];
    let batches = [(spans_of("cart", times), Timestamp(BASE))];
    let written = written(folder.path(), Table::Spans, &batches, &options());
    let days: Vec<_> = written.iter().map(|file| (file.day, file.rows)).collect();
    assert_eq!(days, [(Day(today.0 - 3), 1), (today, 4), (Day(today.0 + 1), 1)]);
    assert_eq!(written[0].time_min, Timestamp(BASE - 3 * DAY));
    assert_eq!(written[2].time_max, Timestamp(BASE + DAY - 1));
}

#[test]
fn days_read_what_they_print() {
    let day = Day::of(Timestamp(BASE));
    assert_eq!(day.to_string(), "2026-11-22");
    assert_eq!(Day::parse("2026-11-22"), Some(day));
    assert_eq!(Day::parse("../../etc"), None);
    assert_eq!(day.end(), Day(day.0 + 1).start());
}

#[test]
fn rows_are_sorted_by_service_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [
        (spans_of("shop", [BASE + 5, BASE + 1]), Timestamp(BASE)),
        (spans_of("cart", [BASE + 9, BASE + 2]), Timestamp(BASE)),
    ];
    let written = written(folder.path(), Table::Spans, &batches, &options());
    let open = opened(&written[0].path);
    let rows = &all_rows(&open)[0];
    let (services, times) = (Texts::of(rows, "service").unwrap(), Times::of(rows, "time").unwrap());
    let found: Vec<_> =
        (0..4).map(|row| (services.text(row), times.get(row).unwrap().as_nanos() - BASE)).collect();
    assert_eq!(found, [("cart", 2), ("cart", 9), ("shop", 1), ("shop", 5)]);
    assert_eq!(open.row_group_services(0), Some(("cart", "shop")));
    assert_eq!(open.row_group_times(0), (Timestamp(BASE + 1), Timestamp(BASE + 9)));
}

#[test]
fn a_write_that_fails_leaves_no_file_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut hot = Hot::new();
    hot.append(&spans_of("cart", [BASE]), Timestamp(BASE)).unwrap();
    let rows = hot.take().unwrap().spans;
    let missing = folder.path().join("missing");
    let failed =
        write(Table::Spans, rows, &mut |day| place(&missing, Table::Spans, day), &options());
    assert!(failed.unwrap_err().to_string().contains("missing/spans-2026-11-22.parquet"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
