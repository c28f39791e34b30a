//! What the records of the input log hold, and snapshots of the loop.

use engine::{Core, Entry};

use crate::{Answer, Form, Memory, Target};

pub const ENTRY: Target = Target {
    name: "log-entry",
    feeds: "kind (one byte) and payload of a record of the input log",
    form: Form::Json { head: 1 },
    memory: Memory { base: 8 << 20, factor: 4096 },
    caught: &[],
    run: entry,
};

pub const SNAPSHOT: Target = Target {
    name: "snapshot",
    feeds: "the state in a snapshot; header and checksum are put in front of it",
    form: Form::Bytes,
    memory: Memory { base: 8 << 20, factor: 4096 },
    caught: &[],
    run: snapshot,
};

fn entry(input: &[u8]) -> Answer {
    let Some((&kind, payload)) = input.split_first() else { return Answer::Refused };
    let Ok(entry) = server::entry::decode(kind, payload) else { return Answer::Refused };
    if let Entry::Telemetry { .. } = entry {
        return Answer::Taken;
    }
    let (kind, payload) = server::entry::encode(&entry).expect("what was read can be written");
    let again = server::entry::decode(kind, &payload).expect("what was written can be read");
    assert_eq!(format!("{again:?}"), format!("{entry:?}"));
    Answer::Taken
}

fn snapshot(input: &[u8]) -> Answer {
    const POSITION: u64 = 77;
    assert!(engine::snapshot::load(input).is_err() || input.len() > 24);
    let empty = Core::new(engine::Config::default(), "fuzz");
    let good = engine::snapshot::save(&empty, POSITION).expect("a new loop can be saved");
    let mut bytes = good[..20].to_vec();
    let position = crc32c::crc32c(&POSITION.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c_append(position, input).to_le_bytes());
    bytes.extend_from_slice(input);
    let Ok((core, position)) = engine::snapshot::load(&bytes) else { return Answer::Refused };
    assert_eq!(position, POSITION);
    let saved = engine::snapshot::save(&core, position).expect("what was read can be saved");
    let (again, _) = engine::snapshot::load(&saved).expect("what was saved can be read");
    let twice = engine::snapshot::save(&again, position).expect("what was read can be saved");
    assert!(saved == twice, "a snapshot of what a snapshot holds is another");
    Answer::Taken
}
