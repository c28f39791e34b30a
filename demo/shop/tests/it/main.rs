//! The shop as it runs: real processes, real users, a real kill, real telemetry.

mod collector;
mod fleet;

use serde_json::Value;

use collector::Collector;
use fleet::{CATALOGS, Fleet, eventually};

/// Checkouts looked at before, during and after the outage.
const CHECKOUTS: usize = 60;

const BUYERS: &str = r#"
journeys:
  - name: buy
    choose: { sku: [teapot, mug, kettle] }
    steps:
      - name: cart
        request: POST /api/carts/${session}/items
        body: { sku: "${sku}", quantity: 1 }
        expect: [201]
      - name: checkout
        request: POST /api/checkout
        body: { cart: "${session}", card: "4242424242424242" }
        expect: [201]
        capture: { order: $.id }
      - name: order
        request: GET /api/orders/${order}
"#;

/// The checkouts in the users' log that began at or after `since_unix_ns`.
fn checkouts(log: &str, since_unix_ns: u64) -> Vec<Value> {
    let lines = log.lines().skip(1).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let wanted = |line: &Value| {
        line["step"] == "checkout" && line["start_unix_ns"].as_u64() >= Some(since_unix_ns)
    };
    lines.filter(wanted).collect()
}

fn failed(checkouts: &[Value]) -> Vec<&Value> {
    checkouts.iter().filter(|line| line["ok"] != true).collect()
}

/// The end of the last request so far: what begins later began after this call.
fn newest_start(log: &str) -> u64 {
    checkouts(log, 0).iter().filter_map(|line| line["end_unix_ns"].as_u64()).max().unwrap_or(0)
}

#[tokio::test]
async fn a_dead_payment_instance_fails_half_of_the_checkouts_until_it_is_back() {
    let mut fleet = Fleet::start(None).await;
    let log = fleet.start_users(BUYERS, "40");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();

    eventually("healthy checkouts", || checkouts(&read(), 0).len() >= CHECKOUTS).await;
    let healthy = checkouts(&read(), 0);
    assert_eq!(failed(&healthy), Vec::<&Value>::new(), "a healthy shop takes every order");

    fleet.kill("payment-1");
    let killed = newest_start(&read());
    eventually("checkouts in the outage", || checkouts(&read(), killed).len() >= CHECKOUTS).await;
    let hurt = checkouts(&read(), killed);
    let share = failed(&hurt).len() as f64 / hurt.len() as f64;
    assert!((0.35..=0.65).contains(&share), "{share} of the checkouts failed");
    assert!(failed(&hurt).iter().all(|line| line["status"] == 502), "{:?}", failed(&hurt));

    fleet.start_payment("payment-1").await;
    let healed = newest_start(&read());
    // A request under way when the instance came back may still have met the dead one.
    let settled = || {
        let after = checkouts(&read(), healed);
        let tail = after.len().saturating_sub(CHECKOUTS);
        after.len() >= CHECKOUTS && failed(&after[tail..]).is_empty()
    };
    eventually("recovery", settled).await;
    fleet.stop_all();
}

#[tokio::test]
async fn one_order_is_one_trace_through_every_part() {
    let collector = Collector::start().await;
    let mut fleet = Fleet::start(Some(collector.endpoint())).await;
    fleet.start_users(BUYERS, "5");

    eventually("a whole trace", || collector.whole_order().is_some()).await;
    let order = collector.whole_order().expect("seen a moment ago");
    let path = order.path_to_the_database_of("payment");
    let seen: Vec<(&str, &str)> =
        path.iter().map(|span| (span.service.as_str(), span.name.as_str())).collect();
    let expected = [
        ("gateway", "POST /api/checkout"),
        ("gateway", "POST"),
        ("checkout", "POST /orders"),
        ("checkout", "POST"),
        ("gateway", "POST /internal/payments"),
        ("gateway", "POST"),
        ("payment", "POST /payments"),
        ("payment", "INSERT charges SELECT charges"),
    ];
    assert_eq!(seen, expected);

    let entry = path[0];
    assert_eq!(entry.attribute("http.request.method"), "POST");
    assert_eq!(entry.attribute("http.route"), "/api/checkout");
    assert_eq!(entry.attribute("http.response.status_code"), "201");
    assert_eq!(entry.attribute("url.path"), "/api/checkout");
    assert_eq!(entry.attribute("server.address"), "127.0.0.1");
    let call = path[5];
    assert!(call.attribute("url.full").ends_with("/payments"));
    assert_ne!(call.attribute("server.port"), "");
    let query = path[7];
    assert_eq!(query.attribute("db.system.name"), "sqlite");
    assert_eq!(query.attribute("db.namespace"), "payment");
    assert_eq!(query.attribute("db.operation.name"), "BATCH");
    let resource = &path[7].resource;
    assert!(["payment-1", "payment-2"].contains(&resource["service.instance.id"].as_str()));
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_ne!(resource["process.pid"], "");

    let metrics = [
        "http.server.request.duration",
        "http.server.active_requests",
        "http.client.request.duration",
    ];
    eventually("metrics", || {
        metrics.iter().all(|name| {
            collector.has_metric("payment", name) || collector.has_metric("gateway", name)
        })
    })
    .await;
    eventually("a log line of an order's trace", || collector.has_log_in_a_trace("checkout")).await;

    fleet.kill("payment-1");
    eventually("an erroneous client span", || collector.has_refused_call("gateway")).await;
    fleet.stop_all();
}

#[tokio::test]
async fn the_shop_works_when_nobody_takes_its_telemetry() {
    // A port that was free a moment ago: connections to it are refused.
    let nobody = format!("http://127.0.0.1:{}", fleet::free_port());
    let mut fleet = Fleet::start(Some(nobody)).await;
    let log = fleet.start_users(BUYERS, "20");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("checkouts", || checkouts(&read(), 0).len() >= 20).await;
    assert_eq!(failed(&checkouts(&read(), 0)), Vec::<&Value>::new());
    fleet.stop_all();
}

#[tokio::test]
async fn a_dead_catalog_instance_hurts_nobody_and_a_dead_card_network_every_payment() {
    let mut fleet = Fleet::start(None).await;
    let log = fleet.start_users(BUYERS, "20");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("healthy checkouts", || checkouts(&read(), 0).len() >= 20).await;

    fleet.kill("provider");
    let killed = newest_start(&read());
    eventually("checkouts without the network", || {
        checkouts(&read(), killed).iter().filter(|line| line["status"] == 502).count() >= 20
    })
    .await;
    fleet.start_part("provider", &["provider"]).await;

    let lists = |fleet: &Fleet| fleet.ask("gateway", "GET", "/api/products/mug", "");
    fleet.kill("catalog-1");
    for _ in 0..10 {
        let answer = lists(&fleet);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let order = r#"{"items": [{"sku": "mug", "quantity": 1}], "card": "4242424242424242"}"#;
        let answer = fleet.ask("gateway", "POST", "/api/checkout", order);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    fleet.stop_all();
}

#[tokio::test]
async fn operators_deploy_go_back_eject_and_slow_down() {
    let mut fleet = Fleet::start(None).await;
    assert!(fleet.release(&["--to", "1.5.0"]).starts_with("1.5.0 is deployed"));
    assert!(fleet.release(&["--to", "1.5.0"]).ends_with("nothing is done\n"));
    assert!(fleet.release(&["--is", "1.5.0"]).starts_with("2 of 2 instances"));
    assert!(fleet.run(&["release", &fleet.deployment(), "--is", "1.4.0"]).is_err());
    let show = |fleet: &Fleet| fleet.ask("catalog-1", "GET", "/products/mug", "");
    assert!(show(&fleet).starts_with("HTTP/1.1 500"), "{}", show(&fleet));
    assert!(fleet.release(&["--back"]).starts_with("1.4.0 is deployed"));
    assert!(show(&fleet).starts_with("HTTP/1.1 200"), "{}", show(&fleet));

    let put = |path, body| fleet.ask("gateway", "PUT", path, body);
    let ejected = put("/admin/payments/payment-1", r#"{"state": "ejected"}"#);
    assert!(ejected.contains(r#""state":"ejected""#), "{ejected}");
    assert!(put("/admin/payments/payment-9", r#"{"state": "active"}"#).contains(" 404 "));
    assert!(put("/admin/switches", r#"{"slow_ms": 70000}"#).contains(" 422 "));
    assert!(put("/admin/switches", r#"{"slow_ms": 300}"#).contains(" 200 "));
    let within = |patience| fleet.ask_within(patience, "gateway", "GET", "/api/products", "");
    assert!(within(std::time::Duration::from_millis(150)).is_err(), "it is not slow");
    assert!(within(std::time::Duration::from_secs(5)).is_ok_and(|it| it.contains(" 200 ")));

    let cart = fleet.url("cart");
    assert!(fleet.run(&["switch", &cart, "--is-on"]).is_err());
    fleet.run(&["switch", &cart, "--leak-kib", "64"]).expect("switch");
    assert!(fleet.run(&["switch", &cart, "--is-on"]).is_err(), "nothing leaked yet");
    fleet.ask("gateway", "GET", "/api/carts/s-1", "");
    assert!(fleet.run(&["switch", &cart, "--is-on"]).is_ok_and(|it| it.contains("65536 bytes")));
    fleet.run(&["switch", &cart, "--off"]).expect("switch");
    assert!(fleet.run(&["switch", &cart, "--is-on"]).is_err(), "it gave all back");
    CATALOGS.iter().for_each(|name| fleet.end_released(name));
    fleet.stop_all();
}
