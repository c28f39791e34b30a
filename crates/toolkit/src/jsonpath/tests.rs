//! Against what jsonpath2 0.4.5 itself answered: `cases.json` (`found: null`: it refused).

use super::*;

#[test]
fn answers_are_those_of_jsonpath2() {
    let cases: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
    let document = cases.get("document").unwrap();
    let paths = cases.get("paths").unwrap().as_list().unwrap();
    assert!(paths.len() > 90);
    for case in paths {
        let path = case.get_str("path").unwrap();
        let found = JsonPath::parse(path).and_then(|parsed| parsed.find(document));
        let found = found.map(|found| found.into_iter().map(Cow::into_owned).collect());
        match case.get("found").unwrap() {
            Value::Null => assert!(found.is_err(), "{path}: {found:?}"),
            expected => assert_eq!(found.map(Value::List).as_ref(), Ok(expected), "{path}"),
        }
    }
}

#[test]
fn what_would_take_too_long_ends_with_an_error() {
    let wide = Value::List(vec![Value::List(vec![Value::from(1); 300]); 300]);
    let path = JsonPath::parse("$..[*]..[*][?($..* = 2)]").unwrap();
    assert!(path.find(&wide).unwrap_err().contains("steps"));
    assert!(JsonPath::parse(&format!("$[?({}@", "(".repeat(5000))).is_err());
    let far = JsonPath::parse("$[9000000000000000000:-9000000000000000000:-1]").unwrap();
    far.find(&wide).unwrap();
}
