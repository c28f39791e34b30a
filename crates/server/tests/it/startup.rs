//! What goes wrong at the start is said so that one knows what to do.

use std::net::TcpListener;

use serde_json::json;

use crate::lab::Lab;
use crate::wait::until;

fn refuses_to_start(lab: &mut Lab, parts: &[&str]) {
    lab.spawn();
    let said = lab.ended();
    for part in parts {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let mut lab = Lab::new();
    std::fs::write(lab.dir.path().join("file"), "").unwrap();
    let path = lab.dir.path().join("file/data");
    lab.config["storage"]["path"] = json!(path);
    refuses_to_start(&mut lab, &["cannot create", path.to_str().unwrap()]);
}

#[test]
fn a_data_folder_whose_path_is_too_long_for_the_agents_socket_is_named() {
    let mut lab = Lab::new();
    lab.config["storage"]["path"] = json!(lab.dir.path().join("x".repeat(100)));
    refuses_to_start(&mut lab, &["agent.sock is too long for a socket", "storage.path"]);
}

#[test]
fn a_second_server_on_the_same_folder_is_turned_away() {
    let mut lab = Lab::new();
    lab.start();
    let mut second = Lab::new();
    second.config["storage"]["path"] = json!(lab.data());
    refuses_to_start(
        &mut second,
        &["another process uses the telemetry in", "another data folder"],
    );
    assert_eq!(lab.get("status")["open_incidents"], 0, "the first one does not mind");
    assert!(lab.data().join("listening.json").exists());
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    for setting in ["api.listen", "receivers.otlp.grpc", "receivers.otlp.http"] {
        let mut lab = Lab::new();
        let pointer = format!("/{}", setting.replace('.', "/"));
        *lab.config.pointer_mut(&pointer).unwrap() = json!(address);
        refuses_to_start(&mut lab, &[&format!("cannot listen on {address}"), setting]);
    }
}

#[test]
fn outside_addresses_need_tokens() {
    let mut lab = Lab::new();
    lab.config["api"]["listen"] = json!("0.0.0.0:0");
    refuses_to_start(&mut lab, &["immune.yaml:", "api.listen: 0.0.0.0:0", "add api.tokens"]);
}

#[test]
fn a_log_without_its_end_is_not_taken_for_the_whole() {
    let mut lab = Lab::new();
    lab.start();
    let snapshots = lab.data().join("snapshots");
    until("a snapshot", || std::fs::read_dir(&snapshots).unwrap().any(|s| s.is_ok()).then_some(()));
    lab.stop_server();
    for entry in std::fs::read_dir(lab.data().join("log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wal") {
            std::fs::remove_file(path).unwrap();
        }
    }
    refuses_to_start(&mut lab, &["the log's end is missing", "move"]);
}

#[test]
fn commands_without_a_server_say_where_they_looked() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let output = crate::lab::immune().args(["incidents", "--server", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&url) && error.contains("is `immune run` running?"), "{error}");
}
