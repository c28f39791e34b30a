//! Asks a running server over its API, for all commands that need one.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::ServerArgs;
use super::progress::watched;

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
    /// Does a question that takes long give a sign of life?
    gives_signs: bool,
}

impl Client {
    pub(super) fn new(args: &ServerArgs) -> Result<Client> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(30))
            .build()?;
        let server = args.server.trim_end_matches('/').to_owned();
        Ok(Client { http, server, token: args.token.clone(), gives_signs: true })
    }

    /// For who draws or tells while it asks.
    pub(super) fn without_signs(self) -> Client {
        Client { gives_signs: false, ..self }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(Method::GET, path, None).await
    }

    /// Asks with parameters.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<T> {
        self.get(&with_parameters(path, parameters)).await
    }

    /// Begins an answer that comes bit by bit, for as long as it takes.
    pub(super) async fn stream(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<reqwest::Response> {
        let url = format!("{}/api/v1/{}", self.server, with_parameters(path, parameters));
        let mut request = self.http.get(&url).timeout(STREAM_TIMEOUT);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.with_context(|| self.unreachable())?;
        let status = response.status();
        if !status.is_success() {
            bail!("{}", refusal(status, &response.text().await?));
        }
        Ok(response)
    }

    fn unreachable(&self) -> String {
        format!("cannot reach a server at {}; is `immune run` running?", self.server)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T> {
        let body = body.map(serde_json::Value::to_string);
        self.send(Method::POST, path, body).await
    }

    /// Posts text as it is.
    pub(super) async fn post_text<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T> {
        self.send(Method::POST, path, Some(text.to_owned())).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<T> {
        let url = format!("{}/api/v1/{path}", self.server);
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = async {
            let response = request.send().await.with_context(|| self.unreachable())?;
            let status = response.status();
            Ok::<_, anyhow::Error>((status, response.text().await?))
        };
        let (status, text) = match self.gives_signs {
            true => watched(&format!("asking {}", self.server), answer).await?,
            false => answer.await?,
        };
        if !status.is_success() {
            bail!("{}", refusal(status, &text));
        }
        serde_json::from_str(&text).with_context(|| {
            format!("the server's answer from {url} does not read; is it of the same version?")
        })
    }
}

/// A live tail is as long as somebody looks.
const STREAM_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// What the server said was wrong.
fn refusal(status: reqwest::StatusCode, text: &str) -> String {
    let error: Option<String> = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
    error.unwrap_or_else(|| format!("the server answered {status}: {text}"))
}

fn with_parameters(path: &str, parameters: &[(&'static str, String)]) -> String {
    let mut text = path.to_owned();
    for (at, (name, value)) in parameters.iter().enumerate() {
        let before = if at == 0 { '?' } else { '&' };
        text.push(before);
        text.push_str(name);
        text.push('=');
        text.push_str(&escaped(value));
    }
    text
}

/// Text as one part of a path, or as a parameter.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        let parameters = [("query", "a&b \"ü\"".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(with_parameters("logs", &parameters), "logs?query=a%26b%20%22%C3%BC%22&limit=5");
        assert_eq!(with_parameters("logs", &[]), "logs");
    }
}
