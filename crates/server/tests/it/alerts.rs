//! Alerts of other systems: posted as Alertmanager posts them, and by Debian's Alertmanager itself.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::http;
use crate::lab::Lab;
use crate::program::{Program, installed};
use crate::wait::until;

/// `alerts.rs` has no other time than this; nothing here depends on it.
const BEGAN: &str = "2026-01-05T00:00:00Z";

fn message(name: &str, severity: &str, status: &str) -> Value {
    let ends = if status == "firing" { "0001-01-01T00:00:00Z" } else { BEGAN };
    json!({
        "version": "4", "status": status, "receiver": "immune", "groupKey": "{}:{}",
        "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": [{
            "status": status,
            "labels": { "alertname": name, "service": "orders", "severity": severity },
            "annotations": {
                "summary": "the queue is stuck", "runbook_url": "https://runbooks.example/queue",
            },
            "startsAt": BEGAN, "endsAt": ends, "generatorURL": "http://prometheus.example",
            "fingerprint": "c6eadffa33fcdf37",
        }],
    })
}

fn symptom(incident: &Value) -> &Value {
    &incident["symptoms"][0]
}

#[test]
fn an_alert_is_an_incident_that_survives_a_crash_and_is_shown_with_what_to_do() {
    let mut lab = Lab::new();
    lab.start();
    let fires = message("QueueStuck", "critical", "firing");
    for _ in 0..2 {
        let answer = lab.post("alerts/alertmanager", Some(fires.clone()));
        assert_eq!((answer.status, answer.json()), (200, json!({ "alerts": 1, "left_out": 0 })));
    }
    let opened = lab.incident("an incident is open", |incident| incident["state"] == "open");
    assert_eq!(symptom(&opened)["kind"], "alert");
    assert_eq!(symptom(&opened)["severity"], "page");
    lab.kill_server();
    lab.start();
    let kept = lab.incident("the incident is still there", |incident| incident["id"] == 1);
    assert_eq!((&kept["state"], &kept["opened"]), (&json!("open"), &opened["opened"]));
    let alerts = lab.get("alerts");
    assert_eq!(alerts.as_array().unwrap().len(), 1, "told twice, known once: {alerts:#}");
    assert_eq!((&alerts[0]["is_mapped"], &alerts[0]["ended"]), (&json!(false), &Value::Null));
    assert_eq!(lab.get("status")["alerts_firing"], 1);
    let explained = lab.said(&["explain", "1"]);
    for words in
        ["alert QueueStuck of orders: the queue is stuck", "https://runbooks.example/queue"]
    {
        assert!(explained.contains(words), "{explained}");
    }
    assert!(lab.said(&["status"]).contains("alert QueueStuck of orders fires"));
    assert!(lab.said(&["alerts"]).contains("QueueStuck of orders (no telemetry tells of it)"));
    let over = message("QueueStuck", "critical", "resolved");
    assert_eq!(lab.post("alerts/alertmanager", Some(over)).status, 200);
    lab.incident("it is over", |incident| incident["state"] == "resolved");
    lab.stop_server();
    let output = crate::lab::immune().arg("replay").arg(lab.data()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn who_may_send_alerts_and_what_is_refused() {
    let mut lab = Lab::new();
    let tokens = [("ingest", "collector"), ("read", "wall"), ("admin", "ops")];
    for (role, name) in tokens {
        let secret = format!("{name}-secret-0123456789");
        lab.config["api"]["tokens"][role] = json!([{ "name": name, "secret": secret }]);
    }
    lab.start();
    let body = message("A", "warning", "firing").to_string();
    let post = |token: Option<&str>, body: &str| {
        let bearer = token.map(|name| format!("Bearer {name}-secret-0123456789"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let path = "/api/v1/alerts/alertmanager";
        http::request(lab.api(), "POST", path, &headers, Some(body)).unwrap()
    };
    assert_eq!(post(None, &body).status, 401);
    assert_eq!(post(Some("wall"), &body).status, 403, "who reads does not send");
    assert_eq!(post(Some("collector"), &body).status, 200);
    for (body, expected) in [
        ("{}", "missing field `version`"),
        (r#"{"version": "3", "alerts": []}"#, "version `3` of Alertmanager's webhook"),
        (
            r#"{"version": "4", "alerts": [{"status": "up", "labels": {"a": "b"},
                "startsAt": "2026-01-05T00:00:00Z"}]}"#,
            "alerts[0].status: `up` is neither",
        ),
    ] {
        let answer = post(Some("collector"), body);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
    let huge = " ".repeat(2 << 20);
    assert_eq!(post(Some("collector"), &huge).status, 413);
}

#[test]
fn debians_alertmanager_tells_of_an_alert_and_of_its_end() {
    let Some(program) = installed("prometheus-alertmanager") else { return };
    let mut lab = Lab::new();
    lab.config["api"]["tokens"] = json!({
        "ingest": [{ "name": "prometheus", "secret": "prometheus-secret-01" }],
        "admin": [{ "name": "ops", "secret": "operations-secret-01" }],
    });
    lab.use_token("operations-secret-01");
    lab.start();
    let url = format!("http://{}/api/v1/alerts/alertmanager", lab.api());
    let config = json!({
        "route": {
            "receiver": "immune", "group_by": ["alertname"],
            "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h",
        },
        "receivers": [{ "name": "immune", "webhook_configs": [{
            "url": url,
            "http_config": { "authorization": { "credentials": "prometheus-secret-01" } },
        }]}],
    });
    let file = lab.dir.path().join("alertmanager.yml");
    std::fs::write(&file, config.to_string()).unwrap();
    let port = std::net::TcpListener::bind((lab.target.ip(), 0)).unwrap().local_addr().unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.path={}", lab.dir.path().join("alertmanager").display()));
    command.arg(format!("--web.listen-address={port}")).arg("--cluster.listen-address=");
    let log = std::fs::File::create(lab.dir.path().join("alertmanager.log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let _alertmanager = Program(command.spawn().unwrap());
    let tell = |ends_at: Option<&str>| {
        let mut alert = json!({
            "labels": {
                "alertname": "OrdersDown", "job": "shop/orders", "severity": "critical",
                "instance": "orders-1:8080",
            },
            "annotations": { "summary": "orders does not answer" },
        });
        if let Some(at) = ends_at {
            alert["endsAt"] = at.into();
            alert["startsAt"] = BEGAN.into();
        }
        let body = json!([alert]).to_string();
        let json = [("content-type", "application/json")];
        http::request(port, "POST", "/api/v2/alerts", &json, Some(&body))
            .ok()
            .filter(|answer| answer.status == 200)
    };
    until("alertmanager takes an alert", || tell(None));
    let opened = lab.incident("an incident is open", |incident| incident["state"] == "open");
    let symptom = symptom(&opened);
    assert_eq!((&symptom["kind"], &symptom["source"]), (&json!("alert"), &json!("OrdersDown")));
    let summary = "alert OrdersDown of orders: orders does not answer (orders-1:8080), told by \
                   prometheus; no telemetry tells of orders";
    assert_eq!(symptom["summary"], summary);
    until("alertmanager takes the end", || tell(Some("2026-01-05T00:01:00Z")));
    lab.incident("it is over", |incident| incident["state"] == "resolved");
}
