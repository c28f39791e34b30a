//! How sure a cause is: a sum of points that can be read off its evidence.
//!
//! Every line of evidence belongs to one part, every part has fixed points, and each counts once
//! however many lines tell of it:
//!
//! ```text
//! confidence = clamp(sum of the points of the parts present, 1, 99) / 100
//! ```
//!
//! | part | points | the line of evidence says |
//! |---|---|---|
//! | process gone | +45 | an agent saw the process go away, unasked, in the time of the trouble |
//! | blocked long | +45 | an agent saw a transaction block others that is as old as may be ended |
//! | disk full | +45 | an agent saw that less than 1 % and 16 MiB of a file system are free |
//! | unlike | +45 | an instance is much slower, or fails more, than it did and than its siblings |
//! | memory grows | +45 | an agent saw the memory of the process grow at every look |
//! | lost between | +40 | a caller waits longer than the callee works, or its calls are lost |
//! | traffic rose | +40 | users ask for at least twice as much as before |
//! | refuses | +20 | most of its own failures are refusals (503, 429), and none of a call it made |
//! | piles up | +20 | far more requests wait in it than before |
//! | calls nobody | +15 | of all that it calls it calls hardly anything any more |
//! | asked in vain | +35 | a database that used to answer an agent does so no more |
//! | certificate | +45 | a probe, or half of the failed calls, refuse the certificate |
//! | calls fail | +35 | calls that lead to it fail clearly more than before |
//! | hurt itself | +35 | its own users are hurt, and nothing that it calls got worse |
//! | change close | +35 | a change at most 2 min before onset, or heard of up to 10 s after |
//! | side by side | +35 | the changed version hurts, the one beside it does not |
//! | blocked | +30 | an agent saw a younger transaction block others for 5 s and more |
//! | silent | +30 | telemetry stopped when the trouble began |
//! | changed node | +30 | the change is where the failing path ends |
//! | used up | +30 | 95 % and more of a pool, processors, memory or a disk is used |
//! | with the trouble | +20 | what the agent saw began from 2 min before onset to 30 s after |
//! | calls missing | +20 | calls that lead to it are no longer made, or no longer end |
//! | change near | +20 | at most 5 min before, or up to 1 min after |
//! | within reach | +15 | what is hurt is it or depends on it; calls are too few to tell |
//! | siblings well | +15 | at least as many of its siblings do well in the same time |
//! | works as before | +15 | the callee answers all that it is asked, as fast as before |
//! | worse as it grows | +15 | its requests got slower, or fail, as its memory grew |
//! | opaque | +15 | no telemetry tells of it from inside, so nothing there can be cleared |
//! | probe fails | +15 | a probe of it fails |
//! | no answer | +10 | most failures are refusals, resets, timeouts, or a proxy's 502/503/504 |
//! | hurts since | +10 | where all was changed: its own answers are worse than before the change |
//! | rose there | +10 | where the trouble ends, requests rose as well |
//! | changed on path | +10 | the change is on the failing path, which leads on from there |
//! | disk low | +5 | an agent saw that less than 5 % and 1 GiB of a file system are free |
//! | deepest | +5 | nothing that it calls got worse |
//! | change far | +5 | at most 15 min before |
//! | meant to alter | +5 | a deploy, configuration or flag: it alters what the software does |
//! | runs | −5 | an agent says that the process runs |
//! | well between | −10 | many requests went well between the change and the onset |
//! | off path | −10 | nothing that is hurt is known to call it |
//! | meant to keep | −15 | a restart or scaling: by itself it alters nothing |
//! | calls succeed | −15 | calls to it go as well as before |
//! | probe answers | −20 | a probe of it, or an agent's question to it, succeeds |
//! | explains little | −20 | its failures are too few for those of its callers |
//! | surged | −20 | it is asked for at least twice as much as before |
//! | answers | −25 | most failures are answers (a 500, an exception): something is alive there |
//! | unchanged too | −30 | what was not changed hurts as well |
//! | changed well | −30 | an instance that was changed alike does well |
//! | other version | −30 | the instance runs another version than its siblings |
//! | itself well | −30 | its own requests go as before |
//! | leads on | −30 | what it calls got worse as well, so it grows beside the trouble |
//! | needed gone | −30 | a process that the changed one needs went away, unasked |
//! | all slow | −30 | all that the caller calls is slower: it is the caller |
//! | back in vain | −50 | the process runs again for 60 s and users are still hurt |
//!
//! So a crash with all the usual signs has 95, a silent instance 80, a dependency that refuses 65,
//! a slow instance or a leak that slows 85, a deploy a minute before, since which a service's own
//! answers fail, 85, one ten minutes before 45. "Unknown" has what the best other cause leaves
//! over, and is first while no other reaches the configured confidence (0.5).
//!
//! The points are judgement, not statistics; they were chosen so that direct sight (a process,
//! silence) beats coincidence in time, and so that no single line names a cause.

use model::incident::EvidenceKind;
use model::tick::ProcessIdentity;
use model::{Cause, CauseKind, Entity, Evidence, Timestamp};

/// What one line of evidence amounts to. Points are in the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    ProcessGone,
    BlockedLong,
    DiskFull,
    AskedInVain,
    Blocked,
    WithTrouble,
    DiskLow,
    UsedUp,
    CertificateRefused,
    MemoryGrows,
    WorseAsItGrows,
    ItselfWell,
    LeadsOn,
    Unlike,
    SiblingsWell,
    OtherVersion,
    LostBetween,
    WorksAsBefore,
    AllSlow,
    TrafficRose,
    RoseThere,
    Surged,
    Refuses,
    PilesUp,
    CallsNobody,
    Silent,
    CallsFail,
    HurtItself,
    CallsMissing,
    WithinReach,
    NoAnswer,
    Deepest,
    Opaque,
    ProbeFails,
    ChangeClose,
    ChangeNear,
    ChangeFar,
    SideBySide,
    HurtsSince,
    UnchangedToo,
    ChangedWell,
    NeededGone,
    ChangedNode,
    ChangedOnPath,
    MeantToAlter,
    MeantToKeep,
    WellBetween,
    Answers,
    CallsSucceed,
    OffPath,
    ExplainsLittle,
    Runs,
    ProbeAnswers,
    BackInVain,
    /// Said for the reader's sake; worth nothing. The last, so that `ALL` lacks none.
    Remark,
}

impl Part {
    /// All that count, in order.
    pub const ALL: &[Part; Part::Remark as usize] = &[
        Part::ProcessGone,
        Part::BlockedLong,
        Part::DiskFull,
        Part::AskedInVain,
        Part::Blocked,
        Part::WithTrouble,
        Part::DiskLow,
        Part::UsedUp,
        Part::CertificateRefused,
        Part::MemoryGrows,
        Part::WorseAsItGrows,
        Part::ItselfWell,
        Part::LeadsOn,
        Part::Unlike,
        Part::SiblingsWell,
        Part::OtherVersion,
        Part::LostBetween,
        Part::WorksAsBefore,
        Part::AllSlow,
        Part::TrafficRose,
        Part::RoseThere,
        Part::Surged,
        Part::Refuses,
        Part::PilesUp,
        Part::CallsNobody,
        Part::Silent,
        Part::CallsFail,
        Part::HurtItself,
        Part::CallsMissing,
        Part::WithinReach,
        Part::NoAnswer,
        Part::Deepest,
        Part::Opaque,
        Part::ProbeFails,
        Part::ChangeClose,
        Part::ChangeNear,
        Part::ChangeFar,
        Part::SideBySide,
        Part::HurtsSince,
        Part::UnchangedToo,
        Part::ChangedWell,
        Part::NeededGone,
        Part::ChangedNode,
        Part::ChangedOnPath,
        Part::MeantToAlter,
        Part::MeantToKeep,
        Part::WellBetween,
        Part::Answers,
        Part::CallsSucceed,
        Part::OffPath,
        Part::ExplainsLittle,
        Part::Runs,
        Part::ProbeAnswers,
        Part::BackInVain,
    ];

    pub const fn points(self) -> i32 {
        match self {
            Part::ProcessGone | Part::MemoryGrows | Part::Unlike => 45,
            Part::BlockedLong | Part::DiskFull | Part::CertificateRefused => 45,
            Part::LostBetween | Part::TrafficRose => 40,
            Part::CallsFail | Part::HurtItself | Part::ChangeClose | Part::SideBySide => 35,
            Part::AskedInVain => 35,
            Part::Silent | Part::ChangedNode | Part::Blocked | Part::UsedUp => 30,
            Part::CallsMissing | Part::ChangeNear | Part::WithTrouble => 20,
            Part::Refuses | Part::PilesUp => 20,
            Part::CallsNobody => 15,
            Part::WithinReach | Part::Opaque | Part::ProbeFails | Part::WorseAsItGrows => 15,
            Part::SiblingsWell | Part::WorksAsBefore => 15,
            Part::NoAnswer | Part::ChangedOnPath | Part::HurtsSince | Part::RoseThere => 10,
            Part::Deepest | Part::ChangeFar | Part::MeantToAlter | Part::DiskLow => 5,
            Part::Remark => 0,
            Part::Runs => -5,
            Part::WellBetween | Part::OffPath => -10,
            Part::MeantToKeep | Part::CallsSucceed => -15,
            Part::ExplainsLittle | Part::ProbeAnswers | Part::Surged => -20,
            Part::Answers => -25,
            Part::UnchangedToo | Part::ChangedWell | Part::OtherVersion => -30,
            Part::ItselfWell | Part::LeadsOn | Part::AllSlow | Part::NeededGone => -30,
            Part::BackInVain => -50,
        }
    }
}

/// A candidate cause with the lines that speak for and against it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub kind: CauseKind,
    pub entity: Entity,
    /// The node of the topology that it concerns.
    pub node: Entity,
    /// Distance from the hurt, for order among equals: deeper is better.
    pub depth: u32,
    pub onset: Timestamp,
    pub process: Option<ProcessIdentity>,
    pub summary: String,
    pub lines: Vec<(Part, Evidence)>,
}

/// More lines than these are not read by anybody.
const LINES_MAX: usize = 16;

impl Candidate {
    pub fn new(kind: CauseKind, entity: &Entity, node: &Entity, onset: Timestamp) -> Self {
        Candidate {
            kind,
            entity: entity.clone(),
            node: node.clone(),
            depth: 0,
            onset,
            process: None,
            summary: String::new(),
            lines: Vec::new(),
        }
    }

    /// Adds one line of evidence; parts with negative points speak against.
    pub fn line(&mut self, part: Part, kind: EvidenceKind, at: Timestamp, summary: String) {
        let entity = self.entity.clone();
        self.line_of(part, kind, (&entity, at), summary, "");
    }

    pub fn line_of(
        &mut self,
        part: Part,
        kind: EvidenceKind,
        (entity, at): (&Entity, Timestamp),
        summary: String,
        trace_id: &str,
    ) {
        if self.lines.len() >= LINES_MAX && self.lines.iter().any(|(known, _)| *known == part) {
            return;
        }
        let evidence = Evidence {
            kind,
            entity: entity.clone(),
            at,
            summary,
            supports: part.points() >= 0,
            trace_id: trace_id.to_owned(),
        };
        self.lines.push((part, evidence));
    }

    /// Lines of this part remain for the reader's sake only.
    pub fn devalue(&mut self, part: Part) {
        for (known, _) in self.lines.iter_mut().filter(|(known, _)| *known == part) {
            *known = Part::Remark;
        }
    }

    pub fn has(&self, part: Part) -> bool {
        self.lines.iter().any(|(known, _)| *known == part)
    }

    pub fn confidence(&self) -> f64 {
        confidence(self.lines.iter().map(|(part, _)| *part))
    }

    pub fn into_cause(self) -> Cause {
        let confidence = self.confidence();
        Cause {
            kind: self.kind,
            entity: self.entity,
            confidence,
            onset: self.onset,
            summary: self.summary,
            evidence: self.lines.into_iter().map(|(_, evidence)| evidence).collect(),
            process: self.process,
        }
    }
}

fn confidence(parts: impl Iterator<Item = Part>) -> f64 {
    let mut parts: Vec<Part> = parts.collect();
    parts.sort_unstable();
    parts.dedup();
    let points: i32 = parts.into_iter().map(Part::points).sum();
    f64::from(points.clamp(1, 99)) / 100.0
}

/// `confidence` less the points of "back in vain".
pub fn lessen(confidence: f64, part: Part) -> f64 {
    let points = (confidence * 100.0).round() as i32 + part.points();
    f64::from(points.clamp(1, 99)) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_pictures_have_the_confidence_that_the_table_says() {
        use Part::*;
        let check = |parts: &[Part], expected: f64| {
            assert_eq!(confidence(parts.iter().copied()), expected, "{parts:?}");
        };
        check(&[ProcessGone, CallsFail, CallsFail, NoAnswer, Deepest], 0.95);
        check(&[Silent, CallsFail, NoAnswer, Deepest], 0.80);
        check(&[CallsFail, NoAnswer, Deepest, Opaque], 0.65);
        check(&[BlockedLong, WithTrouble, WithinReach], 0.80);
        check(&[Blocked, WithTrouble, WithinReach], 0.65);
        check(&[AskedInVain, WithTrouble, WithinReach, Opaque], 0.85);
        check(&[BlockedLong, WithTrouble, CallsSucceed], 0.50);
        check(&[BlockedLong, WithinReach], 0.60);
        check(&[DiskFull, WithTrouble, CallsFail, Deepest], 0.99);
        check(&[DiskLow, CallsFail, Deepest], 0.45);
        check(&[ChangeClose, ChangedNode, MeantToAlter, Deepest, HurtsSince], 0.85);
        check(&[ChangeFar, ChangedNode, MeantToAlter, Deepest, HurtsSince, WellBetween], 0.45);
        check(&[ChangeFar, ChangedNode, MeantToAlter, Deepest, SideBySide], 0.80);
        check(&[ChangeClose, ChangedNode, MeantToAlter, Deepest, ChangedWell], 0.45);
        check(&[Unlike, SiblingsWell, CallsMissing, Deepest], 0.85);
        check(&[MemoryGrows, CallsMissing, WorseAsItGrows, Deepest], 0.85);
        check(&[LostBetween, WorksAsBefore, CallsMissing, Deepest], 0.80);
        check(&[TrafficRose, HurtItself, Deepest], 0.80);
        check(&[CertificateRefused, HurtItself, Deepest], 0.85);
        check(&[UsedUp, WithTrouble, HurtItself, Deepest], 0.90);
        check(&[UsedUp, WithTrouble, HurtItself, LeadsOn], 0.55);
        check(&[Refuses, CallsNobody, HurtItself, Deepest], 0.75);
        check(&[Refuses, PilesUp, CallsFail, NoAnswer, Deepest], 0.90);
        check(&[Refuses, PilesUp, HurtItself, Deepest, Surged], 0.60);
        check(&[Answers, Runs], 0.01);
    }

    #[test]
    fn no_single_line_names_a_cause() {
        for part in [
            Part::ProcessGone,
            Part::Unlike,
            Part::ChangeClose,
            Part::LostBetween,
            Part::BlockedLong,
            Part::DiskFull,
        ] {
            assert!(confidence([part].into_iter()) < 0.5);
        }
    }
}
