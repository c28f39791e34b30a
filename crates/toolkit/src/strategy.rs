//! How a run is conducted: when the hypothesis is looked at, when rollbacks are played, what is
//! only pretended, and how strictly it is judged.

use std::time::Duration;

use crate::value::Value;

/// How a run is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// A failed action, a process that exits with another status than 0, a missed gate and a failed
    /// rollback fail the run; rollbacks are played whatever happened.
    #[default]
    Strict,
    /// What chaostoolkit-lib 1.44 does, to the letter.
    Compat,
}

/// When the steady-state hypothesis is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hypothesis {
    #[default]
    Default,
    BeforeMethodOnly,
    AfterMethodOnly,
    DuringMethodOnly,
    Continuously,
    Skip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollbacks {
    #[default]
    Default,
    Always,
    Never,
    Deviated,
}

/// What is only pretended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dry {
    Probes,
    Actions,
    Activities,
    Pause,
}

/// The pace of a continuous hypothesis, and when its failures end the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub frequency: Duration,
    pub fail_fast: bool,
    /// Share of failed iterations, in per cent, from which on `fail_fast` ends the run.
    pub fail_fast_ratio: f64,
}

impl Hypothesis {
    pub const NAMES: &'static [(&'static str, Hypothesis)] = &[
        ("default", Hypothesis::Default),
        ("before-method-only", Hypothesis::BeforeMethodOnly),
        ("after-method-only", Hypothesis::AfterMethodOnly),
        ("during-method-only", Hypothesis::DuringMethodOnly),
        ("continuously", Hypothesis::Continuously),
        // A spelling of old that Chaos Toolkit still takes.
        ("continously", Hypothesis::Continuously),
        ("skip", Hypothesis::Skip),
    ];

    pub fn before(self) -> bool {
        matches!(
            self,
            Hypothesis::Default | Hypothesis::BeforeMethodOnly | Hypothesis::Continuously
        )
    }

    pub fn during(self) -> bool {
        matches!(self, Hypothesis::DuringMethodOnly | Hypothesis::Continuously)
    }

    pub fn after(self) -> bool {
        matches!(self, Hypothesis::Default | Hypothesis::AfterMethodOnly | Hypothesis::Continuously)
    }
}

impl Rollbacks {
    pub const NAMES: &'static [(&'static str, Rollbacks)] = &[
        ("default", Rollbacks::Default),
        ("always", Rollbacks::Always),
        ("never", Rollbacks::Never),
        ("deviated", Rollbacks::Deviated),
    ];

    /// Whether they are played after a run of this status.
    pub fn play(self, verdict: Verdict, status: Option<&str>, deviated: bool) -> bool {
        match self {
            Rollbacks::Always => true,
            Rollbacks::Never => false,
            Rollbacks::Deviated => deviated,
            Rollbacks::Default => {
                verdict == Verdict::Strict || !matches!(status, Some("failed" | "interrupted"))
            }
        }
    }
}

impl Dry {
    pub const NAMES: &'static [(&'static str, Dry)] = &[
        ("probes", Dry::Probes),
        ("actions", Dry::Actions),
        ("activities", Dry::Activities),
        ("pause", Dry::Pause),
    ];

    pub fn name(self) -> &'static str {
        Dry::NAMES.iter().find(|(_, dry)| *dry == self).map_or("", |(name, _)| name)
    }

    /// Whether an activity of this type (`action`, `probe`) is only pretended.
    pub fn pretends(self, kind: &str) -> bool {
        match self {
            Dry::Activities => true,
            Dry::Actions => kind == "action",
            Dry::Probes => kind == "probe",
            Dry::Pause => false,
        }
    }

    /// Whether tolerances are left out, for the probes gave nothing.
    pub fn skips_tolerances(self) -> bool {
        matches!(self, Dry::Probes | Dry::Activities)
    }
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { frequency: Duration::from_secs(1), fail_fast: false, fail_fast_ratio: 0.0 }
    }
}

/// The strategy by its name in a table of names.
pub fn by_name<T: Copy>(names: &[(&str, T)], name: &str) -> Result<T, String> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
        format!("`{name}` is none of {}", known.join(", "))
    })
}

/// The names of the strategies that apply: the command line's, else those of the experiment's
/// `runtime`, else the settings'. An experiment with a `runtime` hides the settings' altogether.
pub fn runtime<'a>(
    part: &str,
    command_line: Option<&'a str>,
    experiment: &'a Value,
    settings: &'a Value,
) -> &'a str {
    let of = |from: &'a Value| from.get(part).and_then(|part| part.get_str("strategy"));
    let declared = match experiment.get("runtime") {
        Some(runtime) if runtime.truthy() => of(runtime),
        _ => settings.get("runtime").and_then(of),
    };
    command_line.or(declared).unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollbacks_are_played_by_strategy_and_strictly_always() {
        use Rollbacks::*;
        let compat = |strategy: Rollbacks, status, deviated| {
            strategy.play(Verdict::Compat, status, deviated)
        };
        assert!(compat(Default, Some("completed"), false));
        assert!(compat(Default, Some("aborted"), false));
        assert!(!compat(Default, Some("failed"), true));
        assert!(!compat(Default, Some("interrupted"), false));
        assert!(compat(Always, Some("interrupted"), false));
        assert!(compat(Deviated, Some("failed"), true));
        assert!(!compat(Deviated, None, false));
        assert!(Default.play(Verdict::Strict, Some("interrupted"), false));
        assert!(!Never.play(Verdict::Strict, Some("failed"), true));
    }

    #[test]
    fn an_experiments_runtime_hides_the_settings_and_the_command_line_hides_both() {
        let value = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
        let settings = value(r#"{"runtime": {"rollbacks": {"strategy": "always"}}}"#);
        let silent = value("{}");
        let other = value(r#"{"runtime": {"hypothesis": {"strategy": "skip"}}}"#);
        assert_eq!(runtime("rollbacks", None, &silent, &settings), "always");
        assert_eq!(runtime("rollbacks", None, &other, &settings), "default");
        assert_eq!(runtime("hypothesis", None, &other, &settings), "skip");
        assert_eq!(runtime("hypothesis", Some("default"), &other, &settings), "default");
        assert!(by_name(Rollbacks::NAMES, "sometimes").unwrap_err().contains("deviated"));
    }
}
