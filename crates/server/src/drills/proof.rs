//! What drills have proven so far, and what should be tried next.

use std::collections::BTreeMap;

use chaos::suggest::{Candidate, Observed, suggest};
use chaos::{Matrix, Past, Suggestion};
use model::Entity;

use super::{Drills, Record};
use crate::clock;
use crate::driver;
use crate::journal;

/// Drills that are looked at, newest first.
const DRILLS_MAX: usize = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Driver(#[from] driver::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

impl Drills {
    /// Kinds of fault by targets. Reads the journal.
    pub fn matrix(&self) -> Result<Matrix, journal::Error> {
        let faults: Vec<&str> = agent::faults::ALL.iter().map(|spec| spec.id).collect();
        let targets: Vec<&str> = self.targets.keys().map(String::as_str).collect();
        let bodies = self.journal.drills(false, DRILLS_MAX)?;
        let past: Vec<Past> = bodies
            .iter()
            .filter_map(|(_, body)| serde_json::from_str::<Record>(body).ok())
            .filter_map(|record| Some(Past::of(&record.scorecard?, record.drill.since)))
            .collect();
        let applies = |fault: &str, target: &str| {
            let spec = agent::faults::ALL.iter().find(|spec| spec.id == fault);
            spec.zip(self.targets.get(target)).is_some_and(|(spec, target)| (spec.applies)(target))
        };
        Ok(Matrix::of(&past, &faults, &targets, applies, clock::now()))
    }

    pub async fn suggestions(&self) -> Result<Vec<Suggestion>, ProofError> {
        let inhabitants = self.inhabitants().await?;
        let observed = self
            .handle
            .ask(|core| {
                let name = |entity: &Entity| entity.owner().map(|owner| owner.name.clone());
                let calls = core.engine.diagnoser.edges();
                let calls = calls.filter_map(|(a, b)| Some((name(a)?, name(b)?))).collect();
                let mut requests: BTreeMap<String, f64> = BTreeMap::new();
                for objective in &core.engine.observed().objectives {
                    if let Some(service) = name(&objective.entity) {
                        let most = requests.entry(service).or_default();
                        // Several objectives of one service count the same requests.
                        *most = most.max(objective.requests_1m);
                    }
                }
                Observed { calls, requests }
            })
            .await?;
        let candidates: Vec<Candidate> = self
            .targets
            .values()
            .zip(&inhabitants)
            .filter(|(_, inhabitant)| inhabitant.runs)
            .map(|(target, own)| Candidate {
                target: target.name.clone(),
                service: target.service.clone(),
                environment: target.environment.clone(),
                can_restart: target.restart.is_some(),
                others: inhabitants
                    .iter()
                    .filter(|other| {
                        (other.service == own.service && other.environment == own.environment)
                            && other.runs
                            && other.name != own.name
                    })
                    .count(),
                port: own.port,
                has_container: target.container.is_some(),
                declared: target.faults.keys().cloned().collect(),
            })
            .collect();
        let drills = self.clone();
        let matrix = tokio::task::spawn_blocking(move || drills.matrix()).await;
        let matrix = matrix.map_err(|_| driver::Error::Stopped)??;
        Ok(suggest(&candidates, &observed, &matrix))
    }
}
