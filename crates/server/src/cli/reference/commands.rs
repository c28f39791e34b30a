//! Every command as its own help tells it.

use std::fmt::Write;

use clap::Command;

/// Help is wrapped at this width, whatever terminal there is.
const COLUMNS: usize = 100;

pub(super) fn page(mut cli: Command) -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Every command with its options, made from the program by `immune reference commands`. \
         `immune man DIR` writes the same as manual pages, `immune completions SHELL` completes \
         them.\n\n\
         The status is 0 when a command did what it was asked, 1 when it did not, 2 when it was \
         used wrongly.\n",
    );
    cli = cli.term_width(COLUMNS).disable_help_subcommand(true);
    cli.build();
    section(&mut text, &mut cli, "immune");
    text
}

fn section(text: &mut String, command: &mut Command, path: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = writeln!(text, "\n## {path}\n\n```text\n{}\n```", lines.join("\n").trim_end());
    for subcommand in command.get_subcommands_mut() {
        if !subcommand.is_hide_set() {
            let path = format!("{path} {}", subcommand.get_name());
            section(text, subcommand, &path);
        }
    }
}
