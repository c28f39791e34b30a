//! Both readers against the generated types: the same message in, the same batch out. And whatever
//! comes in, an answer comes out.

use model::signal::{Batch, Signal};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use receivers::{Decoded, decode_json, decode_protobuf};

use crate::oracle;
use crate::random::Dice;

/// One random request in both encodings, and what it should decode to.
struct Case {
    signal: Signal,
    protobuf: Vec<u8>,
    json: String,
    batch: Batch,
}

fn case(signal: Signal, entropy: &[u8]) -> Case {
    let dice = &mut Dice(entropy);
    match signal {
        Signal::Traces => {
            let request = dice.traces();
            let json = serde_json::to_string(&request).unwrap();
            let batch = oracle::traces(&request);
            Case { signal, protobuf: request.encode_to_vec(), json, batch }
        }
        Signal::Metrics => {
            let request = dice.metrics();
            let json = serde_json::to_string(&request).unwrap();
            let batch = oracle::metrics(&request);
            Case { signal, protobuf: request.encode_to_vec(), json, batch }
        }
        Signal::Logs => {
            let request = dice.logs();
            let json = serde_json::to_string(&request).unwrap();
            let batch = oracle::logs(&request);
            Case { signal, protobuf: request.encode_to_vec(), json, batch }
        }
    }
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::Traces), Just(Signal::Metrics), Just(Signal::Logs)]
}

/// Bit for bit, so that a NaN equals itself.
fn assert_same(decoded: &Decoded, batch: &Batch) {
    assert_eq!((decoded.rejected, decoded.message.as_str()), (0, ""));
    assert_eq!(format!("{:?}", decoded.batch), format!("{batch:?}"));
}

#[test]
fn the_random_requests_hold_every_kind_of_item() {
    let mut kinds = std::collections::BTreeSet::new();
    let mut items = 0;
    let mut state = 1_u64;
    for _ in 0..100 {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let entropy: Vec<u8> = (0..1000).map(|_| byte()).collect();
        for &signal in Signal::ALL {
            let batch = case(signal, &entropy).batch;
            items += batch.len();
            let Batch::Metrics(groups) = batch else { continue };
            for metric in groups.iter().flat_map(|group| &group.items) {
                let kind = format!("{:?}", metric.data);
                let kind = kind.split([' ', '(']).next().unwrap_or_default().to_owned();
                kinds.insert((kind, metric.is_empty()));
            }
        }
    }
    assert!(items > 400, "{items}");
    for kind in ["Gauge", "Sum", "Histogram", "ExponentialHistogram", "Summary"] {
        assert!(kinds.contains(&(kind.to_owned(), false)), "{kind} of {kinds:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn protobuf_decodes_as_the_generated_types_do(
        signal in signal(), entropy in vec(any::<u8>(), 0..1500)
    ) {
        let case = case(signal, &entropy);
        assert_same(&decode_protobuf(case.signal, &case.protobuf).unwrap(), &case.batch);
    }

    #[test]
    fn json_decodes_as_the_generated_types_do(
        signal in signal(), entropy in vec(any::<u8>(), 0..1500)
    ) {
        let case = case(signal, &entropy);
        match decode_json(case.signal, case.json.as_bytes()) {
            Ok(decoded) => assert_same(&decoded, &case.batch),
            Err(error) => panic!("{error} in {}", case.json),
        }
    }

    #[test]
    fn every_truncation_of_protobuf_is_answered(
        signal in signal(), entropy in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()
    ) {
        let case = case(signal, &entropy);
        let cut = cut.index(case.protobuf.len() + 1);
        let _ = decode_protobuf(signal, &case.protobuf[..cut]);
    }

    #[test]
    fn every_truncation_of_json_is_an_error(
        signal in signal(), entropy in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()
    ) {
        let case = case(signal, &entropy);
        let cut = cut.index(case.json.len());
        prop_assert!(decode_json(signal, &case.json.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn mutations_are_answered_the_same_way_twice(
        signal in signal(),
        entropy in vec(any::<u8>(), 0..400),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let case = case(signal, &entropy);
        for mut body in [case.protobuf, case.json.into_bytes()] {
            for (at, byte) in &edits {
                if !body.is_empty() {
                    let at = at.index(body.len());
                    body[at] = *byte;
                }
            }
            let (first, second) = (decode_protobuf(signal, &body), decode_protobuf(signal, &body));
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
            let (first, second) = (decode_json(signal, &body), decode_json(signal, &body));
            prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        }
    }

    #[test]
    fn random_bytes_are_answered(signal in signal(), body in vec(any::<u8>(), 0..300)) {
        let _ = decode_protobuf(signal, &body);
        let _ = decode_json(signal, &body);
    }

    #[test]
    fn random_text_of_json_letters_is_read_as_strictly_as_serde_json_does(
        text in r#"\{?("[a-z\\"u0-9]{0,6}"|[\[\]{},:"0-9eE.+ \\-]|true|null|\{"a":|\[1,){0,12}\}?"#
    ) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let ours = decode_json(Signal::Logs, text.as_bytes());
        // Every key here is unknown, so whatever is a JSON object is an empty request. Numbers too
        // large for a double are the one difference: nobody reads them here.
        match theirs {
            Ok(value) => prop_assert_eq!(ours.is_ok(), value.is_object(), "{}", text),
            Err(error) if error.to_string().contains("out of range") => {}
            Err(_) => prop_assert!(ours.is_err(), "{}", text),
        }
    }
}
