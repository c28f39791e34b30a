//! One HTTP exchange, bounded in time and size, over TCP or a Unix socket. Redirects are answers
//! like any other and proxies are not asked: a request goes where configuration says, or nowhere.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 1024 * 1024;

pub struct Ask<'a> {
    pub method: Method,
    pub url: &'a str,
    /// Instead of TCP; the host of `url` is then only said.
    pub socket: Option<&'a Path>,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: String,
    pub timeout: Duration,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// At most `ANSWER_MAX` bytes of it.
    pub body: Vec<u8>,
}

/// Blocks the calling thread for at most `timeout`.
pub fn ask(ask: Ask<'_>) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot make a request: {error}"))?;
    let timeout = ask.timeout;
    runtime.block_on(async {
        match tokio::time::timeout(timeout, exchange(ask)).await {
            Ok(result) => result.map_err(|error| chain(&error)),
            Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f64())),
        }
    })
}

pub async fn exchange(ask: Ask<'_>) -> Result<Answer, reqwest::Error> {
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(ask.timeout);
    if let Some(socket) = ask.socket {
        builder = builder.unix_socket(socket.to_owned());
    }
    let mut request = builder.build()?.request(ask.method, ask.url).body(ask.body);
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let left = ANSWER_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(left)]);
        if body.len() == ANSWER_MAX {
            break;
        }
    }
    Ok(Answer { status, headers, body })
}

/// The error with what caused it, without the address, which may hold a secret.
pub fn chain(error: &reqwest::Error) -> String {
    let mut text = match (error.is_connect(), error.is_timeout()) {
        (true, _) => "cannot connect".to_owned(),
        (_, true) => "no answer in time".to_owned(),
        _ => "the exchange broke off".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
        if source.is_none() {
            text.push_str(&format!(": {cause}"));
        }
    }
    text
}
