//! A look at a server: does it answer, who waits for a lock, how many connections are taken.
//!
//! One connection and one statement each time, both bounded: that a new connection is taken is a
//! part of what is looked at. Nothing of a session but its pid and its times leaves this file.

use std::time::Duration;

use model::Timestamp;
use model::condition::{Blocker, DatabaseCondition, DatabaseFailure};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row};

use super::{NoConnection, chain, connect};
use crate::clock;
use crate::config::Postgres;

/// A server that does not answer within this is told as one that does not.
const WITHIN: Duration = Duration::from_secs(3);
const STATEMENT_WITHIN: &str = "2s";

/// The session that most others wait for, and who waits. As in `blocker`, a session counts that
/// blocks others and is blocked by none; whether it may be ended is asked at the moment of ending.
const LOOK: &str = "
with waits as materialized (
    select w.pid, l.since, pg_blocking_pids(w.pid) as by
    from pg_stat_activity w
    cross join lateral (
        select min(waitstart) as since from pg_locks where pid = w.pid and not granted
    ) as l
    where w.wait_event_type = 'Lock' and w.datname = current_database()
), blocker as (
    select b.pid, b.xact_start, min(waits.since) as since, count(*) as waiters
    from waits
    cross join lateral (select distinct unnest(waits.by) as pid) as by
    join pg_stat_activity b on b.pid = by.pid
    where b.pid <> pg_backend_pid()
      and b.datname = current_database()
      and cardinality(pg_blocking_pids(b.pid)) = 0
    group by 1, 2
    order by waiters desc, b.xact_start
    limit 1
)
select (select count(*) from waits) as waiting,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as sessions,
       current_setting('max_connections')::int8
           - current_setting('superuser_reserved_connections')::int8 as sessions_max,
       pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees_all,
       (select pid from blocker) as pid,
       (select extract(epoch from clock_timestamp() - xact_start)::float8 from blocker) as age,
       (select extract(epoch from clock_timestamp() - since)::float8 from blocker) as waited";

/// What was seen, or why the declaration does not let anything be seen.
#[derive(Debug, PartialEq)]
pub enum Sight {
    Seen(DatabaseCondition),
    Blind(String),
}

pub async fn look(postgres: &Postgres) -> Sight {
    let fails = |failure| Sight::Seen(DatabaseCondition::Fails(failure));
    let asked = tokio::time::timeout(WITHIN, ask(postgres)).await;
    match asked {
        Err(_) => fails(DatabaseFailure::TimedOut),
        Ok(Ok(sight)) => sight,
        Ok(Err(NoConnection::Socket(_))) => fails(DatabaseFailure::Unreachable),
        Ok(Err(NoConnection::Server(error))) => judge(&error),
    }
}

async fn ask(postgres: &Postgres) -> Result<Sight, NoConnection> {
    let (client, connection) = connect(postgres, STATEMENT_WITHIN).await?;
    let row = client.query_one(LOOK, &[]).await;
    connection.abort();
    row.and_then(|row| read(&row, postgres)).map_err(NoConnection::Server)
}

fn read(row: &Row, postgres: &Postgres) -> Result<Sight, Error> {
    if !row.try_get::<_, bool>("sees_all")? {
        let why = format!(
            "user {} lacks the role pg_read_all_stats, so whom sessions wait for is not seen",
            postgres.user
        );
        return Ok(Sight::Blind(why));
    }
    let count = |name| {
        row.try_get::<_, i64>(name).map(|count| u32::try_from(count.max(0)).unwrap_or(u32::MAX))
    };
    let (pid, age, waited): (Option<i32>, Option<f64>, Option<f64>) =
        (row.try_get("pid")?, row.try_get("age")?, row.try_get("waited")?);
    // A wait that has only begun has no start yet.
    let blocker = pid.zip(waited).map(|(pid, waited)| Blocker {
        pid,
        since: ago(waited),
        overdue: age.is_some_and(|age| age >= postgres.blocks_for.0.as_secs_f64()),
    });
    Ok(Sight::Seen(DatabaseCondition::Answers {
        waiting: count("waiting")?,
        blocker,
        connections: count("sessions")?,
        connections_max: count("sessions_max")?,
    }))
}

fn ago(seconds: f64) -> Timestamp {
    // Written so that what is no number, or out of all bounds, is no time ago.
    let ago = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    clock::now() - ago
}

/// What an error says of the server. One that is about the declaration says nothing of it.
fn judge(error: &Error) -> Sight {
    let Some(code) = error.code() else {
        return Sight::Seen(DatabaseCondition::Fails(DatabaseFailure::Unreachable));
    };
    let is_declared_wrong = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_OBJECT,
    ];
    if is_declared_wrong.contains(code) {
        return Sight::Blind(chain(error));
    }
    let failure = match code {
        code if *code == SqlState::TOO_MANY_CONNECTIONS => DatabaseFailure::Full,
        code if *code == SqlState::CANNOT_CONNECT_NOW
            || *code == SqlState::ADMIN_SHUTDOWN
            || *code == SqlState::CRASH_SHUTDOWN =>
        {
            DatabaseFailure::NotReady
        }
        code if *code == SqlState::QUERY_CANCELED => DatabaseFailure::TimedOut,
        _ => DatabaseFailure::Error,
    };
    Sight::Seen(DatabaseCondition::Fails(failure))
}
