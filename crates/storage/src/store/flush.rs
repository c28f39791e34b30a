//! The thread that makes files of sealed generations.
//!
//! Files first, each durable by itself; then one catalog commit that names them all and says up to
//! where the log is in files; then the generations go from memory, in the same moment in which
//! queries see the files. What fails is tried again for as long as it takes: nothing is forgotten,
//! and until then queries find the telemetry in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_array::RecordBatch;

use super::shared::{Generation, Shared, State, chain, count};
use super::shelf;
use crate::catalog::{self, Edit, Entry};
use crate::columns::Sealed;
use crate::file::{self, Day, Options};
use crate::reserve::DiskState;
use crate::schema::Table;
use crate::{Error, durable};

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// How long it sleeps when nothing rings.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Complete generations, from the oldest on.
struct Batch {
    /// Number of the last of them.
    last: u64,
    position: u64,
    parts: Vec<Arc<Sealed>>,
}

pub(super) fn run(shared: &Shared) {
    let mut retry = RETRY_FIRST;
    let mut prepared: Option<(Batch, Edit)> = None;
    while !shared.is_stopping() {
        let (batch, edit) = match prepared.take() {
            // Only the commit is tried again: the catalog on disk may name the files already.
            Some(again) => again,
            None => {
                let Some(batch) = next(shared) else { continue };
                match write(shared, &batch) {
                    Ok(edit) => (batch, edit),
                    Err(error) => {
                        backed_off(shared, &error, &mut retry);
                        continue;
                    }
                }
            }
        };
        match commit(shared, &batch, &edit) {
            Ok(()) => {
                count(&shared.counters.flushes, 1);
                shared.set_trouble(|trouble| &mut trouble.flush, None);
                retry = RETRY_FIRST;
                drop(batch);
                (shared.config.after_work)();
            }
            Err(error) => {
                prepared = Some((batch, edit));
                backed_off(shared, &error, &mut retry);
            }
        }
    }
}

/// Waits for generations to flush; none when it has waited long, or the store stops.
fn next(shared: &Shared) -> Option<Batch> {
    let is_ready = |state: &State| state.generations.front().is_some_and(Generation::is_complete);
    let state = shared.wait(LOOK_EVERY, is_ready);
    let ready = || state.generations.iter().take_while(|generation| generation.is_complete());
    let last = ready().last()?;
    let parts = ready().flat_map(|generation| generation.parts.iter().flatten().cloned()).collect();
    Some(Batch { last: last.number, position: last.position, parts })
}

fn write(shared: &Shared, batch: &Batch) -> Result<Edit, Error> {
    // What is left of a full disk is for smaller things.
    if shared.disk.poll() == DiskState::Full {
        let source =
            std::io::Error::new(std::io::ErrorKind::StorageFull, shared.disk.status().to_string());
        return Err(Error::io("write files to", &shared.shelf.folder)(source));
    }
    let mut placed: Vec<(PathBuf, u64)> = Vec::new();
    let result = write_tables(shared, batch, &mut placed);
    if result.is_err() {
        // No catalog has ever named these.
        for (path, _) in &placed {
            let _ = shelf::remove(path);
        }
    }
    result
}

fn write_tables(
    shared: &Shared,
    batch: &Batch,
    placed: &mut Vec<(PathBuf, u64)>,
) -> Result<Edit, Error> {
    let mut edit = Edit { flushed: Some(batch.position), ..Edit::default() };
    for table in Table::ALL {
        let rows: Vec<RecordBatch> =
            batch.parts.iter().flat_map(|part| part.table(*table)).cloned().collect();
        if rows.is_empty() {
            continue;
        }
        let folder = shared.shelf.folder.join(table.as_str());
        let mut trouble = None;
        let mut place = |day: Day| {
            let id = shared.next_id();
            let path = shared.shelf.folder.join(catalog::name(*table, day, id));
            if let Err(error) = durable::create_folder(&folder.join(day.to_string())) {
                trouble.get_or_insert(error);
            }
            placed.push((path.clone(), id));
            path
        };
        let options = Options::fresh(shared.config.retention(*table).keep);
        let written = file::write(*table, rows, &mut place, &options);
        if let Some(error) = trouble {
            return Err(error);
        }
        for written in &written? {
            let found = placed.iter().find(|(path, _)| *path == written.path);
            let (_, id) = found.expect("a file is written where it was placed");
            edit.add.push(Entry::of(*id, *table, 0, written));
        }
        shared.step("table written");
    }
    Ok(edit)
}

fn commit(shared: &Shared, batch: &Batch, edit: &Edit) -> Result<(), Error> {
    shared.commit(edit.clone(), |state| {
        state.generations.retain(|generation| generation.number > batch.last);
        state.flushed = state.flushed.max(batch.position);
        let bytes: usize = batch.parts.iter().map(|part| part.bytes()).sum();
        shared.sealed_bytes.fetch_sub(bytes, Ordering::AcqRel);
        shared.sealed_count.store(state.generations.len(), Ordering::Release);
    })
}

fn backed_off(shared: &Shared, error: &Error, retry: &mut Duration) {
    let told = chain(error);
    tracing::warn!(error = %told, "telemetry stays in memory: files cannot be written");
    count(&shared.counters.flush_failures, 1);
    shared.set_trouble(|trouble| &mut trouble.flush, Some(told));
    shared.pause(*retry);
    *retry = (*retry * 2).min(RETRY_LAST);
}
