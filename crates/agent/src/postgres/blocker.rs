//! Ending the one session that blocks others.
//!
//! Invariants: a session is ended only by a statement that checks, in the server and in the same
//! breath, that it is the one that was chosen (pid, start of the session, start of the transaction)
//! and still blocks somebody while nobody blocks it; it is done when that session is gone. Nothing
//! that the server says becomes part of a statement: all values are parameters.

use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::{chain, connect};
use crate::config::Postgres;
use crate::lifecycle;
use crate::trouble::Trouble;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sessions of clients that block others and are blocked by none, the one with most waiters first.
/// The same condition stands in `END`.
const BLOCKERS: &str = "
select b.pid, b.backend_start, b.xact_start, b.usename::text, b.state,
       extract(epoch from clock_timestamp() - b.xact_start)::float8 as age,
       count(*) as waiters
from pg_stat_activity w
cross join lateral (select distinct unnest(pg_blocking_pids(w.pid)) as pid) as by
join pg_stat_activity b on b.pid = by.pid
left join pg_roles r on r.rolname = b.usename
where w.wait_event_type = 'Lock'
  and b.datname = current_database()
  and b.backend_type = 'client backend'
  and b.xact_start is not null
  and b.pid <> pg_backend_pid()
  and cardinality(pg_blocking_pids(b.pid)) = 0
  and case when cardinality($1::text[]) = 0 then not coalesce(r.rolsuper, true)
           else b.usename::text = any($1) end
group by 1, 2, 3, 4, 5
order by waiters desc, b.xact_start
limit 1";

const END: &str = "
select pg_terminate_backend(b.pid)
from pg_stat_activity b
where b.pid = $1 and b.backend_start = $2 and b.xact_start = $3
  and clock_timestamp() - b.xact_start >= make_interval(secs => $4)
  and cardinality(pg_blocking_pids(b.pid)) = 0
  and exists (select from pg_stat_activity w where b.pid = any(pg_blocking_pids(w.pid)))";

const STANDS: &str = "select from pg_stat_activity where pid = $1 and backend_start = $2";

/// One session, as it was seen.
struct Session {
    pid: i32,
    backend_start: SystemTime,
    xact_start: SystemTime,
    user: String,
    state: String,
    age: f64,
    waiters: i64,
}

/// Ends the session that blocks most others, if there is one that may be ended. Blocks the calling
/// thread for at most `timeout`.
pub fn end_blocker(postgres: &Postgres) -> Result<String, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::Refused(format!("cannot ask PostgreSQL: {error}")))?;
    runtime.block_on(async {
        // What is done must be told apart from what is not, so each part has its own limit.
        let half = postgres.timeout.0 / 2;
        let found = tokio::time::timeout(half, choose(postgres)).await;
        let late = || Trouble::Refused(format!("PostgreSQL did not answer within {half:?}"));
        let (client, connection, session) = found.unwrap_or_else(|_| Err(late()))?;
        let ended = tokio::time::timeout(half, end(&client, postgres, &session)).await;
        connection.abort();
        ended.unwrap_or_else(|_| {
            Err(Trouble::Failed(format!("pid {} has not ended within {half:?}", session.pid)))
        })
    })
}

async fn choose(postgres: &Postgres) -> Result<(Client, JoinHandle<()>, Session), Trouble> {
    let refused = |error: tokio_postgres::Error| Trouble::Refused(chain(&error));
    let connected = connect(postgres, "5s").await;
    let (client, connection) = connected.map_err(|error| Trouble::Refused(error.to_string()))?;
    let found = client.query_opt(BLOCKERS, &[&postgres.users]).await.map_err(refused)?;
    let Some(row) = found else {
        let why = "no session that may be ended blocks another now";
        return Err(Trouble::Refused(why.to_owned()));
    };
    let session = read(&row).map_err(refused)?;
    if session.age < postgres.blocks_for.0.as_secs_f64() {
        let (pid, age, needed) = (session.pid, session.age, postgres.blocks_for);
        let why =
            format!("pid {pid} blocks others, its transaction is {age:.1} s old, not {needed}");
        return Err(Trouble::Refused(why));
    }
    Ok((client, connection, session))
}

fn read(row: &Row) -> Result<Session, tokio_postgres::Error> {
    Ok(Session {
        pid: row.try_get(0)?,
        backend_start: row.try_get(1)?,
        xact_start: row.try_get(2)?,
        user: row.try_get::<_, Option<String>>(3)?.unwrap_or_default(),
        state: row.try_get::<_, Option<String>>(4)?.unwrap_or_default(),
        age: row.try_get(5)?,
        waiters: row.try_get(6)?,
    })
}

async fn end(client: &Client, postgres: &Postgres, session: &Session) -> Result<String, Trouble> {
    let pid = session.pid;
    let seconds = postgres.blocks_for.0.as_secs_f64();
    let it: [&(dyn ToSql + Sync); 4] =
        [&pid, &session.backend_start, &session.xact_start, &seconds];
    let failed = |error: tokio_postgres::Error| Trouble::Failed(chain(&error));
    let row = client.query_opt(END, &it).await.map_err(failed)?;
    match row.map(|row| row.try_get::<_, bool>(0)).transpose().map_err(failed)? {
        Some(true) => {}
        Some(false) => return Err(Trouble::Failed(format!("pid {pid} could not be signalled"))),
        None => {
            let why = format!("pid {pid} has just ceased to block others");
            return Err(Trouble::Refused(why));
        }
    }
    while !client.query(STANDS, &it[..2]).await.map_err(failed)?.is_empty() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let quoted = |text: &str| lifecycle::quote(text.as_bytes()).unwrap_or_default();
    let (user, state) = (quoted(&session.user), quoted(&session.state));
    let (age, waiters) = (session.age, session.waiters);
    Ok(format!(
        "ended pid {pid} of user {user}, {state}, whose transaction was {age:.1} s old and blocked \
         {waiters}"
    ))
}
