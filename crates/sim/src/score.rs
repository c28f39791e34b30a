//! Statistics that cannot flatter.

use serde::Serialize;

use crate::episode::Episode;
use crate::fault::Family;

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
    pub families: Vec<FamilyScore>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FamilyScore {
    pub family: &'static str,
    pub hurting: usize,
    pub detected: usize,
    pub first_right: usize,
    pub confident_wrong: usize,
    pub right_decision: usize,
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
        let share = |is: &dyn Fn(&Episode) -> bool| {
            let count = detected.iter().filter(|episode| is(episode)).count();
            (!detected.is_empty()).then(|| count as f64 / detected.len() as f64)
        };
        self.top1 = share(&|one| one.first_right);
        self.top3 = share(&|one| one.among_three);
        self.coverage = share(&|one| one.named);
        self.confident_wrong = share(&|one| one.confident_wrong);
        self.right_decision = share(&|one| one.right_decision);
        self.harmful_actions += episodes.iter().map(|one| one.harmful_actions).sum::<usize>();
        self.harmless_paged = episodes.iter().filter(|one| one.false_page).count();
        let of_family = |family: &Family| {
            let of: Vec<&&Episode> = hurting.iter().filter(|one| one.family == *family).collect();
            let count = |is: &dyn Fn(&Episode) -> bool| of.iter().filter(|one| is(one)).count();
            FamilyScore {
                family: family.as_str(),
                hurting: of.len(),
                detected: count(&|one| one.paged_after.is_some()),
                first_right: count(&|one| one.paged_after.is_some() && one.first_right),
                confident_wrong: count(&|one| one.paged_after.is_some() && one.confident_wrong),
                right_decision: count(&|one| one.paged_after.is_some() && one.right_decision),
            }
        };
        self.families = families.iter().map(of_family).collect();
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

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), Some(2.0));
        assert_eq!(quantile(&[1, 2, 3, 4], 0.95), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
