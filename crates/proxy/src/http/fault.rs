//! A fault of an HTTP proxy: which requests it matches, and what it does to them. The JSON of the
//! API is this type.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest delay, in milliseconds: an hour.
const DELAY_MS_MAX: u64 = 3_600_000;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub name: String,
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path is this, or lies below it: `/cart` is for `/cart` and `/cart/1`,
    /// not for `/cartoon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// Which part of them, 0–1, drawn for each request.
    #[serde(default = "all")]
    pub share: f64,
    /// Waits before the request goes on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// The delay varies by this much, both ways.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_ms: u64,
    /// Answers with this status; the upstream is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<u16>,
    #[serde(default, skip_serializing_if = "Edits::is_empty")]
    pub request_headers: Edits,
    #[serde(default, skip_serializing_if = "Edits::is_empty")]
    pub response_headers: Edits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Replacement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Replacement>,
}

/// Headers that are removed, then those that are set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A body that stands for another.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    pub text: String,
    /// Without one, the type stays as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Headers that say how a body is framed: changing them would break the connection.
const FRAMING: [HeaderName; 4] = [
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
    http::header::UPGRADE,
];

impl Fault {
    /// Refuses what cannot be done, and says why.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |why: String| Error::bad_request_body(format!("fault {:?}: {why}", self.name));
        if self.name.is_empty() {
            return Err(Error::missing_field("name of a fault"));
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err(wrong(format!("share {} does not lie between 0 and 1", self.share)));
        }
        if self.delay_ms.max(self.jitter_ms) > DELAY_MS_MAX {
            return Err(wrong(format!("at most {DELAY_MS_MAX} ms of delay and jitter")));
        }
        if let Some(status) = self.abort.filter(|status| !(200..=599).contains(status)) {
            return Err(wrong(format!("abort {status} is no status between 200 and 599")));
        }
        if let Some(method) = &self.method {
            Method::from_bytes(method.as_bytes())
                .map_err(|_| wrong(format!("{method:?} is no method")))?;
        }
        if let Some(prefix) = self.path_prefix.as_ref().filter(|prefix| !prefix.starts_with('/')) {
            return Err(wrong(format!("path_prefix {prefix:?} does not begin with /")));
        }
        self.request_headers.check().map_err(wrong)?;
        self.response_headers.check().map_err(wrong)?;
        for body in [&self.request_body, &self.response_body].into_iter().flatten() {
            if let Some(kind) = &body.content_type {
                value(kind).map_err(wrong)?;
            }
        }
        Ok(())
    }

    /// Whether it is meant for such a request; the share is another matter.
    pub fn matches(&self, method: &Method, path: &str) -> bool {
        let method_fits = self.method.as_ref().is_none_or(|wanted| method.as_str() == wanted);
        method_fits && self.path_prefix.as_ref().is_none_or(|prefix| lies_below(path, prefix))
    }

    /// Draws whether it acts upon this request.
    pub fn acts(&self, dice: &mut StdRng) -> bool {
        self.share >= 1.0 || dice.random::<f64>() < self.share
    }

    pub fn delay(&self, dice: &mut StdRng) -> Duration {
        let jitter = self.jitter_ms.min(DELAY_MS_MAX);
        let drawn = dice.random_range(0..=2 * jitter);
        Duration::from_millis((self.delay_ms + drawn).saturating_sub(jitter))
    }
}

impl Edits {
    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    fn check(&self) -> Result<(), String> {
        let names = self.set.keys().chain(&self.remove);
        for given in names {
            let parsed = HeaderName::from_bytes(given.as_bytes());
            let parsed = parsed.map_err(|_| format!("{given:?} is no name of a header"))?;
            if FRAMING.contains(&parsed) {
                return Err(format!("{given:?} frames the body and cannot be changed"));
            }
        }
        self.set.values().try_for_each(|text| value(text).map(drop))
    }

    /// Applies the edits; what could not be parsed was refused before.
    pub fn apply(&self, headers: &mut http::HeaderMap) {
        for name in &self.remove {
            headers.remove(name.as_str());
        }
        for (name, text) in &self.set {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value(text)) {
                headers.insert(name, value);
            }
        }
    }
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{text:?} is no value of a header"))
}

fn lies_below(path: &str, prefix: &str) -> bool {
    let Some(rest) = path.strip_prefix(prefix) else { return false };
    rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')
}

fn all() -> f64 {
    1.0
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn fault(body: &str) -> Fault {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn routes_end_at_a_slash() {
        let cart = fault(r#"{"name": "a", "method": "GET", "path_prefix": "/cart"}"#);
        assert!(cart.matches(&Method::GET, "/cart") && cart.matches(&Method::GET, "/cart/1"));
        assert!(!cart.matches(&Method::GET, "/cartoon") && !cart.matches(&Method::POST, "/cart"));
        let below = fault(r#"{"name": "a", "path_prefix": "/cart/"}"#);
        assert!(below.matches(&Method::PUT, "/cart/1") && !below.matches(&Method::PUT, "/cart"));
    }

    #[test]
    fn a_share_is_drawn_for_each_request() {
        let mut dice = StdRng::seed_from_u64(1);
        let half = fault(r#"{"name": "a", "share": 0.5}"#);
        let acted = (0..1_000).filter(|_| half.acts(&mut dice)).count();
        assert!((400..600).contains(&acted), "{acted}");
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_a_reason() {
        for (body, why) in [
            (r#"{"name": ""}"#, "missing required field: name of a fault"),
            (r#"{"name": "a", "share": 2}"#, "share 2 does not lie between 0 and 1"),
            (r#"{"name": "a", "abort": 42}"#, "abort 42 is no status"),
            (r#"{"name": "a", "method": "A B"}"#, "\"A B\" is no method"),
            (r#"{"name": "a", "path_prefix": "cart"}"#, "does not begin with /"),
            (
                r#"{"name": "a", "response_headers": {"remove": ["Content-Length"]}}"#,
                "\"Content-Length\" frames the body",
            ),
            (r#"{"name": "a", "request_headers": {"set": {"a": "\n"}}}"#, "is no value"),
            (r#"{"name": "a", "delay_ms": 99999999}"#, "at most 3600000 ms"),
        ] {
            let error = fault(body).check().unwrap_err().to_string();
            assert!(error.contains(why), "{body}: {error}");
        }
    }
}
