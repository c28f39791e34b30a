//! What the proxy's API is given: toxics, and faults of HTTP proxies.
//!
//! What was read and is printed reads as the same. Whatever its numbers, a toxic works on bytes
//! without inventing any.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proxy::chain::{Chain, End, Item};
use proxy::http::Fault;
use proxy::json::Object;
use proxy::toxic::Toxic;

use crate::{Answer, Form, Memory, Target};

/// A toxic is tried on a few chunks; a slice of a byte costs some dozen.
const MEMORY: Memory = Memory { base: 8 << 20, factor: 256 };
const CHUNKS: usize = 3;
const CHUNK_BYTES: usize = 1_000;
/// Timers that are followed: a rate of a byte a millisecond has few pieces, slices have many.
const TIMERS_MAX: usize = 10_000;

pub const PROXY: Target = Target {
    name: "proxy",
    feeds: "a toxic or a fault, as the proxy's API is given it",
    form: Form::Json { head: 0 },
    memory: MEMORY,
    caught: &[],
    run,
};

fn run(input: &[u8]) -> Answer {
    let answers = [toxic(input), fault(input)];
    if answers.contains(&Answer::Taken) { Answer::Taken } else { Answer::Refused }
}

fn toxic(input: &[u8]) -> Answer {
    let read = |bytes: &[u8]| {
        let object = Object::read(bytes, "Toxic")?;
        Toxic::read(1, &object).map_err(|error| error.to_string())
    };
    let toxic = match read(input) {
        Ok(toxic) => toxic,
        Err(why) => {
            assert!(!why.is_empty(), "refused without a word");
            return Answer::Refused;
        }
    };
    let shown = serde_json::to_vec(&toxic).expect("a toxic can be shown");
    assert_eq!(read(&shown).as_ref(), Ok(&toxic));
    work(Arc::new(toxic));
    Answer::Taken
}

/// Bytes come out as they went in, at most all of them, until the end or until nothing is due.
fn work(toxic: Arc<Toxic>) {
    let mut chain = Chain::new(1);
    let mut now = Duration::ZERO;
    chain.update(now, &[toxic]);
    for number in 0..CHUNKS {
        chain.push(now, Bytes::from(vec![number as u8; CHUNK_BYTES]));
    }
    chain.end(End::Eof);
    let mut out = Vec::new();
    for _ in 0..TIMERS_MAX {
        chain.advance(now);
        while let Some(Item::Data(chunk)) = chain.ready() {
            let length = chunk.data.len();
            out.extend_from_slice(&chunk.data);
            chain.written(length);
            chain.advance(now);
        }
        match chain.wake() {
            Some(wake) if chain.ready().is_none() => {
                assert!(wake > now, "a timer that does not go on");
                now = wake;
            }
            _ => break,
        }
    }
    assert!(out.len() <= CHUNKS * CHUNK_BYTES && out.is_sorted(), "bytes from nowhere");
    chain.update(now, &[]);
}

fn fault(input: &[u8]) -> Answer {
    let Ok(fault) = serde_json::from_slice::<Fault>(input) else { return Answer::Refused };
    if let Err(error) = fault.check() {
        assert!(!error.message.is_empty(), "refused without a word");
        return Answer::Refused;
    }
    let shown = serde_json::to_string(&fault).expect("a fault can be shown");
    let again: Fault = serde_json::from_str(&shown).expect("what was shown can be read");
    assert_eq!(serde_json::to_string(&again).expect("a fault can be shown"), shown);
    Answer::Taken
}
