//! What a series usually is at this hour of the day and this day of the week, beside its level.

const HOURS: usize = 24;
const DAYS: usize = 7;
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 86_400;
/// Days of which an hour of the day remembers values.
const HOUR_MEMORY_DAYS: f32 = 7.0;
/// Days that the level remembers.
const LEVEL_MEMORY_DAYS: f32 = 2.0;
/// Days of its own that a day of the week remembers at most.
const DAY_MEMORY_DAYS: f32 = 4.0;
/// Values of an hour before it says anything.
const KNOWN_FROM: u16 = 2;

/// Differences from the level add up: that of the hour and that of the day.
#[derive(Clone, Debug, Default)]
pub struct Season {
    level: f32,
    hours: [f32; HOURS],
    hour_values: [u16; HOURS],
    days: [f32; DAYS],
    day_values: [u16; DAYS],
}

/// A moment: its hour, the hour that it is nearest to beside it and how near, and its day.
struct Place {
    hour: usize,
    neighbour: usize,
    towards: f32,
    day: usize,
}

fn place(secs: i64) -> Place {
    let hours = secs.rem_euclid(DAY_SECONDS) as f32 / HOUR_SECONDS as f32;
    let hour = (hours as usize).min(HOURS - 1);
    let from_middle = hours - hour as f32 - 0.5;
    let neighbour = if from_middle >= 0.0 { hour + 1 } else { hour + HOURS - 1 } % HOURS;
    let day = secs.div_euclid(DAY_SECONDS).rem_euclid(DAYS as i64) as usize;
    Place { hour, neighbour, towards: from_middle.abs(), day }
}

impl Season {
    pub fn begin(&mut self, value: f32) {
        self.level = value;
    }

    pub fn level(&self) -> f32 {
        self.level
    }

    /// How far from the level a value is usually then; between the middles of two hours in a
    /// straight line.
    pub fn usual(&self, secs: i64) -> f32 {
        let Place { hour, neighbour, towards, day } = place(secs);
        self.hours[hour] * (1.0 - towards) + self.hours[neighbour] * towards + self.days[day]
    }

    pub fn knows(&self, secs: i64) -> bool {
        let Place { hour, neighbour, .. } = place(secs);
        self.hour_values[hour].min(self.hour_values[neighbour]) >= KNOWN_FROM
    }

    /// `before` is how many values there were; no more than `most` is learned of a distance.
    pub fn learn(&mut self, secs: i64, value: f32, before: f32, step_secs: f32, most: f32) {
        let Place { hour, day, .. } = place(secs);
        let an_hour = match step_secs > 0.0 {
            true => (HOUR_SECONDS as f32 / step_secs).max(1.0),
            false => 12.0,
        };
        let a_day = HOURS as f32 * an_hour;
        let bounded = |distance: f32| distance.clamp(-most, most);
        let share = (1.0 / (before + 1.0)).max(1.0 / (a_day * LEVEL_MEMORY_DAYS));
        self.level += share * (value - self.level);
        let held = f32::from(self.hour_values[hour]).min(HOUR_MEMORY_DAYS * an_hour);
        let off = value - self.level - self.days[day] - self.hours[hour];
        self.hours[hour] += bounded(off) / (1.0 + held);
        let held = (2.0 * a_day + f32::from(self.day_values[day])).min(DAY_MEMORY_DAYS * a_day);
        let off = value - self.level - self.hours[hour] - self.days[day];
        self.days[day] += bounded(off) / held;
        self.hour_values[hour] = self.hour_values[hour].saturating_add(1);
        self.day_values[day] = self.day_values[day].saturating_add(1);
    }
}
