//! When experiments run by themselves: once in each period, at a moment that nobody can foresee.
//!
//! Days count in a fixed offset from UTC. Periods of whole days follow each other without gaps from
//! a Monday on, so that one of a week begins on Mondays. In each the seed picks one of the allowed
//! days and a second of the window. Invariants: at most one run in a period, whatever happens to
//! clock and server; a moment that was missed is not made up for; a plan depends on nothing but the
//! schedule, the seed and the period.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::Timestamp;
use model::human::HumanDuration;
use model::time::SECOND;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Entries of one schedule.
pub const ENTRIES_MAX: usize = 200;
/// A moment that passed longer ago was missed.
pub const LATE_MAX: Duration = Duration::from_secs(60);
const DAY_S: i64 = 86_400;
const EVERY_MAX_DAYS: u64 = 84;
/// 1970-01-01 was a Thursday: days counted from it are so far from a Monday.
const DAYS_SINCE_MONDAY: i64 = 3;

/// Drills that the server runs by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub schedule: Vec<Scheduled>,
}

/// An experiment and when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// Unique name, by which runs are counted: one that is renamed begins anew.
    pub name: String,
    /// Full path of the experiment file; it is read when it is to run.
    pub experiment: PathBuf,
    /// Whole days, at most 84: it runs once in each such period. One of 7 days begins on Mondays.
    #[serde(default = "a_week")]
    pub every: HumanDuration,
    /// Days on which it may run.
    #[serde(default = "working_days")]
    pub on: BTreeSet<Weekday>,
    /// Time of day in which it may begin.
    #[serde(default)]
    pub between: Window,
    /// Offset from UTC of days and times: `+02:00`. It does not follow summer time.
    #[serde(default)]
    pub utc_offset: Offset,
}

fn a_week() -> HumanDuration {
    HumanDuration::from_secs(7 * 86_400)
}

fn working_days() -> BTreeSet<Weekday> {
    use Weekday::{Fri, Mon, Thu, Tue, Wed};
    [Mon, Tue, Wed, Thu, Fri].into()
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// Minutes of a day, the first included, the last not: `10:00-15:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: u16,
    to: u16,
}

impl Default for Window {
    fn default() -> Self {
        Window { from: 10 * 60, to: 15 * 60 }
    }
}

/// Minutes that local time is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset(i16);

/// One run that is planned.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Run {
    pub period: i64,
    pub at: Timestamp,
}

/// What is to be done now about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this.
    Wait(Run),
    Now(Run),
    /// It was to run while nobody could; the last of such.
    Missed(Run),
}

impl Scheduled {
    /// What types cannot check: the field, and what is wrong.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(allowed) {
            found.push(("name", "write 1 to 64 letters, digits, `-`, `_` or `.`".to_owned()));
        }
        if !self.experiment.is_absolute() {
            let path = self.experiment.display();
            found.push(("experiment", format!("`{path}` is not a full path; begin with `/`")));
        }
        let (seconds, rest) = (self.every.0.as_secs(), self.every.0.subsec_nanos());
        let is_whole = rest == 0 && seconds.is_multiple_of(DAY_S as u64);
        if !is_whole || !(1..=EVERY_MAX_DAYS).contains(&(seconds / DAY_S as u64)) {
            found.push(("every", format!("write whole days, 1d to {EVERY_MAX_DAYS}d")));
        }
        if self.on.is_empty() {
            found.push((
                "on",
                "name at least one day: mon, tue, wed, thu, fri, sat, sun".to_owned(),
            ));
        }
        found
    }

    /// What is to be done at `now`. `since` is when the entry was first known: what would have been
    /// before is no concern of it. `done` is the last period that was dealt with.
    pub fn due(&self, now: Timestamp, since: Timestamp, done: Option<i64>, seed: u64) -> Due {
        let next = self.next(since, done, seed);
        if now < next.at {
            return Due::Wait(next);
        }
        // Of several that were missed only the last is spoken of.
        let mut last = next;
        let current = self.period_of(now);
        // Some of the periods of a week may have no allowed day.
        let recent = current.saturating_sub(8)..=current;
        for period in recent.filter(|period| *period > next.period) {
            match self.moment(period, seed) {
                Some(at) if at <= now => last = Run { period, at },
                _ => {}
            }
        }
        match now.since(last.at) <= LATE_MAX {
            true => Due::Now(last),
            false => Due::Missed(last),
        }
    }

    /// The first moment after `since` in a period after `done`.
    fn next(&self, since: Timestamp, done: Option<i64>, seed: u64) -> Run {
        let first = self.period_of(since);
        let first = done.map_or(first, |done| first.max(done.saturating_add(1)));
        // A week of periods has every day of the week in it.
        let periods = first..first.saturating_add(9);
        let mut runs = periods.filter_map(|period| Some((period, self.moment(period, seed)?)));
        let found = runs.find(|(_, at)| *at > since);
        found.map_or(Run { period: i64::MAX, at: Timestamp(u64::MAX) }, |(period, at)| Run {
            period,
            at,
        })
    }

    /// When it runs in this period; `None` where no day of it is allowed.
    fn moment(&self, period: i64, seed: u64) -> Option<Timestamp> {
        let days: Vec<i64> = self.days(period).collect();
        let mut random = Random::of(seed, &self.name, period);
        let day = *days.get(random.below(days.len() as u64) as usize)?;
        let Window { from, to } = self.between;
        let second = random.below(u64::from(to - from) * 60);
        let local = day.checked_mul(DAY_S)? + i64::from(from) * 60 + second as i64;
        let seconds = u64::try_from(local - i64::from(self.utc_offset.0) * 60).ok()?;
        Some(Timestamp(seconds.checked_mul(SECOND)?))
    }

    /// Does a moment lie on an allowed day, within the window?
    #[cfg(test)]
    fn allows(&self, at: Timestamp) -> bool {
        let local = self.local_seconds(at);
        let (day, minute) = (local.div_euclid(DAY_S), local.rem_euclid(DAY_S) / 60);
        let Window { from, to } = self.between;
        self.on.contains(&weekday(day)) && (i64::from(from)..i64::from(to)).contains(&minute)
    }

    /// The window of the day on which a moment lies.
    pub fn window(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let day = self.local_seconds(at).div_euclid(DAY_S).saturating_mul(DAY_S);
        let end = |minute: u16| {
            let local = day.saturating_add(i64::from(minute) * 60);
            let seconds = local.saturating_sub(i64::from(self.utc_offset.0) * 60);
            Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(SECOND))
        };
        (end(self.between.from), end(self.between.to))
    }

    /// Weekday of a moment there.
    pub fn weekday(&self, at: Timestamp) -> Weekday {
        weekday(self.local_seconds(at).div_euclid(DAY_S))
    }

    /// Seconds since 1970-01-01 as clocks there show it.
    fn local_seconds(&self, at: Timestamp) -> i64 {
        (at.0 / SECOND) as i64 + i64::from(self.utc_offset.0) * 60
    }

    fn period_of(&self, at: Timestamp) -> i64 {
        let day = self.local_seconds(at).div_euclid(DAY_S);
        (day + DAYS_SINCE_MONDAY).div_euclid(self.every_days())
    }

    fn days(&self, period: i64) -> impl Iterator<Item = i64> {
        let every = self.every_days();
        let first = period.saturating_mul(every).saturating_sub(DAYS_SINCE_MONDAY);
        (first..first.saturating_add(every)).filter(|day| self.on.contains(&weekday(*day)))
    }

    fn every_days(&self) -> i64 {
        (self.every.0.as_secs() / DAY_S as u64).clamp(1, EVERY_MAX_DAYS) as i64
    }
}

fn weekday(day: i64) -> Weekday {
    WEEK[(day + DAYS_SINCE_MONDAY).rem_euclid(7) as usize]
}

/// SplitMix64 (Steele, Lea, Flood 2014), begun from all that a moment depends on.
struct Random(u64);

impl Random {
    fn of(seed: u64, name: &str, period: i64) -> Random {
        let mut random = Random(seed);
        for byte in name.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random.0 = random.next() ^ period as u64;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, and 0 for a bound of 0.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

impl Window {
    pub fn parse(text: &str) -> Result<Window, String> {
        let bad = || format!("`{text}` is no time of day; write for example 10:00-15:00");
        let (from, to) = text.split_once('-').ok_or_else(bad)?;
        let minutes = |text: &str| clock(text.trim()).filter(|minutes| *minutes <= 24 * 60);
        let (from, to) = (minutes(from).ok_or_else(bad)?, minutes(to).ok_or_else(bad)?);
        match from < to {
            true => Ok(Window { from, to }),
            false => Err(format!("`{text}` ends before it begins; it must end on the same day")),
        }
    }
}

impl Offset {
    pub fn parse(text: &str) -> Result<Offset, String> {
        let bad = || format!("`{text}` is no offset from UTC; write for example +02:00, or UTC");
        if text == "UTC" {
            return Ok(Offset(0));
        }
        let sign = match text.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(bad()),
        };
        let minutes = clock(&text[1..]).filter(|minutes| *minutes <= 14 * 60).ok_or_else(bad)?;
        Ok(Offset(sign * minutes as i16))
    }
}

/// Minutes of `HH:MM`.
fn clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_plain { text.parse::<u16>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
        match minutes {
            0 => f.write_str("UTC"),
            _ => write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        f.write_str(names[*self as usize])
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Window::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Offset::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Window {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$";
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

impl JsonSchema for Offset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Offset".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = "^(UTC|[+-][0-9]{2}:[0-9]{2})$";
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

#[cfg(test)]
mod tests;
