//! Asks a running server over its HTTP API, as any stranger would.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;

#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    base: String,
}

impl Api {
    pub fn new(listen: SocketAddr) -> Result<Api> {
        Api::with_timeout(listen, Duration::from_secs(10))
    }

    /// Waits longer: for questions about much telemetry.
    pub fn patient(listen: SocketAddr) -> Result<Api> {
        Api::with_timeout(listen, Duration::from_secs(120))
    }

    fn with_timeout(listen: SocketAddr, timeout: Duration) -> Result<Api> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(timeout)
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Api { http, base: format!("http://{listen}/api/v1") })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(Method::GET, path, None).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: String) -> Result<T> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<T> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.http.request(method, &url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.with_context(|| format!("cannot ask {url}"))?;
        let status = response.status();
        let text = response.text().await.with_context(|| format!("no answer from {url}"))?;
        if !status.is_success() {
            bail!("{url} answered {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("the answer of {url} does not read"))
    }
}
