//! Proxies that inject network faults: TCP proxies with Toxiproxy's toxics and its HTTP API, and
//! HTTP proxies with faults by route.
//!
//! Reading order: [`toxic`] (what users name), [`chain`] (what toxics do to bytes, pure), `link`
//! and `connection` (I/O), `upstream`, [`proxy`] and [`proxies`], `redirected` (proxies of what the
//! kernel leads to them), `http` (the HTTP proxies), [`api`].
//!
//! Everything here fails closed: when the process ends, its proxies are gone. A toxic never
//! outlives the process, and nothing outside it is changed.

pub mod api;

pub mod chain;

mod connection;

mod error;

pub mod http;

pub mod json;

mod link;

mod links;

pub mod listen;

mod memory;

pub mod proxies;

pub mod proxy;

mod redirected;

mod serve;

pub mod toxic;

mod toxics;

mod traffic;

mod upstream;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

pub use error::Error;
pub use redirected::Redirected;

use crate::api::Shared;
use crate::http::HttpProxies;
use crate::memory::Memory;
use crate::proxies::{Populated, Proxies};
use crate::proxy::Settings;
use crate::serve::{AtEnd, serve};

/// Connections that one proxy has at a time, unless configured otherwise.
pub const CONNECTIONS_MAX: usize = 4096;
/// What all connections may hold for latency toxics together.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// Connections to the API.
const API_CONNECTIONS_MAX: usize = 256;

/// A set of proxies with its API.
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The same seed gives the same faults to the same connections in the same order.
    pub seed: u64,
    /// Connections that each proxy has at a time; more are closed at once and counted.
    pub connections_max: usize,
}

impl Default for Config {
    /// As many connections as usual, and a seed that nobody chose.
    fn default() -> Config {
        Config { seed: rand::random(), connections_max: CONNECTIONS_MAX }
    }
}

impl Config {
    fn settings(self) -> Settings {
        Settings {
            connections_max: self.connections_max,
            seed: self.seed,
            memory: Arc::new(Memory::new(MEMORY_BYTES_MAX)),
            next_toxic: AtomicU64::new(1),
        }
    }
}

impl Server {
    pub fn new(config: Config) -> Server {
        let settings = Arc::new(config.settings());
        let shared = Arc::new(Shared {
            proxies: Proxies::new(Arc::clone(&settings)),
            http_proxies: HttpProxies::new(settings),
            requests: AtomicU64::new(1),
        });
        Server { shared }
    }

    /// Adds proxies as `POST /populate` does.
    pub async fn populate(&self, json: &[u8]) -> Populated {
        self.shared.proxies.populate(json).await
    }

    /// Serves the API until `shutdown` resolves, then ends all proxies.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let router = api::router(Arc::clone(&self.shared));
        let service = TowerToHyperService::new(router);
        let service = |_: &_| service.clone();
        serve(listener, service, API_CONNECTIONS_MAX, AtEnd::Drain, shutdown).await;
        self.shared.proxies.clear().await;
        self.shared.http_proxies.clear().await;
    }
}
