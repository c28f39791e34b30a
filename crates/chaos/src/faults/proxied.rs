//! Bounds of what proxies do to connections and requests.

use std::time::Duration;

use model::fault::{Body, Headers, Http, Slicer, Toxics, Toxiproxy};
use model::human::HumanDuration;

use super::{NAME_MAX, SHARE_MIN};

/// Longer than any caller waits; its effect is still seen in the time that a drill gives it.
const DELAY_MAX: Duration = Duration::from_secs(20);
/// Toxiproxy counts thousands of bytes.
const BANDWIDTH_MIN: u64 = 1_000;
const BANDWIDTH_MAX: u64 = 64 << 20;
const SLICE_MAX: u64 = 64 << 10;
const LIMIT_DATA_MAX: u64 = 16 << 20;
const HEADERS_MAX: usize = 16;
const TEXT_MAX: usize = 1_024;
const BODY_MAX: usize = 64 << 10;
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub fn proxy_at(at: &Toxiproxy) -> Result<(), String> {
    if !at.api.ip().is_loopback() || at.api.port() == 0 {
        return Err(format!("api: {} is no port of loopback", at.api));
    }
    let length = at.proxy.len();
    match (1..=2 * NAME_MAX).contains(&length) && !at.proxy.chars().any(char::is_control) {
        true => Ok(()),
        false => Err("proxy: write the name of the proxy, at most 128 bytes".to_owned()),
    }
}

pub fn toxics(toxics: &Toxics) -> Result<(), String> {
    let Toxics { latency, jitter, bandwidth, timeout, reset_peer, slicer, limit_data, .. } = toxics;
    let hurts = [
        latency.is_some(),
        bandwidth.is_some(),
        timeout.is_some(),
        reset_peer.is_some(),
        slicer.is_some(),
        limit_data.is_some(),
    ];
    let others = hurts.into_iter().filter(|hurts| *hurts).count();
    if toxics.down && (others > 0 || toxics.toxicity.is_some()) {
        return Err("down: who is refused has no use for other toxics or a toxicity".to_owned());
    }
    if !toxics.down && others == 0 {
        return Err("name what is done to connections: `latency`, `bandwidth`, `timeout`, \
                    `reset_peer`, `slicer`, `limit_data` or `down`"
            .to_owned());
    }
    if timeout.is_some() && reset_peer.is_some() {
        return Err("timeout: nothing would pass that could be reset; write one of both".to_owned());
    }
    if jitter.is_some() && latency.is_none() {
        return Err("jitter: there is no `latency` that could vary".to_owned());
    }
    if latency.is_some_and(|latency| latency.0.is_zero()) {
        return Err("latency: 0s is none".to_owned());
    }
    delay(*latency, "latency")?;
    delay(*jitter, "jitter")?;
    delay(*timeout, "timeout")?;
    delay(*reset_peer, "reset_peer")?;
    if let Some(rate) = bandwidth.filter(|rate| !(BANDWIDTH_MIN..=BANDWIDTH_MAX).contains(&rate.0))
    {
        return Err(format!("bandwidth: {rate} a second is not within 1kB to 64MiB"));
    }
    if let Some(limit) = limit_data.filter(|limit| !(1..=LIMIT_DATA_MAX).contains(&limit.0)) {
        return Err(format!("limit_data: {limit} is not within 1B to 16MiB"));
    }
    share(toxics.toxicity, "toxicity")?;
    slicer.as_ref().map_or(Ok(()), slices)
}

fn slices(slicer: &Slicer) -> Result<(), String> {
    let Slicer { average_size, size_variation, delay: between } = slicer;
    if !(1..=SLICE_MAX).contains(&average_size.0) || size_variation >= average_size {
        return Err("slicer: pieces are 1B to 64KiB large, and vary by less than that".to_owned());
    }
    if between.0.is_zero() || between.0 > Duration::from_secs(1) {
        return Err(format!("slicer.delay: {between} is not within 1ms to 1s"));
    }
    Ok(())
}

pub fn delay(given: Option<HumanDuration>, field: &str) -> Result<(), String> {
    match given.filter(|given| given.0 > DELAY_MAX) {
        Some(given) => Err(format!("{field}: {given} is more than {} s", DELAY_MAX.as_secs())),
        None => Ok(()),
    }
}

pub fn http(http: &Http) -> Result<(), String> {
    let headers =
        [("request_headers", &http.request_headers), ("response_headers", &http.response_headers)];
    let bodies = [("request_body", &http.request_body), ("response_body", &http.response_body)];
    let changes = headers.iter().any(|(_, given)| given.as_ref().is_some_and(changes_any))
        || bodies.iter().any(|(_, given)| given.is_some());
    if http.abort.is_none() && http.delay.is_none() && !changes {
        return Err("name what is done to requests: `abort`, `delay`, headers or bodies".to_owned());
    }
    if http.abort.is_some() && changes {
        return Err("abort: the server is not asked, so nothing else can be changed".to_owned());
    }
    if let Some(status) = http.abort.filter(|status| !(200..=599).contains(status)) {
        return Err(format!("abort: {status} is not within 200 to 599"));
    }
    if http.jitter.is_some() && http.delay.is_none() {
        return Err("jitter: there is no `delay` that could vary".to_owned());
    }
    if http.delay.is_some_and(|delay| delay.0.is_zero()) {
        return Err("delay: 0s is none".to_owned());
    }
    delay(http.delay, "delay")?;
    delay(http.jitter, "jitter")?;
    share(http.share, "share")?;
    if let Some(route) = &http.route
        && (!route.starts_with('/') || route.len() > TEXT_MAX || route.contains(['?', '#', ' ']))
    {
        return Err(format!("route: `{route}` does not begin with / or is more than a path"));
    }
    if let Some(method) = &http.method
        && !METHODS.contains(&method.as_str())
    {
        return Err("method: write a method as GET or POST".to_owned());
    }
    for (field, given) in headers {
        given.as_ref().map_or(Ok(()), |given| header_sizes(given, field))?;
    }
    for (field, given) in bodies {
        given.as_ref().map_or(Ok(()), |given| body_size(given, field))?;
    }
    Ok(())
}

fn changes_any(headers: &Headers) -> bool {
    !headers.set.is_empty() || !headers.remove.is_empty()
}

fn header_sizes(headers: &Headers, field: &str) -> Result<(), String> {
    let texts = headers.set.iter().flat_map(|(name, value)| [name, value]).chain(&headers.remove);
    let count = headers.set.len() + headers.remove.len();
    match count > HEADERS_MAX || texts.into_iter().any(|text| text.len() > TEXT_MAX) {
        true => Err(format!("{field}: more than {HEADERS_MAX} headers or {TEXT_MAX} bytes of one")),
        false => Ok(()),
    }
}

fn body_size(body: &Body, field: &str) -> Result<(), String> {
    match body.text.len() > BODY_MAX {
        true => Err(format!("{field}: more than {BODY_MAX} bytes")),
        false => Ok(()),
    }
}

fn share(given: Option<f64>, field: &str) -> Result<(), String> {
    match given.filter(|share| !(SHARE_MIN..=1.0).contains(share)) {
        Some(share) => Err(format!("{field}: {share} is not within {SHARE_MIN} to 1")),
        None => Ok(()),
    }
}
