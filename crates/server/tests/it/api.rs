//! The HTTP API from outside: every route, who may ask what, and whatever else a client may send.

use serde_json::json;

use crate::http::{self, Response};
use crate::lab::Lab;
use crate::wait::until;

/// Every route with the role that it needs, a body that it takes, and what it answers on an empty
/// server.
const ROUTES: &[(&str, &str, &str, Option<&str>, u16)] = &[
    ("read", "GET", "/api/v1/status", None, 200),
    ("read", "GET", "/api/v1/objectives", None, 200),
    ("read", "GET", "/api/v1/services?window=1m", None, 200),
    ("read", "GET", "/api/v1/services/cart", None, 404),
    ("read", "GET", "/api/v1/topology", None, 200),
    ("read", "GET", "/api/v1/changes?from=1h", None, 200),
    ("read", "GET", "/api/v1/healing", None, 200),
    ("read", "GET", "/api/v1/audit", None, 200),
    ("read", "GET", "/api/v1/me", None, 200),
    ("read", "GET", "/api/v1/openapi.json", None, 200),
    ("read", "GET", "/api/v1/incidents", None, 200),
    ("read", "GET", "/api/v1/incidents?state=open", None, 200),
    ("read", "GET", "/api/v1/incidents/7", None, 404),
    ("read", "GET", "/api/v1/incidents/7/events", None, 200),
    ("read", "GET", "/api/v1/plans", None, 200),
    ("read", "GET", "/api/v1/plans/7", None, 404),
    ("read", "GET", "/api/v1/pauses", None, 200),
    ("read", "GET", "/api/v1/autonomy", None, 200),
    ("read", "GET", "/api/v1/events?after=3", None, 200),
    ("read", "GET", "/api/v1/traces", None, 200),
    ("read", "GET", "/api/v1/traces/0af7651916cd43dd8448eb211c80319c", None, 404),
    ("read", "GET", "/api/v1/spans", None, 200),
    ("read", "GET", "/api/v1/spans/stats", None, 200),
    ("read", "GET", "/api/v1/logs", None, 200),
    ("read", "GET", "/api/v1/logs/histogram", None, 200),
    ("read", "GET", "/api/v1/series?match=x", None, 200),
    ("read", "GET", "/api/v1/series/metrics", None, 200),
    ("read", "GET", "/api/v1/series/labels", None, 200),
    ("read", "GET", "/api/v1/series/labels/service", None, 200),
    ("read", "GET", "/api/v1/storage", None, 200),
    ("read", "GET", "/api/v1/drills?limit=3", None, 200),
    ("read", "GET", "/api/v1/drills/matrix", None, 200),
    ("read", "GET", "/api/v1/drills/schedule", None, 200),
    ("read", "GET", "/api/v1/drills/suggestions", None, 200),
    ("read", "GET", "/api/v1/drills/7", None, 404),
    ("read", "GET", "/metrics", None, 200),
    ("approve", "POST", "/api/v1/incidents/7/acknowledge", None, 409),
    ("approve", "POST", "/api/v1/incidents/7/close", None, 409),
    ("approve", "POST", "/api/v1/plans/7/approve", None, 409),
    ("approve", "POST", "/api/v1/plans/7/deny", None, 409),
    ("approve", "POST", "/api/v1/freeze", Some(r#"{"reason":"a test"}"#), 200),
    ("approve", "POST", "/api/v1/pauses", Some(r#"{"name":"a","what":"all"}"#), 400),
    ("admin", "GET", "/api/v1/configuration", None, 200),
    ("admin", "GET", "/api/v1/tokens", None, 200),
    ("admin", "POST", "/api/v1/pauses/a%20b/resume", None, 409),
    ("admin", "POST", "/api/v1/thaw", None, 200),
    ("admin", "POST", "/api/v1/objectives/nothing/relearn", None, 409),
    (
        "admin",
        "POST",
        "/api/v1/changes",
        Some(r#"{"service":"orders","kind":"deploy","summary":"2.0"}"#),
        200,
    ),
    ("admin", "POST", "/api/v1/drills", Some("title: half an experiment"), 400),
    ("admin", "POST", "/api/v1/drills/7/stop", None, 404),
];

fn ask(lab: &Lab, method: &str, path: &str, body: Option<&str>) -> Response {
    http::request(lab.api(), method, path, &[], body).unwrap()
}

/// A server that knows nothing yet.
fn empty() -> Lab {
    let mut lab = Lab::new();
    lab.start();
    lab
}

#[test]
fn every_route_answers_and_every_error_has_the_same_shape() {
    let lab = empty();
    for (_, method, path, body, status) in ROUTES {
        let response = ask(&lab, method, path, *body);
        assert_eq!(response.status, *status, "{method} {path}: {}", response.body);
        match *status {
            400.. => assert!(!response.error().is_empty()),
            _ if *path == "/metrics" => {}
            _ => assert!(!response.json().is_null()),
        }
        let wrong = if *method == "GET" { "DELETE" } else { "PUT" };
        let response = ask(&lab, wrong, path, None);
        assert_eq!(response.status, 405, "{wrong} {path}: {}", response.body);
        assert!(response.error().contains(wrong));
        assert!(response.header("allow").is_some_and(|allow| allow.contains(method)), "{path}");
    }
    let page = ask(&lab, "GET", "/", None);
    assert!(page.body.contains("<!doctype html>"), "{}", page.body);
    assert!(page.header("content-security-policy").is_some());
    assert_eq!(ask(&lab, "GET", "/incidents/1", None).body, page.body);
    assert_eq!(ask(&lab, "POST", "/", None).status, 404);
    for path in
        ["/nothing.js", "/api", "/api/v1", "/api/v1/nothing", "/api/v2/status", "/api/v1/status/"]
    {
        let response = ask(&lab, "GET", path, None);
        assert_eq!(response.status, 404, "{path}");
        assert!(response.error().contains(path), "{}", response.body);
    }
    until("it is ready", || (ask(&lab, "GET", "/readyz", None).status == 200).then_some(()));
    assert_eq!(ask(&lab, "GET", "/livez", None).body, "ok\n");
    let metrics = ask(&lab, "GET", "/metrics", None);
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4"));
    for line in metrics.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let is_named = name.starts_with("immune_") || name.starts_with("process_");
        assert!(is_named && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_bounded_memory() {
    let lab = empty();
    let refused = |method: &str, path: &str, body: Option<&str>, status: u16| {
        let response = ask(&lab, method, path, body);
        assert_eq!(response.status, status, "{method} {path}: {}", response.body);
        response.error()
    };
    let change = "/api/v1/changes";
    let deep = "[".repeat(200_000);
    let deep_object = format!(r#"{{"service":{}"#, r#"{"a":"#.repeat(50_000));
    for body in ["", "{", "null", "7", "\"text\"", "\u{0}", &deep, &deep_object, "{} {}"] {
        refused("POST", change, Some(body), 400);
        refused("POST", "/api/v1/freeze", Some(body), 400);
        refused("POST", "/api/v1/drills", Some(body), 400);
    }
    let unknown = refused("POST", "/api/v1/freeze", Some(r#"{"raison":"x"}"#), 400);
    assert!(unknown.contains("raison"), "{unknown}");
    for (service, summary, at) in [
        ("", "x", "2026-01-01T00:00:00Z"),
        ("orders", &"x".repeat(501), "2026-01-01T00:00:00Z"),
        (&"x".repeat(256), "x", "2026-01-01T00:00:00Z"),
        ("orders", "x", "2999-01-01T00:00:00Z"),
        ("orders", "x", "yesterday"),
    ] {
        let body = json!({ "service": service, "kind": "deploy", "summary": summary, "at": at });
        refused("POST", change, Some(&body.to_string()), 400);
    }
    let long = json!({ "reason": "x".repeat(501) }).to_string();
    refused("POST", "/api/v1/freeze", Some(&long), 400);
    for path in ["incidents/x", "incidents/-1", "incidents/99999999999999999999", "plans/%ff"] {
        refused("GET", &format!("/api/v1/{path}"), None, 400);
    }
    for query in ["incidents?state=dead", "incidents?stat=open", "events?after=-1"] {
        refused("GET", &format!("/api/v1/{query}"), None, 400);
    }
    let text = [("content-type", "text/plain")];
    let typed = http::request(lab.api(), "POST", change, &text, Some("{}")).unwrap();
    assert_eq!(typed.status, 415, "{}", typed.body);
    typed.error();

    let huge = "x".repeat(3 << 20);
    for path in [change, "/api/v1/drills", "/api/v1/freeze"] {
        let error = refused("POST", path, Some(&huge), 413);
        assert!(error.contains("1024 KiB"), "{error}");
    }
    let promised = format!(
        "POST {change} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{{",
        lab.api()
    );
    assert_eq!(http::raw(lab.api(), promised.as_bytes()).unwrap().status, 413);
    // An alias bomb is YAML, and an experiment is YAML.
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (new, old) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        bomb.push_str(&format!("{new}: &{new} [{}]\n", vec![format!("*{old}"); 9].join(",")));
    }
    refused("POST", "/api/v1/drills", Some(&bomb), 400);
    let frozen = lab.get("status");
    assert!(frozen["frozen"].is_null(), "nothing of that was taken: {frozen:#}");
}

#[test]
fn each_token_opens_what_it_is_for_and_nothing_else() {
    let mut lab = Lab::new();
    let secret = |role: &str| format!("{role}-secret-0123456789");
    let token = |role: &str| json!([{ "name": role, "secret": secret(role) }]);
    lab.config["api"]["tokens"] = json!({
        "ingest": token("ingest"), "read": token("read"),
        "approve": token("approve"), "admin": token("admin"),
    });
    lab.use_token(&secret("admin"));
    lab.start();
    let ladder = ["ingest", "read", "approve", "admin"];
    let rank = |role: &str| ladder.iter().position(|known| *known == role).unwrap();
    let with = |authorization: &str, method: &str, path: &str, body: Option<&str>| {
        let headers = [("authorization", authorization)];
        http::request(lab.api(), method, path, &headers, body).unwrap()
    };
    for (needed, method, path, body, status) in ROUTES {
        let nobody = ask(&lab, method, path, *body);
        assert_eq!(nobody.status, 401, "{path}: {}", nobody.body);
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
        assert!(nobody.error().contains("Authorization: Bearer"));
        let admin = secret("admin");
        let wrong = [
            "Bearer ".to_owned(),
            "Bearer wrong-secret-0123456789".to_owned(),
            format!("Basic {admin}"),
            admin.clone(),
            format!("Bearer {admin}x"),
            format!("Bearer {}", &admin[..admin.len() - 1]),
        ];
        for authorization in wrong {
            let response = with(&authorization, method, path, *body);
            assert_eq!(response.status, 401, "{path} {authorization}: {}", response.body);
        }
        for role in ladder {
            let response = with(&format!("Bearer {}", secret(role)), method, path, *body);
            let wanted = if rank(role) >= rank(needed) { *status } else { 403 };
            assert_eq!(response.status, wanted, "{role} {method} {path}: {}", response.body);
            if wanted == 403 {
                assert!(response.error().contains(needed), "{}", response.body);
            }
        }
    }
    assert_eq!(ask(&lab, "GET", "/livez", None).status, 200, "health is for everybody");
    until("it is ready", || (ask(&lab, "GET", "/readyz", None).status == 200).then_some(()));
    ingest_needs_its_token(&lab, &secret);
    let who: Vec<_> = lab.events().into_iter().filter(|e| e["event"] == "command").collect();
    assert!(who.iter().any(|event| event["by"] == "approve"), "{who:#?}");
    assert!(!lab.log().contains("secret-0123456789"), "no token is in the log");
    let status = lab.cli(&["status"]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}

fn ingest_needs_its_token(lab: &Lab, secret: &dyn Fn(&str) -> String) {
    let otlp = lab.otlp.lock().unwrap().unwrap();
    let send = |bearer: Option<String>| {
        let bearer = bearer.map(|secret| format!("Bearer {secret}"));
        let headers: Vec<_> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let body = Some(r#"{"resourceSpans":[]}"#);
        http::request(otlp, "POST", "/v1/traces", &headers, body).unwrap().status
    };
    assert_eq!(send(None), 401);
    assert_eq!(send(Some("wrong-secret-0123456789".to_owned())), 401);
    assert_eq!(send(Some(secret("ingest"))), 200);
    assert_eq!(send(Some(secret("admin"))), 200);
    for role in ["read", "approve"] {
        assert!(matches!(send(Some(secret(role))), 401 | 403));
    }
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let mut lab = Lab::new();
    lab.config["api"]["hosts"] = json!(["immune.internal"]);
    lab.config["api"]["origins"] = json!(["https://wall.example"]);
    lab.start();
    let port = lab.api().port();
    let status = |headers: &[(&str, &str)]| {
        let response = http::request(lab.api(), "GET", "/api/v1/status", headers, None).unwrap();
        if response.status >= 400 {
            response.error();
        }
        response.status
    };
    let own = format!("localhost:{port}");
    for host in [&own, "localhost", "127.0.0.1", "[::1]:7700", "a.localhost", "immune.internal"] {
        assert_eq!(status(&[("host", host)]), 200, "{host}");
    }
    let foreign =
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0"];
    for host in foreign {
        assert_eq!(status(&[("host", host)]), 403, "{host}");
    }
    assert_eq!(status(&[("host", "a b")]), 400);
    assert_eq!(status(&[("host", &own), ("host", "evil.example")]), 400, "two of them");
    let origin = |origin: &str| status(&[("host", &own), ("origin", origin)]);
    assert_eq!(origin(&format!("http://{own}")), 200);
    assert_eq!(origin("https://wall.example"), 200);
    for other in
        ["https://evil.example", "null", "", "http://localhost:1", "https://wall.example.evil"]
    {
        assert_eq!(origin(other), 403, "{other}");
    }
    // Health too, and what is not there: a page learns nothing.
    for path in ["/livez", "/metrics", "/api/v1/nothing"] {
        let response = http::request(lab.api(), "GET", path, &[("host", "evil.example")], None);
        assert_eq!(response.unwrap().status, 403, "{path}");
    }
    let old = http::raw(lab.api(), b"GET /api/v1/status HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.status, 400, "{}", old.body);
    assert!(old.error().contains("Host"));
    let old = format!("GET /api/v1/status HTTP/1.0\r\nHost: {own}\r\n\r\n");
    assert_eq!(http::raw(lab.api(), old.as_bytes()).unwrap().status, 200);
}
