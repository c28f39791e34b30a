//! What was acknowledged can be asked for, once: at once, when it is in files, and after whatever
//! happened to the server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{self, Response};
use crate::lab::Lab;
use crate::wait::{unix_nanos, until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

pub fn export(lab: &Lab, signal: &str, body: &Value) -> Response {
    let otlp = lab.otlp.lock().unwrap().expect("the server runs");
    http::request(otlp, "POST", &format!("/v1/{signal}"), &[], Some(&body.to_string())).unwrap()
}

fn send(lab: &Lab, signal: &str, body: &Value) {
    let response = export(lab, signal, body);
    assert_eq!(response.status, 200, "{}", response.body);
}

fn resource(service: &str) -> Value {
    json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] })
}

/// A request that failed because what it called did.
fn trace(now: u64) -> Value {
    let span = |id: &str, parent: &str, kind: u32, name: &str, from: u64, to: u64, code: u32| {
        json!({
            "traceId": TRACE, "spanId": id, "parentSpanId": parent, "kind": kind, "name": name,
            "startTimeUnixNano": (now - from * 1_000_000).to_string(),
            "endTimeUnixNano": (now - to * 1_000_000).to_string(),
            "attributes": [{ "key": "http.route", "value": { "stringValue": "/pay" } },
                           { "key": "tries", "value": { "intValue": "3" } }],
            "status": { "code": code, "message": if code == 2 { "no answer" } else { "" } },
        })
    };
    let of = |service: &str, spans: Vec<Value>| {
        let scopes = json!([{ "spans": spans }]);
        json!({ "resource": resource(service), "scopeSpans": scopes })
    };
    json!({ "resourceSpans": [
        of("web", vec![span("00f067aa0ba902b7", "", 2, "POST /pay", 500, 0, 2),
                       span("00f067aa0ba902b8", "00f067aa0ba902b7", 3, "POST", 450, 50, 2)]),
        of("bank", vec![span("00f067aa0ba902b9", "00f067aa0ba902b8", 2, "charge", 400, 100, 2)]),
    ] })
}

pub fn logs(now: u64, lines: &[&str]) -> Value {
    let record = |(at, line): (usize, &&str)| {
        json!({
            "timeUnixNano": (now + at as u64).to_string(), "severityNumber": 17,
            "body": { "stringValue": line }, "traceId": TRACE, "spanId": "00f067aa0ba902b9",
        })
    };
    let records: Vec<Value> = lines.iter().enumerate().map(record).collect();
    let scopes = json!([{ "logRecords": records }]);
    json!({ "resourceLogs": [{ "resource": resource("bank"), "scopeLogs": scopes }] })
}

fn metrics(now: u64, value: f64) -> Value {
    let point = json!({ "timeUnixNano": now.to_string(), "asDouble": value,
        "attributes": [{ "key": "pool", "value": { "stringValue": "main" } }] });
    json!({ "resourceMetrics": [{ "resource": resource("bank"), "scopeMetrics": [{ "metrics": [
        { "name": "pool.used", "unit": "1", "gauge": { "dataPoints": [point] } },
    ] }] }] })
}

pub fn bodies(page: &Value) -> Vec<&str> {
    page["records"].as_array().unwrap().iter().map(|r| r["body"].as_str().unwrap()).collect()
}

/// Everything that was sent is there, once.
fn all_is_there(lab: &Lab) {
    let found = lab.get(&format!("traces/{TRACE}"));
    assert_eq!(found["spans"].as_array().unwrap().len(), 3, "{found}");
    let failure = &found["tree"]["failures"][0];
    assert_eq!((&failure["service"], &failure["message"]), (&json!("bank"), &json!("no answer")));
    let list = lab.get("traces?service=bank&status=error&attribute=tries%3D3&min_duration=200ms");
    assert_eq!(list["traces"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["traces"][0]["operation"], "POST /pay");
    let none = lab.get("traces?service=bank&attribute=tries%3E3");
    assert_eq!(none["traces"], json!([]));
    let page = lab.get("logs?query=refused%20service:bank");
    assert_eq!(bodies(&page), ["card 4711 refused"], "{page}");
    let page = lab.get(&format!("logs?query=trace:{TRACE}&order=oldest"));
    assert_eq!(bodies(&page), ["charging card 4711", "card 4711 refused"], "{page}");
    assert_eq!(lab.get("logs/histogram?buckets=5")["total"], 2);
    let series = lab.get("series?match=pool.used%7Bservice%3D%22bank%22%7D");
    assert_eq!(series["series"][0]["points"].as_array().unwrap().len(), 1, "{series}");
    assert_eq!(series["series"][0]["labels"]["pool"], "main");
}

pub fn files(lab: &Lab) -> u64 {
    let storage = lab.get("storage");
    storage["tables"].as_array().unwrap().iter().map(|t| t["files"].as_u64().unwrap()).sum()
}

#[test]
fn telemetry_is_found_once_in_memory_in_files_and_after_a_kill() {
    let mut lab = Lab::new();
    lab.start();
    let now = unix_nanos();
    send(&lab, "traces", &trace(now));
    send(&lab, "logs", &logs(now, &["charging card 4711", "card 4711 refused"]));
    send(&lab, "metrics", &metrics(now, 7.0));
    all_is_there(&lab);
    lab.kill_server();
    lab.start();
    all_is_there(&lab);
    until("it is in files", || (files(&lab) >= 3).then_some(()));
    all_is_there(&lab);
    lab.kill_server();
    lab.start();
    all_is_there(&lab);
    lab.stop_server();
    lab.start();
    all_is_there(&lab);

    let said = lab.said(&["trace", TRACE]);
    assert!(
        said.contains("an error started in bank charge") && said.contains("POST /pay"),
        "{said}"
    );
    let said = lab.said(&["traces", "--service", "bank", "--slowest"]);
    assert!(said.contains(TRACE) && said.contains("3 errors"), "{said}");
    let said = lab.said(&["logs", "card", "4711"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(lab.said(&["logs", "--histogram"]).contains("2 in all"));
    assert!(lab.said(&["series"]).contains("pool.used"));
    assert!(lab.said(&["series", "pool.used"]).contains("pool=\"main\""));
    assert!(lab.said(&["status"]).contains("3 spans in"));
}

#[test]
fn the_engine_tells_its_own_series() {
    let mut lab = Lab::new();
    lab.start();
    send(&lab, "traces", &trace(unix_nanos()));
    let requests = || lab.get("series?match=immune.requests%7Bservice%3D%22web%22%7D");
    let found = until("requests were counted", || {
        let found = requests();
        (!found["series"].as_array().unwrap().is_empty()).then_some(found)
    });
    assert_eq!(found["series"][0]["points"][0][1], 1.0, "{found}");
}

#[test]
fn a_live_tail_shows_what_matches_as_it_comes_and_ends_with_the_server() {
    let mut lab = Lab::new();
    lab.start();
    let mut stream = TcpStream::connect(lab.api()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let ask = format!("GET /api/v1/logs/tail?query=wanted HTTP/1.1\r\nhost: {}\r\n\r\n", lab.api());
    stream.write_all(ask.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("text/event-stream")));
    send(&lab, "logs", &logs(unix_nanos(), &["nothing", "the wanted one"]));
    let data = lines.by_ref().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let told: Value = serde_json::from_str(&data.unwrap()).unwrap();
    assert_eq!(bodies(&told), ["the wanted one"]);
    assert_eq!((&told["left_out"], &told["missed_batches"]), (&json!(0), &json!(0)));
    // A tail that nobody ends must not keep the server.
    lab.stop_server();
}

#[test]
fn a_low_disk_refuses_telemetry_and_nothing_else() {
    let mut lab = Lab::new();
    lab.start();
    send(&lab, "logs", &logs(unix_nanos(), &["card 4711 refused"]));
    lab.stop_server();
    lab.config["storage"]["disk"] = json!({ "free_min": "1000000GiB" });
    lab.start();
    let refused = export(&lab, "logs", &logs(unix_nanos(), &["not now"]));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    let ready = http::request(lab.api(), "GET", "/readyz", &[], None).unwrap();
    assert!(ready.status == 503 && ready.body.contains("disk space is low"), "{}", ready.body);
    assert!(lab.said(&["status"]).contains("disk space is low"));
    assert_eq!(bodies(&lab.get("logs")), ["card 4711 refused"]);
    assert_eq!(lab.post("freeze", Some(json!({ "reason": "it still listens" }))).status, 200);
    lab.stop_server();
    lab.config["storage"]["disk"] = json!({});
    lab.start();
    send(&lab, "logs", &logs(unix_nanos(), &["again"]));
    assert_eq!(lab.get("logs/histogram")["total"], 2);
}

#[test]
fn questions_that_make_no_sense_are_refused_with_advice() {
    let mut lab = Lab::new();
    lab.start();
    for (path, advice) in [
        ("traces/xyz", "32 hexadecimal digits"),
        ("traces?servce=web", "there are: to, from, service"),
        ("traces?status=bad", "write unset or ok or error"),
        ("traces?from=yesterday", "15m"),
        ("traces?min_duration=5", "250ms"),
        ("traces?attribute=%3D", "attribute"),
        ("traces?limit=0", "limit"),
        ("spans?after=x", "cursor"),
        ("logs?query=%22open", "query"),
        ("logs?limit=1000000", "limit"),
        ("logs?from=1h&to=2h", "not before"),
        ("series", "match=METRIC"),
        ("series?match=a%7B", "match"),
        ("series?match=a&function=most", "function"),
    ] {
        let response = lab.ask("GET", path, None);
        assert_eq!(response.status, 400, "{path}: {}", response.body);
        assert!(response.error().contains(advice), "{path}: {}", response.body);
    }
    let missing = lab.ask("GET", &format!("traces/{TRACE}"), None);
    assert_eq!(missing.status, 404, "{}", missing.body);
}
