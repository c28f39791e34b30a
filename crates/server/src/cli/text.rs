//! Printing: colours only on a terminal, JSON where asked for.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

/// When text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colours {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

/// What the command line asks for, told once before any command runs.
static ASKED: OnceLock<Colours> = OnceLock::new();

pub(super) fn ask_for_colours(colours: Colours) {
    let _ = ASKED.set(colours);
}

/// May be coloured what is written to a stream that is, or is not, a terminal?
pub(super) fn has_colours(is_terminal: bool) -> bool {
    match ASKED.get().copied().unwrap_or(Colours::Auto) {
        Colours::Always => true,
        Colours::Never => false,
        // As no-color.org has it: set and not empty.
        Colours::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

/// Prints what a command did: the server's answer as JSON where asked for, else a sentence.
pub(super) fn done<T: Serialize>(as_json: bool, answer: &T, sentence: &str) -> Result<()> {
    match as_json {
        true => json(answer)?,
        false => line(sentence),
    }
    Ok(())
}

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

/// Colours text for stdout, where it may have colours.
pub(super) fn paint(paint: Paint, text: &str) -> String {
    if !has_colours(std::io::stdout().is_terminal()) {
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

/// Why not all was looked at for an answer, by its field that tells so; `None` where all was.
pub(super) fn why_stopped(stopped: &serde_json::Value) -> Option<String> {
    if let Some(bytes) = stopped["memory"]["bytes"].as_u64() {
        let held = model::ByteSize(bytes);
        return Some(format!(
            "a question may hold {held} in memory, which `memory` in the configuration decides"
        ));
    }
    if let Some(rows) = stopped["rows"]["rows"].as_u64() {
        return Some(format!("a question may look at {rows} rows"));
    }
    stopped.as_str().map(|why| match why {
        "deadline" => "it took too long".to_owned(),
        why => why.to_owned(),
    })
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

/// Breaks between words; a word that is longer than a line keeps its own.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let length = line.chars().count();
        if length == 0 {
            line.push_str(word);
        } else if length + 1 + word.chars().count() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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
    fn text_is_broken_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("a verylongword b", 5), ["a", "verylongword", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb⏎c");
    }

    #[test]
    fn why_a_search_was_stopped_is_told_for_each_of_its_limits() {
        use storage::query::Stopped;
        let told = |stopped: Stopped| why_stopped(&serde_json::to_value(stopped).unwrap());
        let words =
            "a question may hold 24MiB in memory, which `memory` in the configuration decides";
        assert_eq!(told(Stopped::Memory { bytes: 24 << 20 }).as_deref(), Some(words));
        let rows = told(Stopped::Rows { rows: 7 });
        assert_eq!(rows.as_deref(), Some("a question may look at 7 rows"));
        assert_eq!(told(Stopped::Deadline).as_deref(), Some("it took too long"));
        assert_eq!(why_stopped(&serde_json::Value::Null), None);
    }
}
