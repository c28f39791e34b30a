//! The thread that speaks to the object store: uploads files, deletes objects, evicts local copies.
//!
//! Invariants: the catalog says that the object store has a file only once it has all of it; a
//! local copy goes only after that; an object is deleted only after the catalog has dropped its
//! file. Trouble there waits and is told, and touches nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::plan;
use super::shared::{Shared, chain, count, lock};
use crate::Error;
use crate::catalog::{self, Edit};
use crate::objects::Objects;

const LOOK_EVERY: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(120);
/// Objects of an earlier run that are listed at once.
const ORPHANS_MAX: usize = 1000;

pub(super) struct Uploader {
    shared: Arc<Shared>,
    objects: Arc<Objects>,
    /// What an earlier run may have left in the object store: objects with lower ids than
    /// `begun_at` that the catalog did not name at the start. Until they are gone.
    known_at_start: Option<Arc<BTreeSet<u64>>>,
    begun_at: u64,
    local_size_max: u64,
    retry: Duration,
}

impl Uploader {
    /// To be made before anything else runs: what the catalog names now is what is kept.
    pub fn new(shared: Arc<Shared>, objects: Arc<Objects>, local_size_max: u64) -> Uploader {
        let known: BTreeSet<u64> = lock(&shared.state).files.keys().copied().collect();
        let begun_at = lock(&shared.ledger).content().next_id;
        let known_at_start = Some(Arc::new(known));
        let retry = RETRY_FIRST;
        Uploader { shared, objects, known_at_start, begun_at, local_size_max, retry }
    }

    pub fn run(mut self) {
        while !self.shared.is_stopping() {
            let pause = match self.look() {
                Ok(()) => {
                    self.shared.set_trouble(|trouble| &mut trouble.upload, None);
                    self.retry = RETRY_FIRST;
                    LOOK_EVERY
                }
                Err(Error::Cancelled) => Duration::ZERO,
                Err(error) => {
                    count(&self.shared.counters.upload_failures, 1);
                    let told = chain(&error);
                    tracing::warn!(error = %told, "the object store cannot be used for now");
                    self.shared.set_trouble(|trouble| &mut trouble.upload, Some(told));
                    let pause = self.retry;
                    self.retry = (self.retry * 2).min(RETRY_LAST);
                    pause
                }
            };
            self.shared.pause(pause);
        }
    }

    /// Does all there is to do now.
    pub fn look(&mut self) -> Result<(), Error> {
        self.evict()?;
        self.delete_orphans()?;
        self.delete_doomed()?;
        while !self.shared.is_stopping() && self.upload_next()? {
            self.evict()?;
            self.delete_doomed()?;
        }
        Ok(())
    }

    /// Whether there was something to upload.
    fn upload_next(&self) -> Result<bool, Error> {
        let files = self.shared.candidates();
        let file_bytes = self.shared.config.file_bytes;
        let next = plan::to_upload(&files, self.shared.now(), file_bytes, &BTreeSet::new());
        let Some(id) = next else { return Ok(false) };
        // Held, so that its bytes stay even if it is merged or expires meanwhile.
        let Some(file) = self.shared.files(&BTreeSet::from([id])).pop() else { return Ok(true) };
        self.objects.upload(&file.name(), &file.path(), &|| self.shared.is_stopping())?;
        self.shared.step("uploaded");
        match self.shared.commit(Edit { remote: vec![id], ..Edit::default() }, |_| {}) {
            Ok(()) => {
                count(&self.shared.counters.uploads, 1);
                Ok(true)
            }
            // Dropped meanwhile, so that nothing names the object.
            Err(Error::Catalog { .. }) if self.shared.files(&BTreeSet::from([id])).is_empty() => {
                self.shared.shelf.hand_back([file.name()]);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn evict(&self) -> Result<(), Error> {
        let files = self.shared.candidates();
        self.shared.evict(&files, plan::local_excess(&files, self.local_size_max))
    }

    fn delete_doomed(&self) -> Result<(), Error> {
        let mut names = self.shared.shelf.take_doomed().into_iter();
        while let Some(name) = names.next() {
            if let Err(error) = self.objects.delete(&name, &|| self.shared.is_stopping()) {
                self.shared.shelf.hand_back(std::iter::once(name).chain(names));
                return Err(error);
            }
        }
        Ok(())
    }

    /// What crashes between upload and commit, or between commit and deletion, have left. Ids are
    /// never used twice, so nothing of this run is among them.
    fn delete_orphans(&mut self) -> Result<(), Error> {
        while let Some(known) = self.known_at_start.clone() {
            let begun_at = self.begun_at;
            let is_orphan = move |name: &str| {
                catalog::parse_name(name)
                    .is_some_and(|(_, _, id)| id < begun_at && !known.contains(&id))
            };
            let stopping = || self.shared.is_stopping();
            let orphans = self.objects.list(is_orphan, ORPHANS_MAX, &stopping)?;
            for name in &orphans {
                self.objects.delete(name, &stopping)?;
            }
            if orphans.len() < ORPHANS_MAX {
                self.known_at_start = None;
            }
        }
        Ok(())
    }
}
