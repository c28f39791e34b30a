//! Tells the story: time, a word for who speaks, and text that is wrapped; colours only on a
//! terminal.
//!
//! Unlike other commands, a closed pipe must not end the program at once: processes have to be
//! stopped.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use model::Timestamp;

use super::super::text;
use crate::clock;

/// Longest line, where words allow it.
const COLUMNS: usize = 100;
/// Before the text: `14:02:05  immune   `.
const INDENT: usize = 19;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The demo itself.
    Demo,
    /// What is done to the shop on purpose.
    Fault,
    /// What users felt, by their own log.
    Users,
    /// What Immune says.
    Immune,
}

pub(super) struct Teller {
    stderr: bool,
    colours: bool,
}

impl Teller {
    /// With `stderr`, standard output is left to the result.
    pub(super) fn new(stderr: bool) -> Teller {
        let terminal = match stderr {
            true => std::io::stderr().is_terminal(),
            false => std::io::stdout().is_terminal(),
        };
        let colours = text::has_colours(terminal);
        Teller { stderr, colours }
    }

    pub(super) fn title(&self, text: &str) -> Result<()> {
        self.print(&format!("\n{}\n", self.paint("1", text)))
    }

    /// Something that happened at a time, which is not always now.
    pub(super) fn at(&self, at: Timestamp, voice: Voice, text: &str) -> Result<()> {
        let (word, code) = match voice {
            Voice::Demo => ("demo", "2"),
            Voice::Fault => ("fault", "31"),
            Voice::Users => ("users", "36"),
            Voice::Immune => ("immune", "32"),
        };
        let lines = text::wrap(text, COLUMNS - INDENT);
        let time = self.paint("2", &at.clock());
        let word = self.paint(code, &format!("{word:<7}"));
        self.print(&format!("{time}  {word}  {}", lines.join(&format!("\n{:INDENT$}", ""))))
    }

    pub(super) fn now(&self, voice: Voice, text: &str) -> Result<()> {
        self.at(clock::now(), voice, text)
    }

    /// A point under what was said last.
    pub(super) fn point(&self, sign: &str, text: &str) -> Result<()> {
        let lines = text::wrap(text, COLUMNS - INDENT - 2);
        let below = format!("\n{:width$}", "", width = INDENT + 2);
        self.print(&format!("{:INDENT$}{sign} {}", "", lines.join(&below)))
    }

    /// Text as it is.
    pub(super) fn plain(&self, text: &str) -> Result<()> {
        self.print(text)
    }

    pub(super) fn good_or_bad(&self, good: bool, text: &str) -> String {
        self.paint(if good { "1;32" } else { "1;31" }, text)
    }

    pub(super) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn print(&self, text: &str) -> Result<()> {
        let written = match self.stderr {
            true => writeln!(std::io::stderr(), "{text}"),
            false => writeln!(std::io::stdout(), "{text}"),
        };
        written.context("nobody reads the demo's output any more")
    }
}
