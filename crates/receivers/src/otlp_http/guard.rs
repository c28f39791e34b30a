//! Who may speak to OTLP/HTTP: the `Host` and `Origin` of a request.
//!
//! A receiver on loopback trusts whoever can reach it, and a web page can make a browser reach it.
//! Two doors are shut: a page under a name that was rebound to 127.0.0.1 is known by its `Host`; a
//! page from elsewhere by its `Origin`. Tokens, where configured, are checked later and in
//! addition.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, ORIGIN, RETRY_AFTER,
};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{refuse, signal_of};
use crate::config::Otlp;
use crate::counters::Transport;
use crate::intake::{Failure, Intake};
use crate::sink::Encoding;

/// How long browsers may remember the answer to a preflight request.
const PREFLIGHT_AGE_MAX: Duration = Duration::from_secs(7200);

pub(super) struct Guard {
    loopback: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    pub(super) fn new(config: &Otlp, loopback: bool) -> Self {
        let lower = |list: &[String]| list.iter().map(|text| text.to_ascii_lowercase()).collect();
        Guard { loopback, hosts: lower(&config.hosts), origins: lower(&config.cors_origins) }
    }

    fn verdict(&self, request: &Request) -> Result<(), Failure> {
        let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
        let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let host = String::from_utf8_lossy(authority.or(header(HOST)).unwrap_or_default());
        if !self.allows_host(&host) {
            return Err(Failure::Forbidden(format!(
                "`{host}` is not a name of this machine; add it to otlp.hosts if it is yours"
            )));
        }
        let Some(origin) = header(ORIGIN) else { return Ok(()) };
        let origin = String::from_utf8_lossy(origin);
        if !self.allows_origin(&origin) {
            return Err(Failure::Forbidden(format!(
                "pages of {origin} may not send here; add it to otlp.cors_origins if it is yours"
            )));
        }
        Ok(())
    }

    /// `host` may have a port.
    fn allows_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        !self.loopback
            || is_loopback_name(&name)
            || self.hosts.iter().any(|allowed| *allowed == name || *allowed == host)
    }

    fn allows_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin) {
            return true;
        }
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| is_loopback_name(without_port(host)))
    }
}

/// Refuses requests for a foreign host or from a foreign page.
pub(super) async fn check(
    State((guard, intake)): State<(Arc<Guard>, Arc<Intake>)>,
    request: Request,
    next: Next,
) -> Response {
    match guard.verdict(&request) {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            if let Some(signal) = signal_of(request.uri().path()) {
                intake.refuse(signal, Transport::Http, &failure);
            }
            refuse(Encoding::Json, &failure)
        }
    }
}

/// Answers preflight requests and marks answers for the pages that may read them.
pub(super) fn cors(guard: &Arc<Guard>) -> CorsLayer {
    let guard = Arc::clone(guard);
    let allowed = move |origin: &HeaderValue, _: &http::request::Parts| {
        origin.to_str().is_ok_and(|origin| guard.allows_origin(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            CONTENT_ENCODING,
            HeaderName::from_static("x-requested-with"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("baggage"),
        ])
        .expose_headers([RETRY_AFTER])
        .max_age(PREFLIGHT_AGE_MAX)
}

/// `name` of `name`, `name:80`, `[::1]` and `[::1]:80`.
fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_loopback_name(name: &str) -> bool {
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    if let Some(inside) = name.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        return address.is_some_and(|address| IpAddr::V6(address).to_canonical().is_loopback());
    }
    name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(hosts: &[&str], origins: &[&str]) -> Guard {
        let config = Otlp {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            cors_origins: origins.iter().map(ToString::to_string).collect(),
            ..Otlp::default()
        };
        Guard::new(&config, true)
    }

    #[test]
    fn names_of_this_machine_are_allowed_and_rebound_names_are_not() {
        let guard = guard(&["immune.internal"], &[]);
        for host in
            ["localhost", "LOCALHOST:4318", "a.localhost", "127.0.0.1:4318", "127.8.9.1", "[::1]:1"]
        {
            assert!(guard.allows_host(host), "{host}");
        }
        assert!(guard.allows_host("immune.internal:4318"));
        for host in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil", "[::2]", "10.0.0.1"]
        {
            assert!(!guard.allows_host(host), "{host}");
        }
    }

    #[test]
    fn pages_of_this_machine_and_configured_ones_may_send() {
        let guard = guard(&[], &["https://shop.example"]);
        for origin in ["http://localhost:3000", "https://127.0.0.1", "https://SHOP.example"] {
            assert!(guard.allows_origin(origin), "{origin}");
        }
        for origin in ["null", "https://evil.example", "http://shop.example", "file://localhost"] {
            assert!(!guard.allows_origin(origin), "{origin}");
        }
    }
}
