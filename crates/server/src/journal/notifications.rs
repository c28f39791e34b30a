//! What is owed to whom, and when it is to be tried again.
//!
//! The notifications of one incident go to a receiver in their order: while one is owed, those
//! after it wait. Those of other incidents, and of other receivers, do not.

use std::time::Duration;

use model::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Journal, sql};

/// A notification that has not reached its receiver.
#[derive(Debug, PartialEq)]
pub struct Owed {
    pub event_seq: u64,
    pub receiver: String,
    /// When it came to be owed.
    pub since: Timestamp,
    pub attempts: u32,
}

/// The oldest that is owed to a receiver of each incident.
const FIRST_OF_EACH: &str = "select min(event_seq) as seq, since, attempts, next_try \
                             from notifications where receiver = ?1 and settled is null \
                             group by incident";

impl Journal {
    /// What is to be tried now; what was never tried comes first. A next try further off than
    /// `pause_max` was set by a clock that was wrong: it is due.
    pub fn due(
        &self,
        receiver: &str,
        now: Timestamp,
        pause_max: Duration,
    ) -> Result<Option<Owed>, Error> {
        let query = format!(
            "select seq, since, attempts from ({FIRST_OF_EACH}) \
             where next_try <= ?2 or next_try > ?3 order by attempts > 0, seq limit 1"
        );
        let owed = |row: &Row<'_>| {
            Ok(Owed {
                event_seq: row.get::<_, i64>(0)? as u64,
                receiver: receiver.to_owned(),
                since: Timestamp(row.get::<_, i64>(1)? as u64),
                attempts: row.get(2)?,
            })
        };
        let times = params![receiver, now.0 as i64, (now + pause_max).0 as i64];
        let connection = self.reading();
        let mut statement = connection.prepare_cached(&query).map_err(sql("read"))?;
        statement.query_row(times, owed).optional().map_err(sql("read"))
    }

    /// When the next of a receiver's is due.
    pub fn next_try(&self, receiver: &str) -> Result<Option<Timestamp>, Error> {
        let query = format!("select min(next_try) from ({FIRST_OF_EACH})");
        let connection = self.reading();
        let mut statement = connection.prepare_cached(&query).map_err(sql("read"))?;
        let next: Option<i64> =
            statement.query_row([receiver], |row| row.get(0)).map_err(sql("read"))?;
        Ok(next.map(|at| Timestamp(at as u64)))
    }

    /// Notes how it ended for good: `delivered`, or why it was given up.
    pub fn settle(&self, owed: &Owed, how: &str) -> Result<(), Error> {
        let settle = "update notifications set attempts = attempts + 1, settled = ?3 \
                      where event_seq = ?1 and receiver = ?2";
        let args = params![owed.event_seq as i64, owed.receiver, how];
        self.lock().execute(settle, args).map(drop).map_err(sql("write to"))
    }

    /// Notes an attempt that is to be repeated.
    pub fn try_again(&self, owed: &Owed, at: Timestamp) -> Result<(), Error> {
        let failed = "update notifications set attempts = attempts + 1, next_try = ?3 \
                      where event_seq = ?1 and receiver = ?2";
        let args = params![owed.event_seq as i64, owed.receiver, at.0 as i64];
        self.lock().execute(failed, args).map(drop).map_err(sql("write to"))
    }

    /// Settles what is owed to receivers that are not configured any more.
    pub fn settle_strangers(&self, receivers: &[String]) -> Result<usize, Error> {
        let known = serde_json::to_string(receivers)?;
        let settle = "update notifications set settled = 'the receiver is not configured any more' \
                      where settled is null \
                      and receiver not in (select value from json_each(?1))";
        self.lock().execute(settle, [known]).map_err(sql("write to"))
    }

    #[cfg(test)]
    pub(super) fn unsettled(&self, receiver: &str) -> Result<u64, Error> {
        let query = "select count(*) from notifications where receiver = ?1 and settled is null";
        self.reading()
            .query_row(query, [receiver], |row| row.get::<_, i64>(0))
            .map(|count| count as u64)
            .map_err(sql("read"))
    }
}

#[cfg(test)]
mod tests {
    use engine::{Event, EventKind};
    use model::plan::{Mode, PlanState};
    use model::{ActionKind, CauseKind, Entity, IncidentId, Plan, PlanId, Scope};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn plan(seq: u64, incident: u64) -> Event {
        let plan = Plan {
            id: PlanId(seq),
            incident: IncidentId(incident),
            cause: CauseKind::Crash,
            entity: Entity::service(&Scope::default(), "orders"),
            target: "orders".to_owned(),
            kind: ActionKind::Restart,
            mode: Mode::Auto,
            state: PlanState::Held,
            created: Timestamp(seq),
            updated: Timestamp(seq),
            verdicts: Vec::new(),
            attempts: Vec::new(),
            reason: String::new(),
        };
        Event { seq, at: Timestamp(seq), kind: EventKind::Plan { plan: Box::new(plan) } }
    }

    fn seq(owed: Option<Owed>) -> Option<u64> {
        owed.map(|owed| owed.event_seq)
    }

    #[test]
    fn one_that_fails_holds_up_its_own_incident_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let receivers = ["pager".to_owned(), "away".to_owned()];
        let events = [plan(1, 1), plan(2, 1), plan(3, 2)];
        journal.append(&events, &receivers, |_| true).unwrap();
        let now = Timestamp::ZERO + 2 * HOUR;
        let due = |receiver, now| journal.due(receiver, now, HOUR).unwrap();

        let first = due("away", now).unwrap();
        assert_eq!((first.event_seq, first.attempts), (1, 0));
        journal.try_again(&first, now + Duration::from_secs(9)).unwrap();
        let other = due("away", now).unwrap();
        assert_eq!(other.event_seq, 3, "the second waits for the first");
        journal.settle(&other, "delivered").unwrap();
        assert_eq!(due("away", now), None);
        assert_eq!(journal.next_try("away").unwrap(), Some(now + Duration::from_secs(9)));
        assert_eq!(seq(due("away", now + Duration::from_secs(9))), Some(1));
        assert_eq!(seq(due("away", Timestamp::ZERO)), Some(1), "the clock was set back");

        for wanted in [1, 2, 3] {
            let owed = due("pager", now).unwrap();
            assert_eq!(owed.event_seq, wanted);
            journal.settle(&owed, "delivered").unwrap();
        }
        assert_eq!(journal.settle_strangers(&["pager".to_owned()]).unwrap(), 2);
        assert_eq!(journal.next_try("away").unwrap(), None);
    }
}
