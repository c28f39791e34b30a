//! A request of the agent's own through what hurts requests, to somebody of the agent's own who
//! answers it: what a fault does to requests is seen without asking anybody else.

use std::net::SocketAddr;
use std::time::Duration;

use model::fault::{Headers, Http};
use model::human::HumanDuration;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::clock;
use crate::http::{Answer, Ask, chain, exchange};

/// The longest delay of a fault, and some more.
const WITHIN: Duration = Duration::from_secs(45);
/// Bytes of a request that are read: its head and the largest body of a fault.
const REQUEST_MAX: usize = 256 << 10;
/// What headers say that a fault is to remove.
const THERE: &str = "there";

/// What was answered, when, and what came to who answered; nothing where nobody was asked.
struct Came {
    answer: Answer,
    after: Duration,
    asked: Option<String>,
}

/// Asks the address, and answers there. What was seen in words; an error when the fault is not to
/// be seen in it.
pub fn ask_once(at: SocketAddr, http: &Http) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot try a request: {error}"))?;
    let came = runtime.block_on(async {
        let listener = TcpListener::bind(at)
            .await
            .map_err(|error| format!("cannot listen on {at}: {error}"))?;
        let (tell, mut told) = mpsc::channel(1);
        let serving = tokio::spawn(serve(listener, headers_to_lose(&http.response_headers), tell));
        let begun = clock::monotonic();
        let answer = exchange(ask(http, &url(at, http))).await.map_err(|error| chain(&error))?;
        let after = clock::monotonic().saturating_duration_since(begun);
        serving.abort();
        Ok::<_, String>(Came { answer, after, asked: told.try_recv().ok() })
    })?;
    judge(&came, http)
}

fn url(at: SocketAddr, http: &Http) -> String {
    format!("http://{at}{}", http.route.as_deref().unwrap_or("/"))
}

fn ask<'a>(http: &'a Http, url: &'a str) -> Ask<'a> {
    let lost = http.request_headers.iter().flat_map(|headers| &headers.remove);
    let method = http.method.as_deref().map(str::as_bytes).map(Method::from_bytes);
    Ask {
        method: method.and_then(Result::ok).unwrap_or(Method::GET),
        url,
        socket: None,
        headers: lost.map(|name| (name.as_str(), THERE)).collect(),
        body: String::new(),
        timeout: WITHIN,
    }
}

fn headers_to_lose(headers: &Option<Headers>) -> String {
    let names = headers.iter().flat_map(|headers| &headers.remove);
    names.map(|name| format!("{name}: {THERE}\r\n")).collect()
}

/// Answers everybody, and tells of the last who asked.
async fn serve(listener: TcpListener, headers: String, tell: mpsc::Sender<String>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let Some(request) = read(&mut stream).await else { continue };
        let _ = tell.try_send(request);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\
             connection: close\r\n{headers}\r\nok"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// A request as far as its head says that it goes; `None` when it breaks off or is too large.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while bytes.len() < REQUEST_MAX {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lengths = head.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if body.len() >= lengths.next().unwrap_or(0_usize) {
            return Some(text.into_owned());
        }
    }
    None
}

fn judge(came: &Came, http: &Http) -> Result<String, String> {
    let Came { answer, after, asked } = came;
    let seconds = after.as_secs_f64();
    let seen = format!("a request through it was answered {} in {seconds:.3} s", answer.status);
    let missing = |what: &str| Err(format!("{seen}, {what}"));
    if let Some(HumanDuration(delay)) = http.delay {
        let jitter = http.jitter.map_or(Duration::ZERO, |jitter| jitter.0);
        if *after < delay.saturating_sub(jitter).max(delay / 2) {
            return missing("without a delay");
        }
    }
    if let Some(status) = http.abort {
        return match answer.status == status && asked.is_none() {
            true => Ok(seen),
            false => missing("by who was asked"),
        };
    }
    let Some(asked) = asked else { return missing("by another than who was asked") };
    let (head, body) = asked.split_once("\r\n\r\n").unwrap_or_default();
    let in_request = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let in_answer = |name: &str| {
        answer.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    if !are_changed(&http.request_headers, in_request) {
        return missing("its headers unchanged");
    }
    if !are_changed(&http.response_headers, in_answer) {
        return missing("with unchanged headers");
    }
    let request_body = http.request_body.as_ref();
    if request_body.is_some_and(|given| given.text != body) {
        return missing("its body unchanged");
    }
    let is_head = http.method.as_deref() == Some("HEAD");
    let answer_body = http.response_body.as_ref().filter(|_| !is_head);
    if answer_body.is_some_and(|given| given.text.as_bytes() != answer.body) {
        return missing("with an unchanged body");
    }
    Ok(seen)
}

fn are_changed(headers: &Option<Headers>, found: impl Fn(&str) -> Option<String>) -> bool {
    let Some(Headers { set, remove }) = headers else { return true };
    let is_set = |(name, value): (&String, &String)| found(name).as_ref() == Some(value);
    let is_removed = |name: &String| set.contains_key(name) || found(name).is_none();
    set.iter().all(is_set) && remove.iter().all(is_removed)
}
