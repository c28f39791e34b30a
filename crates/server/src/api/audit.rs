//! What was decided and why, out of the journal: verdicts and refusals, orders, outcomes, commands.

use axum::extract::State;
use engine::{Event, EventKind};
use model::plan::OutcomeResult;
use schemars::JsonSchema;
use serde::Serialize;

use super::extract::{Json, Query};
use super::parameters::Parameters;
use super::{App, Error, off_the_loop};
use crate::journal::{self, AUDITED, Journal};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Lines that are looked at for one answer.
const LOOKED_AT_MAX: usize = 10_000;

/// Which lines are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Only what is about this plan.
    pub plan: Option<u64>,
    /// Only what a guardrail denied, an agent refused, or a command was refused.
    pub refused: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AuditPage {
    lines: Vec<Event>,
    /// To be given as `before`, or as `after` where that was asked, for what comes next; null at
    /// the end. Lines may follow although there are none here.
    next: Option<u64>,
}

impl Wanted {
    pub(crate) fn wants(self, kind: &EventKind) -> bool {
        let of_plan = |action: &str| {
            self.plan.is_none_or(|plan| {
                let mut parts = action.rsplit('-');
                parts.nth(1).is_some_and(|id| id == plan.to_string())
            })
        };
        match kind {
            EventKind::Plan { plan } => {
                let denied = plan.verdicts.iter().any(|verdict| !verdict.passed);
                self.plan.is_none_or(|id| id == plan.id.0) && (denied || !self.refused)
            }
            EventKind::Order { action } => !self.refused && of_plan(&action.id.0),
            EventKind::Outcome { outcome } => {
                let refused = outcome.result == OutcomeResult::Refused;
                of_plan(&outcome.action.0) && (refused || !self.refused)
            }
            EventKind::Command { result, .. } => {
                self.plan.is_none() && (result.starts_with("refused") || !self.refused)
            }
            EventKind::Remark { .. }
            | EventKind::Reload { .. }
            | EventKind::CatchingUp { .. }
            | EventKind::ClockSetBack { .. } => self.plan.is_none() && !self.refused,
            EventKind::Incident { .. } | EventKind::Change { .. } => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Start {
    /// Oldest first.
    After(u64),
    /// Newest first.
    Before(u64),
}

pub(super) async fn list(
    State(app): State<App>,
    pairs: Query<Vec<(String, String)>>,
) -> Result<Json<AuditPage>, Error> {
    let mut given = Parameters::from(pairs);
    let after = given.parsed("after")?;
    let before = given.parsed("before")?;
    let limit = given.parsed("limit")?.unwrap_or(LIMIT_DEFAULT);
    let plan = given.parsed("plan")?;
    let refused = given.word("refused", &[("true", true), ("false", false)])?.unwrap_or(false);
    given.finish()?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("`limit`: write 1 to {LIMIT_MAX}")));
    }
    let from = match (after, before) {
        (Some(_), Some(_)) => {
            let message = "`after` and `before` exclude each other; give one of them";
            return Err(Error::Invalid(message.to_owned()));
        }
        (Some(after), None) => Start::After(after),
        (None, before) => Start::Before(before.unwrap_or(u64::MAX)),
    };
    let (journal, wanted) = (app.journal.clone(), Wanted { plan, refused });
    Ok(Json(off_the_loop(move || page(&journal, from, wanted, limit)).await?))
}

fn page(
    journal: &Journal,
    mut from: Start,
    wanted: Wanted,
    limit: usize,
) -> Result<AuditPage, journal::Error> {
    let mut lines = Vec::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let portion = match from {
            Start::After(seq) => journal.lines_after(seq, AUDITED, LIMIT_MAX)?,
            Start::Before(seq) => journal.lines_before(seq, AUDITED, LIMIT_MAX)?,
        };
        if portion.is_empty() {
            return Ok(AuditPage { lines, next: None });
        }
        looked_at += portion.len();
        for event in portion {
            from = match from {
                Start::After(_) => Start::After(event.seq),
                Start::Before(_) => Start::Before(event.seq),
            };
            if wanted.wants(&event.kind) {
                lines.push(event);
            }
            if lines.len() == limit {
                return Ok(AuditPage { lines, next: Some(from.seq()) });
            }
        }
    }
    Ok(AuditPage { lines, next: Some(from.seq()) })
}

impl Start {
    fn seq(self) -> u64 {
        match self {
            Start::After(seq) | Start::Before(seq) => seq,
        }
    }
}
