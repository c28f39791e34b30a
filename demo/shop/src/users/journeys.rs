//! The journeys file: what users do on a site.
//!
//! Read once and checked whole, so that no session meets a mistake: methods, paths, times,
//! captures, and that every `${name}` has a value by the time it is used. Messages name the
//! journey and the step. The format is described in `demo/shop/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::Deserialize;
use serde_json::Value;

use super::capture::Capture;
use super::duration::DurationRange;
use super::template::{Values, fill_body, fill_path};

/// Journeys in a file.
const JOURNEYS_MAX: usize = 100;
/// Steps in a journey.
const STEPS_MAX: usize = 100;
/// Methods that a step may use.
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// A value that every session has: its own name.
const SESSION: &str = "session";

/// All journeys of a site, at least one.
#[derive(Debug)]
pub struct Journeys {
    journeys: Vec<Journey>,
}

/// One thing that users do.
#[derive(Debug)]
pub struct Journey {
    /// Its name in the log.
    pub name: String,
    weight: f64,
    /// Values that a session draws once, at random.
    choices: BTreeMap<String, Vec<Value>>,
    /// What is asked, in order.
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Debug)]
pub struct Step {
    /// Its name in the log.
    pub name: String,
    /// Time before the request.
    pub think: DurationRange,
    /// Request method.
    pub method: Method,
    /// Path, with `${name}` for values.
    pub path: String,
    /// JSON body, with `${name}` for values.
    pub body: Option<Value>,
    /// Statuses that are fine; empty for any 2xx.
    expect: Vec<u16>,
    /// Values to take from the answer.
    pub captures: BTreeMap<String, Capture>,
}

/// Why a journeys file is refused.
#[derive(Debug, thiserror::Error)]
pub enum JourneysError {
    /// It does not have the shape of one.
    #[error("{0}")]
    Shape(String),
    /// A journey is wrong as a whole.
    #[error("journey {0:?}: {1}")]
    Journey(String, String),
    /// A step is wrong.
    #[error("journey {0:?}, step {1:?}: {2}")]
    Step(String, String, String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    journeys: Vec<JourneyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JourneyText {
    name: String,
    #[serde(default = "one")]
    weight: f64,
    #[serde(default)]
    choose: BTreeMap<String, Vec<Value>>,
    steps: Vec<StepText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    name: String,
    request: String,
    body: Option<Value>,
    think: Option<String>,
    #[serde(default)]
    expect: Vec<u16>,
    #[serde(default)]
    capture: BTreeMap<String, String>,
}

fn one() -> f64 {
    1.0
}

impl Journeys {
    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<Journeys, JourneysError> {
        let file: FileText = serde_saphyr::from_str(text)
            .map_err(|error| JourneysError::Shape(error.to_string()))?;
        if file.journeys.is_empty() || file.journeys.len() > JOURNEYS_MAX {
            let detail = format!("a file has 1 to {JOURNEYS_MAX} journeys");
            return Err(JourneysError::Shape(detail));
        }
        let mut names = BTreeSet::new();
        let mut journeys = Vec::new();
        for journey in file.journeys {
            if !names.insert(journey.name.clone()) {
                let detail = "two journeys have this name".to_owned();
                return Err(JourneysError::Journey(journey.name, detail));
            }
            journeys.push(Journey::check(journey)?);
        }
        if journeys.iter().all(|journey| journey.weight == 0.0) {
            return Err(JourneysError::Shape("no journey has a weight above zero".to_owned()));
        }
        Ok(Journeys { journeys })
    }

    /// The names of all journeys.
    #[cfg(test)]
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.journeys.iter().map(|journey| journey.name.as_str())
    }

    /// A journey drawn by weight.
    pub fn draw(&self, generator: &mut StdRng) -> &Journey {
        let total: f64 = self.journeys.iter().map(|journey| journey.weight).sum();
        let mut place = generator.random::<f64>() * total;
        for journey in &self.journeys {
            place -= journey.weight;
            if place < 0.0 {
                return journey;
            }
        }
        // Only rounding leads here.
        &self.journeys[self.journeys.len() - 1]
    }
}

impl Journey {
    fn check(text: JourneyText) -> Result<Journey, JourneysError> {
        let fault = |detail: &str| JourneysError::Journey(text.name.clone(), detail.to_owned());
        if !(0.0..=1e6).contains(&text.weight) {
            return Err(fault("the weight is a number from 0 to 1000000"));
        }
        if text.steps.is_empty() || text.steps.len() > STEPS_MAX {
            return Err(fault(&format!("a journey has 1 to {STEPS_MAX} steps")));
        }
        if let Some((name, _)) = text.choose.iter().find(|(_, values)| values.is_empty()) {
            return Err(fault(&format!("nothing to choose {name:?} from")));
        }
        let mut known: Values = [(SESSION.to_owned(), Value::from("s"))].into();
        known.extend(text.choose.keys().map(|name| (name.clone(), Value::Null)));
        let mut steps = Vec::new();
        for step in text.steps {
            let name = step.name.clone();
            let step = Step::check(step, &mut known);
            steps
                .push(step.map_err(|detail| JourneysError::Step(text.name.clone(), name, detail))?);
        }
        Ok(Journey { name: text.name, weight: text.weight, choices: text.choose, steps })
    }

    /// The values that a session begins with.
    pub fn values(&self, session: &str, generator: &mut StdRng) -> Values {
        let mut values: Values = [(SESSION.to_owned(), Value::from(session))].into();
        for (name, choices) in &self.choices {
            let drawn = choices[generator.random_range(0..choices.len())].clone();
            values.insert(name.clone(), drawn);
        }
        values
    }
}

impl Step {
    fn check(text: StepText, known: &mut Values) -> Result<Step, String> {
        let (method, path) = text
            .request
            .split_once(' ')
            .ok_or_else(|| format!("{:?} is not a request such as GET /path", text.request))?;
        let method = METHODS.into_iter().find(|known| known.as_str() == method);
        let method = method.ok_or_else(|| {
            let known: Vec<String> = METHODS.iter().map(Method::to_string).collect();
            format!("the method is one of {}", known.join(", "))
        })?;
        let unknown = |name: String| {
            format!("${{{name}}} has no value here; choose it or capture it in an earlier step")
        };
        let filled = fill_path(path, known).map_err(unknown)?;
        if !filled.starts_with('/') || filled.parse::<http::Uri>().is_err() {
            return Err(format!("{path:?} is not a path that begins with /"));
        }
        if let Some(body) = &text.body {
            fill_body(body, known).map_err(unknown)?;
        }
        if let Some(status) = text.expect.iter().find(|status| !(100..=599).contains(*status)) {
            return Err(format!("{status} is not a status"));
        }
        let think = text.think.as_deref().map_or(Ok(DurationRange::ZERO), DurationRange::parse)?;
        let mut captures = BTreeMap::new();
        for (name, path) in text.capture {
            captures.insert(name.clone(), Capture::parse(&path)?);
            known.insert(name, Value::Null);
        }
        let (name, path) = (text.name, path.to_owned());
        Ok(Step { name, think, method, path, body: text.body, expect: text.expect, captures })
    }

    /// Whether an answer with this status is what the step expects.
    pub fn expects(&self, status: u16) -> bool {
        if self.expect.is_empty() {
            (200..300).contains(&status)
        } else {
            self.expect.contains(&status)
        }
    }
}

#[cfg(test)]
mod tests;
