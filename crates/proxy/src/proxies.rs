//! All proxies of a process, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::error::Error;
use crate::json::{Object, first_value};
use crate::proxy::{Proxy, Settings, View, Wanted};

/// Proxies at a time.
pub const PROXIES_MAX: usize = 1024;

pub struct Proxies {
    settings: Arc<Settings>,
    all: Mutex<BTreeMap<String, Arc<Proxy>>>,
}

/// What a populate came to: those that are there now, and why no more.
pub struct Populated {
    pub proxies: Vec<View>,
    pub error: Option<Error>,
}

impl Proxies {
    pub fn new(settings: Arc<Settings>) -> Proxies {
        Proxies { settings, all: Mutex::default() }
    }

    /// All of them, in order of their names.
    pub async fn all(&self) -> Vec<Arc<Proxy>> {
        self.all.lock().await.values().cloned().collect()
    }

    pub async fn named(&self, name: &str) -> Result<Arc<Proxy>, Error> {
        self.all.lock().await.get(name).cloned().ok_or_else(Error::proxy_not_found)
    }

    /// Adds a proxy, and starts it unless it should be disabled.
    pub async fn add(&self, wanted: Wanted) -> Result<Arc<Proxy>, Error> {
        let name = given(wanted.name).ok_or_else(|| Error::missing_field("name"))?;
        let upstream = given(wanted.upstream).ok_or_else(|| Error::missing_field("upstream"))?;
        let mut all = self.all.lock().await;
        if all.contains_key(&name) {
            return Err(Error::proxy_already_exists());
        }
        refuse_too_many(&all)?;
        let listen = wanted.listen.unwrap_or_default();
        let proxy = Arc::new(Proxy::new(&self.settings, name.clone(), listen, upstream));
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

    /// Adds many; a proxy that is there already stays if it listens at the same place and leads to
    /// the same, else it is replaced. At the first that cannot be started this ends; those before
    /// it stay.
    pub async fn populate(&self, body: &[u8]) -> Populated {
        let mut proxies = Vec::new();
        let error = match wanted_of(body) {
            Err(error) => Some(error),
            Ok(all) => self.add_or_replace_all(all, &mut proxies).await.err(),
        };
        Populated { proxies, error }
    }

    /// Enables all proxies and removes all toxics.
    pub async fn reset(&self) -> Result<(), Error> {
        for proxy in self.all().await {
            proxy.start().await?;
            proxy.reset_toxics().await;
        }
        Ok(())
    }

    /// Ends all proxies.
    pub async fn clear(&self) {
        let all = std::mem::take(&mut *self.all.lock().await);
        for proxy in all.into_values() {
            proxy.stop().await;
        }
    }

    async fn add_or_replace_all(
        &self,
        all: Vec<Wanted>,
        proxies: &mut Vec<View>,
    ) -> Result<(), Error> {
        for wanted in all {
            proxies.push(self.add_or_replace(wanted).await?.view().await);
        }
        Ok(())
    }

    async fn add_or_replace(&self, wanted: Wanted) -> Result<Arc<Proxy>, Error> {
        let name = wanted.name.unwrap_or_default();
        let upstream = wanted.upstream.unwrap_or_default();
        let listen = wanted.listen.unwrap_or_default();
        let mut all = self.all.lock().await;
        match all.get(&name) {
            Some(existing) if !existing.differs(&listen, &upstream).await? => {
                return Ok(Arc::clone(existing));
            }
            Some(existing) => existing.stop().await,
            None => refuse_too_many(&all)?,
        }
        let proxy = Arc::new(Proxy::new(&self.settings, name.clone(), listen, upstream));
        if wanted.enabled.unwrap_or(true) {
            proxy.start().await?;
        }
        all.insert(name, Arc::clone(&proxy));
        Ok(proxy)
    }
}

/// The proxies that a body wants; nothing is done if one of them lacks a field.
fn wanted_of(body: &[u8]) -> Result<Vec<Wanted>, Error> {
    let bad = |why: String| Error::bad_request_body(why);
    let entries = match first_value(body).map_err(bad)? {
        serde_json::Value::Array(entries) => entries,
        serde_json::Value::Null => Vec::new(),
        _ => return Err(bad("json: a list of proxies was expected".to_owned())),
    };
    let mut all = Vec::new();
    for entry in entries {
        let object = Object::of(entry, "Proxy").map_err(bad)?;
        all.push(Wanted::read(&object).map_err(bad)?);
    }
    for (index, wanted) in all.iter().enumerate() {
        let fields = [("name", &wanted.name), ("upstream", &wanted.upstream)];
        for (field, given) in fields {
            if given.as_deref().unwrap_or_default().is_empty() {
                return Err(Error::missing_field(format!("{field} at proxy {}", index + 1)));
            }
        }
    }
    Ok(all)
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn refuse_too_many(all: &BTreeMap<String, Arc<Proxy>>) -> Result<(), Error> {
    if all.len() >= PROXIES_MAX {
        return Err(Error::too_many("proxies", PROXIES_MAX));
    }
    Ok(())
}
