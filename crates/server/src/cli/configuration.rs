//! `immune check-config`, `print-config`, `schema`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::text;
use crate::config;

/// Checks a configuration.
#[derive(Args)]
pub(super) struct CheckConfig {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = "immune.yaml")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CheckConfig {
    pub(super) fn check(self) -> Result<ExitCode> {
        let loaded = config::load(Some(&self.file));
        if self.json {
            return self.tell(loaded.err());
        }
        match loaded {
            Ok(_) => {
                text::line(&format!("{}: good", self.file.display()));
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                eprintln!("{error}");
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn tell(&self, error: Option<config::LoadError>) -> Result<ExitCode> {
        let good = error.is_none();
        let complaints = error.map_or_else(Vec::new, |error| error.complaints);
        let complaints = complaints.into_iter().map(|(place, message)| {
            let (line, column) = place.unzip();
            json!({ "line": line, "column": column, "message": message })
        });
        let complaints: Vec<Value> = complaints.collect();
        text::json(&json!({ "file": self.file, "good": good, "complaints": complaints }))?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Prints a configuration with all defaults filled in and all secrets covered.
#[derive(Args)]
pub(super) struct PrintConfig {
    /// Configuration file; without one, the defaults
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON instead of YAML
    #[arg(long)]
    json: bool,
}

impl PrintConfig {
    pub(super) fn run(self) -> Result<ExitCode> {
        let config = config::load(self.file.as_deref())?.without_secrets();
        match self.json {
            true => text::json(&config)?,
            false => text::line(serde_saphyr::to_string(&config)?.trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a JSON schema.
#[derive(Args)]
pub(super) struct Schema {
    /// Of which kind of file; `api` is the OpenAPI document of the server
    #[arg(value_parser = ["config", "experiment", "system", "api"], default_value = "config")]
    kind: String,
}

impl Schema {
    pub(super) fn run(self) -> Result<ExitCode> {
        let schema = match self.kind.as_str() {
            "experiment" => schemars::schema_for!(model::experiment::Experiment).to_value(),
            "system" => schemars::schema_for!(sim::System).to_value(),
            "api" => crate::api::document(),
            _ => config::schema(),
        };
        text::json(&schema)?;
        Ok(ExitCode::SUCCESS)
    }
}
