//! systemd over D-Bus: which process is a unit's, and having it restart, reload or start one.
//!
//! Invariants: every call has its limit; a unit is looked at in the breath before the job is asked
//! for, and where the target has a process it must be the unit's main one; a job that another
//! would have to make way for is not made; a unit that was stopped, and did not fail, stays
//! stopped; done is what systemd says is done, and then shows as active.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::UnitOperation as Operation;
use tokio::runtime::Runtime;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, Variant};

use crate::config::{Systemd, Unit};
use crate::lifecycle;
use crate::trouble::Trouble;

/// For all that is asked before the job, which systemd answers from memory.
pub const ASK_WITHIN: Duration = Duration::from_secs(5);
/// For one question of a look, which others wait for.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// A job that conflicts with one that is queued is refused, rather than put in its place.
const MODE: &str = "fail";

/// Managers that were asked during one look. One that did not answer is not asked again.
#[derive(Default)]
pub struct Managers(BTreeMap<PathBuf, Result<Manager, String>>);

impl Managers {
    /// The unit's main process; `None` while it has none.
    pub fn main_pid(&mut self, unit: &Unit) -> Result<Option<u32>, String> {
        let asked = self
            .0
            .entry(unit.socket.clone())
            .or_insert_with(|| Manager::open(&unit.socket).map_err(|why| said(&unit.socket, &why)));
        let manager = asked.as_ref().map_err(String::clone)?;
        match manager.main_pid(&unit.unit) {
            Err(why) => {
                let why = said(&unit.socket, &why);
                *asked = Err(why.clone());
                Err(why)
            }
            answer => answer,
        }
    }
}

struct Manager {
    runtime: Runtime,
    connection: Connection,
}

impl Manager {
    fn open(socket: &Path) -> Result<Manager, String> {
        let runtime = runtime()?;
        let connection = runtime.block_on(within(LOOK_WITHIN, connect(socket)))?;
        Ok(Manager { runtime, connection })
    }

    fn main_pid(&self, unit: &str) -> Result<Option<u32>, String> {
        self.runtime.block_on(within(LOOK_WITHIN, async {
            let path = path_of(&self.connection, unit).await?;
            let pid: u32 = property(&self.connection, &path, SERVICE, "MainPID").await?;
            Ok((pid > 0).then_some(pid))
        }))
    }
}

/// The target's process, as it was verified.
#[derive(Clone, Copy, Debug)]
pub enum Process {
    /// The target declares none.
    Undeclared,
    Gone,
    Runs(u32),
}

/// Does it, and waits until it is done; `begins` is called when nothing forbids it. Blocks the
/// calling thread for at most `ASK_WITHIN` and the configured timeout.
pub fn operate(
    systemd: &Systemd,
    operation: Operation,
    process: Process,
    begins: impl FnOnce(),
) -> Result<String, Trouble> {
    let told = |why: String| said(&systemd.socket, &why);
    let runtime = runtime().map_err(Trouble::Refused)?;
    runtime.block_on(async {
        let prepared = within(ASK_WITHIN, prepare(systemd, operation, process)).await;
        let mut prepared = prepared.map_err(|why| Trouble::Refused(told(why)))?;
        begins();
        let job = tokio::time::timeout(systemd.timeout.0, prepared.job(operation)).await;
        match job {
            Ok(Err(Trouble::Failed(why))) => Err(Trouble::Failed(told(why))),
            Ok(Err(Trouble::Refused(why))) => Err(Trouble::Refused(told(why))),
            Ok(done) => done,
            Err(_) => {
                let (unit, within) = (&systemd.unit, systemd.timeout);
                Err(format!("systemd has not ended its job of {unit} within {within}").into())
            }
        }
    })
}

/// A unit about which all that forbids the job was asked.
struct Prepared<'a> {
    connection: Connection,
    unit: &'a str,
    path: OwnedObjectPath,
    before: State,
    /// Signals that tell of jobs that ended, since before ours was asked for.
    ended: MessageStream,
}

/// What systemd shows of a unit.
#[derive(Clone)]
struct State {
    load: String,
    active: String,
    sub: String,
    main_pid: u32,
    result: String,
    exit_status: i32,
    can_reload: bool,
}

async fn prepare(
    systemd: &Systemd,
    operation: Operation,
    process: Process,
) -> Result<Prepared<'_>, String> {
    let unit = &*systemd.unit;
    let connection = connect(&systemd.socket).await?;
    let path = path_of(&connection, unit).await?;
    let before = state(&connection, &path).await?;
    if let Some(why) = forbidden(unit, operation, &before, process) {
        return Err(why);
    }
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .interface(MANAGER)
        .member("JobRemoved")
        .build()
        .map_err(text)?;
    let ended = MessageStream::for_match_rule(rule, &connection, None).await.map_err(text)?;
    call(&connection, PATH, MANAGER, "Subscribe", &()).await?;
    Ok(Prepared { connection, unit, path, before, ended })
}

/// Why the operation may not be asked for, as the unit is.
fn forbidden(unit: &str, operation: Operation, state: &State, process: Process) -> Option<String> {
    if state.load != "loaded" {
        return Some(format!("systemd says that {unit} is {}", state.load));
    }
    let main = state.main_pid;
    match process {
        Process::Runs(pid) if pid != main => {
            return Some(format!("the main process of {unit} is pid {main}, the target's {pid}"));
        }
        Process::Gone if main > 0 => {
            return Some(format!("{unit} runs as pid {main}, the target's process is gone"));
        }
        Process::Runs(_) | Process::Gone | Process::Undeclared => {}
    }
    let is_down = state.active == "failed" || state.sub == "auto-restart";
    let is_up = state.active == "active";
    let shown = format!("{unit} is {} ({})", state.active, state.sub);
    match operation {
        _ if state.active == "inactive" => {
            let why = "it was stopped or ended by itself, and did not fail";
            Some(format!("{shown}: {why}"))
        }
        Operation::Restart if !is_up && !is_down => Some(shown),
        Operation::Start if !is_down => Some(shown),
        Operation::Reload if !is_up => Some(shown),
        Operation::Reload if !state.can_reload => Some(format!("{unit} cannot be reloaded")),
        Operation::Restart | Operation::Start | Operation::Reload => None,
    }
}

impl Prepared<'_> {
    async fn job(&mut self, operation: Operation) -> Result<String, Trouble> {
        let (unit, before) = (self.unit, self.before.clone());
        let mut freed = "";
        if before.active == "failed" {
            // Whether its limit of starts was hit is not shown beside an earlier reason.
            call(&self.connection, PATH, MANAGER, "ResetFailedUnit", &(unit,))
                .await
                .map_err(Trouble::Refused)?;
            freed = ", after its failure and its count of starts were reset";
        }
        let method = match operation {
            Operation::Restart => "RestartUnit",
            Operation::Reload => "ReloadUnit",
            Operation::Start => "StartUnit",
        };
        let manager = (Some(NAME), PATH, Some(MANAGER));
        let asked = self
            .connection
            .call_method(manager.0, manager.1, manager.2, method, &(unit, MODE))
            .await
            .map_err(|error| match error {
                // An answer at all means that no job was made.
                zbus::Error::MethodError(..) | zbus::Error::FDO(_) => Trouble::Refused(text(error)),
                error => Trouble::Failed(text(error)),
            })?;
        let job: OwnedObjectPath = asked.body().deserialize().map_err(text)?;
        let result = self.result_of(&job).await?;
        let now = state(&self.connection, &self.path).await?;
        if result != "done" {
            let result = quoted(&result);
            return Err(format!("job of {unit} ended as {result}; {}", why(unit, &now)).into());
        }
        if now.active != "active" {
            return Err(format!("systemd says done, but {}", why(unit, &now)).into());
        }
        let (was, is) = (before.main_pid, now.main_pid);
        match operation {
            Operation::Reload => Ok(format!("reloaded {unit}, pid {is}")),
            _ if was > 0 && was == is => {
                Err(format!("systemd says done, but {unit} still is pid {was}").into())
            }
            Operation::Restart if before.active == "active" => {
                Ok(format!("restarted {unit}: pid {was} became pid {is}"))
            }
            Operation::Restart | Operation::Start => {
                Ok(format!("started {unit} as pid {is}{freed}"))
            }
        }
    }

    /// Waits for the job's end.
    async fn result_of(&mut self, job: &OwnedObjectPath) -> Result<String, String> {
        loop {
            let next = futures_util::StreamExt::next(&mut self.ended).await;
            let signal = next.ok_or("the bus closed the connection")?.map_err(text)?;
            let body = signal.body();
            let told: Result<(u32, OwnedObjectPath, String, String), _> = body.deserialize();
            match told {
                Ok((_, path, _, result)) if path == *job => return Ok(result),
                Ok(_) => {}
                Err(error) => return Err(text(error)),
            }
        }
    }
}

/// What became of a unit, in words.
fn why(unit: &str, state: &State) -> String {
    let status = state.exit_status;
    let result = match &*state.result {
        "success" => String::new(),
        "exit-code" => format!(": its process ended with status {status}"),
        "signal" => format!(": its process was ended by signal {status}"),
        "core-dump" => format!(": its process dumped core on signal {status}"),
        "watchdog" => ": it did not answer systemd's watchdog".to_owned(),
        "timeout" => ": it was not ready, or had not ended, in its time".to_owned(),
        "protocol" => ": it did not tell systemd what its type promises".to_owned(),
        "oom-kill" => ": the kernel ended it for want of memory".to_owned(),
        "start-limit-hit" => ": it was started too often".to_owned(),
        "resources" => ": systemd lacked what it needs for it".to_owned(),
        other => format!(": {}", quoted(other)),
    };
    format!("{unit} is {} ({}){result}", quoted(&state.active), quoted(&state.sub))
}

async fn connect(socket: &Path) -> Result<Connection, String> {
    // As a stream, since an address of D-Bus would have the path escaped.
    let stream = tokio::net::UnixStream::connect(socket).await;
    let stream = stream.and_then(tokio::net::UnixStream::into_std);
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    Builder::unix_stream(stream).build().await.map_err(text)
}

/// Loaded, if it was not: systemd forgets units that nothing needs.
async fn path_of(connection: &Connection, unit: &str) -> Result<OwnedObjectPath, String> {
    let reply = call(connection, PATH, MANAGER, "LoadUnit", &(unit,)).await?;
    reply.body().deserialize().map_err(text)
}

async fn state(connection: &Connection, path: &OwnedObjectPath) -> Result<State, String> {
    Ok(State {
        load: property(connection, path, UNIT, "LoadState").await?,
        active: property(connection, path, UNIT, "ActiveState").await?,
        sub: property(connection, path, UNIT, "SubState").await?,
        can_reload: property(connection, path, UNIT, "CanReload").await?,
        main_pid: property(connection, path, SERVICE, "MainPID").await?,
        result: property(connection, path, SERVICE, "Result").await?,
        exit_status: property(connection, path, SERVICE, "ExecMainStatus").await?,
    })
}

async fn property<T>(
    connection: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
    name: &str,
) -> Result<T, String>
where
    T: for<'v> TryFrom<&'v Variant<'v>>,
{
    let reply = call(connection, path.as_str(), PROPERTIES, "Get", &(interface, name)).await?;
    let body = reply.body();
    let value: Variant<'_> = body.deserialize().map_err(text)?;
    T::try_from(&value).map_err(|_| format!("systemd's {name} is not what it should be"))
}

async fn call<B: serde::Serialize + zbus::DynamicType>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<zbus::Message, String> {
    let asked = connection.call_method(Some(NAME), path, Some(interface), method, body).await;
    asked.map_err(text)
}

fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot ask systemd: {error}"))
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let late = || Err(format!("no answer within {} s", limit.as_secs_f64()));
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| late())
}

fn said(socket: &Path, why: &str) -> String {
    format!("systemd by {}: {why}", socket.display())
}

fn text(error: zbus::Error) -> String {
    quoted(&error.to_string())
}

fn quoted(text: &str) -> String {
    lifecycle::quote(text.replace(['\n', '\r'], " ").as_bytes()).unwrap_or_default()
}
