//! Printing: colours only on a terminal, JSON where asked for.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints a value as indented JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a line; a closed pipe ends the program quietly, as people expect of `| head`.
pub(super) fn line(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

#[derive(Clone, Copy)]
pub(super) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Colours text when stdout is a terminal and `NO_COLOR` is not set.
pub(super) fn paint(paint: Paint, text: &str) -> String {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if !colours {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Bold => "1",
        Paint::Dim => "2",
        Paint::Red => "31",
        Paint::Green => "32",
        Paint::Yellow => "33",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Date and time to the second, UTC: what a list needs.
pub(super) fn moment(at: model::Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2000-01-01T00:00:00".len());
    text.replacen('T', " ", 1)
}
