//! Is this value of a series unusual, by what the series itself did before? One series at a time,
//! online, in less than 1 KB and constant time a value.
//!
//! Each value is compared with two expectations: the median of the newest values, and the usual
//! value of this hour and day of the week (`season`) corrected by how far off that was lately. The
//! smaller of both surprises counts, so that neither a steep morning nor a new level alarms for
//! long. How rare a surprise is tells the series' own past (`tail`): a threshold that fits one
//! series fits no other. Beside it the mean of the distances is followed, for what moved slowly.
//!
//! Invariants: only the past is used, and no value twice; after an anomaly the series rests, longer
//! each time it alarms again soon; what is not finite or not newer is passed over. An anomaly is
//! evidence for people and for diagnosis; it never becomes a symptom.
//!
//! Conformal ranks and rest periods: as in Numenta's benchmark KNN-CAD and CAD OSE use them; the
//! tail beyond what was seen: B. M. Hill, Annals of Statistics 3 (1975).

mod season;

mod tail;

use model::Timestamp;
use model::time::SECOND;
use serde::{Deserialize, Serialize};

use season::Season;
use tail::Tail;

/// Values that the short expectation is the median of.
const RECENT: usize = 60;
/// Distances from the season by which it is corrected.
const CORRECTED_BY: usize = 12;
/// Nothing is judged before so many values.
const JUDGED_FROM: u32 = 40;
/// A scale is never taken for less than this share of the expected value.
const SCALE_MIN_SHARE: f32 = 0.01;
/// Values that a scale remembers.
const SCALE_MEMORY: f32 = 1_000.0;
/// Values that the mean distance remembers.
const MOVED_MEMORY: f32 = 8.0;
/// How much of a surprise is learned at once, in scales.
const LEARNED_MAX: f32 = 4.0;

/// A value whose surprise is rarer than this, at one value each 5 min, is an anomaly. Series with
/// more values a day have to be rarer, by `RARE_BY_STEP`.
const RARE: f32 = 2e-3;
const RARE_BY_STEP: f32 = 0.2;
const RARE_STEP_SECONDS: f32 = 300.0;
const SURPRISE_MIN: f32 = 3.0;
/// What is this many scales away needs to be less rare.
const FAR: f32 = 10.0;
const FAR_RARE: f32 = 0.05;
/// The same for the mean distance.
const MOVED_RARE: f32 = 2e-3;
const MOVED_MIN: f32 = 4.0;

/// After an anomaly, at least so long and so many steps; so many times longer for each anomaly
/// that is not forgotten, of which half are each day.
const REST_SECONDS: f32 = 21_600.0;
const REST_STEPS: f32 = 5.0;
const REST_GROWS: f32 = 3.0;
const REST_SECONDS_MAX: f32 = 7.0 * DAY_SECONDS;
const DAY_SECONDS: f32 = 86_400.0;
/// After a gap of so many steps the newest values say nothing any more.
const GAP_STEPS: f32 = 60.0;

/// What was unusual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    pub kind: Kind,
    pub value: f64,
    pub expected: f64,
    /// The share of the past values of this series that surprised as much, or an estimate of it.
    pub rarity: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One value is far from what was expected.
    Sudden,
    /// Each value is near enough, all of them lie on one side.
    Moved,
}

/// What is known of one series.
#[derive(Clone, Debug)]
pub struct Series {
    values: u32,
    first_secs: i64,
    last_secs: i64,
    step_secs: f32,
    recent: [f32; RECENT],
    recent_len: u8,
    recent_at: u8,
    scale: f32,
    season: Season,
    off_season: [f32; CORRECTED_BY],
    season_scale: f32,
    moved: f32,
    moved_scale: f32,
    surprises: Tail,
    moves: Tail,
    rests_until_secs: i64,
    anomaly_secs: i64,
    /// Anomalies of late, by age.
    anomalies: f32,
}

/// What one value is against what was expected.
struct Judged {
    expected: f32,
    /// Distance from the median of the newest values.
    distance: f32,
    /// Distance from the usual value of that time.
    off_season: f32,
    floor: f32,
    surprise: f32,
    rarity: f32,
}

impl Default for Series {
    fn default() -> Self {
        Series {
            values: 0,
            first_secs: 0,
            last_secs: 0,
            step_secs: 0.0,
            recent: [0.0; RECENT],
            recent_len: 0,
            recent_at: 0,
            scale: 0.0,
            season: Season::default(),
            off_season: [0.0; CORRECTED_BY],
            season_scale: 0.0,
            moved: 0.0,
            moved_scale: 0.0,
            surprises: Tail::default(),
            moves: Tail::default(),
            rests_until_secs: 0,
            anomaly_secs: 0,
            anomalies: 0.0,
        }
    }
}

impl Series {
    /// Takes the next value; says so where it is unusual and the series does not rest.
    pub fn observe(&mut self, at: Timestamp, value: f64) -> Option<Anomaly> {
        let secs = (at.as_nanos() / SECOND) as i64;
        let value = value as f32;
        if !value.is_finite() || (self.values > 0 && secs <= self.last_secs) {
            return None;
        }
        if self.values == 0 {
            self.first_secs = secs;
            self.season.begin(value);
            self.remember(secs, value, 0.0);
            return None;
        }
        self.skip_gap(secs);
        let judged = self.judge(secs, value);
        let (moved, moved_rarity) = self.move_by(secs, value, &judged);
        self.learn(secs, value, &judged);

        let by_step = (self.step_secs.max(1.0) / RARE_STEP_SECONDS).powf(RARE_BY_STEP);
        let is_rare = judged.rarity <= RARE * by_step && judged.surprise >= SURPRISE_MIN;
        let is_far = judged.surprise >= FAR && judged.rarity <= FAR_RARE;
        let has_moved = moved_rarity <= MOVED_RARE * by_step && moved >= MOVED_MIN;
        self.surprises.add(judged.surprise, is_rare || is_far);
        self.moves.add(moved, has_moved);
        let kind = match (is_rare || is_far, has_moved) {
            (true, _) => Kind::Sudden,
            (false, true) => Kind::Moved,
            (false, false) => return None,
        };
        if self.values <= JUDGED_FROM || secs < self.rests_until_secs {
            return None;
        }
        self.rest(secs);
        let rarity = if kind == Kind::Sudden { judged.rarity } else { moved_rarity };
        let (value, expected) = (f64::from(value), f64::from(judged.expected));
        Some(Anomaly { kind, value, expected, rarity: f64::from(rarity) })
    }

    /// The newest values of before a long gap say nothing of now.
    fn skip_gap(&mut self, secs: i64) {
        let gap = (secs - self.last_secs) as f32;
        if self.step_secs > 0.0 && gap > GAP_STEPS * self.step_secs {
            let last = (self.recent_at as usize + RECENT - 1) % RECENT;
            self.recent[0] = self.recent[last];
            (self.recent_len, self.recent_at) = (1, 1);
            self.moved = 0.0;
        }
    }

    fn judge(&self, secs: i64, value: f32) -> Judged {
        let newest = median(&self.recent[..self.recent_len as usize]);
        let distance = value - newest;
        let usual = self.season.usual(secs);
        let corrections = (self.values as usize).min(CORRECTED_BY);
        let corrected = usual + median(&self.off_season[..corrections]);
        let off_season = value - corrected;
        let floor = (SCALE_MIN_SHARE * newest.abs()).max(f32::MIN_POSITIVE);
        let by_newest = distance.abs() / self.scale.max(floor);
        let by_season = off_season.abs() / self.season_scale.max(floor);
        let knows = self.knows_season(secs);
        let (surprise, expected) = match knows && by_season < by_newest {
            true => (by_season, corrected),
            false => (by_newest, newest),
        };
        // Below the smallest and beyond the largest nothing is told apart.
        let surprise = surprise.min(1e6);
        let rarity = self.surprises.rarity(surprise);
        Judged { expected, distance, off_season, floor, surprise, rarity }
    }

    fn knows_season(&self, secs: i64) -> bool {
        self.season.knows(secs) && (secs - self.first_secs) as f32 > 2.0 * DAY_SECONDS
    }

    /// The mean distance of the newest values, in scales, and how rare it is.
    fn move_by(&mut self, secs: i64, value: f32, judged: &Judged) -> (f32, f32) {
        let knows = self.knows_season(secs);
        let (far, scale) = match knows {
            true => (value - self.season.level() - self.season.usual(secs), self.season_scale),
            false => (judged.distance, self.scale.max(judged.floor)),
        };
        self.moved += (far.clamp(-6.0 * scale, 6.0 * scale) - self.moved) / MOVED_MEMORY;
        let moved = (self.moved.abs() / self.moved_scale.max(judged.floor)).min(1e6);
        (moved, self.moves.rarity(moved))
    }

    fn learn(&mut self, secs: i64, value: f32, judged: &Judged) {
        let before = self.values as f32;
        let share = 2.0 / (1.0 + before.min(SCALE_MEMORY));
        let is_new = self.values < 10;
        let bounded = |distance: f32, scale: f32| {
            let most = LEARNED_MAX * scale.max(judged.floor * 0.25);
            if is_new { distance } else { distance.clamp(-most, most) }
        };
        self.scale += share * (bounded(judged.distance, self.scale).abs() - self.scale);
        if self.values > 1 {
            let off = bounded(judged.off_season, self.season_scale).abs();
            self.season_scale += share * (off - self.season_scale);
        }
        let moved_max = LEARNED_MAX * self.moved_scale.max(judged.floor);
        self.moved_scale += share * (self.moved.abs().min(moved_max) - self.moved_scale);
        let usual = self.season.usual(secs);
        let most = LEARNED_MAX * (3.0 * self.season_scale.max(self.scale)).max(judged.floor * 0.25);
        let most = if is_new { f32::INFINITY } else { most };
        self.season.learn(secs, value, before, self.step_secs, most);
        self.remember(secs, value, value - usual);
    }

    fn remember(&mut self, secs: i64, value: f32, off_season: f32) {
        self.recent[self.recent_at as usize] = value;
        self.recent_at = (self.recent_at + 1) % RECENT as u8;
        self.recent_len = (self.recent_len + 1).min(RECENT as u8);
        self.off_season[self.values as usize % CORRECTED_BY] = off_season;
        if self.values > 0 {
            let step = (secs - self.last_secs) as f32;
            self.step_secs = match self.step_secs {
                0.0 => step,
                known => known + 0.05 * (step.min(2.0 * known) - known),
            };
        }
        self.last_secs = secs;
        self.values = self.values.saturating_add(1);
    }

    fn rest(&mut self, secs: i64) {
        let days = (secs - self.anomaly_secs) as f32 / DAY_SECONDS;
        self.anomalies *= 0.5_f32.powf(days);
        let rest = REST_SECONDS.max(REST_STEPS * self.step_secs) * REST_GROWS.powf(self.anomalies);
        self.anomalies += 1.0;
        self.anomaly_secs = secs;
        self.rests_until_secs = secs.saturating_add(rest.min(REST_SECONDS_MAX) as i64);
    }
}

fn median(values: &[f32]) -> f32 {
    let mut sorted = [0.0; RECENT];
    let sorted = &mut sorted[..values.len()];
    sorted.copy_from_slice(values);
    match sorted.len() {
        0 => 0.0,
        length => *sorted.select_nth_unstable_by(length / 2, f32::total_cmp).1,
    }
}

#[cfg(test)]
mod tests;
