//! Users of a storefront that asks the target for each of them, and tells of it as OTLP/JSON.
//!
//! Every request really connects to the target; whether that worked decides what the spans and the
//! client's own log say.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::lab::Lab;
use crate::wait::{pause, unix_nanos, until};

/// In the lab's folder.
pub const CLIENT_LOG: &str = "client.jsonl";
const BEAT: Duration = Duration::from_millis(250);
const REQUESTS_PER_BEAT: usize = 5;

pub struct Traffic {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// One request as its user saw it.
struct Request {
    start: u64,
    end: u64,
    ok: bool,
}

impl Traffic {
    pub fn start(lab: &Lab) -> Traffic {
        Traffic::with_token(lab, None)
    }

    pub fn with_token(lab: &Lab, token: Option<&str>) -> Traffic {
        let mut users = Users {
            target: lab.target,
            otlp: lab.otlp.clone(),
            bearer: token.map(|token| format!("Bearer {token}")),
            log: File::create(lab.dir.path().join(CLIENT_LOG)).unwrap(),
            next_id: 1,
        };
        let (stop, good) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (stop.clone(), good.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                counted.fetch_add(users.ask(), Ordering::Relaxed);
                pause(BEAT);
            }
        });
        Traffic { stop, good, thread: Some(thread) }
    }

    /// Waits for this many more requests that went well and were taken by the server.
    pub fn until_good(&self, more: u64) {
        let wanted = self.good.load(Ordering::Relaxed) + more;
        until("requests go well", || (self.good.load(Ordering::Relaxed) >= wanted).then_some(()));
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Users {
    target: SocketAddr,
    otlp: Arc<Mutex<Option<SocketAddr>>>,
    bearer: Option<String>,
    log: File,
    next_id: u64,
}

impl Users {
    /// One beat; returns how many requests went well and were taken by the server.
    fn ask(&mut self) -> u64 {
        let requests: Vec<Request> = (0..REQUESTS_PER_BEAT).map(|_| self.one()).collect();
        let mut lines = String::new();
        for Request { start, end, ok } in &requests {
            let line = json!({ "start_unix_ns": start, "end_unix_ns": end, "ok": ok });
            let _ = writeln!(lines, "{line}");
        }
        self.log.write_all(lines.as_bytes()).unwrap();
        let body = self.spans(&requests).to_string();
        let Some(server) = *self.otlp.lock().unwrap() else { return 0 };
        let bearer = self.bearer.as_deref();
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", *bearer)).collect();
        let taken = http::request(server, "POST", "/v1/traces", &headers, Some(&body));
        match taken {
            Ok(response) if response.status == 200 => {
                requests.iter().filter(|request| request.ok).count() as u64
            }
            _ => 0,
        }
    }

    fn one(&self) -> Request {
        let start = unix_nanos();
        let ok = TcpStream::connect_timeout(&self.target, Duration::from_secs(1)).is_ok();
        Request { start, end: unix_nanos(), ok }
    }

    fn spans(&mut self, requests: &[Request]) -> Value {
        let (mut storefront, mut orders) = (Vec::new(), Vec::new());
        let target = [
            text("server.address", &self.target.ip().to_string()),
            number("server.port", i64::from(self.target.port())),
            text("http.request.method", "GET"),
        ];
        for request in requests {
            let trace = format!("{:032x}", self.id());
            let ids: [String; 3] = std::array::from_fn(|_| format!("{:016x}", self.id()));
            let status = if request.ok { 200 } else { 502 };
            let route = [
                text("http.request.method", "GET"),
                text("http.route", "/api/orders"),
                number("http.response.status_code", status),
            ];
            storefront.push(span(request, &trace, [&ids[0], ""], "GET /api/orders", 2, &route));
            let mut call = target.to_vec();
            call.push(match request.ok {
                true => number("http.response.status_code", 200),
                false => text("error.type", "ECONNREFUSED"),
            });
            storefront.push(span(request, &trace, [&ids[1], &ids[0]], "GET", 3, &call));
            if request.ok {
                orders.push(span(request, &trace, [&ids[2], &ids[1]], "GET /orders", 2, &route));
            }
        }
        let resource = |service: &str, spans: Vec<Value>| {
            json!({
                "resource": { "attributes": [
                    text("service.name", service),
                    text("service.instance.id", &format!("{service}-1")),
                ] },
                "scopeSpans": [{ "scope": { "name": "it" }, "spans": spans }],
            })
        };
        json!({ "resourceSpans": [resource("storefront", storefront), resource("orders", orders)] })
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        // Spread over all bits, as ids of real SDKs are.
        self.next_id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

fn span(
    request: &Request,
    trace: &str,
    [id, parent]: [&str; 2],
    name: &str,
    kind: u8,
    attributes: &[Value],
) -> Value {
    json!({
        "traceId": trace,
        "spanId": id,
        "parentSpanId": parent,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": request.start.to_string(),
        "endTimeUnixNano": request.end.max(request.start + 1).to_string(),
        "attributes": attributes,
        "status": { "code": if request.ok { 0 } else { 2 } },
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
