//! What ends an activity, or the run, other than a result. Chaoslib has exceptions for it, and how
//! far each of them gets decides a run's status.

use crate::substitute::Ungrouped;

/// Not caught by the activity: unwinds the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raise {
    /// `InterruptExecution`: by a control, or SIGTERM. The run is interrupted.
    Interrupt(String),
    /// `KeyboardInterrupt`: SIGINT.
    Keyboard,
    /// `SystemExit`: SIGUSR1 (20), SIGUSR2 (30), or user code that exits.
    Exit(i32),
    /// Any other error that is not the activity's failure. Ends the method as aborted; outside of
    /// it, ends the run without a verdict.
    Error(String),
}

impl Raise {
    /// The code with which a run exits without its rollbacks.
    pub const EXIT_WITHOUT_ROLLBACKS: i32 = 30;

    pub fn text(&self) -> String {
        match self {
            Raise::Interrupt(text) | Raise::Error(text) => text.clone(),
            Raise::Keyboard => "interrupted from the keyboard".to_owned(),
            Raise::Exit(code) => format!("told to exit ({code})"),
        }
    }
}

/// How an activity ends without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `ActivityFailed`: the activity failed, the run goes on.
    Activity(String),
    Raise(Raise),
}

impl From<Raise> for Failure {
    fn from(raise: Raise) -> Failure {
        Failure::Raise(raise)
    }
}

impl From<Ungrouped> for Raise {
    fn from(error: Ungrouped) -> Raise {
        Raise::Error(error.to_string())
    }
}

impl From<Ungrouped> for Failure {
    fn from(error: Ungrouped) -> Failure {
        Failure::Raise(error.into())
    }
}
