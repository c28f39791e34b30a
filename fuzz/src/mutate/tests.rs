//! What changes keep, and that they reach what a change of bytes hardly does.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::*;

const TRACES: &[u8] = include_bytes!("../../corpus/otlp-traces/whole");
const CONFIGURATION: &[u8] = include_bytes!("../../corpus/configuration/shop-good");
const OTHER: &[u8] = include_bytes!("../../corpus/configuration/outside-with-tokens-good");
const FORMS: [(Form, &[u8], &[u8]); 4] = [
    (Form::Wire { head: 0 }, TRACES, include_bytes!("../../corpus/otlp-traces/small")),
    (Form::Yaml, CONFIGURATION, OTHER),
    (Form::Lines { head: 0 }, CONFIGURATION, OTHER),
    (Form::Json { head: 0 }, br#"{"a":[1,{"b":null}],"c":"x"}"#, br#"{"a":[2],"d":{"e":1.5}}"#),
];

/// In place of libFuzzer's.
fn spoil(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(b"\xffz");
}

#[test]
fn the_same_seed_gives_the_same_and_others_give_many() {
    for (form, input, other) in FORMS {
        let changed = |seed| form.changed(input, seed, &mut spoil);
        let crossed = |seed| form.crossed(input, other, seed);
        let mut found = BTreeSet::new();
        for seed in 0..400 {
            assert_eq!((changed(seed), crossed(seed)), (changed(seed), crossed(seed)));
            found.insert(changed(seed));
            found.insert(crossed(seed));
        }
        assert!(found.len() > 100, "{form:?}: {} inputs of 800", found.len());
    }
}

#[test]
fn any_input_can_be_changed_and_crossed() {
    let heads = [Form::Wire { head: 1 }, Form::Lines { head: 2 }, Form::Json { head: 1 }];
    for form in FORMS.iter().map(|(form, ..)| *form).chain(heads).chain([Form::Bytes]) {
        for input in [&b""[..], b"\n", b"a", b"ab", b"\xff\xff\xff", b"[]", b"{}", b"1", b"\x0a\0"]
        {
            for seed in 0..200 {
                form.changed(input, seed, &mut spoil);
                form.crossed(input, CONFIGURATION, seed);
                form.crossed(CONFIGURATION, input, seed);
            }
        }
    }
}

#[test]
fn lengths_of_messages_are_right_after_most_changes() {
    let form = Form::Wire { head: 0 };
    let all: Vec<_> = (0..1000).filter_map(|seed| form.changed(TRACES, seed, &mut spoil)).collect();
    let read = all.iter().filter(|bytes| ExportTraceServiceRequest::decode(&bytes[..]).is_ok());
    let read = read.count();
    // What does not read has a wire type that its field may not have, or a text that is none.
    assert!(read > all.len() / 4 && all.len() > 600, "{read} of {}", all.len());
}

#[test]
fn bytes_are_read_as_fields_only_if_they_are_written_as_the_same() {
    assert_eq!(wire::write(&wire::read(TRACES).unwrap()), TRACES);
    // A length that is written longer than it has to be.
    assert_eq!(wire::read(b"\x0a\x81\x00x"), None);
    assert_eq!(wire::read(b"\x0a\x02x"), None);
}

#[test]
fn a_part_of_another_input_comes_to_the_same_place() {
    let tokens = |input: Vec<u8>| {
        let tree = tree::read_yaml(&input)?;
        let whole = tree.get("targets").is_some() && tree.get("detect").is_some();
        (whole && tree.pointer("/api/tokens/admin/0/secret").is_some()).then_some(())
    };
    let crossed = (0..300).filter_map(|seed| Form::Yaml.crossed(CONFIGURATION, OTHER, seed));
    assert!(crossed.filter_map(tokens).count() > 10);
}

#[test]
fn a_block_of_lines_goes_as_one() {
    let whole = b"a:\n  b: 1\n  c:\n    d: 2\ne: 3\n";
    let form = Form::Lines { head: 0 };
    let changed = (0..2000).filter_map(|seed| form.changed(whole, seed, &mut spoil));
    let changed: BTreeSet<Vec<u8>> = changed.collect();
    for expected in ["e: 3\n", "a:\n  b: 1\ne: 3\n", "e: 3\na:\n  b: 1\n  c:\n    d: 2\n"] {
        assert!(changed.contains(expected.as_bytes()), "{expected}");
    }
}
