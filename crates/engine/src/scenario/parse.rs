//! The scenario language, line by line. Errors name the line and say what was expected.

use std::collections::BTreeSet;
use std::time::Duration;

use model::ChangeKind;
use model::human::HumanDuration;
use remediate::Paused;
use serde::Deserialize;

/// Bounds that keep a scenario small enough to read, and to run in a moment.
const LINES_MAX: usize = 2_000;
const RUN_MAX: Duration = Duration::from_secs(7 * 86_400);
const RATE_MAX: f64 = 1_000.0;

#[derive(Clone, Debug)]
pub struct Scenario {
    /// The comment at the top: what is shown.
    pub title: String,
    pub config: ScenarioConfig,
    /// Caller, callee, and whether the caller gets by without it.
    pub edges: Vec<(String, String, bool)>,
    pub instances: Vec<(String, Vec<String>)>,
    pub targets: Vec<String>,
    /// Targets that keep data.
    pub stateful: BTreeSet<String>,
    pub steps: Vec<(Duration, Step)>,
    pub run_for: Duration,
    pub expectations: Vec<Expectation>,
}

/// The sections of `immune.yaml` that matter to the loop.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioConfig {
    pub observe: observe::Config,
    pub detect: detect::Config,
    pub diagnose: diagnose::Config,
    pub healing: remediate::Config,
    pub catch_up: crate::config::CatchUp,
}

/// One expected line: the latest time at which it may happen, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    pub line: usize,
    /// `None` for `expect silence`.
    pub by: Option<Duration>,
    pub words: String,
}

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
    /// A share of its requests ends with this status.
    Errors {
        service: String,
        share: f64,
        status: u16,
    },
    Slow {
        service: String,
        duration: Duration,
    },
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
    /// Calls to it are refused.
    Refuse(String),
    Accept(String),
    /// Its instances are replaced one after another by a new version.
    Deploy {
        service: String,
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    pub line: usize,
    pub message: String,
}

impl Scenario {
    pub fn parse(text: &str) -> Result<Scenario, ParseError> {
        let mut parser = Parser::default();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            if line_number > LINES_MAX {
                return Err(ParseError {
                    line: line_number,
                    message: "more than 2,000 lines".into(),
                });
            }
            parser
                .line(line_number, line)
                .map_err(|message| ParseError { line: line_number, message })?;
        }
        parser.finish()
    }
}

#[derive(Default)]
struct Parser {
    title: Vec<String>,
    config: String,
    config_line: usize,
    in_config: bool,
    edges: Vec<(String, String, bool)>,
    instances: Vec<(String, Vec<String>)>,
    targets: Vec<String>,
    stateful: BTreeSet<String>,
    /// With the line of each.
    steps: Vec<(usize, Duration, Step)>,
    run_for: Option<Duration>,
    expectations: Vec<Expectation>,
}

impl Parser {
    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let indented = line.starts_with(' ') || line.starts_with('\t');
        if self.in_config && (indented || line.trim().is_empty()) {
            self.config.push_str(line);
            self.config.push('\n');
            return Ok(());
        }
        self.in_config = false;
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            if self.edges.is_empty() && self.steps.is_empty() {
                self.title.push(comment.trim().to_owned());
            }
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(()),
            ["config"] => {
                self.in_config = true;
                self.config_line = number;
                Ok(())
            }
            ["topology", rest @ ..] => self.topology(&rest.join(" ")),
            ["instances", service, names @ ..] if !names.is_empty() => {
                let names = names.iter().map(|name| (*name).to_owned()).collect();
                self.instances.push(((*service).to_owned(), names));
                Ok(())
            }
            ["target", name] => {
                self.targets.push((*name).to_owned());
                Ok(())
            }
            ["target", name, "stateful"] => {
                self.targets.push((*name).to_owned());
                self.stateful.insert((*name).to_owned());
                Ok(())
            }
            ["traffic", rest @ ..] => {
                let step = traffic(rest)?;
                self.steps.push((number, Duration::ZERO, step));
                Ok(())
            }
            ["at", when, rest @ ..] => {
                let when = duration(when)?;
                self.steps.push((number, when, step(rest)?));
                Ok(())
            }
            ["run", length] => {
                let length = duration(length)?;
                if length > RUN_MAX {
                    return Err("a scenario runs for at most 7d".to_owned());
                }
                self.run_for = Some(length);
                Ok(())
            }
            ["expect", rest @ ..] => self.expect(number, rest),
            [word, ..] => Err(format!(
                "`{word}` is not a scenario word; expected config, topology, instances, target, \
                 traffic, at, run or expect"
            )),
        }
    }

    /// `a -> b -> c`, `a ->? b` where a gets by without b; several chains separated by `;`.
    fn topology(&mut self, text: &str) -> Result<(), String> {
        for chain in text.split(';') {
            let words: Vec<&str> = chain.split_whitespace().collect();
            for part in words.windows(3).step_by(2) {
                match part {
                    [from, "->", to] => {
                        self.edges.push(((*from).into(), (*to).into(), false));
                    }
                    [from, "->?", to] => {
                        self.edges.push(((*from).into(), (*to).into(), true));
                    }
                    _ => return Err("write topology as `web -> cart -> db:postgresql/shop`".into()),
                }
            }
            if words.len().is_multiple_of(2) {
                return Err("write topology as `web -> cart -> db:postgresql/shop`".into());
            }
            if let [only] = words.as_slice() {
                // A service that calls nobody.
                self.instances.push(((*only).to_owned(), vec![format!("{only}-1")]));
            }
        }
        Ok(())
    }

    fn expect(&mut self, line: usize, words: &[&str]) -> Result<(), String> {
        let expectation = match words {
            ["silence"] => Expectation { line, by: None, words: "silence".to_owned() },
            [by, rest @ ..] if !rest.is_empty() => {
                Expectation { line, by: Some(duration(by)?), words: rest.join(" ") }
            }
            _ => return Err("write `expect silence` or `expect 5m10s incident service=…`".into()),
        };
        self.expectations.push(expectation);
        Ok(())
    }

    fn finish(self) -> Result<Scenario, ParseError> {
        let at = |line: usize, message: String| ParseError { line, message };
        let config = match self.config.trim().is_empty() {
            true => ScenarioConfig::default(),
            false => serde_saphyr::from_str(&self.config)
                .map_err(|error| at(self.config_line, format!("config: {error}")))?,
        };
        if self.edges.is_empty() && self.instances.is_empty() {
            return Err(at(1, "no topology: say `topology web -> cart`".to_owned()));
        }
        let Some(run_for) = self.run_for else {
            return Err(at(1, "no length: say `run 15m`".to_owned()));
        };
        if self.expectations.is_empty() {
            return Err(at(1, "nothing is expected: say `expect silence`, or bless".to_owned()));
        }
        let silent = self.expectations.iter().find(|expectation| expectation.by.is_none());
        if let Some(silence) = silent.filter(|_| self.expectations.len() > 1) {
            let message = "`expect silence` cannot stand beside other expectations".to_owned();
            return Err(at(silence.line, message));
        }
        let mut steps = self.steps;
        steps.sort_by_key(|(_, when, _)| *when);
        let names = Names::of(&self.edges, &self.instances, &config);
        for target in &self.targets {
            names.check(target).map_err(|message| at(1, message))?;
        }
        for (line, when, step) in &steps {
            names.check_step(step).map_err(|message| at(*line, message))?;
            if *when >= run_for {
                return Err(at(*line, "this is after the end of the run".to_owned()));
            }
        }
        let steps = steps.into_iter().map(|(_, when, step)| (when, step)).collect();
        Ok(Scenario {
            title: self.title.join(" "),
            config,
            edges: self.edges,
            instances: self.instances,
            targets: self.targets,
            stateful: self.stateful,
            steps,
            run_for,
            expectations: self.expectations,
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    HumanDuration::parse(text).map(|duration| duration.0)
}

fn traffic(words: &[&str]) -> Result<Step, String> {
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

fn step(words: &[&str]) -> Result<Step, String> {
    let name = |name: &&str| (*name).to_owned();
    Ok(match words {
        ["traffic", rest @ ..] => traffic(rest)?,
        ["crash", who] => Step::Crash(name(who)),
        ["stop", who] => Step::Stop(name(who)),
        ["start", who] => Step::Start(name(who)),
        ["errors", who, share] => errors(who, share, "500")?,
        ["errors", who, share, status] => errors(who, share, status)?,
        ["slow", who, by] => Step::Slow { service: name(who), duration: duration(by)? },
        ["hang", who] => Step::Hang(name(who)),
        ["unhang", who] => Step::Unhang(name(who)),
        ["mute", who] => Step::Mute(name(who)),
        ["unmute", who] => Step::Unmute(name(who)),
        ["agent", "blind"] => Step::Agent { looks: false },
        ["agent", "looks"] => Step::Agent { looks: true },
        ["refuse", who] => Step::Refuse(name(who)),
        ["accept", who] => Step::Accept(name(who)),
        ["deploy", who, version] => Step::Deploy { service: name(who), version: name(version) },
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

fn errors(who: &str, share: &str, status: &str) -> Result<Step, String> {
    let usage = || "write errors as `checkout 30%` or `checkout 30% 503`".to_owned();
    let percent: f64 =
        share.strip_suffix('%').and_then(|share| share.parse().ok()).ok_or_else(usage)?;
    let status: u16 = status.parse().map_err(|_| usage())?;
    if !(0.0..=100.0).contains(&percent) || !(400..600).contains(&status) {
        return Err(usage());
    }
    Ok(Step::Errors { service: who.to_owned(), share: percent / 100.0, status })
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

/// What may be named in a scenario: a name that nothing bears is a mistake, not a wish.
struct Names<'a> {
    services: BTreeSet<&'a str>,
    instances: BTreeSet<String>,
    dependencies: BTreeSet<&'a str>,
    probes: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(
        edges: &'a [(String, String, bool)],
        instances: &'a [(String, Vec<String>)],
        config: &'a ScenarioConfig,
    ) -> Names<'a> {
        let ends = edges.iter().flat_map(|(from, to, _)| [from.as_str(), to.as_str()]);
        let (dependencies, called): (BTreeSet<_>, BTreeSet<_>) =
            ends.partition(|name| name.starts_with("db:"));
        let named = instances.iter().map(|(service, _)| service.as_str());
        let services: BTreeSet<&str> = called.into_iter().chain(named).collect();
        let mut all: BTreeSet<String> = services.iter().map(|name| format!("{name}-1")).collect();
        all.extend(instances.iter().flat_map(|(_, names)| names.iter().cloned()));
        let probes = config.detect.probes.iter().map(|probe| probe.name.as_str()).collect();
        Names { services, instances: all, dependencies, probes }
    }

    /// A service or an instance.
    fn check(&self, name: &str) -> Result<(), String> {
        match self.services.contains(name) || self.instances.contains(name) {
            true => Ok(()),
            false => Err(format!("there is no service or instance `{name}` in the topology")),
        }
    }

    fn check_step(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Crash(who)
            | Step::Stop(who)
            | Step::Start(who)
            | Step::Mute(who)
            | Step::Unmute(who) => self.check(who),
            Step::Traffic { service, .. }
            | Step::Errors { service, .. }
            | Step::Slow { service, .. }
            | Step::Deploy { service, .. }
            | Step::Change { service, .. }
            | Step::Hang(service)
            | Step::Unhang(service) => match self.services.contains(service.as_str()) {
                true => Ok(()),
                false => Err(format!("there is no service `{service}` in the topology")),
            },
            Step::Refuse(who) | Step::Accept(who) => {
                match self.dependencies.contains(who.as_str()) {
                    true => Ok(()),
                    false => self.check(who),
                }
            }
            Step::Probe { name, .. } => match self.probes.contains(name.as_str()) {
                true => Ok(()),
                false => Err(format!("there is no probe `{name}` in the configuration")),
            },
            Step::Executor(_)
            | Step::Agent { .. }
            | Step::Away(_)
            | Step::Freeze
            | Step::Thaw
            | Step::Pause { .. }
            | Step::Resume(_)
            | Step::Approve(_)
            | Step::Deny(_)
            | Step::Close(_) => Ok(()),
        }
    }
}
