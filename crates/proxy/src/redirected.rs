//! A TCP proxy of connections that rules of the kernel lead here, each on to where it was meant
//! for. It has no name, no API and one set of toxics, which are there before the first connection.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::net::TcpListener;

use crate::error::Error;
use crate::json::Object;
use crate::memory::Memory;
use crate::proxy::{Running, Settings, Shared};
use crate::toxics::Toxics;
use crate::upstream::Upstream;
use crate::{Config, MEMORY_BYTES_MAX};

/// Ends, with all its connections, when it is dropped.
pub struct Redirected {
    _running: Vec<Running>,
}

impl Redirected {
    /// Takes connections from all listeners; needs a tokio runtime. Toxics are Toxiproxy's JSON.
    pub fn start(
        listeners: Vec<TcpListener>,
        mark: u32,
        toxics: Vec<serde_json::Value>,
        config: Config,
    ) -> Result<Redirected, Error> {
        let settings = Settings {
            connections_max: config.connections_max,
            seed: config.seed,
            memory: Arc::new(Memory::new(MEMORY_BYTES_MAX)),
            next_toxic: AtomicU64::new(1),
        };
        let shared = Arc::new(Shared::new(&settings, ""));
        let mut all = Toxics::default();
        for (id, toxic) in (1..).zip(toxics) {
            all.add(id, &Object::of(toxic, "Toxic").map_err(Error::bad_request_body)?)?;
        }
        shared.toxics.send_replace(Arc::new(all));
        let start = |listener| Running::start(listener, &shared, Upstream::Meant { mark });
        Ok(Redirected { _running: listeners.into_iter().map(start).collect() })
    }
}
