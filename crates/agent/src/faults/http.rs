//! Faults of HTTP requests: those that this host makes to a port are led through a proxy of the
//! keeper's, which delays, changes or answers them by route and share.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::experiment::Fault;
use model::fault::{Body, Headers, Http};

use super::redirect::{self, MARK, Way};
use super::{Aim, Effect, Means, Prior, Spec, asked, mismatch};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub const SPEC: Spec = Spec {
    id: "http",
    title: "Faults of HTTP requests",
    documentation: "Leads the HTTP/1.1 requests that this host makes to `port` (of `peer`, or of \
                    anybody) through a proxy, which hits those of `method` and `route`, or a \
                    `share` of them: `abort` with a status, `delay` and `jitter`, \
                    `request_headers` and `response_headers`, `request_body` and `response_body`. \
                    Connections that are open are cut, and made anew through it. Refused when \
                    nobody there speaks HTTP/1.1 before. Its effect is seen by a connection that \
                    comes to the proxy, and by a request of the agent's own through it.",
    undone_by: "ending the process that is the proxy and owns the rules that lead to it: the \
                kernel removes them with their owner, and connections through it break",
    example: "fault: {http: {port: 8000, route: /cart, share: 0.2, abort: 503}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn way(http: &Http) -> Way {
    Way { port: http.port, peer: http.peer }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Http(http) = fault else { return mismatch() };
    of_proxy(http)?.check().map_err(|error| error.to_string())?;
    let way = way(http);
    let far = redirect::ready(bench, target, way)?;
    if !speaks_http(far) {
        return Err(format!("{far} does not answer in HTTP/1.1, and other requests cannot be led"));
    }
    let probe = redirect::probe_address(bench, target)?;
    let exactly = format!("leads {}, seen at {far}{http}", way.words());
    Ok(Aim { prior: Some(Prior::Probe(probe)), exactly, ..Aim::default() })
}

/// Asks for the head of what is at `/`.
fn speaks_http(far: SocketAddr) -> bool {
    let begins = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&far, ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        write!(stream, "HEAD / HTTP/1.1\r\nhost: {far}\r\nconnection: close\r\n\r\n")?;
        let mut begin = [0; 7];
        stream.read_exact(&mut begin)?;
        Ok(&begin == b"HTTP/1.")
    };
    begins().unwrap_or(false)
}

/// The fault as the proxy takes it.
fn of_proxy(http: &Http) -> Result<proxy::http::Fault, String> {
    let edits = |headers: &Option<Headers>| {
        let Headers { set, remove } = headers.clone().unwrap_or_default();
        proxy::http::Edits { set, remove }
    };
    let body = |body: &Option<Body>| {
        body.clone()
            .map(|Body { text, content_type }| proxy::http::Replacement { text, content_type })
    };
    let ms = |time: Option<model::human::HumanDuration>| {
        let millis = time.map_or(0, |time| time.0.as_millis());
        u64::try_from(millis).map_err(|_| "a delay is too long".to_owned())
    };
    Ok(proxy::http::Fault {
        name: "drill".to_owned(),
        method: http.method.clone(),
        path_prefix: http.route.clone(),
        share: http.share.unwrap_or(1.0),
        delay_ms: ms(http.delay)?,
        jitter_ms: ms(http.jitter)?,
        abort: http.abort,
        request_headers: edits(&http.request_headers),
        response_headers: edits(&http.response_headers),
        request_body: body(&http.request_body),
        response_body: body(&http.response_body),
    })
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Http(http) = &record.fault else { return mismatch() };
    let fault = of_proxy(http)?;
    redirect::hold(record, way(http), |listeners| {
        proxy::Redirected::http(listeners, MARK, vec![fault], proxy::Config::default())
    })
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let Fault::Http(http) = &record.fault else {
        return Effect { at: None, detail: "not this kind of fault".to_owned() };
    };
    redirect::effect(bench, record, way(http), |probe| asked::ask_once(probe, http))
}
