//! Moments as a person would count them, and what holds for all.

use proptest::prelude::*;

use super::*;

fn entry(yaml: &str) -> Scheduled {
    serde_saphyr::from_str(&format!("name: n\nexperiment: /e.yaml\n{yaml}")).unwrap()
}

/// 2026-11-30, a Monday.
const MONDAY: u64 = 1_796_000_400 - 1_796_000_400 % 86_400;

fn at(day: u64, hour: u64) -> Timestamp {
    Timestamp::from_secs(MONDAY + day * 86_400 + hour * 3_600)
}

#[test]
fn an_entry_alone_runs_on_a_working_day_of_each_week() {
    let entry = entry("");
    assert_eq!(entry.problems(), vec![]);
    assert_eq!(entry.between.to_string(), "10:00-15:00");
    assert_eq!(entry.weekday(at(0, 0)), Weekday::Mon);
    assert_eq!(entry.period_of(at(0, 0)), entry.period_of(at(6, 23)));
    assert_eq!(entry.period_of(at(7, 0)), entry.period_of(at(6, 23)) + 1);
    let Due::Wait(run) = entry.due(at(0, 0), at(0, 0), None, 1) else { panic!() };
    assert!(at(0, 10) <= run.at && run.at < at(4, 15), "{}", run.at);
}

#[test]
fn an_offset_moves_days_and_times() {
    let east = entry(
        "{on: [mon], between: '00:00-01:00', utc_offset: '+02:00', every: 7d}"
            .trim_matches(['{', '}'])
            .replace(", ", "\n")
            .as_str(),
    );
    let run = east.moment(east.period_of(at(1, 0)), 7).unwrap();
    // Monday from midnight on there is still Sunday here.
    let from = Timestamp::from_secs(MONDAY - 2 * 3_600);
    assert!(from <= run && run < Timestamp::from_secs(MONDAY - 3_600), "{run}");
    assert_eq!(east.weekday(run), Weekday::Mon);
}

#[test]
fn what_is_no_schedule_is_refused_with_advice() {
    for (field, wrong, advice) in [
        ("every: 36h", "every", "write whole days"),
        ("every: 85d", "every", "write whole days"),
        ("on: []", "on", "name at least one day"),
    ] {
        let problems = entry(field).problems();
        assert_eq!(problems.len(), 1, "{field}");
        assert_eq!(problems[0].0, wrong);
        assert!(problems[0].1.contains(advice), "{}", problems[0].1);
    }
    for window in ["10-15", "15:00-10:00", "10:00-10:00", "10:00-25:00", "10:61-12:00", "é:00-1:00"]
    {
        assert!(Window::parse(window).is_err(), "{window}");
    }
    assert_eq!(Window::parse("00:00-24:00").unwrap().to_string(), "00:00-24:00");
    for offset in ["2", "+2:00", "+15:00", "é02:00", "", "Europe/Berlin"] {
        assert!(Offset::parse(offset).is_err(), "{offset}");
    }
    assert_eq!(Offset::parse("-03:30").unwrap().to_string(), "-03:30");
}

fn entries() -> impl Strategy<Value = Scheduled> {
    let days = proptest::collection::btree_set(proptest::sample::select(WEEK.to_vec()), 1..7);
    let window = (0_u16..1440).prop_flat_map(|from| (Just(from), from + 1..=1440));
    (1_u64..=84, days, window, -840_i16..=840, "[a-z]{1,8}").prop_map(
        |(every, on, (from, to), offset, name)| Scheduled {
            name,
            experiment: "/e.yaml".into(),
            every: HumanDuration::from_secs(every * 86_400),
            on,
            between: Window { from, to },
            utc_offset: Offset(offset),
        },
    )
}

proptest! {
    #[test]
    fn a_moment_lies_in_its_period_on_an_allowed_day_within_the_window(
        entry in entries(), seed: u64, day in 0_u64..40_000,
    ) {
        let period = entry.period_of(Timestamp::from_secs((day + 10) * 86_400));
        if let Some(at) = entry.moment(period, seed) {
            prop_assert_eq!(entry.period_of(at), period);
            prop_assert!(entry.allows(at));
        }
    }

    /// However time goes by, with the server away for long and its clock set back: no period has
    /// two runs, each run lies in the window or a little after it, and after a time away at most
    /// one follows at once.
    #[test]
    fn no_period_has_two_runs_and_nothing_is_made_up_for(
        entry in entries(), seed: u64, begin in 0_u64..20_000,
        steps in proptest::collection::vec((0_u64..4, 0_u64..200_000), 1..200),
    ) {
        let since = Timestamp::from_secs(begin * 86_400 + 86_400 * 100);
        let (mut now, mut done, mut runs) = (since, None, Vec::new());
        for (kind, size) in steps {
            now = match kind {
                // Away for up to months, set back by up to two days, or a look like any other.
                0 => Timestamp(now.0 + size * 40 * SECOND),
                1 => Timestamp(now.0.saturating_sub(size * SECOND).max(since.0)),
                _ => match entry.due(now, since, done, seed) {
                    Due::Wait(run) => Timestamp(run.at.0.min(now.0 + 90 * 86_400 * SECOND)),
                    _ => Timestamp(now.0 + SECOND),
                },
            };
            match entry.due(now, since, done, seed) {
                Due::Wait(run) => prop_assert!(run.at > now),
                Due::Missed(run) => {
                    prop_assert!(run.at <= now && done < Some(run.period));
                    done = Some(run.period);
                }
                Due::Now(run) => {
                    prop_assert!(run.at <= now && now.since(run.at) <= LATE_MAX);
                    prop_assert!(done < Some(run.period));
                    prop_assert!(entry.allows(run.at));
                    done = Some(run.period);
                    runs.push(run.period);
                }
            }
            // Once it is dealt with, the same moment brings nothing more.
            prop_assert!(matches!(entry.due(now, since, done, seed), Due::Wait(_)));
        }
        let mut once = runs.clone();
        once.dedup();
        prop_assert_eq!(once, runs);
    }

    #[test]
    fn another_seed_or_name_is_another_moment_most_of_the_time(entry in entries(), seed: u64) {
        let other = Scheduled { name: format!("{}x", entry.name), ..entry.clone() };
        let moments = |entry: &Scheduled, seed| {
            (1_000..1_100).map(|period| entry.moment(period, seed)).collect::<Vec<_>>()
        };
        prop_assert_eq!(moments(&entry, seed), moments(&entry, seed));
        if entry.between.to - entry.between.from > 10 {
            prop_assert_ne!(moments(&entry, seed), moments(&other, seed));
            prop_assert_ne!(moments(&entry, seed), moments(&entry, seed.wrapping_add(1)));
        }
    }
}
