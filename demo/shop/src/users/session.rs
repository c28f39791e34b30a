//! One user: a journey, its own connections, its own cookies, its own memory of answers.
//!
//! A step that is not answered as expected ends the session: the user gives up. So does an
//! expected refusal (such as 409) where a later step would need what was not given.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::watch;

use super::journeys::{Journey, Journeys, Step};
use super::log::{Entry, Log, LogError, unix_ns};
use super::template::{Values, fill_body, fill_path};
use crate::clock::{steady_now, wall_now};
use crate::transport::{Failure, Transport, Upstream};

/// Cookies that a session keeps.
const COOKIES_MAX: usize = 16;
/// Longest cookie kept, in bytes.
const COOKIE_BYTES_MAX: usize = 4096;
/// What sessions call themselves.
const AGENT: &str =
    concat!("Mozilla/5.0 (X11; Linux x86_64) shop-users/", env!("CARGO_PKG_VERSION"));

/// What all sessions share.
pub struct Site {
    /// Where it is.
    pub url: Upstream,
    /// What users do there.
    pub journeys: Journeys,
    /// How long a user waits for an answer.
    pub timeout: Duration,
    /// From when on an answer is a slow one.
    pub slow_after: Duration,
    /// Where requests are written down.
    pub log: Log,
}

/// One user.
pub struct Session {
    site: Arc<Site>,
    name: String,
    generator: StdRng,
    transport: Transport,
    cookies: Vec<(String, String)>,
}

/// What a step came to.
struct Outcome {
    status: Option<u16>,
    error: Option<&'static str>,
    ok: bool,
    /// Whether the user can go on.
    go_on: bool,
}

impl Session {
    /// The session that arrived as number `number`.
    pub fn new(site: Arc<Site>, number: u64, generator: StdRng) -> Session {
        let name = format!("s-{number:06}");
        let cookies = vec![("session".to_owned(), name.clone())];
        Session { site, name, generator, transport: Transport::new(), cookies }
    }

    /// Walks one journey to its end, or until `closing` turns true between two requests.
    pub async fn walk(mut self, mut closing: watch::Receiver<bool>) -> Result<(), LogError> {
        let site = Arc::clone(&self.site);
        let journey = site.journeys.draw(&mut self.generator);
        let mut values = journey.values(&self.name, &mut self.generator);
        for step in &journey.steps {
            let thinking = tokio::time::sleep(step.think.draw(&mut self.generator));
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => return Ok(()),
                () = thinking => {}
            }
            if !self.take(journey, step, &mut values).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes one step and writes it down; whether the user goes on.
    async fn take(
        &mut self,
        journey: &Journey,
        step: &Step,
        values: &mut Values,
    ) -> Result<bool, LogError> {
        // Values are missing only after an expected refusal: the user leaves.
        let Ok(path) = fill_path(&step.path, values) else { return Ok(false) };
        let Some(request) = self.request(step, &path, values) else { return Ok(false) };
        let (start, started) = (wall_now(), steady_now());
        let answer = self.transport.exchange(request, self.site.timeout).await;
        // Measured by the steady clock: a clock that is set must not bend a duration.
        let took = started.elapsed();
        let end = start + took;
        let mut outcome = self.judge(step, answer, values);
        if outcome.ok && took > self.site.slow_after {
            (outcome.ok, outcome.error) = (false, Some("slow"));
        }
        self.site.log.write(&Entry {
            start_unix_ns: unix_ns(start),
            end_unix_ns: unix_ns(end),
            session: &self.name,
            journey: &journey.name,
            step: &step.name,
            method: step.method.as_str(),
            path: &path,
            status: outcome.status,
            error: outcome.error,
            ok: outcome.ok,
        })?;
        Ok(outcome.go_on)
    }

    fn request(&self, step: &Step, path: &str, values: &Values) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = step.method.clone();
        *request.uri_mut() = self.site.url.url(path).ok()?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        headers.insert(COOKIE, HeaderValue::try_from(cookies.join("; ")).ok()?);
        if let Some(body) = &step.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let body = fill_body(body, values).ok()?;
            *request.body_mut() = Full::new(Bytes::from(body.to_string()));
        }
        Some(request)
    }

    fn judge(
        &mut self,
        step: &Step,
        answer: Result<Response<Bytes>, Failure>,
        values: &mut Values,
    ) -> Outcome {
        let response = match answer {
            Ok(response) => response,
            Err(failure) => {
                let error = Some(failure.kind.as_str());
                return Outcome { status: None, error, ok: false, go_on: false };
            }
        };
        keep_cookies(&mut self.cookies, response.headers());
        let status = Some(response.status().as_u16());
        if !step.expects(response.status().as_u16()) {
            return Outcome { status, error: None, ok: false, go_on: false };
        }
        if !response.status().is_success() || step.captures.is_empty() {
            return Outcome { status, error: None, ok: true, go_on: true };
        }
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        for (name, capture) in &step.captures {
            let Some(value) = capture.find(&body, &mut self.generator) else {
                // A page without what everybody comes for is no answer, whatever its status.
                return Outcome { status, error: Some("other"), ok: false, go_on: false };
            };
            values.insert(name.clone(), value.clone());
        }
        Outcome { status, error: None, ok: true, go_on: true }
    }
}

/// Takes over the names and values of `set-cookie`; attributes do not matter for one site.
fn keep_cookies(cookies: &mut Vec<(String, String)>, headers: &HeaderMap) {
    for header in headers.get_all(SET_COOKIE) {
        let Ok(text) = header.to_str() else { continue };
        let pair = text.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { continue };
        if text.len() > COOKIE_BYTES_MAX {
            continue;
        }
        cookies.retain(|(kept, _)| kept != name.trim());
        if cookies.len() < COOKIES_MAX {
            cookies.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_replaces_the_one_of_its_name_and_their_number_is_bounded() {
        let mut cookies = vec![("session".to_owned(), "s-1".to_owned())];
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("session=s-2; Path=/; HttpOnly"));
        for number in 0..2 * COOKIES_MAX {
            let cookie = format!("c{number}=1");
            headers.append(SET_COOKIE, HeaderValue::try_from(cookie).expect("header value"));
        }
        keep_cookies(&mut cookies, &headers);
        assert_eq!(cookies[0], ("session".to_owned(), "s-2".to_owned()));
        assert_eq!(cookies.len(), COOKIES_MAX);
    }
}
