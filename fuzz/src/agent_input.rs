//! What server and agent say to each other, and what the agent finds in its ledger.

use agent::ledger::Ledger;
use agent::protocol::{self, FrameError};
use agent::{FromAgent, ToAgent};

use crate::input_log::in_folder;
use crate::{Answer, Form, Memory, Target};

const MEMORY: Memory = Memory { base: 8 << 20, factor: 512 };

pub const PROTOCOL: Target = Target {
    name: "agent-protocol",
    feeds: "a line of the agent's protocol, of either side",
    form: Form::Json { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |line| match either_side(line, protocol::decode::<ToAgent>) {
        Answer::Taken => Answer::Taken,
        Answer::Refused => either_side(line, protocol::decode::<FromAgent>),
    },
};

pub const LEDGER: Target = Target {
    name: "agent-ledger",
    feeds: "a ledger: as it is, or (first byte 1) entries that get their checksums",
    form: Form::Lines { head: 1 },
    memory: MEMORY,
    caught: &[],
    run: ledger,
};

fn either_side<T: serde::Serialize>(
    line: &[u8],
    decode: fn(&[u8]) -> Result<T, FrameError>,
) -> Answer {
    let message = match decode(line) {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Answer::Refused;
        }
    };
    let Ok(written) = protocol::encode(&message) else { return Answer::Taken };
    let (end, written) = written.split_last().expect("a line has an end");
    assert_eq!(*end, b'\n');
    assert!(!written.contains(&b'\n'), "one message on two lines");
    let again = decode(written).unwrap_or_else(|error| panic!("{error} of what was written"));
    let again = protocol::encode(&again).expect("it could be written before");
    assert!(&again[..written.len()] == written, "another message was read than was written");
    Answer::Taken
}

/// A ledger that was opened, and repaired where that was needed, opens as the same again.
fn ledger(input: &[u8]) -> Answer {
    let text = match input.split_first() {
        Some((1, entries)) => with_checksums(entries),
        _ => input.to_vec(),
    };
    in_folder(|folder| {
        let path = folder.join("ledger");
        std::fs::write(&path, text).expect("the folder can be written");
        let Ok(first) = Ledger::open(&path) else { return Answer::Refused };
        let entries = format!("{:?}", first.book().entries());
        drop(first);
        let second = Ledger::open(&path).expect("what was opened can be opened again");
        assert_eq!(format!("{:?}", second.book().entries()), entries);
        let torn = |message: &String| message.contains("unfinished");
        assert!(!second.messages.iter().any(torn), "torn after it was repaired");
        Answer::Taken
    })
}

fn with_checksums(entries: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for entry in entries.split(|byte| *byte == b'\n').filter(|entry| !entry.is_empty()) {
        let checksum = crc32c::crc32c(entry);
        text.extend_from_slice(format!("{{\"crc\":\"{checksum:08x}\",\"entry\":").as_bytes());
        text.extend_from_slice(entry);
        text.extend_from_slice(b"}\n");
    }
    text
}
