//! What diagnosis is made of, piece by piece, so that it can be run without one of them.
//!
//! A mutation run (`cargo xtask mutate-detectors`) leaves out each in turn and shows which scenario
//! misses it. Kinds of cause and lines of evidence have their own lists; the rules that are neither
//! are listed here. Nothing of this can be set in configuration.

use model::CauseKind;

use crate::causes;
use crate::score::Part;

/// Something that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A kind of cause that is no longer looked for.
    Cause(CauseKind),
    /// A line of evidence that no longer counts.
    Evidence(Part),
    Rule(Rule),
}

/// Rules by which trouble is followed, causes stay, and words give way to better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Calls that fail more than before lead on.
    FollowFailing,
    /// Calls that are no longer made, or no longer end, lead on.
    FollowMissing,
    /// Calls that take longer lead on.
    FollowSlow,
    /// A statement that a database refuses is its caller's doing, and leads nowhere.
    RefusedStatement,
    /// A process that went away while the incident was open is looked into.
    TurnByCrash,
    /// Calls that newly fail while the incident is open are looked into.
    TurnByFailures,
    /// A symptom that got worse is looked into.
    TurnByWorse,
    /// What was seen directly stays the cause while its remedy takes hold.
    HoldWhatWasSeen,
    /// Other causes stay for a moment, so that the first one does not flicker.
    HoldBriefly,
    /// Where a new version came instead, what went away was no crash.
    ReplacedIsNoCrash,
    /// Beside a crash its node is not called silent or down as well.
    CrashSparesWords,
    /// Beside a leak its instance is not called an outlier as well.
    LeakSparesOutlier,
    /// Where a better word explains why requests pile up, their piling up is no cause.
    ExplainedIsNoSaturation,
    /// What nothing that is hurt is known to need stands back behind what is named.
    OffPathStandsBack,
    /// Symptoms a few calls apart are one incident.
    GroupNeighbours,
    /// Trouble that returns soon opens its incident again.
    Reopen,
}

impl Piece {
    /// Every piece.
    pub fn all() -> Vec<Piece> {
        let of_causes = causes::ALL.iter().map(|spec| Piece::Cause(spec.id));
        let of_evidence = Part::ALL.iter().map(|part| Piece::Evidence(*part));
        let rules = std::iter::successors(Some(Rule::FollowFailing), |rule| rule.next());
        of_causes.chain(of_evidence).chain(rules.map(Piece::Rule)).collect()
    }
}

impl Rule {
    /// The order of the list; a rule that is not in it does not compile.
    fn next(self) -> Option<Rule> {
        Some(match self {
            Rule::FollowFailing => Rule::FollowMissing,
            Rule::FollowMissing => Rule::FollowSlow,
            Rule::FollowSlow => Rule::RefusedStatement,
            Rule::RefusedStatement => Rule::TurnByCrash,
            Rule::TurnByCrash => Rule::TurnByFailures,
            Rule::TurnByFailures => Rule::TurnByWorse,
            Rule::TurnByWorse => Rule::HoldWhatWasSeen,
            Rule::HoldWhatWasSeen => Rule::HoldBriefly,
            Rule::HoldBriefly => Rule::ReplacedIsNoCrash,
            Rule::ReplacedIsNoCrash => Rule::CrashSparesWords,
            Rule::CrashSparesWords => Rule::LeakSparesOutlier,
            Rule::LeakSparesOutlier => Rule::ExplainedIsNoSaturation,
            Rule::ExplainedIsNoSaturation => Rule::OffPathStandsBack,
            Rule::OffPathStandsBack => Rule::GroupNeighbours,
            Rule::GroupNeighbours => Rule::Reopen,
            Rule::Reopen => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_listed_once() {
        let mut all = Piece::all();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (index, part) in Part::ALL.iter().enumerate() {
            assert_eq!(*part as usize, index, "{part:?}");
        }
    }
}
