//! One HTTP exchange over TCP, whole bodies both ways, and what can go wrong with it.
//!
//! The services' outbound calls and the users stand on it alike, so both name a failure the same
//! way. No retries, no redirects, no TLS, no telemetry. A pooled connection that died while idle
//! is replaced before anything is sent, as every browser does.

use std::error::Error as _;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Largest answer read; more is a failure.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Idle connections kept to one host.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A pool of connections.
#[derive(Clone)]
pub struct Transport {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Where requests go: `http://host[:port][/prefix]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    host: String,
    port: u16,
    prefix: String,
}

/// An exchange that brought no whole answer.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Failure {
    /// The class of the failure.
    pub kind: FailureKind,
    detail: String,
}

/// The classes of failure that a client can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection came about.
    Connect,
    /// No whole answer within the time allowed.
    Timeout,
    /// The connection broke before the answer was whole.
    Reset,
    /// Anything else, such as an answer that is not HTTP.
    Other,
}

/// Why a URL cannot be an upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not a URL at all.
    #[error("not a URL")]
    Url(#[source] http::uri::InvalidUri),
    /// Another scheme, a missing host, or a query.
    #[error("write http://host[:port][/prefix]")]
    Shape,
}

impl Transport {
    /// A pool without connections yet.
    pub fn new() -> Transport {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Transport { client }
    }

    /// Sends `request` and reads the whole answer within `timeout`.
    pub async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, Failure> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(Failure::of_request)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Failure::of_body(error.as_ref()))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure {
                kind: FailureKind::Timeout,
                detail: format!("no answer within {timeout:?}"),
            }),
        }
    }
}

impl Failure {
    fn of_request(error: hyper_util::client::legacy::Error) -> Failure {
        let detail = crate::problem::chain(&error);
        let kind = if error.is_connect() {
            FailureKind::Connect
        } else {
            error.source().map_or(FailureKind::Other, kind_of)
        };
        Failure { kind, detail }
    }

    fn of_body(error: &(dyn std::error::Error + 'static)) -> Failure {
        if error.is::<LengthLimitError>() {
            let detail = format!("answer larger than {BODY_BYTES_MAX} bytes");
            return Failure { kind: FailureKind::Other, detail };
        }
        Failure { kind: kind_of(error), detail: crate::problem::chain(error) }
    }
}

/// Looks through an error and its sources for a broken connection.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> FailureKind {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && let BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof = error.kind()
        {
            return FailureKind::Reset;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return FailureKind::Reset;
        }
        next = error.source();
    }
    FailureKind::Other
}

impl FailureKind {
    /// The word for logs and `error.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Connect => "connect",
            FailureKind::Timeout => "timeout",
            FailureKind::Reset => "reset",
            FailureKind::Other => "other",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Upstream {
    /// Host name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of `path` (which begins with `/`) at this upstream.
    pub fn url(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        format!("http://{}:{}{}{path}", self.host, self.port, self.prefix).parse()
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Upstream, UpstreamError> {
        let uri: Uri = text.parse().map_err(UpstreamError::Url)?;
        let (Some("http"), Some(host), None) = (uri.scheme_str(), uri.host(), uri.query()) else {
            return Err(UpstreamError::Shape);
        };
        Ok(Upstream {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}{}", self.host, self.port, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_keeps_its_prefix_in_front_of_every_path() {
        let upstream: Upstream = "http://127.0.0.1:7800/internal/".parse().expect("good URL");
        let url = upstream.url("/payments").expect("good path");
        assert_eq!(url.to_string(), "http://127.0.0.1:7800/internal/payments");
    }

    #[test]
    fn an_upstream_without_port_is_on_port_80() {
        let upstream: Upstream = "http://shop.test".parse().expect("good URL");
        assert_eq!((upstream.host(), upstream.port()), ("shop.test", 80));
    }

    #[test]
    fn other_schemes_and_bare_hosts_are_refused() {
        for text in ["https://a", "a:80", "/x", "http://a/?q=1", ""] {
            assert!(text.parse::<Upstream>().is_err(), "{text:?} was accepted");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_from_a_broken_one_and_a_silent_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let request = || {
            let url = format!("http://{address}/");
            Request::get(url).body(Full::default()).expect("good request")
        };
        let transport = Transport::new();

        let silent = transport.exchange(request(), Duration::from_millis(50)).await;
        assert_eq!(silent.expect_err("nobody accepts").kind, FailureKind::Timeout);

        let breaking = async {
            // The first accepted connection is the silent one from above.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("accept");
                let mut head = [0; 16];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
            }
        };
        let transport = Transport::new();
        let broken = transport.exchange(request(), Duration::from_secs(5));
        let (broken, ()) = tokio::join!(broken, breaking);
        assert_eq!(broken.expect_err("connection closed").kind, FailureKind::Reset);

        drop(listener);
        let transport = Transport::new();
        let refused = transport.exchange(request(), Duration::from_secs(5)).await;
        assert_eq!(refused.expect_err("nobody listens").kind, FailureKind::Connect);
    }
}
