//! `/metrics`: Toxiproxy's counters under their names, and ours beside them.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::App;
use crate::proxy::{Proxy, View};
use crate::toxic::Stream;

const STREAMS: [Stream; 2] = [Stream::Downstream, Stream::Upstream];

/// Name, meaning, type, and how it is found out.
type Ours = (&'static str, &'static str, &'static str, fn(&Proxy) -> u64);

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let mut proxies = Vec::new();
    for proxy in app.proxies.all().await {
        let view = proxy.view().await;
        proxies.push((proxy, view));
    }
    let mut text = String::new();
    let bytes = [
        ("toxiproxy_proxy_received_bytes_total", "Bytes read from clients and upstreams"),
        ("toxiproxy_proxy_sent_bytes_total", "Bytes written to clients and upstreams"),
    ];
    for (index, (name, help)) in bytes.into_iter().enumerate() {
        family(&mut text, name, help, "counter");
        for (proxy, view) in &proxies {
            for stream in STREAMS {
                let (received, sent) = proxy.traffic().of(stream).totals();
                let value = [received, sent][index];
                let direction = format!("direction=\"{}\",", stream.as_str());
                line(&mut text, name, &direction, view, value);
            }
        }
    }
    let ours: [Ours; 3] = [
        ("immune_proxy_connections", "Connections that are open", "gauge", |proxy| {
            proxy.connections() as u64
        }),
        ("immune_proxy_connections_total", "Connections taken", "counter", |proxy| {
            proxy.traffic().accepted.load(Ordering::Relaxed)
        }),
        (
            "immune_proxy_connections_refused_total",
            "Connections closed at once because there were too many",
            "counter",
            |proxy| proxy.traffic().refused.load(Ordering::Relaxed),
        ),
    ];
    for (name, help, kind, value) in ours {
        family(&mut text, name, help, kind);
        for (proxy, view) in &proxies {
            line(&mut text, name, "", view, value(proxy));
        }
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn family(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, direction: &str, view: &View, value: u64) {
    let [listener, proxy, upstream] =
        [&view.listen, &view.name, &view.upstream].map(|label| escaped(label));
    let labels =
        format!("{direction}listener=\"{listener}\",proxy=\"{proxy}\",upstream=\"{upstream}\"");
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
