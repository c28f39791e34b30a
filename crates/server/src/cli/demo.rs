//! `immune demo`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Runs the demo.
#[derive(Args)]
pub(super) struct Demo {}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode> {
        anyhow::bail!("not built yet")
    }
}
