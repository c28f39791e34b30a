//! Closing in time, and bounds under floods and with clocks that jump.

use super::*;

/// A root of a trace of its own.
fn root(trace: u64, seconds: f64) -> Span {
    let mut root = span(Server, (1, 1, 0), seconds, &[("http.request.method", "GET")]);
    root.trace_id[..8].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    root.span_id = (trace + 1).to_be_bytes();
    root
}

/// A span of a trace of its own whose parent is nowhere.
fn orphan(trace: u64, seconds: f64) -> Span {
    Span { parent_span_id: [9; 8], kind: Internal, ..root(trace, seconds) }
}

#[test]
fn a_trace_that_goes_on_and_on_is_closed_at_its_age() {
    let mut observer = observer();
    let mut closed_at = None;
    for second in 0..70_u32 {
        let seconds = f64::from(second);
        let mut span = one(Internal, (second as u8 + 2, 1), (0, 1), &[]);
        span.end_unix_nanos = at(seconds).as_nanos();
        take(&mut observer, "shop", vec![span], seconds);
        if observer.tick(u64::from(second), at(seconds)).traces.trees > 0 {
            closed_at = closed_at.or(Some(second));
        }
    }
    assert_eq!(closed_at, Some(60));
}

#[test]
fn a_full_tree_is_closed_and_takes_no_more() {
    let mut observer = Observer::new(config(|limits| limits.tree_spans_max = 100));
    let spans: Vec<Span> = (1..=150).map(|id| one(Internal, (id, 0), (0, 1), &[])).collect();
    take(&mut observer, "shop", spans, 1.0);
    let tick = observer.tick(1, at(1.0));
    assert_eq!((tick.traces.trees, tick.quality.spans_after_close), (1, 50));
    assert_eq!(observer.trees.spans, 0);
}

#[test]
fn a_flood_of_orphans_stays_within_bounds_and_is_counted() {
    let limits =
        |limits: &mut crate::TreeLimits| (limits.spans_max, limits.trees_max) = (2000, 800);
    let mut observer = Observer::new(config(limits));
    let mut quality = Quality::default();
    let (mut told, mut sent) = (0, 0);
    for second in 0..40_u64 {
        let now = second as f64;
        for batch in 0..20 {
            let first = (second * 20 + batch) * 100;
            take(
                &mut observer,
                "shop",
                (first..first + 100).map(|id| orphan(id, now)).collect(),
                now,
            );
            sent += 100;
            assert!(observer.trees.open.len() <= 800 && observer.trees.spans <= 2000);
        }
        let tick = observer.tick(second, at(now));
        told += tick.traces.trees;
        quality.add(&tick.quality);
    }
    assert!(quality.trees_cut > 0 && quality.spans_without_tree > 0);
    let open = observer.trees.open.len() as u64;
    assert_eq!(told + quality.trees_cut + quality.spans_without_tree + open, sent);
    // What is kept is kept until it is over.
    assert!(told > 100, "{told}");
    let bytes = postcard::to_stdvec(&observer.trees).unwrap().len();
    assert!(bytes < 2000 * 100 + 65_536 * 10, "{bytes}");
}

#[test]
fn after_a_flood_every_trace_is_kept_again() {
    let mut observer = Observer::new(config(|limits| limits.trees_max = 100));
    take(&mut observer, "shop", (0..500).map(|id| root(id, 0.0)).collect(), 0.0);
    observer.tick(0, at(0.0));
    assert_eq!(observer.trees.thinned, 1);
    for second in 1..60 {
        observer.tick(second, at(second as f64));
    }
    assert_eq!(observer.trees.thinned, 0);
    take(&mut observer, "shop", (1000..1020).map(|id| root(id, 60.0)).collect(), 60.0);
    assert_eq!(observer.tick(60, at(70.0)).traces.trees, 20);
}

#[test]
fn cut_trees_tell_nothing_and_do_not_open_again() {
    let mut observer = Observer::new(config(|limits| limits.trees_max = 8));
    take(&mut observer, "shop", (0..9).map(|id| root(id, 1.0)).collect(), 1.0);
    let mut span = root(0, 1.0);
    span.span_id = [7; 8];
    let lowest = (0..9).map(|id| root(id, 1.0).trace_id).min().unwrap();
    span.trace_id = lowest;
    take(&mut observer, "shop", vec![span], 2.0);
    let tick = observer.tick(1, at(20.0));
    assert_eq!((tick.quality.trees_cut, tick.quality.spans_after_close), (2, 1));
    assert_eq!(tick.traces.trees, 7);
}

#[test]
fn trees_can_be_turned_off() {
    let mut observer = Observer::new(config(|limits| limits.spans_max = 0));
    take(&mut observer, "shop", vec![request((1, 0), (0, 100), "200")], 1.0);
    let tick = observer.tick(1, at(20.0));
    assert_eq!((tick.traces.trees, tick.quality.spans_without_tree), (0, 1));
}

#[test]
fn a_clock_that_jumps_forth_closes_all_and_one_that_jumps_back_closes_later() {
    let mut observer = observer();
    take(&mut observer, "shop", vec![root(1, 1.0)], 1.0);
    assert_eq!(observer.tick(1, at(5000.0)).traces.trees, 1);
    // Spans that arrive "before" the last tick.
    take(&mut observer, "shop", vec![root(2, 4990.0)], 4990.0);
    assert_eq!(observer.tick(2, at(4991.0)).traces.trees, 1);
    take(&mut observer, "shop", vec![root(3, 5001.0)], 5001.0);
    take(&mut observer, "shop", vec![root(4, 4000.0)], 4000.0);
    let trees: Vec<u64> = [4001.0, 5010.0, 5011.0]
        .into_iter()
        .map(|seconds| observer.tick(3, at(seconds)).traces.trees)
        .collect();
    assert_eq!(trees, [1, 0, 1]);
}

#[test]
fn spans_that_ended_long_ago_are_no_evidence_of_now() {
    let mut observer = observer();
    take(&mut observer, "shop", vec![root(1, 0.0), orphan(2, 0.0)], 400.0);
    let tick = observer.tick(1, at(420.0));
    assert_eq!((tick.traces.trees, tick.quality.late_spans), (0, 1));
}

#[test]
fn a_snapshot_goes_on_the_same_whatever_was_cut_before() {
    let mut original = Observer::new(config(|limits| limits.trees_max = 50));
    take(&mut original, "shop", (0..80).map(|id| root(id, 1.0)).collect(), 1.0);
    original.tick(1, at(1.0));
    let bytes = postcard::to_stdvec(&original).unwrap();
    let mut restored: Observer = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(postcard::to_stdvec(&restored).unwrap(), bytes);
    for observer in [&mut original, &mut restored] {
        take(observer, "shop", (40..200).map(|id| root(id, 2.0)).collect(), 2.0);
    }
    assert_eq!(original.tick(2, at(30.0)), restored.tick(2, at(30.0)));
    assert_eq!(original, restored);
}
