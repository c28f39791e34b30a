//! HTTP requests that a target declares: to the programming interface of a load balancer, a flag
//! service, the target itself.

use std::collections::BTreeMap;

use model::human::HumanDuration;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Target;
use super::check::Check;

/// Requests that one target may declare.
pub const REQUESTS_MAX: usize = 64;
const HEADERS_MAX: usize = 32;
const BODY_MAX: usize = 64 * 1024;
const URL_MAX: usize = 2_048;

/// One request, whole: nothing is added to it when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default)]
    pub method: Verb,
    /// `http://` or `https://`. Of this host, unless `remote` is set.
    pub url: String,
    /// The address may lie beyond this host.
    #[serde(default)]
    pub remote: bool,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
    /// Answers that mean that it is done; without any, 200 to 299.
    #[serde(default)]
    pub status: Vec<u16>,
    /// For the whole exchange.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Name of the target's request that takes back what this one does.
    #[serde(default)]
    pub undo: Option<String>,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }
}

impl Request {
    pub fn means_done(&self, status: u16) -> bool {
        match self.status.is_empty() {
            true => (200..300).contains(&status),
            false => self.status.contains(&status),
        }
    }
}

impl Check {
    pub(super) fn requests(&mut self, path: &str, target: &Target) {
        let path = format!("{path}.requests");
        if target.requests.len() > REQUESTS_MAX {
            self.add(&path, format!("more than {REQUESTS_MAX}"));
        }
        for (name, request) in &target.requests {
            let path = format!("{path}.{name}");
            self.name(&path, name);
            self.url(&format!("{path}.url"), request);
            self.headers(&format!("{path}.headers"), &request.headers);
            if request.body.len() > BODY_MAX {
                self.add(&format!("{path}.body"), format!("longer than {} KiB", BODY_MAX / 1024));
            }
            if request.status.iter().any(|status| !(200..600).contains(status)) {
                self.add(&format!("{path}.status"), "an answer is 200 to 599");
            }
            self.wait(&format!("{path}.timeout"), request.timeout);
            self.undo(&path, request.undo.as_ref(), target.requests.keys());
        }
    }

    fn url(&mut self, path: &str, request: &Request) {
        let Ok(url) = Url::parse(&request.url) else {
            return self.add(path, "cannot be read; write `http://127.0.0.1:8080/path`");
        };
        if request.url.len() > URL_MAX {
            self.add(path, format!("longer than {URL_MAX} bytes"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            self.add(path, format!("`{}` is neither http nor https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.add(path, "holds a user or password; write an `authorization` header");
        }
        if !request.remote && !is_of_this_host(&url) {
            let host = url.host_str().unwrap_or_default();
            self.add(
                path,
                format!("`{host}` is not loopback; write `remote: true` if that is meant"),
            );
        }
    }

    fn headers(&mut self, path: &str, headers: &BTreeMap<String, String>) {
        if headers.len() > HEADERS_MAX {
            self.add(path, format!("more than {HEADERS_MAX}"));
        }
        for (name, value) in headers {
            let is_header = HeaderName::from_bytes(name.as_bytes()).is_ok()
                && HeaderValue::from_str(value).is_ok();
            if !is_header {
                self.add(path, format!("`{}` cannot be a header", name.escape_default()));
            }
        }
    }
}

fn is_of_this_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}
