//! Texts in all their forms behave as the `str` they hold, and share what they should.

use super::*;
use std::collections::BTreeMap;

const LONG: &str = "a sentence that is too long to be held in place";

#[test]
fn is_small_and_so_is_an_optional_one() {
    assert_eq!(size_of::<Text>(), 24);
    assert_eq!(size_of::<Option<Text>>(), 24);
}

#[test]
fn every_form_holds_compares_and_hashes_as_its_str() {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let edge = "x".repeat(INLINE_MAX);
    let umlaut = format!("{}ü", "x".repeat(INLINE_MAX - 1));
    let lengths = (0..=INLINE_MAX + 2).map(|length| "0123456789".repeat(3)[..length].to_owned());
    let others = ["ü", &edge, &umlaut, LONG].map(str::to_owned);
    for (text, rest) in lengths.chain(others).flat_map(|text| [(text.clone(), ">"), (text, LONG)]) {
        let text = text.as_str();
        let whole = format!("<{text}{rest}");
        let body = Body::new(Bytes::from(whole.into_bytes()));
        let part = &body.bytes()[1..=text.len()];
        for made in [
            Text::from(text),
            Text::from(text.to_owned()),
            body.text(part).unwrap(),
            body.slice(std::str::from_utf8(part).unwrap()),
            body.text(part).unwrap().detached(),
            serde_json::from_str(&serde_json::to_string(text).unwrap()).unwrap(),
        ] {
            assert_eq!(made.as_str(), text);
            assert_eq!(made, Text::from(text));
            assert_ne!(made, Text::from(format!("{text}0")));
            assert_eq!(hasher.hash_one(&made), hasher.hash_one(text));
            assert_eq!(format!("{made:?} {made}"), format!("{text:?} {text}"));
        }
    }
    assert_eq!(Text::default(), "");
    let mut sorted = ["é", LONG, "z", "b", ""].map(Text::from);
    sorted.sort();
    assert_eq!(sorted, ["", LONG, "b", "z", "é"]);
    let map = BTreeMap::from([(Text::from(LONG), 1)]);
    assert_eq!(map.get(LONG), Some(&1));
}

#[test]
fn a_long_part_shares_the_body_until_it_is_detached() {
    let bytes = Bytes::from(format!("{LONG}{LONG}"));
    let body = Body::new(bytes.clone());
    let text = body.text(&bytes[LONG.len()..]).unwrap();
    assert_eq!(text.as_ptr(), bytes[LONG.len()..].as_ptr());
    assert_eq!(text.clone().as_ptr(), text.as_ptr());
    assert_eq!(Arc::strong_count(&body.0), 2);
    let own = text.detached();
    assert_eq!((own.as_str(), Arc::strong_count(&body.0)), (LONG, 2));
    assert_ne!(own.as_ptr(), text.as_ptr());
    drop(text);
    assert_eq!(Arc::strong_count(&body.0), 1);
}

#[test]
fn bytes_from_elsewhere_are_copied_and_bad_ones_refused() {
    let body = Body::new(Bytes::from_static(b"short"));
    assert_eq!(body.slice(LONG), LONG);
    assert_eq!(body.text(LONG.as_bytes()).unwrap(), LONG);
    assert_eq!(Arc::strong_count(&body.0), 1);
    for bad in [&b"\xff"[..], b"a sentence that is cut within a character \xc3"] {
        assert!(body.text(bad).is_err());
    }
    for at in 0..INLINE_MAX {
        let mut bytes = vec![b'x'; 2 * INLINE_MAX];
        bytes[at] = 0x80;
        let body = Body::new(Bytes::from(bytes));
        assert!(body.text(&body.bytes()[..=at]).is_err());
        assert_eq!(body.text(&body.bytes()[..at]).unwrap().len(), at);
    }
}
