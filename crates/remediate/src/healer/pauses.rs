//! Pauses come, hold and end.

use model::Timestamp;
use model::human::HumanDuration;

use super::Healer;
use crate::pause::{self, Pause, PauseError, Paused};
use crate::proposals::Proposals;
use crate::record::Record;

impl Healer {
    /// Leaves something alone for so long. Actions under way finish; waiting plans are held at the
    /// next step.
    ///
    /// # Errors
    /// When the name is taken or unfit, the length too long, or nothing bears the name of what is
    /// to be paused.
    pub fn pause(
        &mut self,
        name: &str,
        what: Paused,
        length: HumanDuration,
        (who, reason): (&str, &str),
        now: Timestamp,
    ) -> Result<Proposals, PauseError> {
        pause::check(name, &what, length, &self.pauses, self.targets.values())?;
        let mut out = Proposals::default();
        let text = format!("{what} is paused by {who} for {length} ({name}): {reason}");
        out.remarks.push(text);
        let (name, who, reason) = (name.to_owned(), who.to_owned(), reason.to_owned());
        let until = now + length.0;
        self.pauses.push(Pause { name, what, who, reason, since: now, until });
        Ok(out)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When none of that name is in force.
    pub fn resume(&mut self, name: &str, who: &str) -> Result<Proposals, PauseError> {
        let at = self.pauses.iter().position(|pause| pause.name == name);
        let at = at.ok_or_else(|| PauseError::Unknown(name.to_owned()))?;
        let pause = self.pauses.remove(at);
        let mut out = Proposals::default();
        out.remarks.push(format!("{} is resumed by {who} ({name})", pause.what));
        Ok(out)
    }

    /// Those in force, oldest first.
    pub fn pauses(&self) -> &[Pause] {
        &self.pauses
    }

    /// Takes over pauses by the time that they have left: for a state begun anew by another clock.
    pub fn take_over_pauses(&mut self, pauses: &[Pause], then: Timestamp, now: Timestamp) {
        self.pauses = pauses
            .iter()
            .map(|pause| Pause {
                since: now,
                until: now + pause.until.since(then),
                ..pause.clone()
            })
            .collect();
    }

    pub(super) fn end_pauses(&mut self, now: Timestamp, out: &mut Proposals) {
        let over = self.pauses.extract_if(.., |pause| now >= pause.until);
        let texts =
            over.map(|pause| format!("the pause of {} is over ({})", pause.what, pause.name));
        out.remarks.extend(texts);
    }

    /// The first pause that covers the plan's target.
    pub(super) fn paused(&self, record: &Record) -> Option<&Pause> {
        let target = self.targets.get(&record.plan.target);
        self.pauses.iter().find(|pause| match target {
            Some(target) => pause.what.covers(target),
            None => pause.what == Paused::All,
        })
    }
}

#[cfg(test)]
mod tests;
