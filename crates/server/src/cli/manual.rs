//! `immune completions` and `immune man`: out of the one definition of the command line, so they
//! cannot tell of anything else.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::{Cli, text};

/// Prints what a shell needs to complete `immune` commands.
#[derive(Args)]
pub(super) struct Completions {
    /// Which shell
    shell: For,
}

#[derive(Clone, Copy, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode> {
        let shell = match self.shell {
            For::Bash => Shell::Bash,
            For::Zsh => Shell::Zsh,
            For::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut shown(&Cli::command()), "immune", &mut script);
        text::line(String::from_utf8(script)?.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// The command line without what help hides too: not every generator leaves that out.
fn shown(command: &Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let subcommands = command.get_subcommands().filter(|each| !each.is_hide_set());
    Command::new(command.get_name().to_owned())
        .about(about)
        .groups(command.get_groups().cloned())
        .args(command.get_arguments().cloned())
        .subcommands(subcommands.map(shown))
}

/// Writes the manual pages of all commands into a folder.
#[derive(Args)]
pub(super) struct Man {
    /// Folder, such as /usr/share/man/man1; it is made where it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {folder}"))?;
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("cannot write manual pages into {folder}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
