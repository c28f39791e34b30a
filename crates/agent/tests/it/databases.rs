//! The blocking session of a real PostgreSQL, among innocent ones.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agent::config::Postgres;
use agent::{ClientEvent, FromAgent};
use model::condition::{DatabaseCondition, DatabaseFailure};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{ActionKind, Condition, ConditionReport};
use tokio::net::UnixStream;
use tokio_postgres::{Client, NoTls};

use crate::lab::{Lab, Server, skip, until};

/// A server of its own, in a folder of its own, that dies with the test.
struct Database {
    dir: tempfile::TempDir,
    child: Child,
}

impl Drop for Database {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// The newest that is installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    found.filter(|path| path.join("initdb").exists()).max()
}

/// PostgreSQL does not run as root: then its user, or nobody, runs it.
fn unprivileged(program: PathBuf, dir: &Path) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.starts_with("postgres:"));
        let field = |at| line.and_then(|line| line.split(':').nth(at)?.parse::<u32>().ok());
        let (user, group) = (field(2).unwrap_or(65_534), field(3).unwrap_or(65_534));
        std::os::unix::fs::chown(dir, Some(user), Some(group)).unwrap();
        command.uid(user).gid(group);
    }
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Database {
    async fn start() -> Option<Database> {
        let Some(programs) = programs() else {
            skip("postgresql is not installed");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("pg-").tempdir().unwrap();
        let data = dir.path().join("data");
        let mut init = unprivileged(programs.join("initdb"), dir.path());
        init.args(["--auth=trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data);
        assert!(init.status().unwrap().success());
        let mut serve = unprivileged(programs.join("postgres"), dir.path());
        serve.arg("-D").arg(&data).arg("-k").arg(dir.path());
        serve.args(["-c", "listen_addresses=", "-c", "fsync=off"]);
        let database = Database { dir, child: serve.spawn().unwrap() };
        let socket = database.dir.path().join(".s.PGSQL.5432");
        until("the database listens", || {
            std::os::unix::net::UnixStream::connect(&socket).ok().map(drop)
        })
        .await;
        let root = database.session("postgres").await;
        root.batch_execute(
            "create role shop login; create role dba login superuser;
             create role immune login; grant pg_signal_backend, pg_read_all_stats to immune;
             create table stock (id int primary key, left_over int);
             insert into stock values (1, 10), (2, 10); grant all on stock to shop, dba",
        )
        .await
        .unwrap();
        Some(database)
    }

    async fn session(&self, user: &str) -> Client {
        let deadline = tokio::time::Instant::now() + crate::lab::WITHIN;
        loop {
            let path = self.dir.path().join(".s.PGSQL.5432");
            let stream = UnixStream::connect(path).await.unwrap();
            let mut config = tokio_postgres::Config::new();
            config.user(user).dbname("postgres");
            match config.connect_raw(stream, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                // It is still starting up.
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    fn declare(&self, blocks_for: HumanDuration, users: &[&str]) -> Postgres {
        Postgres {
            socket_folder: Some(self.dir.path().to_owned()),
            address: None,
            port: 5432,
            user: "immune".into(),
            password: None,
            database: "postgres".into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            blocks_for,
            timeout: HumanDuration::from_secs(10),
        }
    }
}

/// Sells one of the article, and stays in the transaction.
async fn hold(client: &Client, article: i32) {
    client.batch_execute("begin").await.unwrap();
    let sell = "update stock set left_over = left_over - 1 where id = $1";
    client.execute(sell, &[&article]).await.unwrap();
}

/// Wants the article that another holds; ends when it got it.
fn want(client: Client) -> tokio::task::JoinHandle<Result<(), tokio_postgres::Error>> {
    tokio::spawn(async move {
        client.batch_execute("update stock set left_over = left_over - 1 where id = 1").await
    })
}

async fn waiting(watcher: &Client, count: i64) {
    let deadline = tokio::time::Instant::now() + crate::lab::WITHIN;
    let question = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    while watcher.query_one(question, &[]).await.unwrap().get::<_, i64>(0) != count {
        assert!(tokio::time::Instant::now() < deadline, "{count} do not wait");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn pid(client: &Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// Orders with these settings and a server of its own.
async fn order(lab: &mut Lab, id: &str, postgres: Postgres) -> (OutcomeResult, String) {
    lab.target.postgres = Some(postgres);
    let mut server: Server = lab.server().await;
    server.perform(lab.action(id, ActionKind::TerminateBlocker, Expectation::NoProcess)).await
}

#[tokio::test]
async fn only_the_session_that_blocks_others_is_ended_and_the_others_go_on() {
    let Some(database) = Database::start().await else { return };
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    lab.start_agent();
    let (second, minute) = (HumanDuration::from_secs(1), HumanDuration::from_secs(60));
    let watcher = database.session("postgres").await;
    let innocent = database.session("shop").await;
    hold(&innocent, 2).await;
    let (result, detail) = order(&mut lab, "1", database.declare(second, &[])).await;
    assert_eq!((result, &*detail), (OutcomeResult::Refused, NOBODY), "idle in a transaction");

    let blocker = database.session("shop").await;
    hold(&blocker, 1).await;
    let culprit = pid(&blocker).await;
    let waiters = [want(database.session("shop").await), want(database.session("shop").await)];
    waiting(&watcher, 2).await;
    let (result, detail) = order(&mut lab, "2", database.declare(minute, &[])).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains(&format!("pid {culprit} blocks others")), "{detail}");
    assert!(detail.ends_with("not 1m"), "{detail}");
    let (result, detail) = order(&mut lab, "3", database.declare(second, &["reports"])).await;
    assert_eq!((result, &*detail), (OutcomeResult::Refused, NOBODY), "not its user");

    let old = "select count(*) from pg_stat_activity \
               where pid = $1 and clock_timestamp() - xact_start > interval '1s'";
    let deadline = tokio::time::Instant::now() + crate::lab::WITHIN;
    while watcher.query_one(old, &[&culprit]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (result, detail) = order(&mut lab, "4", database.declare(second, &["shop"])).await;
    assert_eq!(result, OutcomeResult::Done, "{detail}");
    let begin = format!("ended pid {culprit} of user shop, idle in transaction, whose");
    assert!(detail.starts_with(&begin), "{detail}");
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert!(blocker.simple_query("select 1").await.is_err(), "the culprit is gone");
    innocent.batch_execute("commit").await.unwrap();
    let left = watcher.query_one("select sum(left_over) from stock", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 17, "what the culprit did is undone, the others' is not");
    let (result, detail) = order(&mut lab, "5", database.declare(second, &[])).await;
    assert_eq!((result, &*detail), (OutcomeResult::Refused, NOBODY));
}

#[tokio::test]
async fn a_superuser_is_spared_and_a_database_that_is_away_is_told() {
    let Some(database) = Database::start().await else { return };
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    lab.start_agent();
    let watcher = database.session("postgres").await;
    let migration = database.session("dba").await;
    hold(&migration, 1).await;
    let waiter = want(database.session("shop").await);
    waiting(&watcher, 1).await;
    let second = HumanDuration::from_secs(1);
    let (result, detail) = order(&mut lab, "1", database.declare(second, &[])).await;
    assert_eq!((result, &*detail), (OutcomeResult::Refused, NOBODY));
    migration.batch_execute("commit").await.unwrap();
    waiter.await.unwrap().unwrap();

    let stranger = Postgres { user: "nobody".into(), ..database.declare(second, &[]) };
    let (result, detail) = order(&mut lab, "2", stranger).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("role \"nobody\" does not exist"), "{detail}");
    let declared = database.declare(second, &[]);
    drop(database);
    let (result, detail) = order(&mut lab, "3", declared).await;
    assert_eq!(result, OutcomeResult::Refused);
    assert!(detail.contains("cannot connect to"), "{detail}");
}

const NOBODY: &str = "no session that may be ended blocks another now";

/// Waits until the database is told so.
async fn told(
    server: &mut Server,
    what: &str,
    mut wanted: impl FnMut(&DatabaseCondition) -> bool,
) -> ConditionReport {
    let mut found = None;
    server
        .expect(what, |event| {
            let ClientEvent::Message(FromAgent::Conditions(reports)) = event else { return false };
            let is_wanted = |report: &&ConditionReport| match &report.condition {
                Condition::Database(condition) => wanted(condition),
                Condition::Disks(_) => false,
            };
            found = reports.iter().find(is_wanted).cloned();
            found.is_some()
        })
        .await;
    found.unwrap()
}

#[tokio::test]
async fn who_blocks_whom_is_seen_and_nothing_of_what_they_do() {
    let Some(database) = Database::start().await else { return };
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    lab.target.disks = vec![database.dir.path().to_owned()];
    lab.start_agent();
    let second = HumanDuration::from_secs(1);
    lab.target.postgres = Some(database.declare(second, &[]));
    let mut server = lab.server().await;
    let flows = |condition: &DatabaseCondition| {
        matches!(condition, DatabaseCondition::Answers { waiting: 0, blocker: None, .. })
    };
    told(&mut server, "nobody waits", flows).await;

    let blocker = database.session("shop").await;
    hold(&blocker, 1).await;
    let culprit = pid(&blocker).await;
    let waiters = [want(database.session("shop").await), want(database.session("shop").await)];
    let report = told(&mut server, "two wait for one, for long", |condition| {
        let DatabaseCondition::Answers { waiting, blocker: Some(blocker), .. } = condition else {
            return false;
        };
        *waiting == 2 && blocker.pid == culprit && blocker.overdue
    })
    .await;
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains("update") && !text.contains("shop"), "{text}");
    assert_eq!(report.entity, lab.target.entity());

    blocker.batch_execute("commit").await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    told(&mut server, "nobody waits any more", flows).await;
    drop(database);
    let gone = DatabaseCondition::Fails(DatabaseFailure::Unreachable);
    told(&mut server, "it is gone", |condition| *condition == gone).await;
}

#[tokio::test]
async fn a_user_who_may_not_see_the_sessions_of_others_is_said_once_and_tells_nothing() {
    let Some(database) = Database::start().await else { return };
    let mut lab = Lab::new();
    lab.target.process = None;
    lab.target.restart = None;
    lab.target.disks = vec![database.dir.path().to_owned()];
    lab.start_agent();
    let second = HumanDuration::from_secs(1);
    let shop = Postgres { user: "shop".into(), ..database.declare(second, &[]) };
    lab.target.postgres = Some(shop);
    let mut server = lab.server().await;
    let is_warning = |event: &ClientEvent| {
        matches!(event, ClientEvent::Message(FromAgent::Log { message, .. })
            if message.contains("user shop lacks the role pg_read_all_stats"))
    };
    server.expect("a warning", is_warning).await;
    // The disks of the next look are told, so the database was looked at as well.
    for look in ["first look", "second look"] {
        let event = server
            .expect(look, |event| matches!(event, ClientEvent::Message(FromAgent::Conditions(_))))
            .await;
        let ClientEvent::Message(FromAgent::Conditions(reports)) = event else { unreachable!() };
        assert!(matches!(reports[0].condition, Condition::Disks(_)), "{reports:?}");
    }
}
