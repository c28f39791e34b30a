//! All HTTP proxies of a process, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::fault::Fault;
use super::proxy::HttpProxy;
use crate::error::Error;
use crate::proxy::Settings;

/// HTTP proxies at a time.
pub const HTTP_PROXIES_MAX: usize = 256;

/// What a request may say of an HTTP proxy.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub name: Option<String>,
    pub listen: Option<String>,
    pub upstream: Option<String>,
    pub enabled: Option<bool>,
    pub faults: Option<Vec<Fault>>,
}

pub struct HttpProxies {
    settings: Arc<Settings>,
    all: Mutex<BTreeMap<String, Arc<HttpProxy>>>,
}

impl HttpProxies {
    pub fn new(settings: Arc<Settings>) -> HttpProxies {
        HttpProxies { settings, all: Mutex::default() }
    }

    /// All of them, in order of their names.
    pub async fn all(&self) -> Vec<Arc<HttpProxy>> {
        self.all.lock().await.values().cloned().collect()
    }

    pub async fn named(&self, name: &str) -> Result<Arc<HttpProxy>, Error> {
        self.all.lock().await.get(name).cloned().ok_or_else(Error::proxy_not_found)
    }

    /// Adds a proxy, and starts it unless it should be disabled.
    pub async fn add(&self, wanted: Wanted) -> Result<Arc<HttpProxy>, Error> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let name = given(wanted.name).ok_or_else(|| Error::missing_field("name"))?;
        let upstream = given(wanted.upstream).ok_or_else(|| Error::missing_field("upstream"))?;
        let listen = wanted.listen.unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let faults = wanted.faults.unwrap_or_default();
        let mut all = self.all.lock().await;
        if all.contains_key(&name) {
            return Err(Error::proxy_already_exists());
        }
        if all.len() >= HTTP_PROXIES_MAX {
            return Err(Error::too_many("HTTP proxies", HTTP_PROXIES_MAX));
        }
        let proxy = HttpProxy::new(&self.settings, name.clone(), listen, upstream, faults)?;
        let proxy = Arc::new(proxy);
        if wanted.enabled.unwrap_or(true) {
            proxy.start().await?;
        }
        all.insert(name, Arc::clone(&proxy));
        Ok(proxy)
    }

    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let removed = self.all.lock().await.remove(name);
        removed.ok_or_else(Error::proxy_not_found)?.stop().await;
        Ok(())
    }

    /// Enables all and removes all faults.
    pub async fn reset(&self) -> Result<(), Error> {
        for proxy in self.all().await {
            proxy.reset_faults();
            proxy.start().await?;
        }
        Ok(())
    }

    /// Ends all of them.
    pub async fn clear(&self) {
        let all = std::mem::take(&mut *self.all.lock().await);
        for proxy in all.into_values() {
            proxy.stop().await;
        }
    }
}
