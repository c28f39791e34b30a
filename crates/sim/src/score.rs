//! Statistics that cannot flatter.

use serde::Serialize;

use crate::episode::Episode;
use crate::fault::Family;
use crate::pairs::{Contrary, Pair};

/// What a simulation showed. The names are those of the benchmark `simulate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub seed: u64,
    pub sealed: bool,
    /// Healthy hours of whole fleets, and the same times their services.
    pub hours: f64,
    pub service_hours: f64,
    pub fleets: usize,
    /// Pages while nobody was off target.
    pub pages: usize,
    /// Upper bound (95 %, exact Poisson) of false pages in 1,000 hours of a fleet.
    pub pages_per_1000h_upper95: Option<f64>,
    /// Pages in healthy hours while some service really was off target.
    pub true_pages: usize,
    /// Copies of healthy hours with one small fault that hurt users, and those of them that paged.
    pub twins: usize,
    pub twins_paged: usize,
    pub faults: usize,
    /// Faults that users felt.
    pub hurting_faults: usize,
    pub detected: usize,
    /// Seconds from users' figures leaving the target to the page.
    pub detect_p50_s: Option<f64>,
    pub detect_p95_s: Option<f64>,
    /// Of the faults detected, the share whose right cause was first, or among the first three, one
    /// minute after the page.
    pub top1: Option<f64>,
    pub top3: Option<f64>,
    /// Share of them of which any cause was named; share of which a wrong one was, with confidence.
    pub coverage: Option<f64>,
    pub confident_wrong: Option<f64>,
    /// Share of them that were healed, passed on to a person, or left alone as was right.
    pub right_decision: Option<f64>,
    /// Orders on what was not at fault, in all of the above.
    pub harmful_actions: usize,
    /// False pages in faults that hurt nobody.
    pub harmless_paged: usize,
    /// The above as counts, with bounds.
    pub bounds: Bounds,
    /// Pairs of decisions, of each contrary those of which both were right.
    pub decision_pairs: Vec<PairScore>,
    pub families: Vec<FamilyScore>,
}

/// What is said of faults that hurt users, as `of` so many so many were so.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// Of those that hurt users.
    pub detected: Tally,
    /// Of those detected.
    pub top1: Tally,
    pub top3: Tally,
    /// Any cause was named.
    pub named: Tally,
    pub confident_wrong: Tally,
    pub right_decision: Tally,
    /// Of those detected: nothing was named, and nothing could have been.
    pub rightly_unknown: Tally,
}

/// So many of so many, and within what the share of all lies (95 %, Wilson's score interval).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    pub count: usize,
    pub of: usize,
    /// 0 to 1; 0 and 1 where nothing was seen.
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PairScore {
    pub contrary: &'static str,
    pub right: Tally,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FamilyScore {
    pub family: &'static str,
    pub hurting: usize,
    pub detected: usize,
    pub first_right: usize,
    pub among_three: usize,
    pub confident_wrong: usize,
    pub right_decision: usize,
    pub bounds: Bounds,
}

impl Bounds {
    /// Of faults that hurt users.
    fn of(hurting: &[&Episode]) -> Bounds {
        let detected: Vec<&Episode> =
            hurting.iter().copied().filter(|one| one.paged_after.is_some()).collect();
        let tally = |is: &dyn Fn(&Episode) -> bool| {
            Tally::new(detected.iter().filter(|one| is(one)).count(), detected.len())
        };
        Bounds {
            detected: Tally::new(detected.len(), hurting.len()),
            top1: tally(&|one| one.first_right),
            top3: tally(&|one| one.among_three),
            named: tally(&|one| one.named),
            confident_wrong: tally(&|one| one.confident_wrong),
            right_decision: tally(&|one| one.right_decision),
            rightly_unknown: tally(&|one| one.first_right && !one.named),
        }
    }
}

impl Tally {
    /// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    /// 1927.
    pub fn new(count: usize, of: usize) -> Tally {
        const Z: f64 = 1.959_963_985;
        if of == 0 {
            return Tally { count, of, low: 0.0, high: 1.0 };
        }
        let n = of as f64;
        let share = count as f64 / n;
        let middle = share + Z * Z / (2.0 * n);
        let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        let low = ((middle - reach) / whole).max(0.0);
        Tally { count, of, low, high: ((middle + reach) / whole).min(1.0) }
    }

    /// 0 to 1; `None` where nothing was seen.
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

impl Report {
    pub(crate) fn take_faults(&mut self, episodes: &[Episode], families: &[Family]) {
        let hurting: Vec<&Episode> =
            episodes.iter().filter(|episode| episode.hurt_after.is_some()).collect();
        let detected: Vec<&Episode> =
            hurting.iter().copied().filter(|episode| episode.paged_after.is_some()).collect();
        self.faults = episodes.len();
        self.hurting_faults = hurting.len();
        self.detected = detected.len();
        let mut delays: Vec<u64> = detected.iter().filter_map(|one| one.paged_after).collect();
        delays.sort_unstable();
        self.detect_p50_s = quantile(&delays, 0.5);
        self.detect_p95_s = quantile(&delays, 0.95);
        self.bounds = Bounds::of(&hurting);
        self.top1 = self.bounds.top1.share();
        self.top3 = self.bounds.top3.share();
        self.coverage = self.bounds.named.share();
        self.confident_wrong = self.bounds.confident_wrong.share();
        self.right_decision = self.bounds.right_decision.share();
        self.harmful_actions += episodes.iter().map(|one| one.harmful_actions).sum::<usize>();
        self.harmless_paged = episodes.iter().filter(|one| one.false_page).count();
        let of_family = |family: &Family| {
            let of: Vec<&Episode> =
                hurting.iter().copied().filter(|one| one.family == *family).collect();
            let bounds = Bounds::of(&of);
            FamilyScore {
                family: family.as_str(),
                hurting: of.len(),
                detected: bounds.detected.count,
                first_right: bounds.top1.count,
                among_three: bounds.top3.count,
                confident_wrong: bounds.confident_wrong.count,
                right_decision: bounds.right_decision.count,
                bounds,
            }
        };
        self.families = families.iter().map(of_family).collect();
    }

    pub(crate) fn take_pairs(&mut self, pairs: &[Pair]) {
        let of = |contrary: &Contrary| {
            let of: Vec<&Pair> = pairs.iter().filter(|one| one.contrary == *contrary).collect();
            let right = of.iter().filter(|one| one.is_right).count();
            let contrary = contrary.as_str();
            PairScore { contrary, right: Tally::new(right, of.len()) }
        };
        self.decision_pairs = Contrary::ALL.iter().map(of).collect();
        self.harmful_actions += pairs.iter().map(|one| one.twin.harmful_actions).sum::<usize>();
    }

    pub(crate) fn bound_pages(&mut self) {
        let bound = poisson_upper(self.pages as u64, 0.05);
        self.pages_per_1000h_upper95 = (self.hours > 0.0).then(|| bound * 1_000.0 / self.hours);
    }
}

/// The smallest value with at least share `q` of the sorted values at or below it.
fn quantile(sorted: &[u64], q: f64) -> Option<f64> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map(|value| *value as f64)
}

/// The mean of a Poisson distribution of which `count` or fewer are seen with probability `alpha`:
/// the exact upper bound (F. Garwood, "Fiducial limits for the Poisson distribution", 1936).
pub fn poisson_upper(count: u64, alpha: f64) -> f64 {
    let at_most = |mean: f64| {
        let mut term = (-mean).exp();
        let mut sum = term;
        for number in 1..=count {
            term *= mean / number as f64;
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (count as f64, 3.0 * count as f64 + 20.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if at_most(middle) > alpha { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_tables() {
        for (count, bound) in [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)] {
            assert!((poisson_upper(count, 0.05) - bound).abs() < 0.001, "{count}");
        }
    }

    /// Figures of R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
    /// Statistics in Medicine 1998, table I, method 3.
    #[test]
    fn the_bounds_of_a_share_are_wilsons() {
        for (count, of, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let tally = Tally::new(count, of);
            assert!((tally.low - low).abs() < 1e-4 && (tally.high - high).abs() < 1e-4);
        }
        assert_eq!(Tally::new(0, 0).share(), None);
    }

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), Some(2.0));
        assert_eq!(quantile(&[1, 2, 3, 4], 0.95), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
