//! Faults of drills: the undo record first, then the fault; its effect; its undo, whatever happens.
//!
//! A fault is undone at its deadline, on request, when the server is silent for longer than its
//! lease, when the agent stops and when it starts. Attempts go on until one succeeds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Timestamp;

use super::{Event, Hands, Work, chain, in_thread, undo_thread};
use crate::bench::Step;
use crate::clock;
use crate::config::Target;
use crate::faults::{self, Aim, Effect};
use crate::ledger::{Entry, FaultRecord};
use crate::protocol::{FaultId, FaultReport, FaultState, FromAgent, Injection, Level, NAME_MAX};

/// A deadline further ahead is refused.
pub const DEADLINE_MAX: Duration = Duration::from_secs(3_600);
/// Faults that may be unfinished at once.
pub const FAULTS_AT_ONCE: usize = 16;
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// An undo that is wanted and has not succeeded.
pub(super) struct Undoing {
    reason: String,
    failures: u32,
    next: Instant,
}

impl Hands {
    pub(super) fn inject(&mut self, order: Injection) {
        if order.id.0.is_empty() || order.id.0.len() > NAME_MAX {
            return self.refuse("a fault whose id is empty or too long");
        }
        if let Some(report) = self.ledger.book().fault_report(&order.id) {
            return self.tell_surely(FromAgent::Fault(report));
        }
        if self.busy.get(&order.target) == Some(&Work::Inject(order.id.clone())) {
            return;
        }
        let target = match self.judge(&order) {
            Ok(target) => target,
            Err(reason) => return self.refuse_fault(order.id, reason),
        };
        self.busy.insert(target.name.clone(), Work::Inject(order.id.clone()));
        self.take_aim(target, order, |order, aim| Event::FaultAimed { order, aim });
    }

    /// A dry run: all that an injection asks, and nothing that it does.
    pub(super) fn aim(&mut self, order: Injection) {
        let target = match self.judge(&order) {
            Ok(target) => target,
            Err(reason) => return self.tell(FromAgent::Aimed { id: order.id, aim: Err(reason) }),
        };
        if self.dry_aims >= FAULTS_AT_ONCE {
            let aim = Err(format!("{FAULTS_AT_ONCE} dry runs are under way, no more at once"));
            return self.tell(FromAgent::Aimed { id: order.id, aim });
        }
        self.dry_aims += 1;
        self.take_aim(target, order, |order, aim| Event::DryAimed {
            id: order.id,
            aim: aim.map(|aim| aim.exactly),
        });
    }

    fn take_aim(
        &self,
        target: Arc<Target>,
        order: Injection,
        event: fn(Box<Injection>, Result<Aim, String>) -> Event,
    ) {
        let (bench, order) = (self.bench.clone(), Box::new(order));
        let fault = order.fault.clone();
        in_thread(
            "aim",
            &self.events,
            move || (faults::spec(&fault).aim)(&bench, &target, &fault),
            move |aim| event(order, aim.and_then(|aim| aim)),
        );
    }

    /// The process that would be hit is known: the undo record is written, and the fault begins.
    pub(super) fn aimed(&mut self, order: Injection, aim: Result<Aim, String>) {
        self.busy.remove(&order.target);
        // Much may have been ordered since it was judged first.
        let accepted = self.judge(&order).and_then(|target| Ok((target, aim?)));
        let (target, aim) = match accepted {
            Ok(accepted) => accepted,
            Err(reason) => return self.refuse_fault(order.id, reason),
        };
        let record = FaultRecord {
            id: order.id.clone(),
            fault: order.fault,
            target: Target::clone(&target),
            identity: aim.identity,
            prior: aim.prior,
            accepted: clock::now(),
            deadline: order.deadline,
        };
        if let Err(error) = self.record(Entry::FaultAccepted { fault: Box::new(record.clone()) }) {
            let reason = format!("the undo record could not be written: {}", chain(&error));
            return self.refuse_fault(order.id, reason);
        }
        self.bench.reached(Step::FaultRecorded);
        let id = record.id.clone();
        let span = record.deadline.since(record.accepted);
        self.deadlines.insert(id.clone(), clock::monotonic() + span);
        self.busy.insert(target.name.clone(), Work::Inject(id.clone()));
        let (bench, target) = (self.bench.clone(), target.name.clone());
        in_thread(
            "inject",
            &self.events,
            move || faults::inject(&bench, &record),
            move |result| Event::Injected { id, target, result: result.and_then(|result| result) },
        );
    }

    pub(super) fn injected(
        &mut self,
        id: FaultId,
        target: &str,
        result: Result<Timestamp, String>,
    ) {
        self.busy.remove(target);
        let at = match result {
            Ok(at) => at,
            Err(reason) => {
                self.log(Level::Warning, format!("fault {id} was not injected: {reason}"));
                return self.undo(id, &reason);
            }
        };
        let injected = Entry::FaultInjected { id: id.clone(), at };
        if let Err(error) = self.record(injected.clone()) {
            self.ledger.note(&injected);
            self.log(
                Level::Warning,
                format!("fault {id} is not marked as injected: {}", chain(&error)),
            );
        }
        self.report_fault(&id);
        let Some(fault) = self.ledger.book().fault(&id) else { return };
        let (bench, record) = (self.bench.clone(), fault.record.clone());
        in_thread(
            "effect",
            &self.events,
            move || (faults::spec(&record.fault).effect)(&bench, &record),
            move |effect| {
                let effect = effect.unwrap_or_else(|detail| Effect { at: None, detail });
                Event::EffectSeen { id, effect }
            },
        );
    }

    /// All that can be judged without a look at the host.
    fn judge(&self, order: &Injection) -> Result<Arc<Target>, String> {
        if self.stopping.is_some() {
            return Err("the agent is stopping".to_owned());
        }
        if self.bench.frozen() {
            return Err("the agent is frozen".to_owned());
        }
        let targets = self.bench.targets();
        let target = targets
            .get(&order.target)
            .ok_or_else(|| "no target of that name is configured".to_owned())?;
        if target.environment != order.environment {
            return Err(format!(
                "target {} is in environment {}, not {}",
                target.name, target.environment, order.environment
            ));
        }
        let now = clock::now();
        if order.deadline <= now {
            return Err(format!("the deadline {} has passed", order.deadline));
        }
        if order.deadline.since(now) > DEADLINE_MAX {
            return Err("the deadline is more than an hour ahead".to_owned());
        }
        let unfinished = || self.ledger.book().unfinished_faults();
        if let Some(other) = unfinished().find(|fault| fault.record.target.name == target.name) {
            return Err(format!("fault {} is active on it", other.record.id));
        }
        if unfinished().count() >= FAULTS_AT_ONCE {
            return Err(format!("{FAULTS_AT_ONCE} faults are active, no more at once"));
        }
        if self.busy.contains_key(&target.name) {
            return Err("something is under way on it".to_owned());
        }
        Ok(target.clone())
    }

    fn refuse_fault(&mut self, id: FaultId, reason: String) {
        let entry = Entry::FaultRefused { id: id.clone(), at: clock::now(), reason };
        if self.record(entry.clone()).is_err() {
            self.ledger.note(&entry);
        }
        self.report_fault(&id);
    }

    fn report_fault(&mut self, id: &FaultId) {
        if let Some(report) = self.ledger.book().fault_report(id) {
            tracing::info!(fault = %id, state = ?report.state, detail = report.detail, "fault");
            self.tell_surely(FromAgent::Fault(report));
        }
    }

    pub(super) fn effect_seen(&mut self, id: FaultId, effect: Effect) {
        let Effect { at, detail } = effect;
        let entry = Entry::FaultEffective { id: id.clone(), at, detail };
        if self.record(entry.clone()).is_err() {
            self.ledger.note(&entry);
        }
        self.report_fault(&id);
    }

    pub(super) fn undo_ordered(&mut self, id: FaultId) {
        match self.ledger.book().fault(&id) {
            Some(fault) if fault.undone.is_none() => self.undo(id, "it was asked for"),
            _ => match self.ledger.book().fault_report(&id) {
                Some(report) => self.tell_surely(FromAgent::Fault(report)),
                None => self.tell(FromAgent::UnknownFault(id)),
            },
        }
    }

    pub(super) fn undo_all(&mut self, reason: &str) {
        let unfinished: Vec<FaultId> =
            self.ledger.book().unfinished_faults().map(|fault| fault.record.id.clone()).collect();
        for id in unfinished {
            self.undo(id, reason);
        }
    }

    /// Wants a fault undone; it begins at once, or when the target is free.
    pub(super) fn undo(&mut self, id: FaultId, reason: &str) {
        let next = clock::monotonic();
        let undoing = Undoing { reason: reason.to_owned(), failures: 0, next };
        self.undoing.entry(id).or_insert(undoing);
        self.begin_undos();
    }

    /// Deadlines, the lease, the end of the agent.
    pub(super) fn watch_faults(&mut self) {
        let (now, monotonic) = (clock::now(), clock::monotonic());
        let silent = monotonic.saturating_duration_since(self.heard);
        let mut wanted = Vec::new();
        for fault in self.ledger.book().unfinished_faults() {
            let id = &fault.record.id;
            let over = self.deadlines.get(id).is_some_and(|deadline| monotonic >= *deadline);
            let reason = if over || now >= fault.record.deadline {
                "its deadline passed".to_owned()
            } else if silent > self.lease {
                format!("the server was silent for {} s", silent.as_secs())
            } else if self.stopping.is_some() {
                "the agent is stopping".to_owned()
            } else {
                continue;
            };
            if !self.undoing.contains_key(id) {
                wanted.push((id.clone(), reason));
            }
        }
        for (id, reason) in wanted {
            self.undo(id, &reason);
        }
    }

    pub(super) fn begin_undos(&mut self) {
        let now = clock::monotonic();
        let due: Vec<FaultId> = self
            .undoing
            .iter()
            .filter(|(_, undoing)| undoing.next <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some(fault) = self.ledger.book().fault(&id) else {
                self.undoing.remove(&id);
                continue;
            };
            let record = fault.record.clone();
            if self.busy.contains_key(&record.target.name) {
                continue;
            }
            self.busy.insert(record.target.name.clone(), Work::Undo(id));
            undo_thread(&self.bench, &self.events, *record);
        }
    }

    pub(super) fn undo_ended(
        &mut self,
        id: FaultId,
        target: String,
        result: Result<String, String>,
    ) {
        self.busy.remove(&target);
        let Some(undoing) = self.undoing.get_mut(&id) else { return };
        match result {
            Ok(how) => {
                let how = format!("undone because {}: {how}", undoing.reason);
                self.undoing.remove(&id);
                self.deadlines.remove(&id);
                let entry = Entry::FaultUndone { id: id.clone(), at: clock::now(), how };
                if self.record(entry.clone()).is_err() {
                    // The next agent finds the target running and writes it then.
                    self.ledger.note(&entry);
                }
                self.report_fault(&id);
            }
            Err(error) => {
                undoing.failures += 1;
                let wait = RETRY_FIRST * 2_u32.saturating_pow((undoing.failures - 1).min(6));
                undoing.next = clock::monotonic() + wait.min(RETRY_MAX);
                let detail = format!("attempt {} to undo failed: {error}", undoing.failures);
                self.log(Level::Warning, format!("fault {id}: {detail}"));
                if let Some(report) = self.ledger.book().fault_report(&id) {
                    let (state, at) = (FaultState::UndoFailed, clock::now());
                    let report = FaultReport { state, at, detail, ..report };
                    self.tell_surely(FromAgent::Fault(report));
                }
            }
        }
    }
}
