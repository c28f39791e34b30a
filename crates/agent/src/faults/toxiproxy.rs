//! Toxics on a proxy that runs already, set and removed by its HTTP API: `immune proxy`, or
//! Toxiproxy itself. Nothing is redirected; hurt are those who were configured to go through it.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::experiment::Fault;
use model::fault::Toxiproxy;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Aim, Effect, Means, Spec, mismatch, toxics, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::http::{self, Ask};
use crate::ledger::FaultRecord;
use crate::lifecycle::quote;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const EFFECT_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Toxics of ours are known by this.
const PREFIX: &str = "immune-";

pub const SPEC: Spec = Spec {
    id: "toxiproxy",
    title: "Toxics on a proxy that runs",
    documentation: "Sets toxics on `proxy`, one of those that are served at `api`, by Toxiproxy's \
                    HTTP interface; or with `down` disables it. Refused when the proxy is \
                    disabled, or has toxics of a drill, already. Its effect is seen when the \
                    proxy shows them and accepts a connection; with `down`, when a connection is \
                    refused.",
    undone_by: "removing these toxics, or enabling the proxy; a proxy that is gone has none",
    example: "fault: {toxiproxy: {api: \"127.0.0.1:8474\", proxy: orders, latency: 2s}}\n",
    applies: |_| true,
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

/// A proxy as its API shows it.
struct Shown {
    listen: String,
    enabled: bool,
    toxics: Vec<Value>,
}

enum Answer {
    Proxy(Value),
    /// There is no such thing there.
    Missing,
}

fn of(fault: &Fault) -> Result<&Toxiproxy, String> {
    match fault {
        Fault::Toxiproxy(at) => Ok(at),
        _ => mismatch(),
    }
}

fn aim(_: &Bench, _: &Target, fault: &Fault) -> Result<Aim, String> {
    let at = of(fault)?;
    let name = &at.proxy;
    let shown = shown(at)?.ok_or_else(|| format!("{} has no proxy `{name}`", at.api))?;
    if !shown.enabled {
        return Err(format!("proxy `{name}` is disabled already"));
    }
    if let Some(toxic) = shown.toxics.iter().find(|toxic| is_ours(toxic)) {
        return Err(format!("proxy `{name}` has the toxic {} of a drill already", toxic["name"]));
    }
    accepts(&shown.listen)?;
    let exactly = format!("sets on proxy `{name}`, which listens on {}{}", shown.listen, at.toxics);
    Ok(Aim { exactly, ..Aim::default() })
}

fn is_ours(toxic: &Value) -> bool {
    toxic["name"].as_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn accepts(listen: &str) -> Result<(), String> {
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| format!("the proxy listens on `{listen}`, which is no address"))?;
    let mut at = address;
    if at.ip().is_unspecified() {
        at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    TcpStream::connect_timeout(&at, CONNECT_WITHIN)
        .map(|_| ())
        .map_err(|error| format!("{at} accepts no connection: {error}"))
}

fn shown(at: &Toxiproxy) -> Result<Option<Shown>, String> {
    let proxy = match ask(at, Method::GET, &[], None)? {
        Answer::Proxy(proxy) => proxy,
        Answer::Missing => return Ok(None),
    };
    let odd = || "the proxy's interface says what is odd".to_owned();
    Ok(Some(Shown {
        listen: proxy["listen"].as_str().ok_or_else(odd)?.to_owned(),
        enabled: proxy["enabled"].as_bool().ok_or_else(odd)?,
        toxics: proxy["toxics"].as_array().ok_or_else(odd)?.clone(),
    }))
}

fn ask(
    at: &Toxiproxy,
    method: Method,
    below: &[&str],
    body: Option<Value>,
) -> Result<Answer, String> {
    let mut url = Url::parse(&format!("http://{}", at.api)).map_err(|error| error.to_string())?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(["proxies", at.proxy.as_str()]).extend(below);
    }
    let answer = http::ask(Ask {
        method,
        url: url.as_str(),
        socket: None,
        headers: vec![("content-type", "application/json")],
        body: body.map(|body| body.to_string()).unwrap_or_default(),
        timeout: ANSWER_WITHIN,
    })
    .map_err(|error| format!("the proxies at {}: {error}", at.api))?;
    match answer.status {
        404 => Ok(Answer::Missing),
        200..=299 => Ok(Answer::Proxy(serde_json::from_slice(&answer.body).unwrap_or_default())),
        status => {
            let said = quote(&answer.body).unwrap_or_default();
            Err(format!("the proxies at {} answered {status}: {said}", at.api))
        }
    }
}

fn toxics_of(at: &Toxiproxy) -> Vec<Value> {
    toxics::json(&at.toxics, PREFIX)
}

fn inject(_: &Bench, record: &FaultRecord) -> Result<(), String> {
    let at = of(&record.fault)?;
    let gone = || format!("{} has no proxy `{}` any more", at.api, at.proxy);
    if at.toxics.down {
        return match ask(at, Method::POST, &[], Some(json!({ "enabled": false })))? {
            Answer::Proxy(_) => Ok(()),
            Answer::Missing => Err(gone()),
        };
    }
    for toxic in toxics_of(at) {
        if let Answer::Missing = ask(at, Method::POST, &["toxics"], Some(toxic))? {
            return Err(gone());
        }
    }
    Ok(())
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let at = of(&record.fault)?;
        let name = &at.proxy;
        let shown = shown(at)?.ok_or_else(|| format!("proxy `{name}` is gone"))?;
        if at.toxics.down {
            return match accepts(&shown.listen) {
                Ok(()) => Err(format!("{} still accepts connections", shown.listen)),
                Err(refused) => Ok(refused),
            };
        }
        accepts(&shown.listen)?;
        let is_there = |toxic: &Value| {
            let fields = ["name", "type", "stream", "toxicity"];
            shown.toxics.iter().any(|other| {
                let attributes = toxic["attributes"].as_object();
                fields.iter().all(|field| same(&toxic[field], &other[field]))
                    && attributes.is_some_and(|all| {
                        all.iter().all(|(name, value)| same(value, &other["attributes"][name]))
                    })
            })
        };
        match toxics_of(at).iter().find(|toxic| !is_there(toxic)) {
            Some(toxic) => Err(format!("proxy `{name}` does not show {}", toxic["name"])),
            None => Ok(format!("proxy `{name}` on {} shows its toxics", shown.listen)),
        }
    })
}

/// Numbers may be written otherwise, and are kept in single precision.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        _ => a == b,
    }
}

fn undo(_: &Bench, record: &FaultRecord) -> Result<String, String> {
    let at = of(&record.fault)?;
    let name = &at.proxy;
    if !is_served(at) {
        return Ok(format!("nobody listens on {} any more, and its proxies are gone", at.api));
    }
    if at.toxics.down {
        ask(at, Method::POST, &[], Some(json!({ "enabled": true })))?;
    } else {
        for toxic in toxics_of(at) {
            let toxic = toxic["name"].as_str().unwrap_or_default();
            ask(at, Method::DELETE, &["toxics", toxic], None)?;
        }
    }
    match shown(at)? {
        None => Ok(format!("proxy `{name}` is gone")),
        Some(shown) if !shown.enabled && at.toxics.down => {
            Err(format!("proxy `{name}` stays disabled"))
        }
        Some(shown) if shown.toxics.iter().any(is_ours) => {
            Err(format!("proxy `{name}` still has toxics of the drill"))
        }
        Some(_) => Ok(format!("proxy `{name}` has none of its toxics")),
    }
}

/// `false` only where a connection is refused.
fn is_served(at: &Toxiproxy) -> bool {
    let tried = TcpStream::connect_timeout(&at.api, CONNECT_WITHIN);
    !matches!(tried, Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}
