//! Orders of the healer: acceptance, idempotency, outcomes.

use model::plan::OutcomeResult;
use model::{Action, ActionId, Outcome};

use super::{ACTIONS_AT_ONCE, Event, Hands, NOT_AFTER_AHEAD_MAX, Work, chain, in_thread};
use crate::actions;
use crate::bench::Step;
use crate::clock;
use crate::ledger::{ActionEntry, Entry, fingerprint};
use crate::protocol::{FromAgent, Level, NAME_MAX};

impl Hands {
    pub(super) fn perform(&mut self, action: Action) {
        if action.id.0.is_empty() || action.id.0.len() > NAME_MAX {
            return self.refuse("an action whose id is empty or too long");
        }
        let mark = fingerprint(&action);
        match self.ledger.book().action(&action.id) {
            Some(entry) if entry.fingerprint() != mark => {
                return self.refuse(format!("id {} was used for another action", action.id));
            }
            Some(_) => return self.query(action.id),
            None => {}
        }
        if let Err(reason) = self.may_perform(&action) {
            return self.end_action(refused(&action, reason), mark);
        }
        let accepted = Entry::ActionAccepted { at: clock::now(), action: Box::new(action.clone()) };
        if let Err(error) = self.record(accepted) {
            let reason = format!("the order could not be written down: {}", chain(&error));
            return self.end_action(refused(&action, reason), mark);
        }
        self.bench.reached(Step::ActionAccepted);
        let Some(target) = self.bench.targets().get(&action.target).cloned() else { return };
        self.busy.insert(target.name.clone(), Work::Action(action.id.clone()));
        let (bench, name, ordered) = (self.bench.clone(), target.name.clone(), action.clone());
        in_thread(
            "action",
            &self.events,
            move || actions::perform(&bench, &target, &action),
            move |result| {
                let outcome = result.unwrap_or_else(|detail| Outcome {
                    action: ordered.id.clone(),
                    at: clock::now(),
                    result: OutcomeResult::Failed,
                    detail,
                });
                Event::ActionEnded { target: name, outcome, fingerprint: mark }
            },
        );
    }

    /// All that can be judged without a look at the target.
    fn may_perform(&self, action: &Action) -> Result<(), String> {
        if self.stopping.is_some() {
            return Err("the agent is stopping".to_owned());
        }
        if let Some(freeze) = self.ledger.book().frozen() {
            return Err(format!("frozen by {}: {}", freeze.who, freeze.reason));
        }
        if self.bench.frozen() {
            return Err("the agent is frozen".to_owned());
        }
        let now = clock::now();
        if now > action.not_after {
            return Err(format!(
                "too late: it is {now}, the order held until {}",
                action.not_after
            ));
        }
        if action.not_after.since(now) > NOT_AFTER_AHEAD_MAX {
            return Err(format!(
                "the order is dated in the future: it is {now}, the order holds until {}; check \
                 the clocks",
                action.not_after
            ));
        }
        let targets = self.bench.targets();
        let target = targets
            .get(&action.target)
            .ok_or_else(|| "no target of that name is configured".to_owned())?;
        actions::check_order(target, action)?;
        match self.busy.get(&action.target) {
            Some(Work::Action(id)) => return Err(format!("action {id} is under way on it")),
            Some(Work::Inject(id)) => return Err(format!("fault {id} is being injected on it")),
            Some(Work::Undo(id)) => return Err(format!("fault {id} is being undone on it")),
            None => {}
        }
        let under_way = self.busy.values().filter(|work| matches!(work, Work::Action(_))).count();
        if under_way >= ACTIONS_AT_ONCE {
            return Err(format!("{under_way} actions are under way, no more at once"));
        }
        Ok(())
    }

    pub(super) fn query(&mut self, id: ActionId) {
        let answer = match self.ledger.book().action(&id) {
            Some(ActionEntry::Ended { outcome, .. }) => FromAgent::Outcome(outcome.clone()),
            Some(ActionEntry::InProgress { .. }) => FromAgent::InProgress(id),
            None => FromAgent::Unknown(id),
        };
        self.tell_surely(answer);
    }

    /// Writes the outcome down and tells the server.
    pub(super) fn end_action(&mut self, outcome: Outcome, fingerprint: u32) {
        let entry = Entry::ActionEnded { outcome: outcome.clone(), fingerprint };
        if let Err(error) = self.record(entry.clone()) {
            // Known until the agent ends; after that the action counts as interrupted, if it was
            // accepted, and is never run again in either case.
            self.ledger.note(&entry);
            let id = &outcome.action;
            self.log(
                Level::Warning,
                format!("outcome of {id} could not be written: {}", chain(&error)),
            );
        }
        tracing::info!(
            action = %outcome.action,
            result = outcome.result.as_str(),
            detail = outcome.detail,
            "action ended"
        );
        self.tell_surely(FromAgent::Outcome(outcome));
    }
}

fn refused(action: &Action, reason: String) -> Outcome {
    let result = OutcomeResult::Refused;
    Outcome { action: action.id.clone(), at: clock::now(), result, detail: reason }
}
