//! What the server has told of incidents and of its journal, held against what it tells later.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use model::{Incident, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use server::journal::Journal;

use crate::api::Api;

/// Lines that the API gives at most at a time.
const PAGE: usize = 1_000;

#[derive(Debug, Default)]
pub struct Known {
    /// When each incident was opened.
    incidents: BTreeMap<u64, Timestamp>,
    /// Journal lines, by number less one.
    lines: Vec<String>,
    lost: u64,
    looks: u64,
}

/// How the journal compares with what was told of it.
#[derive(Debug, Serialize)]
pub struct Compared {
    events: u64,
    gaps: u64,
    /// Lines that were told before some cut.
    seen_before_cuts: u64,
    /// Of those, lines that are different now.
    changed: u64,
    incidents: u64,
    /// Incidents that were known before a cut and not after it, or with another time of opening.
    incidents_lost: u64,
    looks: u64,
}

impl Compared {
    pub fn is_whole(&self) -> bool {
        self.gaps == 0 && self.changed == 0 && self.incidents_lost == 0
    }
}

impl Known {
    /// Remembers everything that the server knows now.
    pub async fn note(&mut self, api: &Api) -> Result<()> {
        let incidents: Vec<Incident> = api.get("incidents").await?;
        for incident in incidents {
            self.incidents.insert(incident.id.0, incident.opened);
        }
        loop {
            let path = format!("events?after={}", self.lines.len());
            let lines: Vec<Box<RawValue>> = api.get(&path).await?;
            self.lines.extend(lines.iter().map(|line| line.get().to_owned()));
            if lines.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Is every incident still known? Asked after a start.
    pub async fn check(&mut self, api: &Api) -> Result<()> {
        self.looks += 1;
        for (id, opened) in &self.incidents {
            let known: Result<Incident> = api.get(&format!("incidents/{id}")).await;
            match known {
                Ok(incident) if incident.opened == *opened => {}
                Ok(_) => self.lost += 1,
                Err(error) => {
                    eprintln!("incident {id} is lost: {error:#}");
                    self.lost += 1;
                }
            }
        }
        Ok(())
    }

    /// Reads the whole journal of a stopped server.
    pub fn compare(&self, data: &Path) -> Result<Compared> {
        let path = data.join("journal.db");
        let journal = Journal::open(&path).with_context(|| format!("{}", path.display()))?;
        let mut compared = Compared {
            events: 0,
            gaps: 0,
            seen_before_cuts: self.lines.len() as u64,
            changed: 0,
            incidents: self.incidents.len() as u64,
            incidents_lost: self.lost,
            looks: self.looks,
        };
        let mut last = 0;
        loop {
            let lines = journal.events_after(last, PAGE)?;
            for line in &lines {
                let seq = number(line)?;
                compared.gaps += seq - last - 1;
                last = seq;
                compared.events += 1;
                let told = self.lines.get(seq as usize - 1);
                compared.changed += u64::from(told.is_some_and(|told| told != line));
            }
            if lines.is_empty() {
                // What was told and is not there at all is changed, too.
                compared.changed += (self.lines.len() as u64).saturating_sub(last);
                return Ok(compared);
            }
        }
    }
}

fn number(line: &str) -> Result<u64> {
    let value: serde_json::Value = serde_json::from_str(line)?;
    match value["seq"].as_u64() {
        Some(seq) if seq > 0 => Ok(seq),
        _ => bail!("a journal line has no number: {line}"),
    }
}
