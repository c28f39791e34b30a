//! Toxics in virtual time: Toxiproxy's own tests of them, and properties that hold for all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Chain, End, Item, Moment};
use crate::json::Object;
use crate::toxic::{KINDS, Toxic};

const MS: Duration = Duration::from_millis(1);

fn toxic(id: u64, kind: &str, attributes: &str) -> Arc<Toxic> {
    with_toxicity(id, kind, attributes, 1.0)
}

fn with_toxicity(id: u64, kind: &str, attributes: &str, toxicity: f32) -> Arc<Toxic> {
    let body = format!(
        r#"{{"name": "{id}", "type": "{kind}", "attributes": {{{attributes}}},
            "toxicity": {toxicity}}}"#
    );
    let object = Object::read(body.as_bytes(), "Toxic").unwrap();
    Arc::new(Toxic::read(id, &object).unwrap())
}

fn data(length: usize) -> Bytes {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// A chain with a clock, and what came out of it with the moment.
struct Line {
    chain: Chain,
    now: Moment,
    out: Vec<(Moment, Bytes)>,
    end: Option<(Moment, End)>,
}

impl Line {
    fn new(toxics: &[Arc<Toxic>]) -> Line {
        Line::seeded(1, toxics)
    }

    fn seeded(seed: u64, toxics: &[Arc<Toxic>]) -> Line {
        let mut chain = Chain::new(seed);
        chain.update(Moment::ZERO, toxics);
        Line { chain, now: Moment::ZERO, out: Vec::new(), end: None }
    }

    fn push(&mut self, bytes: Bytes) {
        self.chain.push(self.now, bytes);
        self.settle();
    }

    fn end(&mut self) {
        self.chain.end(End::Eof);
        self.settle();
    }

    fn update(&mut self, toxics: &[Arc<Toxic>]) {
        self.chain.update(self.now, toxics);
        self.settle();
    }

    /// Takes out what is ready now.
    fn settle(&mut self) {
        self.chain.advance(self.now);
        loop {
            let length = match self.chain.ready() {
                None => return,
                Some(Item::End(end)) => {
                    self.end.get_or_insert((self.now, *end));
                    return;
                }
                Some(Item::Data(chunk)) => {
                    self.out.push((self.now, chunk.data.clone()));
                    chunk.data.len()
                }
            };
            self.chain.written(length);
            self.chain.advance(self.now);
        }
    }

    /// Lets time pass, from timer to timer.
    fn run_until(&mut self, until: Moment) {
        while let Some(wake) = self.chain.wake().filter(|wake| *wake <= until) {
            assert!(wake > self.now || self.end.is_some(), "a timer that changes nothing");
            if self.end.is_some() {
                break;
            }
            self.now = wake;
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    fn bytes(&self) -> Bytes {
        self.out.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    fn moments_ms(&self) -> Vec<u128> {
        self.out.iter().map(|(moment, _)| moment.as_millis()).collect()
    }
}

#[test]
fn latency_delays_each_chunk_from_when_it_came() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 100"#)]);
    for _ in 0..50 {
        line.push(data(1_000));
        line.run_until(line.now + MS);
    }
    line.run_until(1_000 * MS);
    assert_eq!(line.moments_ms(), (100..150).collect::<Vec<u128>>());
    assert_eq!(line.bytes().len(), 50_000);
}

#[test]
fn two_latencies_add_up() {
    let latency = r#""latency": 500"#;
    let mut line = Line::new(&[toxic(1, "latency", latency), toxic(2, "latency", latency)]);
    line.push(data(10));
    line.push(data(10));
    line.run_until(5_000 * MS);
    assert_eq!(line.moments_ms(), [1_000, 1_000]);
}

#[test]
fn jitter_stays_within_its_bounds_and_keeps_the_order() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 100, "jitter": 50"#)]);
    for number in 0..100_u8 {
        line.push(Bytes::from(vec![number]));
        line.run_until(line.now + 200 * MS);
    }
    let delays: Vec<u128> =
        line.moments_ms().iter().enumerate().map(|(index, ms)| ms - 200 * index as u128).collect();
    assert!(delays.iter().all(|delay| (50..150).contains(delay)), "{delays:?}");
    assert!(delays.iter().max() > delays.iter().min());
    assert_eq!(line.bytes(), (0..100).collect::<Bytes>());
}

#[test]
fn latency_holds_100_ms_of_a_fast_stream_without_holding_it_up() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 100"#)]);
    let chunk = data(64 << 10);
    let mut pushed = 0;
    for ms in 0..600 {
        // 2 GB/s, once the first delay has shown that the other side takes everything.
        for _ in 0..if ms < 150 { 8 } else { 32 } {
            assert!(line.chain.has_room(), "no room after {ms} ms");
            line.push(chunk.clone());
            pushed += 1;
        }
        line.run_until(line.now + MS);
    }
    let held = line.chain.held_bytes();
    assert!(held > 190 << 20 && held <= super::LATENCY_BYTES_MAX, "{held}");
    line.run_until(1_000 * MS);
    let came: usize = line.out.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(came, pushed * chunk.len());
}

#[test]
fn latency_holds_little_for_a_reader_that_takes_little() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 100"#)]);
    let chunk = data(64 << 10);
    let mut taken = 0;
    for ms in 0..3_000 {
        // The sender is fast; 1 MB/s is taken.
        while line.chain.has_room() && line.chain.held_bytes() < 16 << 20 {
            line.chain.push(line.now, chunk.clone());
            line.chain.advance(line.now);
        }
        line.now += MS;
        line.chain.advance(line.now);
        if let Some(Item::Data(ready)) = line.chain.ready() {
            let count = ready.data.len().min(1_000);
            line.chain.written(count);
            taken += count;
        }
        if ms > 2_500 {
            // It filled up at first; nothing more was read since.
            assert!(!line.chain.has_room());
        }
    }
    assert!(taken > 2_800_000, "{taken}");
}

#[test]
fn latency_is_bounded_and_tighter_when_memory_is_short() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 1000"#)]);
    line.chain.tighten(true);
    while line.chain.has_room() {
        line.push(data(64 << 10));
    }
    assert!(line.chain.held_bytes() < 400 << 10);
    line.chain.tighten(false);
    // Tiny chunks are charged with their bookkeeping.
    for _ in 0..1_000 {
        line.push(data(1));
    }
    assert!(line.chain.held_bytes() > (256 << 10) + 1_000 * 32);
}

#[test]
fn taking_latency_away_lets_go_what_it_held_in_order() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 1000"#)]);
    line.push(data(10));
    line.push(data(20));
    line.update(&[]);
    assert_eq!(line.moments_ms(), [0, 0]);
    assert_eq!(line.out[0].1, data(10));
    line.push(data(5));
    assert_eq!((line.out.len(), line.chain.is_idle()), (3, true));
}

#[test]
fn other_latency_is_for_what_waits_too() {
    let mut line = Line::new(&[toxic(1, "latency", r#""latency": 1000"#)]);
    line.push(data(1));
    line.push(data(2));
    line.run_until(10 * MS);
    line.update(&[toxic(1, "latency", r#""latency": 100"#)]);
    line.run_until(2_000 * MS);
    // The foremost one goes at once, as with Toxiproxy.
    assert_eq!(line.moments_ms(), [10, 100]);
}

#[test]
fn bandwidth_is_kept_to() {
    let mut line = Line::new(&[toxic(1, "bandwidth", r#""rate": 1000"#)]);
    let all = data(480_000);
    let mut rest = all.clone();
    while !rest.is_empty() || line.bytes().len() < all.len() {
        while line.chain.has_room() && !rest.is_empty() {
            line.push(rest.split_to(rest.len().min(32 << 10)));
        }
        let wake = line.chain.wake().unwrap_or(line.now);
        line.run_until(wake);
    }
    assert_eq!(line.now.as_millis(), 480);
    assert_eq!(line.bytes(), all);
}

#[test]
fn a_low_bandwidth_comes_in_pieces_of_100_ms() {
    let mut line = Line::new(&[toxic(1, "bandwidth", r#""rate": 1"#)]);
    line.push(data(250));
    line.run_until(1_000 * MS);
    assert_eq!(line.moments_ms(), [100, 200, 250]);
    assert_eq!(line.out[0].1.len(), 100);
}

#[test]
fn a_late_timer_does_not_lower_bandwidth() {
    let mut line = Line::new(&[toxic(1, "bandwidth", r#""rate": 1000"#)]);
    for _ in 0..1_000 {
        line.push(data(1_000));
        while line.chain.wake().is_some() {
            line.now = line.chain.wake().unwrap() + Duration::from_micros(500);
            line.settle();
        }
    }
    assert!(line.now < 1_002 * MS, "{:?}", line.now);
}

#[test]
fn no_bandwidth_lets_nothing_through() {
    for rate in ["0", "-5"] {
        let mut line = Line::new(&[toxic(1, "bandwidth", &format!(r#""rate": {rate}"#))]);
        line.push(data(10));
        line.end();
        line.run_until(100_000 * MS);
        assert_eq!((line.out.len(), line.end), (0, None));
        line.update(&[]);
        assert_eq!((line.bytes(), line.end.unwrap().1), (data(10), End::Eof));
    }
}

#[test]
fn slow_close_delays_the_end_alone() {
    let mut line = Line::new(&[toxic(1, "slow_close", r#""delay": 500"#)]);
    line.push(data(3));
    line.end();
    line.run_until(1_000 * MS);
    assert_eq!(line.moments_ms(), [0]);
    assert_eq!(line.end, Some((500 * MS, End::Eof)));
}

#[test]
fn timeout_drops_everything_and_closes_when_nothing_came_for_long_enough() {
    let mut line = Line::new(&[toxic(1, "timeout", r#""timeout": 100"#)]);
    line.run_until(60 * MS);
    line.push(data(10));
    line.run_until(1_000 * MS);
    assert_eq!((line.out.len(), line.end), (0, Some((160 * MS, End::Close))));
}

#[test]
fn a_timeout_of_zero_never_closes_but_when_it_is_removed() {
    let mut line = Line::new(&[toxic(1, "timeout", r#""timeout": 0"#)]);
    line.push(data(10));
    line.end();
    line.run_until(100_000 * MS);
    assert_eq!((line.out.len(), line.end), (0, None));
    line.update(&[]);
    assert_eq!(line.end, Some((100_000 * MS, End::Close)));
}

#[test]
fn a_timeout_does_not_keep_others_from_being_removed() {
    let latency = toxic(1, "latency", r#""latency": 10"#);
    let timeout = toxic(2, "timeout", r#""timeout": 0"#);
    let mut line = Line::new(&[latency, Arc::clone(&timeout)]);
    for _ in 0..5 {
        line.push(data(5));
        line.run_until(line.now + 200 * MS);
    }
    line.update(&[timeout]);
    assert_eq!((line.out.len(), line.end), (0, None));
}

#[test]
fn reset_peer_resets_some_time_after_the_first_bytes() {
    for (timeout, at) in [("0", 40), ("100", 140)] {
        let attributes = format!(r#""timeout": {timeout}"#);
        let mut line = Line::new(&[toxic(1, "reset_peer", &attributes)]);
        line.run_until(40 * MS);
        assert_eq!(line.end, None);
        line.push(data(10));
        line.run_until(80 * MS);
        line.push(data(10));
        line.run_until(1_000 * MS);
        assert_eq!((line.out.len(), line.end), (0, Some((at * MS, End::Reset))));
    }
}

#[test]
fn slicer_slices_about_evenly() {
    let attributes = r#""average_size": 1024, "size_variation": 512, "delay": 10"#;
    let mut line = Line::new(&[toxic(1, "slicer", attributes)]);
    let all = Bytes::from("hello world ".repeat(40_000));
    line.push(all.clone());
    line.run_until(1_000 * MS);
    assert!((240..=720).contains(&line.out.len()), "{} slices", line.out.len());
    assert_eq!(line.bytes(), all);
    let last = line.out.last().unwrap().0;
    assert_eq!(last, Duration::from_micros(10 * (line.out.len() as u64 - 1)));
}

#[test]
fn slicer_puts_together_again_whatever_its_numbers() {
    let numbers =
        [(0, 0), (0, 5), (-1, 0), (1, 0), (2, 1), (5, 10), (10, 10), (64, 8), (1024, 512)];
    for (average, variation) in numbers.into_iter().chain([(i64::MAX, i64::MAX), (1, i64::MIN)]) {
        for size in [1, 2, 21, 64, 1_000, 4_096] {
            let attributes = format!(r#""average_size": {average}, "size_variation": {variation}"#);
            let mut line = Line::new(&[toxic(1, "slicer", &attributes)]);
            line.push(data(size));
            assert_eq!(line.bytes(), data(size), "{average} {variation} {size}");
            assert!(line.out.iter().all(|(_, bytes)| !bytes.is_empty()));
        }
    }
}

/// Toxiproxy's table for `limit_data` with 100 bytes: chunks in, chunks out.
#[test]
fn limit_data_closes_when_its_bytes_have_passed() {
    for (bytes, chunks, expected, closes) in [
        (100, vec![50], vec![50], false),
        (100, vec![100], vec![100], true),
        (100, vec![150], vec![100], true),
        (100, vec![25, 25, 25, 25], vec![25, 25, 25, 25], true),
        (100, vec![90, 20], vec![90, 10], true),
        (0, vec![100], vec![], true),
    ] {
        let attributes = format!(r#""bytes": {bytes}"#);
        let mut line = Line::new(&[toxic(1, "limit_data", &attributes)]);
        for chunk in chunks {
            line.push(data(chunk));
        }
        let lengths: Vec<usize> = line.out.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lengths, expected);
        assert_eq!(line.end.is_some(), closes);
    }
}

#[test]
fn limit_data_counts_on_after_a_change() {
    let mut line = Line::new(&[toxic(1, "limit_data", r#""bytes": 100"#)]);
    line.push(data(90));
    line.update(&[toxic(1, "limit_data", r#""bytes": 110"#)]);
    line.push(data(50));
    assert_eq!(line.bytes().len(), 110);
    assert_eq!(line.end.unwrap().1, End::Close);
}

#[test]
fn packet_loss_loses_about_its_share() {
    let lost = |attributes: &str| {
        let mut line = Line::new(&[toxic(1, "packet_loss", attributes)]);
        for _ in 0..1_000 {
            line.push(data(1));
        }
        1_000 - line.out.len()
    };
    assert_eq!(lost(r#""loss_rate": 0"#), 0);
    assert_eq!(lost(r#""loss_rate": 1"#), 1_000);
    assert!((100..300).contains(&lost(r#""loss_rate": 0.2"#)));
    // In bursts: each loss makes the next likelier.
    assert!(lost(r#""loss_rate": 0.2, "correlation": 0.7"#) > 500);
}

#[test]
fn order_of_toxics_matters() {
    let limit = toxic(1, "limit_data", r#""bytes": 10"#);
    let latency = toxic(2, "latency", r#""latency": 100"#);
    let slow_close = toxic(3, "slow_close", r#""delay": 50"#);
    let mut line = Line::new(&[Arc::clone(&limit), latency, Arc::clone(&slow_close)]);
    line.push(data(20));
    line.run_until(1_000 * MS);
    assert_eq!((line.moments_ms(), line.bytes().len()), (vec![100], 10));
    assert_eq!(line.end, Some((150 * MS, End::Close)));

    let mut line = Line::new(&[slow_close, limit]);
    line.push(data(20));
    assert_eq!(line.end, Some((Moment::ZERO, End::Close)));
}

#[test]
fn toxicity_is_drawn_once_for_a_connection() {
    let some = with_toxicity(1, "latency", r#""latency": 100"#, 0.3);
    let mut delayed = 0;
    for seed in 0..1_000 {
        let mut line = Line::seeded(seed, &[Arc::clone(&some)]);
        for _ in 0..5 {
            line.push(data(1));
        }
        line.run_until(1_000 * MS);
        let moments = line.moments_ms();
        assert!(moments.iter().all(|moment| moment == &moments[0]));
        delayed += u32::from(moments[0] == 100);
    }
    assert!((200..400).contains(&delayed), "{delayed} of 1000");
}

#[test]
fn a_toxic_without_toxicity_does_nothing_whatever_happens_to_it() {
    for (kind, _) in KINDS {
        let mut line = Line::new(&[with_toxicity(1, kind, "", 0.0)]);
        assert!(line.chain.is_idle());
        line.push(data(10));
        line.update(&[with_toxicity(1, kind, "", 0.0)]);
        line.update(&[]);
        line.end();
        assert_eq!((line.bytes(), line.end.unwrap().1), (data(10), End::Eof), "{kind}");
    }
}

fn any_toxic() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (-5..200_i64, -5..100_i64).prop_map(|(latency, jitter)| {
            ("latency".to_owned(), format!(r#""latency": {latency}, "jitter": {jitter}"#))
        }),
        (1..100_i64).prop_map(|rate| ("bandwidth".to_owned(), format!(r#""rate": {rate}"#))),
        (0..300_i64).prop_map(|delay| ("slow_close".to_owned(), format!(r#""delay": {delay}"#))),
        (-3..300_i64, -3..300_i64, 0..3_000_i64).prop_map(|(average, variation, delay)| {
            let sizes = format!(r#""average_size": {average}, "size_variation": {variation}"#);
            ("slicer".to_owned(), format!(r#"{sizes}, "delay": {delay}"#))
        }),
        Just(("noop".to_owned(), String::new())),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Push(usize),
    Pass(u64),
    Add(String, String),
    Change(usize, String, String),
    Remove(usize),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..3_000_usize).prop_map(Event::Push),
        3 => (0..100_u64).prop_map(Event::Pass),
        1 => any_toxic().prop_map(|(kind, attributes)| Event::Add(kind, attributes)),
        1 => (0..6_usize, any_toxic()).prop_map(|(index, (kind, attributes))| {
            Event::Change(index, kind, attributes)
        }),
        1 => (0..6_usize).prop_map(Event::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever toxics that only delay are added, changed and removed on the way: every byte comes
    /// out once, in order, and the end after them.
    #[test]
    fn toxics_that_only_delay_lose_nothing(
        seed: u64,
        events in proptest::collection::vec(any_event(), 1..60),
    ) {
        let mut line = Line::seeded(seed, &[]);
        let mut toxics: Vec<Arc<Toxic>> = Vec::new();
        let mut sent = Vec::new();
        for (number, event) in events.into_iter().enumerate() {
            match event {
                Event::Push(length) => {
                    let chunk: Vec<u8> = (0..length).map(|index| (index + number) as u8).collect();
                    sent.extend_from_slice(&chunk);
                    line.push(chunk.into());
                }
                Event::Pass(ms) => line.run_until(line.now + Duration::from_millis(ms)),
                Event::Add(kind, attributes) => {
                    toxics.push(toxic(number as u64 + 1, &kind, &attributes));
                    line.update(&toxics);
                }
                Event::Change(index, kind, attributes) => {
                    if let Some(old) = toxics.get_mut(index)
                        && old.kind.name() == kind
                    {
                        *old = toxic(old.id, &kind, &attributes);
                        line.update(&toxics);
                    }
                }
                Event::Remove(index) => {
                    if index < toxics.len() {
                        toxics.remove(index);
                        line.update(&toxics);
                    }
                }
            }
        }
        line.end();
        line.run_until(line.now + Duration::from_secs(3_600));
        prop_assert_eq!(line.bytes(), Bytes::from(sent));
        prop_assert_eq!(line.end.map(|(_, end)| end), Some(End::Eof));
    }

    /// With a limit among them, what comes out is what came first, and no more is held than is
    /// bounded.
    #[test]
    fn a_limit_among_others_gives_the_first_bytes(
        seed: u64,
        limit in 0..5_000_usize,
        chunks in proptest::collection::vec(1..2_000_usize, 1..10),
        (before, after) in (any_toxic(), any_toxic()),
    ) {
        let attributes = format!(r#""bytes": {limit}"#);
        let mut line = Line::seeded(seed, &[
            toxic(1, &before.0, &before.1),
            toxic(2, "limit_data", &attributes),
            toxic(3, &after.0, &after.1),
        ]);
        let mut sent = Vec::new();
        for length in chunks {
            sent.extend_from_slice(&data(length));
            line.push(data(length));
        }
        line.end();
        line.run_until(Duration::from_secs(3_600));
        sent.truncate(limit);
        prop_assert_eq!(line.bytes(), Bytes::from(sent.clone()));
        let end = if sent.len() == limit { End::Close } else { End::Eof };
        prop_assert_eq!(line.end.map(|(_, end)| end), Some(end));
    }
}
