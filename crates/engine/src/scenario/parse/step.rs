//! What can happen in a scenario, and how it is written.

use std::time::Duration;

use model::human::HumanDuration;
use model::{ByteSize, ChangeKind};
use remediate::Paused;

const RATE_MAX: f64 = 1_000.0;
const RETRIES_MAX: u32 = 5;
const CLOCK_MAX: Duration = Duration::from_secs(86_400);
/// What a database on a full disk answers, as SQLSTATE.
const DISK_FULL: &str = "53100";
/// What a client says of a connection that nobody takes.
const REFUSED: &str = "ECONNREFUSED";

/// Something that is done to the system, or by a person.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Traffic {
        service: String,
        per_second: f64,
    },
    /// The process dies: calls to it are refused, what it had not yet sent is lost.
    Crash(String),
    /// It ends in good order and takes no more calls.
    Stop(String),
    Start(String),
    /// A share of its requests ends with this status. `who`, here and below: a service, an
    /// instance, or `service@version`.
    Errors {
        who: String,
        share: f64,
        status: u16,
    },
    /// Its own part of a share of its requests takes this long.
    Slow {
        who: String,
        duration: Duration,
        share: f64,
    },
    /// Each request leaves so many bytes in memory, which slow it down.
    Leak {
        who: String,
        bytes: u64,
    },
    /// Answers, or a share of them, take this much longer from one to the other.
    Delay {
        from: String,
        to: String,
        duration: Duration,
        share: f64,
    },
    /// It answers 503 to what is more than this.
    Capacity {
        service: String,
        per_second: f64,
    },
    /// A share of its statements ends with this SQLSTATE or name of an error.
    DatabaseErrors {
        database: String,
        share: f64,
        kind: String,
    },
    /// No packet passes from one to the other: calls end after a while, unanswered.
    Cut {
        from: String,
        to: String,
    },
    Mend {
        from: String,
        to: String,
    },
    /// A call that fails is made again up to so many times.
    Retries {
        from: String,
        to: String,
        times: u32,
    },
    /// A transaction in the database blocks all others.
    Lock(String),
    Unlock(String),
    /// So much of its disk is free from now on.
    Disk {
        who: String,
        free: f64,
    },
    /// Its clock goes wrong by so many nanoseconds.
    Clock {
        who: String,
        ahead: i64,
    },
    /// Its process is halted: it does nothing and tells nothing, and callers wait for it in vain.
    Halt(String),
    Unhalt(String),
    /// It takes requests and never answers.
    Hang(String),
    Unhang(String),
    /// Its telemetry is lost; it serves as before.
    Mute(String),
    Unmute(String),
    /// The agent looks at its targets, or it does not.
    Agent {
        looks: bool,
    },
    /// Calls to it end at once with this `error.type`.
    Refuse {
        who: String,
        error: String,
    },
    Accept(String),
    /// Its instances, or one of them, are replaced one after another by a new version.
    Deploy {
        who: String,
        version: String,
    },
    Probe {
        name: String,
        ok: bool,
    },
    /// What the executor does with orders from now on.
    Executor(Executor),
    /// Immune itself is away.
    Away(Duration),
    Freeze,
    Thaw,
    Pause {
        name: String,
        what: Paused,
        length: Duration,
    },
    Resume(String),
    Approve(u64),
    Deny(u64),
    Close(u64),
    /// Somebody tells Immune of a change.
    Change {
        service: String,
        kind: ChangeKind,
        summary: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    Obeys,
    /// Says that it did as told, but nothing runs.
    InVain,
    Fails,
    Refuses,
    Silent,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    HumanDuration::parse(text).map(|duration| duration.0)
}

pub(super) fn traffic(words: &[&str]) -> Result<Step, String> {
    let usage = || "write traffic as `web 20/s` or `web 3/m`".to_owned();
    let [service, rate] = words else { return Err(usage()) };
    let (number, seconds) = match rate.split_once('/') {
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        _ => return Err(usage()),
    };
    let per_second = number.parse::<f64>().map_err(|_| usage())? / seconds;
    if !(0.0..=RATE_MAX).contains(&per_second) {
        return Err("traffic must lie between 0/s and 1000/s".to_owned());
    }
    Ok(Step::Traffic { service: (*service).to_owned(), per_second })
}

pub(super) fn step(words: &[&str]) -> Result<Step, String> {
    let name = |name: &&str| (*name).to_owned();
    Ok(match words {
        ["traffic", rest @ ..] => traffic(rest)?,
        ["errors", who, share, kind @ ..] if who.starts_with("db:") && kind.len() <= 1 => {
            let kind = kind.first().copied().unwrap_or(DISK_FULL);
            Step::DatabaseErrors {
                database: name(who),
                share: self::share(share)?,
                kind: kind.into(),
            }
        }
        ["errors", who, share] => errors(who, share, "500")?,
        ["errors", who, share, status] => errors(who, share, status)?,
        ["slow", who, by] => Step::Slow { who: name(who), duration: duration(by)?, share: 1.0 },
        ["slow", who, by, of] => {
            Step::Slow { who: name(who), duration: duration(by)?, share: share(of)? }
        }
        ["leak", who, size] => Step::Leak { who: name(who), bytes: ByteSize::parse(size)?.0 },
        ["delay", from, to, by, of @ ..] if of.len() <= 1 => Step::Delay {
            from: name(from),
            to: name(to),
            duration: duration(by)?,
            share: share(of.first().copied().unwrap_or("100%"))?,
        },
        ["cut", from, to] => Step::Cut { from: name(from), to: name(to) },
        ["mend", from, to] => Step::Mend { from: name(from), to: name(to) },
        ["retries", from, to, times] => {
            let times = times.parse().ok().filter(|times| *times <= RETRIES_MAX);
            let times = times.ok_or_else(|| format!("0 to {RETRIES_MAX} retries"))?;
            Step::Retries { from: name(from), to: name(to), times }
        }
        ["lock", database] => Step::Lock(name(database)),
        ["unlock", database] => Step::Unlock(name(database)),
        ["disk", who, free] => Step::Disk { who: name(who), free: share(free)? },
        ["clock", who, by] => Step::Clock { who: name(who), ahead: ahead(by)? },
        ["capacity", who, rate] => match traffic(&[who, rate])? {
            Step::Traffic { service, per_second } => Step::Capacity { service, per_second },
            other => other,
        },
        _ => return life_or_people(words),
    })
}

/// Processes, deploys and probes, and what people and executors do.
fn life_or_people(words: &[&str]) -> Result<Step, String> {
    let name = |name: &&str| (*name).to_owned();
    Ok(match words {
        ["crash", who] => Step::Crash(name(who)),
        ["stop", who] => Step::Stop(name(who)),
        ["start", who] => Step::Start(name(who)),
        ["halt", who] => Step::Halt(name(who)),
        ["unhalt", who] => Step::Unhalt(name(who)),
        ["hang", who] => Step::Hang(name(who)),
        ["unhang", who] => Step::Unhang(name(who)),
        ["mute", who] => Step::Mute(name(who)),
        ["unmute", who] => Step::Unmute(name(who)),
        ["agent", "blind"] => Step::Agent { looks: false },
        ["agent", "looks"] => Step::Agent { looks: true },
        ["refuse", who] => Step::Refuse { who: name(who), error: REFUSED.into() },
        ["refuse", who, error] => Step::Refuse { who: name(who), error: name(error) },
        ["accept", who] => Step::Accept(name(who)),
        ["deploy", who, version] => Step::Deploy { who: name(who), version: name(version) },
        ["probe", which, "fail"] => Step::Probe { name: name(which), ok: false },
        ["probe", which, "ok"] => Step::Probe { name: name(which), ok: true },
        ["executor", how] => Step::Executor(match *how {
            "obeys" => Executor::Obeys,
            "in_vain" => Executor::InVain,
            "fails" => Executor::Fails,
            "refuses" => Executor::Refuses,
            "silent" => Executor::Silent,
            _ => return Err("executor obeys, in_vain, fails, refuses or silent".to_owned()),
        }),
        ["away", length] => Step::Away(duration(length)?),
        ["freeze"] => Step::Freeze,
        ["thaw"] => Step::Thaw,
        ["pause", which, what @ .., length] => Step::Pause {
            name: name(which),
            what: match what {
                ["all"] => Paused::All,
                ["target", target] => Paused::Target(name(target)),
                ["service", service] => Paused::Service(name(service)),
                _ => return Err("write pause as `NAME target orders 10m`".to_owned()),
            },
            length: duration(length)?,
        },
        ["resume", which] => Step::Resume(name(which)),
        ["approve", plan] => Step::Approve(plan_number(plan)?),
        ["deny", plan] => Step::Deny(plan_number(plan)?),
        ["close", incident] => Step::Close(plan_number(incident)?),
        ["change", service, kind, summary @ ..] if !summary.is_empty() => Step::Change {
            service: name(service),
            kind: change_kind(kind)?,
            summary: summary.join(" "),
        },
        _ => {
            return Err(format!(
                "`{}` is not something that can happen; see docs/scenarios.md",
                words.join(" ")
            ));
        }
    })
}

fn errors(who: &str, of: &str, status: &str) -> Result<Step, String> {
    let usage = || "write errors as `checkout 30%` or `checkout 30% 503`".to_owned();
    let share = share(of).map_err(|_| usage())?;
    let status: u16 = status.parse().map_err(|_| usage())?;
    if !(400..600).contains(&status) {
        return Err(usage());
    }
    Ok(Step::Errors { who: who.to_owned(), share, status })
}

/// `30%` as 0.3
fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|share| share.parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| format!("write `{text}` as `30%`"))
}

/// `+90s` or `-90s` in nanoseconds.
fn ahead(text: &str) -> Result<i64, String> {
    let usage = || format!("write `{text}` as `+90s` or `-90s`, at most a day");
    let (sign, length) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(length), _) => (1, length),
        (_, Some(length)) => (-1, length),
        _ => return Err(usage()),
    };
    let length = duration(length)?;
    let nanos = i64::try_from(length.as_nanos()).ok().filter(|_| length <= CLOCK_MAX);
    Ok(sign * nanos.ok_or_else(usage)?)
}

fn plan_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number of a plan or incident"))
}

fn change_kind(text: &str) -> Result<ChangeKind, String> {
    let all = ChangeKind::ALL;
    let known = || all.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| format!("`{text}` is not a kind of change: {}", known()))
}
