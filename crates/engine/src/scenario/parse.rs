//! The scenario language, line by line. Errors name the line and say what was expected.

mod names;

mod step;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use names::Names;
pub use step::{Executor, Step};
use step::{duration, step, traffic};

/// Bounds that keep a scenario small enough to read, and to run in a moment.
const LINES_MAX: usize = 2_000;
const RUN_MAX: Duration = Duration::from_secs(7 * 86_400);
const TOPOLOGY: &str = "write topology as `web -> cart -> db:postgresql/shop`";

#[derive(Clone, Debug)]
pub struct Scenario {
    /// The comment at the top: what is shown.
    pub title: String,
    pub config: ScenarioConfig,
    /// Caller, callee, and how the caller needs it.
    pub edges: Vec<(String, String, Need)>,
    pub instances: Vec<(String, Vec<String>)>,
    pub targets: Vec<String>,
    /// Targets that keep data.
    pub stateful: BTreeSet<String>,
    pub steps: Vec<(Duration, Step)>,
    pub run_for: Duration,
    pub expectations: Vec<Expectation>,
}

/// How a caller needs what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Must,
    /// It gets by without.
    Optional,
    /// It asks the next instance where one refuses.
    Retried,
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
    edges: Vec<(String, String, Need)>,
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

    /// `a -> b -> c`, `a ->? b` where a gets by without b, `a ->> b` where it asks the next
    /// instance when one refuses; several chains separated by `;`.
    fn topology(&mut self, text: &str) -> Result<(), String> {
        for chain in text.split(';') {
            let words: Vec<&str> = chain.split_whitespace().collect();
            for part in words.windows(3).step_by(2) {
                let need = match part[1] {
                    "->" => Need::Must,
                    "->?" => Need::Optional,
                    "->>" => Need::Retried,
                    _ => return Err(TOPOLOGY.into()),
                };
                self.edges.push((part[0].into(), part[2].into(), need));
            }
            if words.len().is_multiple_of(2) {
                return Err(TOPOLOGY.into());
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
            [_, "confidence", rest @ ..] if !asks_well(rest) => {
                return Err("write `expect 12m confidence kind=leak entity=cart 85%`".into());
            }
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
            names.check_callee(target).map_err(|message| at(1, message))?;
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

/// `kind=leak entity=cart 85%`
fn asks_well(words: &[&str]) -> bool {
    let [kind, entity, .., percent] = words else { return false };
    kind.starts_with("kind=") && entity.starts_with("entity=") && percent.ends_with('%')
}
