//! Proxies of connections that rules of the kernel lead here, each on to where it was meant for.
//! They have no name and no API, and their toxics or faults are there before the first connection.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::error::Error;
use crate::json::Object;
use crate::proxy::{Running, Shared};
use crate::toxics::Toxics;
use crate::upstream::Upstream;
use crate::{Config, http};

/// Ends, with all its connections, when it is dropped. Sockets to upstreams bear the mark.
pub struct Redirected {
    _running: Vec<Running>,
}

impl Redirected {
    /// Carries connections from all listeners; needs a tokio runtime. Toxics are Toxiproxy's JSON.
    pub fn tcp(
        listeners: Vec<TcpListener>,
        mark: u32,
        toxics: Vec<serde_json::Value>,
        config: Config,
    ) -> Result<Redirected, Error> {
        let shared = Arc::new(Shared::new(&config.settings(), ""));
        let mut all = Toxics::default();
        for (id, toxic) in (1..).zip(toxics) {
            all.add(id, &Object::of(toxic, "Toxic").map_err(Error::bad_request_body)?)?;
        }
        shared.toxics.send_replace(Arc::new(all));
        let start = |listener| Running::start(listener, &shared, Upstream::Meant { mark });
        Ok(Redirected { _running: listeners.into_iter().map(start).collect() })
    }

    /// Forwards requests from all listeners; needs a tokio runtime.
    pub fn http(
        listeners: Vec<TcpListener>,
        mark: u32,
        faults: Vec<http::Fault>,
        config: Config,
    ) -> Result<Redirected, Error> {
        let shared = http::Shared::new(&config.settings(), "", String::new(), Some(mark), faults)?;
        let shared = Arc::new(shared);
        let start = |listener| http::start(listener, &shared, config.connections_max, true);
        Ok(Redirected { _running: listeners.into_iter().map(start).collect() })
    }
}
