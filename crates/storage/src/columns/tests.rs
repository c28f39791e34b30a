//! Whatever comes is given back: random telemetry, odd values included, in and out again.

pub mod random;

use model::Timestamp;
use model::signal::{AnyValue, Attributes, Batch, Group, InstrumentationScope, Resource, Span};
use model::text::Text;
use proptest::prelude::*;
use std::sync::Arc;

use super::{CHUNK_ROWS, EngineKind, EngineSample, Hot};
use crate::rows;
use crate::schema::Table;
use random::{Random, check_same, told, told_back};

fn hot_with(batches: &[(Batch, Timestamp)]) -> Hot {
    let mut hot = Hot::new();
    for (batch, arrival) in batches {
        hot.append(batch, *arrival).unwrap();
    }
    hot
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_was_appended_is_what_is_taken(seed in any::<u64>()) {
        let batches = Random(seed).batches(6);
        let mut hot = hot_with(&batches);
        let rows: usize = batches.iter().map(|(batch, _)| batch.len()).sum();
        prop_assert_eq!(hot.rows(), rows);
        let snapshot: Vec<_> = Table::ALL
            .iter()
            .flat_map(|table| hot.snapshot(*table, None).unwrap())
            .collect();
        check_same(&told_back(&snapshot), &told(&batches));
        let sealed = hot.take().unwrap();
        let tables = Table::ALL.iter().flat_map(|table| sealed.table(*table));
        let taken: Vec<_> = tables.cloned().collect();
        check_same(&told_back(&taken), &told(&batches));
        prop_assert_eq!(hot.rows(), 0);
        prop_assert!(hot.take().unwrap().is_empty());
    }
}

fn spans(count: usize, attribute: impl Fn(usize) -> AnyValue) -> Batch {
    let items = (0..count).map(|index| {
        let mut attributes = Attributes::default();
        attributes.push("http.route", attribute(index));
        Span { start_unix_nanos: index as u64, attributes, ..Span::default() }
    });
    Batch::Traces(vec![Group {
        resource: Arc::new(Resource::default()),
        scope: InstrumentationScope::default(),
        items: items.collect(),
    }])
}

#[test]
fn a_group_larger_than_a_chunk_fills_several() {
    let batch = spans(2 * CHUNK_ROWS + 10, |index| AnyValue::Int(index as i64));
    let mut hot = hot_with(&[(batch.clone(), Timestamp(7))]);
    let sizes: Vec<_> = hot.take().unwrap().spans.iter().map(|batch| batch.num_rows()).collect();
    assert_eq!(sizes, [CHUNK_ROWS, CHUNK_ROWS, 10]);
}

#[test]
fn large_rows_close_a_chunk_early() {
    let large = "x".repeat(1 << 20);
    let batch =
        spans(100, |index| AnyValue::String(Text::from(format!("{index}{large}").as_str())));
    let mut hot = hot_with(&[(batch, Timestamp(7))]);
    assert!(hot.bytes() > 100 << 20);
    let sealed = hot.take().unwrap();
    assert!(sealed.spans.len() > 1);
    assert_eq!(sealed.rows(), 100);
}

#[test]
fn the_first_of_two_values_of_a_key_is_read_first() {
    let mut attributes = Attributes::default();
    attributes.push("http.route", AnyValue::Int(1));
    attributes.push("http.route", AnyValue::String(Text::from("second")));
    attributes.push("url.path", AnyValue::String(Text::from("first")));
    attributes.push("url.path", AnyValue::String(Text::from("second")));
    let span = Span { attributes, ..Span::default() };
    let group = Group {
        resource: Arc::new(Resource::default()),
        scope: InstrumentationScope::default(),
        items: vec![span],
    };
    let mut hot = hot_with(&[(Batch::Traces(vec![group]), Timestamp(7))]);
    let stored = rows::spans(&hot.take().unwrap().spans[0]).unwrap();
    let attributes = &stored[0].span.attributes;
    assert_eq!(attributes.get("http.route"), Some(&AnyValue::Int(1)));
    assert_eq!(attributes.str("url.path"), Some("first"));
    assert_eq!(attributes.0.len(), 4);
}

fn sample(metric: &'static str, service: &str, at: u64, value: f64) -> EngineSample {
    EngineSample {
        metric,
        unit: "1",
        kind: EngineKind::DeltaSum,
        service: service.to_owned(),
        attributes: vec![("operation".to_owned(), "GET /".to_owned())],
        at: Timestamp(at),
        value,
    }
}

#[test]
fn samples_of_one_series_are_one_row_in_the_order_of_their_times() {
    let mut hot = Hot::new();
    hot.append_engine(&[
        sample("requests", "cart", 30, 3.0),
        sample("requests", "shop", 10, 9.0),
        sample("requests", "cart", 10, 1.0),
        sample("errors", "cart", 10, 0.0),
        sample("requests", "cart", 20, 2.0),
    ]);
    assert_eq!(hot.snapshot(Table::Samples, Some("nothing")).unwrap().len(), 0);
    let found = hot.snapshot(Table::Samples, Some("requests")).unwrap();
    assert_eq!(found[0].num_rows(), 2);
    let sealed = hot.take().unwrap();
    assert_eq!(sealed.rows(), 3);
    let found = sealed.snapshot(Table::Samples, Some("requests")).unwrap();
    let stored = rows::series(&found[0]).unwrap();
    let cart =
        stored.iter().find(|row| row.resource.attributes.str("service.name") == Some("cart"));
    let model::signal::MetricData::Sum { points, .. } = &cart.unwrap().metric.data else {
        panic!()
    };
    let times: Vec<_> = points.iter().map(|point| point.header.time_unix_nanos).collect();
    assert_eq!(times, [10, 20, 30]);
}

#[test]
fn a_series_whose_points_lie_on_two_days_makes_two_rows() {
    const DAY: u64 = 86_400_000_000_000;
    let mut hot = Hot::new();
    let samples: Vec<_> =
        (0..10).map(|index| sample("requests", "cart", DAY - 5 + index, 1.0)).collect();
    hot.append_engine(&samples);
    let batch = &hot.take().unwrap().samples[0];
    assert_eq!(batch.num_rows(), 2);
}
