//! Asks a running server over its API, for all commands that need one.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::ServerArgs;

pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(args: &ServerArgs) -> Result<Client> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(30))
            .build()?;
        let server = args.server.trim_end_matches('/').to_owned();
        Ok(Client { http, server, token: args.token.clone() })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(Method::GET, path, None).await
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
        let response = request.send().await.with_context(|| {
            format!("cannot reach a server at {}; is `immune run` running?", self.server)
        })?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            let error: Option<String> = serde_json::from_str::<serde_json::Value>(&text)
                .ok()
                .and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
            bail!("{}", error.unwrap_or_else(|| format!("the server answered {status}: {text}")));
        }
        serde_json::from_str(&text).with_context(|| {
            format!("the server's answer from {url} does not read; is it of the same version?")
        })
    }
}
