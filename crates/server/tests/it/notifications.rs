//! People are told, in Alertmanager's words, of exactly what the journal says they are owed.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::{all_of, until};
use crate::webhook::{Got, Webhook};

fn lab_with(webhook: &Webhook) -> Lab {
    let mut lab = Lab::new();
    let url = format!("http://{}/hook?key=hidden-key", webhook.address);
    lab.config["notify"] =
        json!([{ "name": "pager", "webhook": { "url": url, "token": "a-very-secret-token" } }]);
    lab
}

/// (reason, incident state) of the events that people are to hear of.
fn owed(lab: &Lab) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = lab.events().into_iter().filter(|event| event["event"] == "incident");
    events
        .filter(|event| event["reason"] != "updated")
        .map(|event| (text(&event["reason"]), text(&event["incident"]["state"])))
        .collect()
}

fn delivered(webhook: &Webhook) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |got: Got| {
        let message = got.message;
        (text(&message["notification_reason"]), text(&message["commonAnnotations"]["state"]))
    };
    webhook.got(200).into_iter().map(told).collect()
}

fn until_delivered(lab: &Lab, webhook: &Webhook, last: &str) {
    until(last, || delivered(webhook).iter().any(|(reason, _)| reason == last).then_some(()));
    assert_eq!(delivered(webhook), owed(lab));
}

fn in_alertmanagers_words(got: &Got) {
    assert_eq!(got.authorization.as_deref(), Some("Bearer a-very-secret-token"));
    let message = &got.message;
    let fixed = [("version", "4"), ("receiver", "pager")];
    for (field, value) in fixed {
        assert_eq!(message[field], value, "{message:#}");
    }
    let resolved = message["commonAnnotations"]["state"] == "resolved";
    assert_eq!(message["status"], if resolved { "resolved" } else { "firing" }, "{message:#}");
    assert_eq!(message["truncatedAlerts"], 0);
    assert_eq!(message["groupLabels"], json!({ "incident": "1" }));
    for field in ["groupKey", "externalURL"] {
        assert!(message[field].is_string(), "{field}: {message:#}");
    }
    let alerts = message["alerts"].as_array().unwrap();
    assert!(!alerts.is_empty());
    for alert in alerts {
        for label in ["alertname", "service", "severity", "incident", "environment"] {
            assert!(alert["labels"][label].is_string(), "{label}: {alert:#}");
        }
        assert!(alert["annotations"]["summary"].is_string());
        assert!(alert["startsAt"].as_str().unwrap().ends_with('Z'));
        assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
        let over = alert["endsAt"] != "0001-01-01T00:00:00Z";
        assert_eq!(over, alert["status"] == "resolved", "{alert:#}");
        assert!(!resolved || over, "{alert:#}");
    }
}

fn retried_and_kept_over_a_kill() {
    let webhook = Webhook::answering(500);
    let mut lab = lab_with(&webhook);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.kill_target();
    until("tried twice", || (webhook.got(500).len() >= 2).then_some(()));
    assert!(webhook.got(500).iter().all(|got| got.message["notification_reason"] == "opened"));
    lab.kill_server();
    webhook.answer(200);
    lab.start_with_agent();
    until_delivered(&lab, &webhook, "resolved");
    let first = &delivered(&webhook)[0];
    assert_eq!((first.0.as_str(), first.1.as_str()), ("opened", "open"));
    webhook.got(200).iter().for_each(in_alertmanagers_words);
    for secret in ["a-very-secret-token", "hidden-key"] {
        assert!(!lab.log().contains(secret), "a secret is in the log:\n{}", lab.log());
        assert!(!lab.get("status").to_string().contains(secret));
    }
    events_that_a_killed_server_did_not_journal(&mut lab, &webhook);
}

/// A server that was killed between log and journal owes its notifications all the same.
fn events_that_a_killed_server_did_not_journal(lab: &mut Lab, webhook: &Webhook) {
    let expected = owed(lab);
    lab.stop_server();
    let journal = rusqlite::Connection::open(lab.data().join("journal.db")).unwrap();
    journal.execute_batch("delete from notifications; delete from events").unwrap();
    drop(journal);
    std::fs::remove_dir_all(lab.data().join("snapshots")).unwrap();
    let before = delivered(webhook).len();
    lab.start();
    until("told again", || (delivered(webhook).len() >= before + expected.len()).then_some(()));
    assert_eq!(delivered(webhook)[before..], expected[..]);
}

fn a_person_is_called_when_healing_fails() {
    let webhook = Webhook::answering(200);
    let mut lab = lab_with(&webhook);
    lab.config["targets"][0]["restart"]["start"]["command"] = json!(["/bin/false"]);
    lab.policy()["attempts"] = json!(1);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.kill_target();
    let plan = lab.plan_in("gave_up");
    assert_eq!(plan["attempts"][0]["outcome"]["result"], "failed", "{plan:#}");
    until_delivered(&lab, &webhook, "needs_human");
    let called = webhook.got(200).pop().unwrap().message;
    assert!(called["commonAnnotations"]["needs_human"].is_string(), "{called:#}");
    assert!(lab.said(&["explain", "1"]).contains("A person is needed"));
    assert_eq!(lab.said(&["acknowledge", "1"]).trim(), "incident 1 is acknowledged");
    lab.start_target();
    until_delivered(&lab, &webhook, "resolved");
}

/// Neither a receiver that is away nor one that refuses holds another up; nobody is asked again who
/// said no, and no ring hurries one that is away.
fn each_receiver_has_its_own_fate() {
    let (live, refusing, failing) =
        (Webhook::answering(200), Webhook::answering(404), Webhook::answering(503));
    let mut lab = Lab::new();
    let receiver = |name: &str, address: &str| {
        let url = format!("http://{address}/");
        json!({ "name": name, "webhook": { "url": url } })
    };
    let at = |webhook: &Webhook| webhook.address.to_string();
    lab.config["notify"] = json!([
        receiver("away", "127.0.0.1:1"),
        receiver("refusing", &at(&refusing)),
        receiver("failing", &at(&failing)),
        receiver("live", &at(&live)),
    ]);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.kill_target();
    until_delivered(&lab, &live, "resolved");
    let owed = owed(&lab);
    until("all were refused", || (refusing.got(404).len() >= owed.len()).then_some(()));
    assert_eq!(refusing.got(404).len(), owed.len());
    assert_eq!(lab.log().matches("notification is given up").count(), owed.len(), "{}", lab.log());
    let tried = failing.got(503);
    assert!((2..=7).contains(&tried.len()), "{} tries", tried.len());
    let first = |got: &Got| got.message["notification_reason"] == "opened";
    assert!(tried.iter().all(first), "what comes after the first waits for it");
}

#[test]
fn people_are_told_of_exactly_what_the_journal_owes_them() {
    all_of(&[
        ("each receiver has its own fate", each_receiver_has_its_own_fate),
        ("retried and kept over a kill", retried_and_kept_over_a_kill),
        ("a person is called when healing fails", a_person_is_called_when_healing_fails),
    ]);
}
