//! Fuzz targets: whatever reads bytes that strangers, disks or people may have spoilt.
//!
//! A target is a plain function over bytes that panics when something does not hold. It is used
//! two ways: `tests/corpus.rs` runs every committed input through its target, on any compiler;
//! `fuzz/run` builds the same functions with coverage and lets libFuzzer look for new inputs.
//!
//! Invariants, beside those of each target: no panic on any thread; memory within what the target
//! allows; an answer within five seconds (libFuzzer's `-timeout`). A new target is one function,
//! one line in [`ALL`], one folder in `corpus`.
//!
//! What the targets check must hold for any bytes: no target knows of a file outside of its input.

mod agent_input;

mod alertmanager;

mod configuration;

mod engine_loop;

mod input_log;

mod memory;

mod mutate;

mod otlp;

mod planted;

mod names;

mod proxies;

mod queries;

mod records;

mod scenario;

mod server_rig;

mod store;

mod transport;

pub use memory::Memory;

pub use mutate::Spoil;

/// Longer inputs find little more, and slowly; `fuzz/run` makes none.
pub const INPUT_BYTES_MAX: usize = 16 << 10;

/// What the parts of an input are, so that one can be changed and all else stays right. `head` is
/// the number of bytes in front that are of no form.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// None that anybody told.
    Bytes,
    Lines {
        head: usize,
    },
    /// Protobuf.
    Wire {
        head: usize,
    },
    Json {
        head: usize,
    },
    Yaml,
}

/// Whether an input came behind the checks of what reads it, so that a search gets further from it.
/// Neither is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Taken,
    Refused,
}

/// Something to be fed.
#[derive(Clone, Copy)]
pub struct Target {
    /// Also the name of its folder in `corpus`.
    pub name: &'static str,
    /// What is given the bytes, and what has to hold.
    pub feeds: &'static str,
    pub form: Form,
    pub memory: Memory,
    /// Libraries whose panics the product itself turns into errors; one that is not is still a
    /// finding, because it ends `run`.
    pub caught: &'static [&'static str],
    pub run: fn(&[u8]) -> Answer,
}

pub const ALL: &[Target] = &[
    otlp::TRACES,
    otlp::METRICS,
    otlp::LOGS,
    otlp::JSON_TRACES,
    otlp::JSON_METRICS,
    otlp::JSON_LOGS,
    transport::HTTP,
    transport::BODY,
    transport::GRPC,
    input_log::SEGMENT,
    input_log::DAMAGE,
    records::ENTRY,
    records::SNAPSHOT,
    engine_loop::LOOP,
    store::CATALOG,
    store::FILE,
    store::ROWS,
    queries::LOGS,
    queries::SPANS,
    queries::SERIES,
    configuration::SERVER,
    configuration::EXPERIMENT,
    configuration::TOOLKIT,
    configuration::CLIENT_LOG,
    scenario::SCENARIO,
    alertmanager::ALERTMANAGER,
    agent_input::PROTOCOL,
    agent_input::LEDGER,
    names::DNS,
    proxies::PROXY,
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

impl Target {
    /// Whether a panic at this place of the source is no finding by itself.
    pub fn is_caught(&self, source: &str) -> bool {
        self.caught.iter().any(|library| source.contains(&format!("/{library}-")))
    }

    /// Feeds one input; panics when something does not hold.
    pub fn check(&self, input: &[u8]) -> Answer {
        match input.len() {
            0..=INPUT_BYTES_MAX => self.memory.watch(input.len(), || (self.run)(input)),
            _ => Answer::Refused,
        }
    }
}
