//! The `immune` command line: one definition per command, each in its own file.
//!
//! Every command prints for people by default and JSON with `--json`; errors go to stderr, say what
//! was wrong and what to do, and end with status 1 (2: wrong use).

mod audit;

mod client;

mod configuration;

mod demo;

mod drill;

mod explain;

mod incidents;

mod logs;

mod manual;

mod narrate;

mod overview;

mod pauses;

mod plans;

mod progress;

mod proxy;

mod reference;

mod scenarios;

mod series;

mod serve;

mod simulate;

mod status;

mod text;

mod toolkit;

mod top;

mod topology;

mod traces;

mod units;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

pub use narrate::paragraph;

/// A digital immune system for software: watches, explains, heals, and proves that it would.
#[derive(Parser)]
#[command(name = "immune", version, max_term_width = 100)]
struct Cli {
    /// When to colour what is printed
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: text::Colours,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Run(serve::Run),
    /// Run the local agent (the server starts it by itself)
    Agent(serve::Agent),
    /// Keep one fault for the agent, which starts this by itself
    #[command(hide = true)]
    Keep(serve::Keep),
    /// Run the server, the demo shop with users, and a guided drill
    Demo(demo::Demo),
    /// Say how things are, on one screen
    Status(status::StatusArgs),
    /// Show how things are, live
    ///
    /// Keys: j and k move, Enter opens, Esc goes back, a approves, d denies, f freezes healing or
    /// thaws it, ? tells of all keys, q quits. It asks before it does anything.
    Top(top::Top),
    /// List incidents, newest first
    Incidents(incidents::List),
    /// Tell of one incident: who is hurt, why, what is being done
    Explain(explain::Explain),
    /// Acknowledge an incident
    Acknowledge(incidents::One),
    /// End an incident whose recovery cannot be proven, such as that of a removed service
    Close(incidents::One),
    /// List, approve or deny plans
    #[command(subcommand)]
    Plan(plans::Plan),
    /// Stop all healing at once
    Freeze(plans::Freeze),
    /// Keep healing off a target, a service or everything for a while
    Pause(pauses::Begin),
    /// List pauses in force
    Pauses(ServerArgs),
    /// End a pause
    Resume(pauses::End),
    /// List what was decided and why: verdicts, refusals, orders, outcomes, commands
    Audit(audit::Audit),
    /// Show what each remedy has proven so far, and with what evidence
    Autonomy(ServerArgs),
    /// Allow healing again
    Thaw(ServerArgs),
    /// Learn a latency limit anew
    Relearn(plans::Relearn),
    /// List traces by service, operation, status, duration, attribute and time
    Traces(traces::Traces),
    /// Tell of one trace: its spans, where time went, where an error started
    Trace(traces::Trace),
    /// Search log records, count them, or follow them
    Logs(logs::Logs),
    /// Show series of metrics over time, or list metrics
    Series(series::Series),
    /// Run chaos experiments and drills
    #[command(subcommand)]
    Drill(drill::Drill),
    /// Run proxies that inject network faults, with Toxiproxy's HTTP API
    Proxy(proxy::Proxy),
    /// Run scenarios
    Test(scenarios::Test),
    /// Run the loop in simulated fleets: false pages, delays, causes and decisions, scored
    Simulate(simulate::Simulate),
    /// Describe the system that a server has observed, as a file for `immune simulate --topology`
    ///
    /// immune topology > system.yaml, then: immune simulate --topology system.yaml
    Topology(topology::Topology),
    /// Replay a data folder and compare it with its journal
    Replay(serve::Replay),
    /// Check a configuration file
    CheckConfig(configuration::CheckConfig),
    /// Print the configuration with all defaults filled in
    PrintConfig(configuration::PrintConfig),
    /// Print the JSON schema of the configuration file, of experiments, of described systems, or of
    /// the API
    Schema(configuration::Schema),
    /// Print a page of the reference in Markdown
    Reference(reference::Reference),
    /// Print completions for a shell
    ///
    /// bash: immune completions bash > /etc/bash_completion.d/immune
    ///
    /// zsh: immune completions zsh > /usr/share/zsh/site-functions/_immune
    ///
    /// fish: immune completions fish > ~/.config/fish/completions/immune.fish
    Completions(manual::Completions),
    /// Write manual pages
    Man(manual::Man),
}

/// How to reach a running server.
#[derive(Args, Clone)]
pub(crate) struct ServerArgs {
    /// Address of the server's API
    #[arg(
        long,
        env = "IMMUNE_SERVER",
        default_value = "http://127.0.0.1:7700",
        value_name = "URL"
    )]
    server: String,
    /// Bearer token
    #[arg(long, env = "IMMUNE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file; without one, the defaults
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    text::ask_for_colours(cli.color);
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("immune: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(run) => run.run(),
        Command::Agent(agent) => agent.run(),
        Command::Keep(keep) => keep.run(),
        Command::Demo(demo) => demo.run(),
        Command::Status(status) => status.run(),
        Command::Top(top) => top.run(),
        Command::Incidents(list) => list.run(),
        Command::Explain(explain) => explain.run(),
        Command::Acknowledge(one) => one.acknowledge(),
        Command::Close(one) => one.close(),
        Command::Plan(plan) => plan.run(),
        Command::Freeze(freeze) => freeze.run(),
        Command::Pause(pause) => pause.run(),
        Command::Pauses(server) => pauses::list(server),
        Command::Resume(resume) => resume.run(),
        Command::Audit(audit) => audit.run(),
        Command::Autonomy(server) => plans::autonomy(server),
        Command::Thaw(server) => plans::thaw(server),
        Command::Relearn(relearn) => relearn.run(),
        Command::Traces(traces) => traces.run(),
        Command::Trace(trace) => trace.run(),
        Command::Logs(logs) => logs.run(),
        Command::Series(series) => series.run(),
        Command::Drill(drill) => drill.run(),
        Command::Proxy(proxy) => proxy.run(),
        Command::Test(test) => test.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Topology(topology) => topology.run(),
        Command::Replay(replay) => replay.run(),
        Command::CheckConfig(check) => check.check(),
        Command::PrintConfig(print) => print.run(),
        Command::Schema(schema) => schema.run(),
        Command::Reference(reference) => reference.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

/// Runs one asynchronous command to its end.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
