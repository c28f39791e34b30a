//! Pruning leaves nothing out.

use std::sync::Arc;

use arrow_array::BooleanArray;
use model::Timestamp;
use model::signal::{AnyValue, Batch};
use proptest::prelude::*;

use super::super::{OpenFile, Projection, RowFilter, Scan};
use super::writing::spans_of;
use super::{all_rows, opened, options, written};
use crate::columns::tests::random::{BASE, Random, check_same, told_back};
use crate::rows::{self, Texts, Times};
use crate::schema::Table;
use crate::tokens;

fn scanned(file: &OpenFile, scan: Scan) -> Vec<String> {
    told_back(&file.scan(scan).collect::<Result<Vec<_>, _>>().unwrap())
}

/// What a scan has to give, by looking at every row.
fn expected(file: &OpenFile, scan: &Scan) -> Vec<String> {
    let mut kept = Vec::new();
    for batch in all_rows(file) {
        let services = Texts::of(&batch, "service").unwrap();
        let metrics = Texts::of(&batch, "metric").unwrap();
        let last = if file.table() == Table::Samples { "end_time" } else { "time" };
        let (first, last) = (Times::of(&batch, "time").unwrap(), Times::of(&batch, last).unwrap());
        let keep = (0..batch.num_rows()).map(|row| {
            let in_time = scan.time.as_ref().is_none_or(|time| {
                // Bits of times after 2262 count as negative.
                let signed = |time: Timestamp| time.as_nanos() as i64;
                let (first, last) = (first.get(row).unwrap(), last.get(row).unwrap());
                signed(first) < signed(time.end) && signed(last) >= signed(time.start)
            });
            in_time
                && scan.service.as_deref().is_none_or(|service| services.text(row) == service)
                && scan.metric.as_deref().is_none_or(|metric| metrics.text(row) == metric)
        });
        let keep: BooleanArray = keep.map(Some).collect();
        kept.push(arrow_select::filter::filter_record_batch(&batch, &keep).unwrap());
    }
    told_back(&kept)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_scan_gives_the_rows_that_a_full_one_has(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let batches = random.batches(50);
        for table in Table::ALL {
            for file in written(folder.path(), *table, &batches, &options()) {
                let open = opened(&file.path);
                let start = BASE + random.below(180) * 1_000_000_000;
                let time = Timestamp(start)..Timestamp(start + random.below(60) * 1_000_000_000);
                let mut scans = vec![Scan { time: Some(time.clone()), ..Scan::default() }];
                for service in ["cart", "shop", "", "nobody"] {
                    let service = Some(service.to_owned());
                    scans.push(Scan { service: service.clone(), ..Scan::default() });
                    scans.push(Scan { service, time: Some(time.clone()), ..Scan::default() });
                }
                if *table == Table::Samples {
                    for metric in ["latency", "", "nothing"] {
                        scans.push(Scan { metric: Some(metric.to_owned()), ..Scan::default() });
                    }
                }
                for scan in scans {
                    check_same(&scanned(&open, scan.clone()), &expected(&open, &scan));
                }
            }
        }
    }

    #[test]
    fn filters_never_deny_what_is_there(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let batches = Random(seed).batches(40);
        for table in [Table::Spans, Table::Logs] {
            for file in written(folder.path(), table, &batches, &options()) {
                let open = opened(&file.path);
                for group in 0..open.row_groups() {
                    let scan = Scan { row_groups: Some(vec![group]), ..Scan::default() };
                    for batch in open.scan(scan) {
                        check_filters(&open, group, &batch.unwrap());
                    }
                }
            }
        }
    }
}

fn check_filters(open: &OpenFile, group: usize, batch: &arrow_array::RecordBatch) {
    if open.table() == Table::Spans {
        for row in rows::spans(batch).unwrap() {
            assert!(open.may_hold_trace(group, &row.span.trace_id).unwrap());
        }
        return;
    }
    for row in rows::logs(batch).unwrap() {
        let record = row.record;
        if record.trace_id != [0; 16] {
            assert!(open.may_hold_trace(group, &record.trace_id).unwrap());
        }
        let values = record.attributes.0.iter().map(|(_, value)| value).chain([&record.body]);
        for text in values.filter_map(AnyValue::as_str).chain([record.event_name.as_str()]) {
            for token in tokens::tokens(text) {
                assert!(open.may_hold_token(group, tokens::hash(&token)).unwrap(), "{token}");
            }
        }
    }
}

fn a_thousand_spans(folder: &std::path::Path) -> OpenFile {
    let times = (0..1_000).map(|index| BASE + index * 1_000);
    let batches: Vec<(Batch, Timestamp)> = vec![(spans_of("cart", times), Timestamp(BASE))];
    opened(&written(folder, Table::Spans, &batches, &options())[0].path)
}

#[test]
fn filters_deny_most_of_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let open = a_thousand_spans(folder.path());
    let believed = (0..200_u8).filter(|id| {
        let mut trace_id = [*id; 16];
        trace_id[0] ^= 0xff;
        open.may_hold_trace(0, &trace_id).unwrap()
    });
    assert!(believed.count() < 20);
    assert!(!open.may_hold_trace(99, &[1; 16]).unwrap());
}

#[test]
fn a_scan_gives_the_columns_that_were_asked_for_in_the_order_of_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let open = a_thousand_spans(folder.path());
    let columns = Projection::of(&["name", "time", "service"]);
    let batch = open.scan(Scan { columns, ..Scan::default() }).next().unwrap().unwrap();
    let schema = batch.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["time", "service", "name"]);
}

#[test]
fn the_page_index_spares_pages() {
    let folder = tempfile::tempdir().unwrap();
    let open = a_thousand_spans(folder.path());
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let filter = RowFilter {
        columns: vec!["name"],
        keep: Arc::new(move |batch| {
            count.fetch_add(batch.num_rows(), std::sync::atomic::Ordering::Relaxed);
            Ok(BooleanArray::from(vec![true; batch.num_rows()]))
        }),
    };
    let time = Timestamp(BASE + 100_000)..Timestamp(BASE + 104_000);
    let scan = Scan { time: Some(time), filters: vec![filter], ..Scan::default() };
    let rows: usize = open.scan(scan).map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 4);
    // Of the rows that are within the time.
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn an_error_of_a_filter_ends_the_scan_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let open = a_thousand_spans(folder.path());
    let keep = Arc::new(|_: &arrow_array::RecordBatch| Err(crate::Error::Cancelled));
    let filters = vec![RowFilter { columns: vec!["name"], keep }];
    let mut scan = open.scan(Scan { filters, ..Scan::default() });
    assert!(matches!(scan.next(), Some(Err(crate::Error::Cancelled))));
    assert!(scan.next().is_none());
}
