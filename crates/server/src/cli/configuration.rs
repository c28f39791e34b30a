//! `immune check-config`, `print-config`, `schema`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::text;
use crate::config;

/// Checks or prints a configuration.
#[derive(Args)]
pub(super) struct CheckConfig {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = "immune.yaml")]
    file: PathBuf,
}

impl CheckConfig {
    pub(super) fn check(self) -> Result<ExitCode> {
        match config::load(Some(&self.file)) {
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

    pub(super) fn print(self) -> Result<ExitCode> {
        let mut config = config::load(Some(&self.file))?;
        let tokens = &mut config.api.tokens;
        let lists = [&mut tokens.ingest, &mut tokens.read, &mut tokens.approve, &mut tokens.admin];
        for token in lists.into_iter().flatten() {
            token.secret = "(hidden)".to_owned();
        }
        text::line(serde_saphyr::to_string(&config)?.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a JSON schema.
#[derive(Args)]
pub(super) struct Schema {
    /// Of which kind of file
    #[arg(value_parser = ["config", "experiment"], default_value = "config")]
    kind: String,
}

impl Schema {
    pub(super) fn run(self) -> Result<ExitCode> {
        let schema = match self.kind.as_str() {
            "experiment" => schemars::schema_for!(model::experiment::Experiment).to_value(),
            _ => config::schema(),
        };
        text::json(&schema)?;
        Ok(ExitCode::SUCCESS)
    }
}
