//! The steady-state hypothesis: before, during and after the method.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Run;
use crate::clock;
use crate::experiment::{HYPOTHESIS, PROBES, Place, activities};
use crate::raise::{Failure, Raise};
use crate::strategy::Dry;
use crate::tolerance;
use crate::value::{Step, Value};
use crate::worker::Thread;

/// Between two writes of the journal for a continuous hypothesis.
const SAVE_EVERY: Duration = Duration::from_secs(1);

impl Run {
    /// Before the method; says whether the method may be played.
    pub(super) async fn gate(self: &Arc<Run>) -> Result<bool, Raise> {
        let state = self.look(Thread::Main).await?;
        self.shared().journal.set_steady_state("before", state.clone());
        let met = self.judge(&state, false);
        self.note_progress();
        Ok(met)
    }

    /// After the method.
    pub(super) async fn deviation(self: &Arc<Run>) -> Result<(), Raise> {
        let state = self.look(Thread::Main).await?;
        self.shared().journal.set_steady_state("after", state.clone());
        self.judge(&state, true);
        self.note_progress();
        Ok(())
    }

    /// Notes in the journal that the steady state is not met; says whether it is.
    fn judge(&self, state: &Value, deviates: bool) -> bool {
        if !is_missed(state) {
            return true;
        }
        let probes = state.get("probes").and_then(Value::as_list).unwrap_or_default();
        let failed = probes.iter().any(|probe| probe.get_str("status") != Some("succeeded"));
        let mut shared = self.shared();
        if deviates {
            shared.journal.set("deviated", true);
        }
        shared.journal.set("status", if failed { "failed" } else { "completed" });
        drop(shared);
        self.tell(format!("the steady state is not met: {}", last_probe(state)));
        false
    }

    /// Looks at the hypothesis once: its probes in order, up to the first outside its tolerance.
    async fn look(self: &Arc<Run>, thread: Thread) -> Result<Value, Raise> {
        let place = vec![Step::Key(HYPOTHESIS)];
        let mut state: Value =
            [("steady_state_met", Value::Null), ("probes", Value::List(Vec::new()))].into();
        let looked = match self.controls("hypothesis", "before", &place, None, thread).await {
            Ok(_) => self.probes(&mut state, thread).await,
            Err(raise) => Err(raise),
        };
        let changed =
            self.controls("hypothesis", "after", &place, Some(state.clone()), thread).await?;
        looked?;
        Ok(changed.unwrap_or(state))
    }

    async fn probes(self: &Arc<Run>, state: &mut Value, thread: Thread) -> Result<(), Raise> {
        let places = activities(&self.shared().experiment, PROBES);
        for place in places {
            let mut run = self.execute(&place, None, thread).await?;
            let failed = run.get_str("status") == Some("failed");
            let met = if failed {
                Ok(false)
            } else if self.dry.is_some_and(Dry::skips_tolerances) {
                Ok(true)
            } else {
                let output = run.get("output").cloned().unwrap_or_default();
                self.within(&place, &output, thread).await
            };
            if let Value::Map(run) = &mut run {
                run.insert("tolerance_met".to_owned(), (*met.as_ref().unwrap_or(&true)).into());
            }
            if let Some(Value::List(probes)) = state.get_mut("probes") {
                probes.push(run);
            }
            if !met? {
                set_met(state, false);
                return Ok(());
            }
        }
        set_met(state, true);
        Ok(())
    }

    /// Whether a probe's result lies within the tolerance of the probe at this place.
    async fn within(&self, place: &Place, output: &Value, thread: Thread) -> Result<bool, Raise> {
        let variables = self.variables();
        let mut tolerance_place = place.clone();
        tolerance_place.push(Step::Key("tolerance"));
        let found = self.shared().experiment.at(&tolerance_place).cloned();
        let mut tolerance = found.unwrap_or_default();
        if let Value::Text(_) = &tolerance {
            tolerance = variables.substitute(&tolerance)?;
        }
        if tolerance.get_str("type") != Some("probe") {
            return tolerance::within(&tolerance, output, &variables).map_err(Raise::Error);
        }
        let activity = {
            let mut shared = self.shared();
            let probe = shared.experiment.at_mut(&tolerance_place);
            let arguments = [Step::Key("provider"), Step::Key("arguments")];
            let probe = probe.ok_or_else(|| Raise::Error("the tolerance is gone".to_owned()))?;
            match probe.at_mut(&arguments) {
                Some(Value::Map(arguments)) => {
                    arguments.insert("value".to_owned(), output.clone());
                }
                _ => {
                    let problem = "a tolerance of type probe needs `arguments` that are a map";
                    return Err(Raise::Error(problem.to_owned()));
                }
            }
            probe.clone()
        };
        match self.provide(&activity, thread).await {
            Ok(value) => Ok(value.truthy()),
            Err(Failure::Activity(_)) => Ok(false),
            Err(Failure::Raise(raise)) => Err(raise),
        }
    }

    /// Looks at the hypothesis again and again until the method is over.
    pub(super) fn start_continuous_hypothesis(self: &Arc<Run>) -> JoinHandle<()> {
        let run = self.clone();
        tokio::spawn(async move {
            let status = match run.look_continuously().await {
                Ok(()) | Err(Raise::Keyboard | Raise::Exit(_)) => return,
                Err(Raise::Interrupt(problem)) => {
                    run.tell(problem);
                    "interrupted"
                }
                Err(Raise::Error(problem)) => {
                    run.tell(format!("the continuous hypothesis broke: {problem}"));
                    "aborted"
                }
            };
            run.set_status(status);
        })
    }

    async fn look_continuously(self: &Arc<Run>) -> Result<(), Raise> {
        let mut over = self.method_over.subscribe();
        let (mut looks, mut missed) = (0_u64, 0_u64);
        let mut saved = clock::monotonic();
        while !*over.borrow() && !self.is_ending() {
            let state = self.look(Thread::Own).await?;
            self.shared().journal.add_during(state.clone());
            looks += 1;
            if is_missed(&state) {
                missed += 1;
                self.tell(format!("the steady state is not met: {}", last_probe(&state)));
                let share = missed as f64 * 100.0 / looks as f64;
                if self.schedule.fail_fast && share >= self.schedule.fail_fast_ratio {
                    self.tell(format!("ending the run: not met in {share:.1} % of the looks"));
                    self.set_status("failed");
                    return Ok(());
                }
            }
            if saved.elapsed() >= SAVE_EVERY {
                self.note_progress();
                saved = clock::monotonic();
            }
            tokio::select! {
                _ = over.wait_for(|over| *over) => {}
                () = tokio::time::sleep(self.schedule.frequency) => {}
            }
        }
        Ok(())
    }
}

fn is_missed(state: &Value) -> bool {
    state.as_map().is_some() && !state.get("steady_state_met").is_some_and(Value::truthy)
}

fn last_probe(state: &Value) -> String {
    let probes = state.get("probes").and_then(Value::as_list).unwrap_or_default();
    let activity = probes.last().and_then(|run| run.get("activity"));
    let name = activity.and_then(|activity| activity.get("name"));
    name.map_or_else(|| "no probe".to_owned(), |name| format!("probe {name}"))
}

fn set_met(state: &mut Value, met: bool) {
    if let Value::Map(state) = state {
        state.insert("steady_state_met".to_owned(), met.into());
    }
}
