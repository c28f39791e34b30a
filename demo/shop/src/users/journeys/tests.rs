//! Good files are read, bad ones are refused with a message that names the place.

use rand::SeedableRng as _;
use serde_json::json;

use super::*;

const GOOD: &str = r#"
journeys:
  - name: buy
    weight: 3
    choose:
      sku: [mug, teapot]
    steps:
      - name: home
        request: GET /
      - name: order
        think: 1s..2s
        request: POST /api/orders
        body: { items: [{ sku: "${sku}", quantity: 1 }] }
        expect: [201, 409]
        capture: { order: $.id }
      - name: look
        request: GET /api/orders/${order}?by=${session}
  - name: leave
    weight: 1
    steps: [{ name: home, request: GET / }]
"#;

#[test]
fn a_good_file_is_read() {
    let journeys = Journeys::parse(GOOD).expect("a good file");
    let buy = &journeys.journeys[0];
    let order = &buy.steps[1];
    assert_eq!(order.method, Method::POST);
    assert_eq!(order.body, Some(json!({ "items": [{ "sku": "${sku}", "quantity": 1 }] })));
    assert!(order.expects(409) && !order.expects(200));
    assert!(buy.steps[0].expects(204) && !buy.steps[0].expects(404));
}

#[test]
fn journeys_are_drawn_by_weight() {
    let journeys = Journeys::parse(GOOD).expect("a good file");
    let mut generator = StdRng::seed_from_u64(5);
    let buys = (0..4000).filter(|_| journeys.draw(&mut generator).name == "buy").count();
    assert!((2900..3100).contains(&buys), "{buys} of 4000");
}

#[test]
fn a_session_draws_its_choices() {
    let journeys = Journeys::parse(GOOD).expect("a good file");
    let mut generator = StdRng::seed_from_u64(5);
    let values = journeys.journeys[0].values("s-000001", &mut generator);
    assert_eq!(values["session"], json!("s-000001"));
    assert!([json!("mug"), json!("teapot")].contains(&values["sku"]));
}

#[test]
fn a_bad_file_is_refused_with_its_place() {
    let step = |step: &str| format!("journeys: [{{ name: j, steps: [{{ name: s, {step} }}] }}]");
    let bad = [
        ("journeys: []".to_owned(), "1 to 100 journeys"),
        ("journeys: [{ name: j, steps: [] }]".to_owned(), "journey \"j\": a journey has 1"),
        (step("request: GET /, colour: red"), "colour"),
        (step("request: GET"), "step \"s\": \"GET\" is not a request"),
        (step("request: FETCH /"), "the method is one of GET"),
        (step("request: GET api"), "\"api\" is not a path"),
        (step("request: 'GET /${id}'"), "${id} has no value here"),
        (step("request: POST /, body: ['${id}']"), "${id} has no value here"),
        (step("request: GET /, expect: [42]"), "42 is not a status"),
        (step("request: GET /, think: soon"), "\"soon\" is not a time"),
        (step("request: GET /, capture: { id: id }"), "\"id\" is not a path"),
        (GOOD.replace("leave", "buy"), "journey \"buy\": two journeys"),
        (GOOD.replace("weight: 3", "weight: -1"), "the weight is"),
        (GOOD.replace("weight: 3", "weight: 0").replace("weight: 1", "weight: 0"), "no journey"),
        (GOOD.replace("[mug, teapot]", "[]"), "nothing to choose \"sku\" from"),
    ];
    for (text, expected) in bad {
        let message = Journeys::parse(&text).expect_err(&text).to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
}
