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

/// Says so where an answer cannot hold all that is stored.
pub(super) fn warn_of_missing_files(answer: &serde_json::Value) {
    if let Some(files @ 1..) = answer["scanned"]["missing_files"].as_u64() {
        eprintln!(
            "{files} files of this time cannot be found: what they hold is not shown; \
             `immune status` says more"
        );
    }
}

/// Date and time to the second, UTC: what a list needs.
pub(super) fn moment(at: model::Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2000-01-01T00:00:00".len());
    text.replacen('T', " ", 1)
}

/// Text that others wrote, on one line and without what moves a terminal's cursor or colours it.
pub(super) fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' => '⏎',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// A duration to three digits.
pub(super) fn duration(nanos: u64) -> String {
    let nanos = nanos as f64;
    let (value, unit) = match nanos {
        n if n >= 1e9 => (n / 1e9, "s"),
        n if n >= 1e6 => (n / 1e6, "ms"),
        n if n >= 1e3 => (n / 1e3, "µs"),
        n => return format!("{n} ns"),
    };
    match value {
        v if v >= 100.0 => format!("{v:.0} {unit}"),
        v if v >= 10.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (7, "7 ns"),
            (1_500, "1.50 µs"),
            (25_000_000, "25.0 ms"),
            (999_000_000, "999 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb⏎c");
    }
}
