//! What is looked at, and what keys do: a state machine without a terminal.
//!
//! Invariant: nothing is approved, denied, frozen or thawed without a question that was answered
//! with `y`, and what is done is what the question named, though rows have moved since.

use std::time::Duration;

use anyhow::Result;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use model::{IncidentId, Plan, PlanId, PlanState, Timestamp};
use serde_json::Value;

use super::super::overview::{Asked, Overview, Service};
use super::history::History;
use super::poll::{Answers, Focus};
use super::rows::{self, Row};

/// Lines that a page key moves.
const PAGE: usize = 10;

pub(super) struct View {
    asked: Asked,
    pub(super) overview: Overview,
    pub(super) history: History,
    /// What was answered about the service that is open.
    pub(super) service: Option<Value>,
    /// When the last good answer came, by the clock here.
    answered_at: Timestamp,
    /// The server's time then.
    told_now: Timestamp,
    /// When it was drawn last, by the clock here.
    drawn_at: Timestamp,
    /// Why the newest question was not answered.
    pub(super) failed: Option<String>,
    pub(super) chosen: Option<Row>,
    pub(super) open: Option<Row>,
    /// First line shown of what is open. Drawing bounds it.
    pub(super) scroll: usize,
    pub(super) question: Option<Question>,
    /// What came of the last command.
    pub(super) said: Option<String>,
    pub(super) help: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub(super) text: String,
    deed: Deed,
}

/// What the server is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Approve(PlanId),
    Deny(PlanId),
    Freeze,
    Thaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    /// Stop until the shell lets it go on.
    Suspend,
    Do(Deed),
}

impl View {
    pub(super) fn new(now: Timestamp) -> View {
        View {
            asked: Asked::default(),
            overview: Overview::default(),
            history: History::default(),
            service: None,
            answered_at: now,
            told_now: now,
            drawn_at: now,
            failed: None,
            chosen: None,
            open: None,
            scroll: 0,
            question: None,
            said: None,
            help: false,
        }
    }

    pub(super) fn answered(&mut self, answers: Result<Answers>, now: Timestamp) {
        let read = answers.and_then(|answers| {
            self.asked.take(answers.asked);
            self.overview = self.asked.read()?;
            Ok((answers.history, answers.service))
        });
        match read {
            Ok((history, service)) => {
                self.answered_at = now;
                self.told_now = self.overview.status.now;
                self.failed = None;
                self.history = history.unwrap_or_else(|| std::mem::take(&mut self.history));
                let wanted = self.focus().service;
                let about = service.filter(|(entity, _)| Some(entity) == wanted.as_ref());
                self.service = about.map(|(_, answer)| answer);
            }
            Err(error) => self.failed = Some(format!("{error:#}")),
        }
        let rows = rows::all(&self.overview);
        if !self.chosen.as_ref().is_some_and(|chosen| rows.contains(chosen)) {
            self.chosen = rows.into_iter().next();
        }
    }

    pub(super) fn say(&mut self, outcome: String) {
        self.said = Some(outcome);
    }

    /// Lets the server's time move on since it was told: ages are as of now.
    pub(super) fn move_on(&mut self, now: Timestamp) {
        self.drawn_at = now;
        self.overview.status.now = self.told_now + self.silence();
    }

    /// Since when nothing was answered.
    pub(super) fn silence(&self) -> Duration {
        self.drawn_at.since(self.answered_at)
    }

    pub(super) fn focus(&self) -> Focus {
        let service = match &self.open {
            Some(Row::Service(key)) => self.service_of(key).map(|service| service.entity.clone()),
            _ => None,
        };
        Focus { service }
    }

    pub(super) fn service_of(&self, key: &str) -> Option<&Service> {
        self.overview.services.iter().find(|service| service.entity.key() == key)
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Wish::Quit),
                KeyCode::Char('z') => Some(Wish::Suspend),
                _ => None,
            };
        }
        if let Some(question) = self.question.take() {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            self.said = (!yes).then(|| "nothing was done".to_owned());
            return yes.then_some(Wish::Do(question.deed));
        }
        self.said = None;
        if self.help {
            self.help = false;
            return None;
        }
        match key.code {
            KeyCode::Char('q') if self.open.is_none() => return Some(Wish::Quit),
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('j') | KeyCode::Down => self.step(1),
            KeyCode::Char('k') | KeyCode::Up => self.step(-1),
            KeyCode::Char(' ') | KeyCode::PageDown => self.step(PAGE as isize),
            KeyCode::PageUp => self.step(-(PAGE as isize)),
            KeyCode::Char('g') | KeyCode::Home => self.step(isize::MIN),
            KeyCode::Char('G') | KeyCode::End => self.step(isize::MAX),
            KeyCode::Enter | KeyCode::Right => self.enter(),
            KeyCode::Char('a') => self.ask_about_plan(true),
            KeyCode::Char('d') => self.ask_about_plan(false),
            KeyCode::Char('f') => self.ask_about_freeze(),
            _ => {}
        }
        None
    }

    fn back(&mut self) {
        self.open = None;
        self.service = None;
        self.scroll = 0;
    }

    fn enter(&mut self) {
        if self.open.is_some() {
            return;
        }
        self.scroll = 0;
        self.open = match &self.chosen {
            // A plan is read beside its incident.
            Some(Row::Plan(id)) => {
                let plan = self.overview.plans.iter().find(|plan| plan.id == *id);
                plan.map(|plan| Row::Incident(plan.incident))
            }
            chosen => chosen.clone(),
        };
    }

    fn step(&mut self, by: isize) {
        if self.open.is_some() {
            self.scroll = self.scroll.saturating_add_signed(by);
            return;
        }
        let rows = rows::all(&self.overview);
        let at = rows.iter().position(|row| Some(row) == self.chosen.as_ref()).unwrap_or(0);
        let at = at.saturating_add_signed(by).min(rows.len().saturating_sub(1));
        self.chosen = rows.into_iter().nth(at);
    }

    fn ask_about_plan(&mut self, approve: bool) {
        let Some(plan) = self.plan_meant() else {
            self.said = Some("no plan here waits for a person".to_owned());
            return;
        };
        let (id, incident) = (plan.id, plan.incident);
        let what = format!("{} {}", plan.kind, plan.target);
        let denied = plan.verdicts.iter().filter(|verdict| !verdict.passed);
        let denied: Vec<&str> = denied.map(|verdict| verdict.guardrail.as_str()).collect();
        let rules = match denied.as_slice() {
            [] => String::new(),
            _ => format!(
                " ({} of {} guardrails do not pass: {})",
                denied.len(),
                plan.verdicts.len(),
                denied.join(", ")
            ),
        };
        let (verb, deed) = match approve {
            true => ("Approve", Deed::Approve(id)),
            false => ("Deny", Deed::Deny(id)),
        };
        let text = format!("{verb} plan {id}: {what}, for incident {incident}{rules}? y or n");
        self.question = Some(Question { text, deed });
    }

    /// The waiting plan that is chosen or open, or that of the incident that is; else the only one.
    fn plan_meant(&self) -> Option<&Plan> {
        let waiting: Vec<&Plan> = self.waiting().collect();
        let of = |incident: IncidentId| waiting.iter().find(|plan| plan.incident == incident);
        match self.open.as_ref().or(self.chosen.as_ref()) {
            Some(Row::Plan(id)) => waiting.iter().find(|plan| plan.id == *id).copied(),
            Some(Row::Incident(id)) => of(*id).copied(),
            _ => match waiting.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &Plan> {
        self.overview.plans.iter().filter(|plan| plan.state == PlanState::AwaitingApproval)
    }

    fn ask_about_freeze(&mut self) {
        let (text, deed) = match &self.overview.status.frozen {
            None => ("Freeze all healing at once? y or n".to_owned(), Deed::Freeze),
            Some(frozen) => {
                (format!("Allow healing again, frozen by {}? y or n", frozen.by), Deed::Thaw)
            }
        };
        self.question = Some(Question { text, deed });
    }
}
