//! `immune reference`: pages of the reference in Markdown, made from what the program itself reads:
//! the schema of the configuration, the definition of the command line, the OpenAPI document.
//!
//! They are committed under `docs/reference`; a test says when one is stale.

mod api;

mod commands;

mod configuration;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, ValueEnum};

use super::{Cli, text};
use crate::config;

/// Prints a page of the reference.
#[derive(Args)]
pub(super) struct Reference {
    /// Of what
    page: Page,
}

#[derive(Clone, Copy, ValueEnum)]
enum Page {
    /// Every field of the configuration file
    Configuration,
    /// Every command with its options
    Commands,
    /// Every route of the HTTP API and every shape
    Api,
}

impl Reference {
    pub(super) fn run(self) -> Result<ExitCode> {
        let page = match self.page {
            Page::Configuration => configuration::page(&config::schema()),
            Page::Commands => commands::page(Cli::command()),
            Page::Api => api::page(&crate::api::document()),
        };
        text::line(page.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
