//! A certificate that is about to expire, as OpenSSL's own server shows it to a probe.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::lab::Lab;
use crate::program::{Program, installed};

#[test]
fn a_certificate_that_is_about_to_expire_is_a_ticket() {
    let Some(openssl) = installed("openssl") else { return };
    let mut lab = Lab::new();
    let (key, certificate) = (lab.dir.path().join("key.pem"), lab.dir.path().join("cert.pem"));
    let mut command = Command::new(&openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "5", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let made = command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(&openssl);
    command.args(["s_server", "-quiet", "-www", "-accept", &free.to_string()]);
    command.arg("-cert").arg(&certificate).arg("-key").arg(&key);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Program(command.spawn().unwrap());
    // The only one that is trusted.
    lab.environment.push(("SSL_CERT_FILE", certificate));
    let url = format!("https://localhost:{}/", free.port());
    lab.config["detect"]["probes"] = json!([{
        "name": "page", "service": "shop", "http": { "url": url },
        "interval": "1s", "timeout": "1s", "failures": 20,
    }]);
    lab.start();
    let opened = lab.incident("about a certificate", |incident| incident["state"] == "open");
    let symptom = &opened["symptoms"][0];
    assert_eq!((&symptom["kind"], &symptom["severity"]), (&json!("certificate"), &json!("ticket")));
    let left_days = symptom["measured"].as_f64().unwrap() / 86_400.0;
    assert!((4.9..=5.0).contains(&left_days), "{left_days}");
}
