//! Rollbacks of a strict run that was killed, played from its record.

use std::path::Path;
use std::sync::Arc;

use super::{Options, Run};
use crate::clock;
use crate::durable;
use crate::experiment::{ROLLBACKS, activities};
use crate::journal::{Journal, List};
use crate::strategy::Rollbacks;
use crate::undo::Record;
use crate::value::{Step, Value};
use crate::worker::Thread;

/// What a recovery did.
#[derive(Debug)]
pub struct Recovery {
    /// Rollbacks that were played now.
    pub played: usize,
    /// Those that are still to be done, one line each.
    pub failures: Vec<String>,
}

/// Plays the rollbacks that a killed run with this journal did not. `None`: there are none.
///
/// Refuses while the run still goes on. Secrets are loaded anew; the working directory becomes that
/// of the run.
pub async fn recover(options: Options) -> Result<Option<Recovery>, String> {
    let journal = absolute(&options.journal)?;
    let path = Record::path(&journal);
    let Some(record) = Record::read(&path)? else { return Ok(None) };
    if record.is_held() {
        return Err(format!(
            "the run of {} still goes on; it plays its rollbacks itself",
            options.journal.display()
        ));
    }
    play(record, &path, Options { journal, ..options }).await.map(Some)
}

/// Before a run with the same journal: nothing is left to be rolled back, or there is no run.
pub(super) async fn recover_before(options: &Options) -> Result<(), String> {
    let path = Record::path(&options.journal);
    if !path.exists() {
        return Ok(());
    }
    (options.tell)("an earlier run was ended before its rollbacks; playing them first");
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let recovery = recover(Options {
        journal: options.journal.clone(),
        hypothesis: None,
        rollbacks: None,
        python: None,
        given: options.given.clone(),
        settings: options.settings.clone(),
        controls: Vec::new(),
        tell: options.tell.clone(),
        dry: None,
        ..*options
    })
    .await;
    std::env::set_current_dir(here).map_err(|error| error.to_string())?;
    match recovery? {
        Some(recovery) if !recovery.failures.is_empty() => Err(format!(
            "rollbacks of an earlier run failed again: {}; do them by hand and remove {}",
            recovery.failures.join(", "),
            path.display()
        )),
        _ => Ok(()),
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, String> {
    std::path::absolute(path).map_err(|error| error.to_string())
}

async fn play(mut record: Record, path: &Path, mut options: Options) -> Result<Recovery, String> {
    let ended = record.end_started();
    if ended > 0 {
        (options.tell)(&format!("ended {ended} processes that the run's actions had started"));
    }
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    record.take_over().map_err(told)?;
    record.write(path).map_err(told)?;
    let folder = record.folder.display();
    std::env::set_current_dir(&record.folder)
        .map_err(|error| format!("the run's folder {folder}: {error}"))?;

    // What is given now hides what was given to the run.
    let given = std::mem::take(&mut options.given.environment);
    options.given.environment = record.environment.iter().cloned().chain(given).collect();
    options.python.get_or_insert_with(|| record.python.clone());
    let mut run = Run::new(&options, record.experiment.clone());
    run.rollbacks = Rollbacks::Always;
    let environment = |name: &str| run.environment(name);
    let given = Some(&options.given.secrets);
    let declared = record.experiment.get("secrets");
    let secrets = crate::variables::secrets(declared, given, &environment)?;
    let variables =
        crate::substitute::Variables { configuration: record.configuration.clone(), secrets };
    {
        let mut shared = run.shared();
        shared.variables = variables;
        shared.journal = match read_value_of_journal(&options.journal) {
            Some(journal) => Journal::from_value(journal),
            None => Journal::begin(&record.experiment, "", "", clock::written(clock::now())),
        };
    }
    let run = Arc::new(run);
    run.signals.listen(true).map_err(|error| format!("cannot listen to signals: {error}"))?;
    play_pending(&run, &record, path).await
}

fn read_value_of_journal(journal: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(journal).ok()?;
    serde_json::from_str(&text).ok().filter(|value: &Value| value.as_map().is_some())
}

async fn play_pending(run: &Arc<Run>, record: &Record, path: &Path) -> Result<Recovery, String> {
    let places = activities(&record.experiment, ROLLBACKS);
    let mut recovery = Recovery { played: 0, failures: Vec::new() };
    for index in record.pending() {
        let Some(place) = places.get(index) else { continue };
        recovery.played += 1;
        match run.execute(place, Some(List::Rollbacks), Thread::Main).await {
            Ok(played) if played.get_str("status") == Some("succeeded") => {
                Record::note(path, index)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
            Ok(_) => recovery.failures.push(format!("rollback {} failed", name(record, index))),
            Err(raise) => {
                let name = name(record, index);
                recovery.failures.push(format!("rollback {name}: {}", raise.text()));
            }
        }
    }
    run.worker.kill().await;
    {
        let mut shared = run.shared();
        if shared.journal.status().is_none() {
            shared.journal.set("status", "interrupted");
            shared.journal.set("end", clock::written(clock::now()));
        }
        shared.journal.set("recovered", clock::written(clock::now()));
    }
    run.save().map_err(|raise| raise.text())?;
    if recovery.failures.is_empty() {
        durable::remove(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(recovery)
}

fn name(record: &Record, index: usize) -> String {
    let place = [Step::Key("rollbacks"), Step::Index(index)];
    let activity = record.experiment.at(&place);
    let name = activity.and_then(|activity| activity.get("name").or(activity.get("ref")));
    name.map_or_else(|| index.to_string(), Value::to_string)
}
