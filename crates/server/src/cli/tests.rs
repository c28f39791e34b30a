//! What holds for every command.

use clap::{Command, CommandFactory};

use super::Cli;

/// Commands that print nothing that a program could read, with the reason.
const WITHOUT_JSON: &[(&str, &str)] = &[
    ("run", "a server: it logs"),
    ("agent", "a server: it logs"),
    ("keep", "it prints nothing"),
    ("proxy", "a server: it logs"),
    ("schema", "it is JSON"),
    ("reference", "it is Markdown for people"),
    ("completions", "a script for a shell"),
    ("man", "it writes files"),
];

fn leaves<'a>(command: &'a Command, path: &str, found: &mut Vec<(String, &'a Command)>) {
    let mut subcommands = command.get_subcommands().peekable();
    if subcommands.peek().is_none() {
        found.push((path.to_owned(), command));
    }
    for subcommand in subcommands {
        let path = format!("{path} {}", subcommand.get_name());
        leaves(subcommand, path.trim_start(), found);
    }
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_prints_json_where_asked_for() {
    let cli = Cli::command();
    let mut found = Vec::new();
    leaves(&cli, "", &mut found);
    for (path, command) in found {
        let has_json = command.get_arguments().any(|argument| argument.get_id() == "json");
        let excepted = WITHOUT_JSON.iter().any(|(name, _)| *name == path);
        assert!(has_json != excepted, "`immune {path}`: has --json: {has_json}");
    }
}

#[test]
fn every_command_and_argument_says_what_it_is() {
    let cli = Cli::command();
    let mut found = Vec::new();
    leaves(&cli, "", &mut found);
    for (path, command) in found {
        assert!(command.get_about().is_some(), "`immune {path}` says nothing of itself");
        for argument in command.get_arguments() {
            let (id, says) = (argument.get_id(), argument.get_help().is_some());
            assert!(says, "`immune {path}`: {id} says nothing of itself");
        }
    }
}
