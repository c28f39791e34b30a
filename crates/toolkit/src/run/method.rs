//! The method and the rollbacks: lists of activities, some of them in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Run;
use crate::experiment::{METHOD, Place, ROLLBACKS, activities};
use crate::journal::List;
use crate::raise::Raise;
use crate::strategy::{Rollbacks, Verdict};
use crate::undo::Record;
use crate::value::{Step, Value};
use crate::worker::Thread;

/// For a background activity to stand in the journal before the next one begins.
const BEGINS_WITHIN: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// For each background activity, after it was told to let go.
const LET_GO: Duration = Duration::from_millis(200);

impl Run {
    /// Plays the method; says whether it came to its end, or was ended by a status.
    pub(super) async fn method(self: &Arc<Run>) -> Result<bool, Raise> {
        self.tell("playing the method");
        self.set_runs(List::Method.key(), Value::List(Vec::new()));
        match self.method_with_controls().await {
            Ok(()) => Ok(true),
            Err(Raise::Error(problem)) => {
                self.tell(format!("the method was aborted: {problem}"));
                self.set_status("aborted");
                self.note_progress();
                Ok(false)
            }
            Err(raise) => Err(raise),
        }
    }

    async fn method_with_controls(self: &Arc<Run>) -> Result<(), Raise> {
        let whole = Vec::new();
        let mut state = None;
        let played = match self.controls("method", "before", &whole, None, Thread::Main).await {
            Ok(_) => {
                let played = self.play_method().await;
                state = Some(Value::List(self.shared().journal.runs(List::Method).to_vec()));
                played
            }
            Err(raise) => Err(raise),
        };
        if let Some(changed) = self.controls("method", "after", &whole, state, Thread::Main).await?
        {
            self.set_runs(List::Method.key(), changed);
        }
        played
    }

    async fn play_method(self: &Arc<Run>) -> Result<(), Raise> {
        let mut background = Vec::new();
        let mut played = Ok(());
        let places = activities(&self.shared().experiment, METHOD);
        for place in places {
            match self.start(place, List::Method).await {
                Ok(started) => background.extend(started),
                Err(raise) => {
                    played = Err(raise);
                    break;
                }
            }
            if self.is_ending() {
                break;
            }
        }
        let exits = played == Err(Raise::Exit(Raise::EXIT_WITHOUT_ROLLBACKS));
        // Strictly, nothing of an interrupted method goes on beside its rollbacks.
        let interrupted = self.verdict == Verdict::Strict
            && matches!(played, Err(Raise::Interrupt(_) | Raise::Keyboard | Raise::Exit(_)));
        if exits || interrupted {
            self.give_up(background).await;
            return played;
        }
        let mut background = background.into_iter();
        while let Some(task) = background.next() {
            if let Err(raise) = self.wait(task).await {
                if self.verdict == Verdict::Strict {
                    self.give_up(background.collect()).await;
                }
                return Err(raise);
            }
        }
        played
    }

    /// Plays an activity, or starts it in the background.
    async fn start(
        self: &Arc<Run>,
        place: Place,
        list: List,
    ) -> Result<Option<JoinHandle<()>>, Raise> {
        let in_background = {
            let shared = self.shared();
            let activity = shared.experiment.at(&place);
            activity.and_then(|activity| activity.get("background")).is_some_and(Value::truthy)
        };
        if !in_background {
            let played = self.execute(&place, Some(list), Thread::Main).await?;
            self.note_rollback(&place, list, &played);
            return Ok(None);
        }
        let run = self.clone();
        let begun = self.shared().journal.runs(list).len();
        let task = tokio::spawn(async move {
            // As in chaoslib, what breaks in the background is told and ends only itself.
            match run.execute(&place, Some(list), Thread::Own).await {
                Ok(played) => run.note_rollback(&place, list, &played),
                Err(raise) => run.tell(format!("in the background: {}", raise.text())),
            }
        });
        // What begins first stands first in the journal, unless it pauses before or its controls
        // take long.
        let stands = async {
            while self.shared().journal.runs(list).len() == begun && !task.is_finished() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(BEGINS_WITHIN, stands).await;
        Ok(Some(task))
    }

    /// Notes in the record that a rollback was done.
    fn note_rollback(&self, place: &Place, list: List, played: &Value) {
        let path = Record::path(&self.journal_path);
        let succeeded = played.get_str("status") == Some("succeeded");
        let is_recorded = list == List::Rollbacks && self.verdict == Verdict::Strict;
        if let Some(Step::Index(index)) = place.last()
            && is_recorded
            && succeeded
            && path.exists()
            && let Err(error) = Record::note(&path, *index)
        {
            self.tell(format!("cannot write {}: {error}", path.display()));
        }
    }

    /// Tells what runs in the background to let go, and waits a moment for it.
    async fn give_up(&self, background: Vec<JoinHandle<()>>) {
        self.worker.exit_background().await;
        self.abandoned.send_replace(true);
        for task in background {
            let _ = tokio::time::timeout(LET_GO, task).await;
        }
        // Rollbacks may run in the background, too.
        self.abandoned.send_replace(false);
    }

    /// Plays the rollbacks, if the strategy says so.
    pub(super) async fn roll_back(self: &Arc<Run>) -> Result<(), Raise> {
        let plays = {
            let shared = self.shared();
            let journal = &shared.journal;
            self.rollbacks.play(self.verdict, journal.status(), journal.deviated())
        };
        if !plays {
            self.tell("rollbacks are left out, as their strategy says");
            return self.forget_rollbacks();
        }
        self.tell("playing the rollbacks");
        self.set_runs(List::Rollbacks.key(), Value::List(Vec::new()));
        match self.rollbacks_with_controls().await {
            Ok(()) => {}
            Err(Raise::Error(problem)) if self.verdict == Verdict::Compat => {
                return Err(Raise::Error(problem));
            }
            // Each that broke is told by the verdict.
            Err(Raise::Error(_)) => {}
            Err(raise) => {
                self.tell(format!("rollbacks were interrupted: {}", raise.text()));
                self.set_status("interrupted");
            }
        }
        self.note_progress();
        self.forget_rollbacks()
    }

    async fn rollbacks_with_controls(self: &Arc<Run>) -> Result<(), Raise> {
        let whole = Vec::new();
        let mut state = None;
        let asked = self.controls("rollback", "before", &whole, None, Thread::Main).await;
        let played = match asked {
            // Strictly, no control keeps rollbacks from being played.
            Err(raise) if self.verdict == Verdict::Compat => Err(raise),
            _ => {
                let played = self.play_rollbacks().await;
                state = Some(Value::List(self.shared().journal.runs(List::Rollbacks).to_vec()));
                played
            }
        };
        if let Some(changed) =
            self.controls("rollback", "after", &whole, state, Thread::Main).await?
        {
            self.set_runs(List::Rollbacks.key(), changed);
        }
        played
    }

    async fn play_rollbacks(self: &Arc<Run>) -> Result<(), Raise> {
        let mut background = Vec::new();
        let mut played = Ok(());
        let places = activities(&self.shared().experiment, ROLLBACKS);
        for place in places {
            match self.start(place, List::Rollbacks).await {
                Ok(started) => background.extend(started),
                // Strictly, one rollback that breaks does not keep the others from being played.
                Err(Raise::Error(problem)) if self.verdict == Verdict::Strict => {
                    self.tell(format!("  broke: {problem}"));
                    played = Err(Raise::Error(problem));
                }
                Err(raise) => {
                    played = Err(raise);
                    break;
                }
            }
        }
        for task in background {
            self.wait(task).await?;
        }
        played
    }

    /// Drops the record of what has to be rolled back, unless some of it is still to be done.
    fn forget_rollbacks(&self) -> Result<(), Raise> {
        let path = Record::path(&self.journal_path);
        if self.verdict != Verdict::Strict || !path.exists() {
            return Ok(());
        }
        let all = self.shared().journal.runs(List::Rollbacks).to_vec();
        let succeeded = all.iter().filter(|run| run.get_str("status") == Some("succeeded")).count();
        let wanted = activities(&self.shared().experiment, ROLLBACKS).len();
        let left_out = self.rollbacks == Rollbacks::Deviated && all.is_empty();
        if left_out || succeeded == wanted {
            return crate::durable::remove(&path).map_err(|error| {
                Raise::Error(format!("cannot remove {}: {error}", path.display()))
            });
        }
        self.tell(format!(
            "{} of {wanted} rollbacks are still to be done: immune drill recover {}",
            wanted - succeeded,
            self.journal_path.display()
        ));
        Ok(())
    }
}
