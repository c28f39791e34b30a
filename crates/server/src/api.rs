//! The HTTP API, version 1, and health. One port; loopback only until tokens are configured.
//!
//! Reading asks the loop between two entries; writing goes through the input log as a command.
//! `auth` guards every route but health.

mod asking;

pub(crate) mod audit;

mod auth;

mod changes;

mod contract;

mod document;

mod drills;

mod error;

mod extract;

mod healing;

mod incidents;

mod live;

mod logs;

mod metrics;

mod parameters;

mod pauses;

mod plans;

mod route;

mod routes;

mod series;

pub(crate) mod services;

mod settings;

mod status;

mod stream;

mod traces;

mod ui;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use engine::Core;
use model::human::HumanDuration;
use receivers::Counters;
use storage::store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use auth::{Role, may_ingest};
pub use document::document;
pub use error::Error;
pub use live::Live;

use crate::config::{Config, Origins};
use crate::drills::Drills;
use crate::driver::{self, Handle};
use crate::hands::Hands;
use crate::journal::{self, Journal};
use crate::tail::Tail;

/// Largest request body: an experiment file.
const BODY_BYTES_MAX: usize = 1 << 20;
const CONNECTIONS_MAX: u32 = 256;
/// Questions that the API has with the loop at a time.
const ASKING_MAX: usize = 4;
/// A connection on which nothing arrives for this long is closed.
const IDLE_TIMEOUT: HumanDuration = HumanDuration::from_secs(60);

/// What the routes share.
pub struct Shared {
    pub config: Config,
    pub origins: Origins,
    pub handle: Handle,
    pub journal: Arc<Journal>,
    pub counters: Arc<Counters>,
    pub drills: Drills,
    pub hands: Hands,
    pub started: model::Timestamp,
    /// The address that was really bound.
    pub listen: std::net::SocketAddr,
    pub turns: Turns,
    pub store: Arc<Store>,
    /// Becomes true when the server ends: what would never end by itself ends then.
    pub stopping: watch::Receiver<bool>,
    /// Log records as they are taken.
    pub tail: Arc<Tail>,
    /// What is new, for those who follow it.
    pub live: Live,
}

/// Who may do what costs much, at a time.
pub struct Turns {
    /// Questions with the loop.
    asking: Semaphore,
    /// Queries of telemetry that run.
    querying: Arc<Semaphore>,
    /// Live tails that are open.
    tailing: Arc<Semaphore>,
    /// Streams of what happens that are open.
    streaming: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns {
            asking: Semaphore::new(ASKING_MAX),
            querying: Arc::new(Semaphore::new(asking::QUERIES_MAX)),
            tailing: Arc::new(Semaphore::new(logs::TAILS_MAX)),
            streaming: Arc::new(Semaphore::new(stream::STREAMS_MAX)),
        }
    }
}

impl Shared {
    /// Asks the loop; many who ask wait here and not in the loop's queue, where the log waits too.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, driver::Error> {
        let _turn = self.turns.asking.acquire().await.map_err(|_| driver::Error::Stopped)?;
        self.handle.ask(question).await
    }
}

type App = Arc<Shared>;

/// All routes of the table, each behind its role.
pub fn router(shared: App) -> Router {
    let mut router = Router::new();
    for route in routes::AREAS.iter().flat_map(|area| area.routes) {
        let mut methods = (route.endpoint)().router;
        if let Some(role) = route.role {
            methods = methods.layer(from_fn_with_state((shared.clone(), role), auth::require));
        }
        router = router.route(route.path, methods);
    }
    router
        .fallback(ui::serve)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(extract::refuse_large))
        .layer(from_fn_with_state(shared.clone(), auth::guard_host))
        .layer(map_response(extract::as_said))
        .with_state(shared)
}

/// Asks the journal where waiting for the disk holds nobody else up.
async fn off_the_loop<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, journal::Error> + Send + 'static,
) -> Result<T, Error> {
    let asked = tokio::task::spawn_blocking(question);
    Ok(asked.await.map_err(|_| driver::Error::Stopped)??)
}

/// Serves until `shutdown` resolves; open requests are finished.
pub async fn serve(listener: TcpListener, shared: App, shutdown: impl Future<Output = ()>) {
    let limits = receivers::config::Limits {
        connections: CONNECTIONS_MAX,
        idle_timeout: IDLE_TIMEOUT,
        ..receivers::config::Limits::default()
    };
    tokio::spawn(live::look(shared.clone()));
    receivers::serve_routes(listener, router(shared), &limits, shutdown).await;
}
