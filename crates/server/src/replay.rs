//! `immune replay`: runs a data folder's input log through a new loop and compares what it says
//! with the journal, byte for byte.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use engine::{Config, Core, EventKind};
use serde::Serialize;
use storage::Reader;

use crate::entry;
use crate::journal::Journal;

/// How a replay went.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub entries: u64,
    pub ticks: u64,
    pub events: u64,
    pub incidents: u64,
    /// Events whose bytes differ from the journal's, or that it does not have.
    pub differing: u64,
    /// Journal lines that the replay did not produce.
    pub missing: u64,
    /// Events newer than the journal's last: a server that runs is about to write them, one that
    /// was killed will when it starts.
    pub unwritten: u64,
    /// The first difference, for a person.
    pub first_difference: Option<String>,
}

impl Report {
    pub fn identical(&self) -> bool {
        self.differing == 0 && self.missing == 0
    }
}

/// How often progress is told, in entries.
const TELL_EVERY: u64 = 512;

/// Replays from the very beginning. The server that wrote the folder need not be stopped. Now and
/// then tells how many bytes of all are done, about.
pub fn replay(data: &Path, progress: impl Fn(u64, u64)) -> Result<Report> {
    let log = data.join("log");
    let journal_path = data.join("journal.db");
    if !journal_path.exists() {
        bail!("{} is not a data folder: there is no journal.db", data.display());
    }
    let journal = Journal::open(&journal_path)?;
    let prefix = journal.meta("action_id_prefix", "")?;
    // Read before the log: whatever is journalled by now is in the log by now.
    let newest = journal.newest_event()?;
    let mut reader = Reader::open(&log, 1).with_context(|| format!("in {}", log.display()))?;
    let mut core = Core::new(Config::default(), &prefix);
    let mut report = Report::default();
    let mut recorded = Recorded { journal: &journal, page: BTreeMap::new(), after: 0, newest };
    let (mut bytes, bytes_all) = (0, bytes_in(&log));
    for record in reader.by_ref() {
        let record = record?;
        bytes += record.payload.len() as u64;
        if report.entries.is_multiple_of(TELL_EVERY) {
            progress(bytes, bytes_all.max(bytes));
        }
        if report.entries == 0 && record.seq != 1 {
            bail!(
                "the log begins at entry {}: its beginning was deleted to save space",
                record.seq
            );
        }
        report.entries += 1;
        let entry = entry::decode(record.kind, &record.payload)
            .with_context(|| format!("log entry {}", record.seq))?;
        report.ticks += u64::from(matches!(entry, engine::Entry::Tick { .. }));
        for event in core.apply(entry).events {
            report.events += 1;
            if let EventKind::Incident { reason: engine::IncidentReason::Opened, .. } = event.kind {
                report.incidents += 1;
            }
            if event.seq > newest {
                report.unwritten += 1;
                continue;
            }
            let body = serde_json::to_string(&event)?;
            let known = recorded.take(event.seq)?;
            if known.as_deref().is_none_or(|known| !known.is_empty() && known != body) {
                report.differing += 1;
                report.first_difference.get_or_insert_with(|| {
                    format!("journal: {}\nreplay:  {body}", known.as_deref().unwrap_or("nothing"))
                });
            }
        }
    }
    report.missing = recorded.rest()?;
    Ok(report)
}

/// Of all files in a folder; what cannot be looked at counts for nothing.
fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// The journal's lines, read in pages.
struct Recorded<'a> {
    journal: &'a Journal,
    page: BTreeMap<u64, String>,
    after: u64,
    newest: u64,
}

impl Recorded<'_> {
    fn take(&mut self, seq: u64) -> Result<Option<String>> {
        // Numbers may leap, but never back.
        while seq > self.after && self.next_page()? > 0 {}
        Ok(self.page.remove(&seq))
    }

    fn next_page(&mut self) -> Result<usize> {
        const PAGE: usize = 1_000;
        let lines = self.journal.numbered_after(self.after, PAGE)?;
        let count = lines.len();
        for (seq, line) in lines {
            self.after = seq;
            if seq <= self.newest {
                self.page.insert(seq, line);
            }
        }
        Ok(count)
    }

    /// Lines that nobody took.
    fn rest(&mut self) -> Result<u64> {
        while self.next_page()? > 0 {}
        Ok(self.page.len() as u64)
    }
}
