//! `bench ui`: what the web pages weigh, how soon they answer, and whether they move smoothly, in
//! Debian's Chromium on a real server that was sent much.
//!
//! The browser is driven by `ui/e2e/measure.mjs`, which prints figures; the promises stand here.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use tokio::process::Command;

use crate::figures::Outcome;
use crate::programs::Programs;

/// Largest sum of all files, each compressed by gzip.
const GZIP_KB_MAX: f64 = 250.0;
const INTERACTIVE_MS_MAX: f64 = 1_000.0;
const FIRST_PAINT_MS_MAX: f64 = 500.0;
/// Of 60 frames a second, what a browser without a screen reaches when nothing is late.
const FPS_MIN: f64 = 57.0;

/// Pages in a real browser: bytes, time to the first figure, frames a second.
#[derive(Args)]
pub struct Ui {
    /// Where the sources of the pages are, with `node_modules` and `dist`
    #[arg(long, value_name = "DIR", default_value = "ui")]
    sources: PathBuf,
    /// Where the browser's traces are left
    #[arg(long, value_name = "DIR", default_value = "target/ui-traces")]
    traces: PathBuf,
}

impl Ui {
    pub async fn run(self) -> Result<Outcome> {
        let immune = Programs::find()?.immune()?;
        let folder = immune.parent().context("the program has no folder")?;
        ensure!(
            self.sources.join("node_modules").is_dir(),
            "{} has no node_modules: run `make ui` first",
            self.sources.display()
        );
        let figures = self.measured(folder).await?;
        let mut outcome = Outcome::new(figures.clone());
        let mut at_most = |key: &str, most: f64| {
            let value = figures[key].as_f64().unwrap_or(f64::INFINITY);
            outcome.promise(value <= most, format!("{key} is {value}, at most {most} promised"));
        };
        at_most("gzip_kb", GZIP_KB_MAX);
        at_most("interactive_ms", INTERACTIVE_MS_MAX);
        at_most("first_paint_ms", FIRST_PAINT_MS_MAX);
        for key in ["map_fps", "waterfall_fps", "logs_fps"] {
            let value = figures[key].as_f64().unwrap_or(0.0);
            outcome.promise(value >= FPS_MIN, format!("{key} is {value}, {FPS_MIN} promised"));
        }
        Ok(outcome)
    }

    async fn measured(&self, programs: &Path) -> Result<Value> {
        let output = Command::new("node")
            .arg(self.sources.join("e2e/measure.mjs"))
            .args([programs, &self.traces])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await
            .context("node cannot be started; the pages are measured by a browser it drives")?;
        ensure!(output.status.success(), "measure.mjs ended with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        let last = text.lines().last().context("measure.mjs printed nothing")?;
        serde_json::from_str(last).context("measure.mjs printed no JSON last")
    }
}
