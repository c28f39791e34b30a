//! How rare a surprise is, by those of the same series before: a histogram over logarithms, and
//! beyond its upper end a tail that falls off as a power, as steeply as the largest told.

const BINS: usize = 64;
const BINS_AN_OCTAVE: f32 = 4.0;
/// The lowest bin is below 2 to the minus this.
const OCTAVES_BELOW_ONE: f32 = 4.0;
/// A surprise counts for so many, one that was an anomaly for less: the next of its kind should
/// still be one.
const UNIT: u16 = 4;
const ANOMALY_UNIT: u16 = 2;
/// Surprises that are remembered, before all count for half.
const MEMORY: u32 = 3_000 * UNIT as u32;
const JUDGED_FROM: u32 = 20 * UNIT as u32;
/// The tail is told from this share of the surprises, or so many.
const UPPER_SHARE: f32 = 0.05;
const UPPER_MIN: f32 = 8.0;
/// A tail that falls off faster, by e in so many octaves, is steeper than can be known.
const DECAY_OCTAVES_MIN: f32 = 0.06;

#[derive(Clone, Debug)]
pub struct Tail {
    bins: [u16; BINS],
    total: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Tail { bins: [0; BINS], total: 0 }
    }
}

/// In bins from the lowest one.
fn height(surprise: f32) -> f32 {
    (surprise.max(f32::MIN_POSITIVE).log2() + OCTAVES_BELOW_ONE) * BINS_AN_OCTAVE
}

fn bin(surprise: f32) -> usize {
    (height(surprise).max(0.0) as usize).min(BINS - 1)
}

impl Tail {
    pub fn add(&mut self, surprise: f32, is_anomaly: bool) {
        let weight = if is_anomaly { ANOMALY_UNIT } else { UNIT };
        let bin = &mut self.bins[bin(surprise)];
        *bin = bin.saturating_add(weight);
        self.total += u32::from(weight);
        if self.total > MEMORY {
            self.bins.iter_mut().for_each(|bin| *bin /= 2);
            self.total = self.bins.iter().map(|bin| u32::from(*bin)).sum();
        }
    }

    /// The share of surprises that are as large; 1 while too few are known.
    pub fn rarity(&self, surprise: f32) -> f32 {
        if self.total < JUDGED_FROM {
            return 1.0;
        }
        let unit = f32::from(UNIT);
        let total = self.total as f32 / unit;
        let wanted = (total * UPPER_SHARE).max(UPPER_MIN);
        let (mut upper, mut begin) = (0.0, BINS);
        while begin > 0 && upper < wanted {
            begin -= 1;
            upper += f32::from(self.bins[begin]) / unit;
        }
        let of = |bins: &[u16]| bins.iter().map(|bin| f32::from(*bin)).sum::<f32>() / unit;
        let own = bin(surprise);
        if own <= begin {
            return (of(&self.bins[own..]) + 1.0) / (total + 1.0);
        }
        let beyond = (begin..BINS).map(|at| f32::from(self.bins[at]) * ((at - begin) as f32 + 0.5));
        let mean_octaves = (beyond.sum::<f32>() / unit + 1.0) / (upper + 1.0) / BINS_AN_OCTAVE;
        let octaves = (height(surprise) - begin as f32) / BINS_AN_OCTAVE;
        (upper + 1.0) / (total + 1.0) * (-octaves / mean_octaves.max(DECAY_OCTAVES_MIN)).exp()
    }
}
