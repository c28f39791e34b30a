//! The loop itself, fed with whatever passes the receivers: entries and ticks in any order.
//!
//! The same entries have the same effects, also when the state was saved and loaded on the way.
//! Left out: configurations, which are checked before they become entries, and the numbers of the
//! journal, which only the server gives.

use engine::{Core, Entry};
use model::Timestamp;

use crate::input_log::Dice;
use crate::{Answer, Form, Memory, Target};

/// Where the clock stands at first, in nanoseconds since 1970; seeds bear times near to it.
const BEGIN: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
const ENTRIES_MAX: usize = 64;
const TICKS_MAX: u64 = 900;

pub const LOOP: Target = Target {
    name: "loop",
    feeds: "entries, each with its kind and length, and seconds that pass between them",
    form: Form::Bytes,
    memory: Memory { base: 128 << 20, factor: 16 << 10 },
    caught: &[],
    run,
};

enum Step {
    Entry(Entry),
    Ticks(u64),
    /// Save and load the state.
    Restart,
}

fn run(input: &[u8]) -> Answer {
    let steps = steps(input);
    let straight = effects(&steps, false);
    let restarted = effects(&steps, true);
    assert!(straight == restarted, "other effects after a restart");
    Answer::Taken
}

fn steps(input: &[u8]) -> Vec<Step> {
    let mut dice = Dice(input);
    let mut steps = Vec::new();
    let mut ticks = 0;
    while !dice.0.is_empty() && steps.len() < ENTRIES_MAX {
        match dice.byte() % 8 {
            0 => steps.push(Step::Restart),
            1 | 2 => {
                let seconds = u64::from(dice.byte()).min(TICKS_MAX - ticks);
                ticks += seconds;
                steps.push(Step::Ticks(seconds));
            }
            kind => {
                let length = usize::from(dice.byte()) | usize::from(dice.byte()) << 8;
                let payload = dice.bytes(length);
                // The log's own kinds: telemetry twice as often as the rest.
                let kind = if kind < 6 { 1 } else { 3 };
                match server::entry::decode(kind, payload) {
                    Ok(Entry::Reload { .. } | Entry::Renumber { .. }) | Err(_) => {}
                    Ok(entry) => steps.push(Step::Entry(entry)),
                }
            }
        }
    }
    steps
}

/// What was said and ordered, in words.
fn effects(steps: &[Step], restarting: bool) -> String {
    let mut core = Core::new(engine::Config::default(), "fuzz");
    let mut now = BEGIN;
    let mut said = String::new();
    for step in steps {
        match step {
            Step::Entry(entry) => said += &format!("{:?}\n", core.apply(entry.clone())),
            Step::Ticks(seconds) => {
                for _ in 0..*seconds {
                    now += SECOND;
                    said += &format!("{:?}\n", core.apply(Entry::Tick { now: Timestamp(now) }));
                }
            }
            Step::Restart if restarting => {
                let saved = engine::snapshot::save(&core, 1).expect("any state can be saved");
                (core, _) = engine::snapshot::load(&saved).expect("what was saved can be loaded");
            }
            Step::Restart => {}
        }
    }
    said
}
