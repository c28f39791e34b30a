//! What a drill does to a container, and how that is taken back: always by the id that it had.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Docker;
use crate::config::Container;

/// A network that is Docker's own, where nobody has an address or alias by wish.
const BRIDGE: &str = "bridge";
/// Networks that are none: there is nothing to be disconnected from.
const NO_NETWORKS: &[&str] = &["host", "none"];

/// A container as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Seen {
    pub id: String,
    state: State,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    paused: bool,
    pid: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    auto_remove: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: BTreeMap<String, Value>,
}

impl Seen {
    pub fn pid(&self) -> u32 {
        self.state.pid
    }

    pub fn is_running(&self) -> bool {
        self.state.running
    }

    pub fn is_paused(&self) -> bool {
        self.state.paused
    }

    /// It vanishes with its process.
    pub fn is_removed_with_its_end(&self) -> bool {
        self.host_config.auto_remove
    }

    /// Those that it can be disconnected from, with what it is there.
    pub fn networks(&self) -> BTreeMap<String, Value> {
        let all = self.network_settings.networks.iter();
        let real = all.filter(|(name, _)| !NO_NETWORKS.contains(&name.as_str()));
        real.map(|(name, endpoint)| (name.clone(), endpoint.clone())).collect()
    }
}

/// `None` when there is no such container.
pub fn look(container: &Container, id: &str) -> Result<Option<Seen>, String> {
    match Docker::new(container).question(&format!("containers/{id}/json")) {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.starts_with("Docker answered 404") => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn pause(container: &Container, id: &str) -> Result<(), String> {
    let docker = Docker::new(container);
    docker.change(&format!("containers/{id}/pause"), None)?;
    docker.wait(id, |now| now.paused).map(|_| ())
}

pub fn unpause(container: &Container, id: &str) -> Result<(), String> {
    let docker = Docker::new(container);
    docker.change(&format!("containers/{id}/unpause"), None)?;
    docker.wait(id, |now| !now.paused).map(|_| ())
}

/// SIGKILL to its process. Docker starts no container again that was killed through it.
pub fn kill(container: &Container, id: &str) -> Result<(), String> {
    Docker::new(container).change(&format!("containers/{id}/kill"), None)
}

pub fn start(container: &Container, id: &str) -> Result<u32, String> {
    let docker = Docker::new(container);
    docker.change(&format!("containers/{id}/start"), None)?;
    Ok(docker.wait(id, |now| now.running)?.pid)
}

pub fn disconnect(container: &Container, id: &str, network: &str) -> Result<(), String> {
    let body = json!({ "Container": id });
    Docker::new(container).change(&format!("networks/{}/disconnect", path(network)), Some(body))
}

/// As it was there: with its address, aliases and links. Where Docker gives no address by wish,
/// with what it gives.
pub fn connect(
    container: &Container,
    id: &str,
    network: &str,
    before: &Value,
) -> Result<(), String> {
    let docker = Docker::new(container);
    let place = format!("networks/{}/connect", path(network));
    let mut endpoint = json!({ "Links": before["Links"], "DriverOpts": before["DriverOpts"] });
    if network != BRIDGE {
        endpoint["Aliases"] = before["Aliases"].clone();
    }
    let plain = json!({ "Container": id, "EndpointConfig": endpoint });
    let mut addresses = serde_json::Map::new();
    for (wish, had) in [("IPv4Address", "IPAddress"), ("IPv6Address", "GlobalIPv6Address")] {
        if let Some(address) = before[had].as_str().filter(|address| !address.is_empty()) {
            addresses.insert(wish.to_owned(), json!(address));
        }
    }
    let mut wished = plain.clone();
    wished["EndpointConfig"]["IPAMConfig"] = Value::Object(addresses);
    docker.change(&place, Some(wished)).or_else(|_| docker.change(&place, Some(plain)))
}

/// A name of a network as part of a path of Docker's interface.
fn path(network: &str) -> String {
    let mut url = match reqwest::Url::parse("http://docker/") {
        Ok(url) => url,
        Err(_) => return String::new(),
    };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(network);
    }
    url.path().trim_start_matches('/').to_owned()
}
