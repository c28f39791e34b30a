//! Points put into windows of the same length, and what is told of each window.
//!
//! What grew between two points is spread evenly over the time between them, so that sums over
//! windows agree with the sum over all, whatever the step. A window about which nothing is known
//! has no value.

use super::Function;
use super::distribution::{Buckets, Distribution};
use super::gather::{Observed, Sample};
use super::increase::Increase;
use crate::query::grid::Grid;

/// A value for each window.
pub type Values = Vec<Option<f64>>;

/// `function` is one that looks at values, not at how they grew.
pub fn of_samples(grid: &Grid, samples: &[Sample], function: Function) -> Values {
    let mut windows: Vec<Vec<f64>> = vec![Vec::new(); grid.windows()];
    for sample in samples.iter().filter(|sample| !sample.value.is_nan()) {
        if let Some(window) = grid.window_of(sample.time) {
            windows[window].push(sample.value);
        }
    }
    windows.iter_mut().map(|values| summarise(values, function)).collect()
}

fn summarise(values: &mut [f64], function: Function) -> Option<f64> {
    let sum = || values.iter().sum::<f64>();
    let last = *values.last()?;
    Some(match function {
        Function::Average => sum() / values.len() as f64,
        Function::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Function::Sum => sum(),
        Function::Count => values.len() as f64,
        Function::Quantile(q) => {
            values.sort_unstable_by(f64::total_cmp);
            let rank = q.clamp(0.0, 1.0) * (values.len() - 1) as f64;
            let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        }
        Function::Last | Function::Rate | Function::Increase => last,
    })
}

/// How much was added in each window, or how much a second.
pub fn of_increases(grid: &Grid, increases: &[Increase<f64>], per_second: bool) -> Values {
    let mut added: Values = vec![None; grid.windows()];
    let mut known = vec![0u64; grid.windows()];
    for increase in increases {
        grid.spread(increase.start, increase.end, |window, part, nanos| {
            *added[window].get_or_insert(0.0) += increase.amount * part;
            known[window] += nanos;
        });
    }
    if per_second {
        for (added, known) in added.iter_mut().zip(known) {
            *added = added.map(|added| added / seconds_known(grid, known));
        }
    }
    added
}

/// A window of which only a part is known has the rate of that part.
fn seconds_known(grid: &Grid, known_nanos: u64) -> f64 {
    if known_nanos == 0 || known_nanos > grid.step_nanos() {
        return grid.step_seconds();
    }
    known_nanos as f64 / model::time::SECOND as f64
}

/// What was observed in each window, told by each of `functions`.
pub fn of_distributions(
    grid: &Grid,
    increases: &[Increase<Distribution>],
    functions: &[Function],
) -> Vec<Values> {
    let mut windows: Vec<Option<(Distribution, u64)>> = vec![None; grid.windows()];
    for increase in increases {
        grid.spread(increase.start, increase.end, |window, part, nanos| {
            let (sum, known) = windows[window].get_or_insert_default();
            sum.add(&increase.amount, part);
            *known += nanos;
        });
    }
    let tell = |function: &Function| {
        let value = |window: &Option<(Distribution, u64)>| {
            let (sum, known) = window.as_ref()?;
            tell(sum, seconds_known(grid, *known), *function)
        };
        windows.iter().map(value).collect()
    };
    functions.iter().map(tell).collect()
}

fn tell(observed: &Distribution, seconds: f64, function: Function) -> Option<f64> {
    let value = match function {
        Function::Rate => observed.count / seconds,
        Function::Increase | Function::Count => observed.count,
        Function::Sum => observed.sum,
        Function::Average if observed.count > 0.0 => observed.sum / observed.count,
        Function::Minimum => observed.min?,
        Function::Maximum => observed.max?,
        Function::Quantile(q) => return observed.quantile(q),
        Function::Average | Function::Last => return None,
    };
    (!value.is_nan()).then_some(value)
}

/// The quantiles of summaries cannot be added: the last ones told in each window count.
pub fn of_quantiles(grid: &Grid, points: &[Observed], q: f64) -> Values {
    let mut values: Values = vec![None; grid.windows()];
    for point in points {
        let Some(window) = grid.window_of(point.time) else { continue };
        if matches!(point.distribution.buckets, Buckets::Quantiles(_)) {
            let told = point.distribution.quantile(q).filter(|value| !value.is_nan());
            values[window] = told.or(values[window]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = model::time::SECOND;

    fn grid(from: u64, to: u64, step: u64) -> Grid {
        let step = Duration::from_secs(step);
        Grid::new(Timestamp::from_secs(from), Timestamp::from_secs(to), step).unwrap()
    }

    fn increase(start: u64, end: u64, amount: f64) -> Increase<f64> {
        Increase { start: start * SECOND, end: end * SECOND, amount }
    }

    fn samples(points: &[(u64, f64)]) -> Vec<Sample> {
        let sample =
            |(time, value): &(u64, f64)| Sample { time: time * SECOND, start: 0, value: *value };
        points.iter().map(sample).collect()
    }

    #[test]
    fn each_function_tells_its_own_of_a_window() {
        let points = samples(&[(0, 4.0), (3, 1.0), (9, f64::NAN), (9, 4.0), (20, 7.0)]);
        for (function, expected) in [
            (Function::Last, 4.0),
            (Function::Average, 3.0),
            (Function::Minimum, 1.0),
            (Function::Maximum, 4.0),
            (Function::Sum, 9.0),
            (Function::Count, 3.0),
            (Function::Quantile(0.25), 2.5),
        ] {
            let values = of_samples(&grid(0, 30, 10), &points, function);
            assert_eq!(values[..2], [Some(expected), None], "{function:?}");
        }
    }

    #[test]
    fn an_increase_is_spread_over_the_time_in_which_it_came() {
        let increases = [increase(5, 25, 20.0), increase(25, 27, 0.0)];
        let added = of_increases(&grid(0, 40, 10), &increases, false);
        assert_eq!(added, [Some(5.0), Some(10.0), Some(5.0), None]);
        let rates = of_increases(&grid(0, 40, 10), &increases, true);
        assert_eq!(rates, [Some(1.0), Some(1.0), Some(5.0 / 7.0), None]);
    }

    #[test]
    fn distributions_are_told_by_window() {
        let observed = Distribution {
            count: 10.0,
            sum: 30.0,
            buckets: Buckets::Explicit { bounds: [2.0, 4.0].into(), counts: vec![5.0, 5.0, 0.0] },
            ..Distribution::default()
        };
        let increases = [Increase { start: 0, end: 20 * SECOND, amount: observed }];
        let functions = [Function::Rate, Function::Average, Function::Quantile(0.5)];
        let told = of_distributions(&grid(0, 20, 10), &increases, &functions);
        assert_eq!(told, [[Some(0.5); 2], [Some(3.0); 2], [Some(2.0); 2]]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_windows(
            start in 0u64..1000, length in 0u64..1000, step in 1u64..100, amount in 0.0f64..1e6
        ) {
            let grid = grid(0, 2001, step);
            let added = of_increases(&grid, &[increase(start, start + length, amount)], false);
            let total: f64 = added.iter().flatten().sum();
            prop_assert!((total - amount).abs() <= amount * 1e-9);
        }
    }
}
