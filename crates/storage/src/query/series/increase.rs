//! By how much a series grew, between which times: aware of counters that start from anew, and of
//! those that tell only what was added.

use std::time::Duration;

/// How far back from the time asked for points are looked at, so that the first increase is known.
pub const LOOKBACK: Duration = Duration::from_secs(300);
const LOOKBACK_NANOS: u64 = 300 * model::time::SECOND;

/// A point of a series.
pub trait Timed {
    /// Nanoseconds since 1970.
    fn time(&self) -> u64;
    /// Since when it counts; 0 where it does not say.
    fn start(&self) -> u64;
}

/// What was added after `start` until `end`.
#[derive(Clone, Debug, PartialEq)]
pub struct Increase<A> {
    pub start: u64,
    pub end: u64,
    pub amount: A,
}

/// Of points that tell what was added since the one before, sorted by time.
pub fn of_deltas<P: Timed, A>(points: &[P], amount: impl Fn(&P) -> A) -> Vec<Increase<A>> {
    let mut before: Option<u64> = None;
    let mut increases = Vec::with_capacity(points.len());
    for point in points {
        let end = point.time();
        let told = Some(point.start()).filter(|start| (1..end).contains(start));
        let near = before.filter(|before| *before < end && end - *before <= LOOKBACK_NANOS);
        // Deltas of one series do not overlap; so that many which claim to cannot cost much.
        let start = told.map(|told| told.max(before.unwrap_or(0)).min(end)).or(near).unwrap_or(end);
        increases.push(Increase { start, end, amount: amount(point) });
        before = Some(end);
    }
    increases
}

/// Of points that tell the sum since their start, sorted by time. `since` says what came between
/// two points, or that the later one counts from anew; `whole` is all that a point counts.
/// `seen_from` is the time from which on no point is missing.
pub fn of_cumulative<P: Timed, A>(
    points: &[P],
    seen_from: u64,
    since: impl Fn(&P, &P) -> Option<A>,
    whole: impl Fn(&P) -> A,
) -> Vec<Increase<A>> {
    // Of points of the same time the one that counts most is right: the last by then.
    let mut distinct: Vec<&P> = Vec::with_capacity(points.len());
    for point in points {
        match distinct.last_mut() {
            Some(last) if last.time() == point.time() => {
                if since(point, last).is_some() {
                    *last = point;
                }
            }
            _ => distinct.push(point),
        }
    }
    let mut increases = Vec::with_capacity(distinct.len());
    let mut before: Option<&P> = None;
    for point in distinct {
        let (start, end) = (point.start(), point.time());
        match before {
            Some(before) => {
                let restarted = start >= before.time() && start != before.start();
                let counted = if restarted { None } else { since(point, before) };
                match counted {
                    Some(amount) => {
                        increases.push(Increase { start: before.time(), end, amount });
                    }
                    // The start is not known when it is the point's own time: nothing to tell yet.
                    None if start == end => {}
                    None => increases.push(Increase {
                        start: start.max(before.time()).min(end),
                        end,
                        amount: whole(point),
                    }),
                }
            }
            None if start >= seen_from && start > 0 && start < end => {
                increases.push(Increase { start, end, amount: whole(point) });
            }
            None => {}
        }
        before = Some(point);
    }
    increases
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time and start in seconds, value.
    struct Point(u64, u64, f64);

    impl Timed for Point {
        fn time(&self) -> u64 {
            self.0 * model::time::SECOND
        }
        fn start(&self) -> u64 {
            self.1 * model::time::SECOND
        }
    }

    fn cumulative(points: &[Point]) -> Vec<(u64, u64, f64)> {
        let since = |now: &Point, before: &Point| (now.2 >= before.2).then_some(now.2 - before.2);
        tell(of_cumulative(points, 50 * model::time::SECOND, since, |point| point.2))
    }

    fn tell(increases: Vec<Increase<f64>>) -> Vec<(u64, u64, f64)> {
        let second = model::time::SECOND;
        increases.iter().map(|one| (one.start / second, one.end / second, one.amount)).collect()
    }

    #[test]
    fn a_counter_grows_between_its_points() {
        let points = [Point(100, 0, 5.0), Point(110, 0, 7.0), Point(120, 0, 7.0)];
        assert_eq!(cumulative(&points), [(100, 110, 2.0), (110, 120, 0.0)]);
    }

    #[test]
    fn a_counter_that_started_from_anew_has_grown_by_all_it_counts() {
        let unknown = [Point(100, 0, 5.0), Point(110, 0, 3.0)];
        assert_eq!(cumulative(&unknown), [(100, 110, 3.0)]);
        let known = [Point(100, 60, 5.0), Point(110, 105, 9.0)];
        assert_eq!(cumulative(&known), [(60, 100, 5.0), (105, 110, 9.0)]);
    }

    #[test]
    fn the_first_point_tells_nothing_unless_its_start_was_seen() {
        assert_eq!(cumulative(&[Point(100, 60, 5.0)]), [(60, 100, 5.0)]);
        assert_eq!(cumulative(&[Point(100, 40, 5.0)]), []);
        assert_eq!(cumulative(&[Point(100, 100, 5.0)]), []);
        let unknown_start = [Point(90, 80, 1.0), Point(100, 100, 5.0), Point(110, 100, 6.0)];
        assert_eq!(cumulative(&unknown_start), [(80, 90, 1.0), (100, 110, 1.0)]);
    }

    #[test]
    fn the_same_point_twice_adds_nothing() {
        let points =
            [Point(100, 0, 5.0), Point(110, 0, 7.0), Point(110, 0, 7.0), Point(120, 0, 8.0)];
        assert_eq!(cumulative(&points), [(100, 110, 2.0), (110, 120, 1.0)]);
    }

    #[test]
    fn a_delta_belongs_to_the_time_since_the_one_before() {
        let points =
            [Point(100, 90, 1.0), Point(110, 0, 2.0), Point(1000, 0, 3.0), Point(1010, 1010, 4.0)];
        let expected = [(90, 100, 1.0), (100, 110, 2.0), (1000, 1000, 3.0), (1000, 1010, 4.0)];
        assert_eq!(tell(of_deltas(&points, |point| point.2)), expected);
    }
}
