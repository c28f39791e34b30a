//! The HTTP API, version 1, and health. One port; loopback only until tokens are configured.
//!
//! Reading asks the loop between two entries; writing goes through the input log as a command.
//! `auth` guards every route but health.

mod asking;

mod auth;

mod drills;

mod error;

mod extract;

mod incidents;

mod logs;

mod metrics;

mod parameters;

mod pauses;

mod plans;

mod series;

mod status;

mod traces;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use engine::Core;
use model::human::HumanDuration;
use receivers::Counters;
use storage::store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

pub use auth::{Role, may_ingest};
pub use error::Error;

use crate::config::Config;
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
}

/// Who may do what costs much, at a time.
pub struct Turns {
    /// Questions with the loop.
    asking: Semaphore,
    /// Queries of telemetry that run.
    querying: Arc<Semaphore>,
    /// Live tails that are open.
    tailing: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns {
            asking: Semaphore::new(ASKING_MAX),
            querying: Arc::new(Semaphore::new(asking::QUERIES_MAX)),
            tailing: Arc::new(Semaphore::new(logs::TAILS_MAX)),
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

/// All routes. Which role a route needs stands beside it.
pub fn router(shared: App) -> Router {
    let reading = Router::new()
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/objectives", get(status::objectives))
        .route("/api/v1/topology", get(status::topology))
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::one))
        .route("/api/v1/incidents/{id}/events", get(incidents::events))
        .route("/api/v1/plans", get(plans::list))
        .route("/api/v1/plans/{id}", get(plans::one))
        .route("/api/v1/pauses", get(pauses::list))
        .route("/api/v1/autonomy", get(plans::autonomy))
        .route("/api/v1/events", get(incidents::all_events))
        .route("/api/v1/traces", get(traces::list))
        .route("/api/v1/traces/{id}", get(traces::one))
        .route("/api/v1/spans", get(traces::spans))
        .route("/api/v1/spans/stats", get(traces::stats))
        .route("/api/v1/logs", get(logs::search))
        .route("/api/v1/logs/histogram", get(logs::counts))
        .route("/api/v1/logs/tail", get(logs::follow))
        .route("/api/v1/series", get(series::query))
        .route("/api/v1/series/metrics", get(series::metrics))
        .route("/api/v1/series/labels", get(series::labels))
        .route("/api/v1/series/labels/{name}", get(series::label_values))
        .route("/api/v1/storage", get(status::storage))
        .route("/api/v1/drills", get(drills::list))
        .route("/api/v1/drills/matrix", get(drills::matrix))
        .route("/api/v1/drills/schedule", get(drills::schedule))
        .route("/api/v1/drills/suggestions", get(drills::suggestions))
        .route("/api/v1/drills/{id}", get(drills::one))
        .route("/metrics", get(metrics::metrics))
        .layer(from_fn_with_state((shared.clone(), Role::Read), auth::require));
    let approving = Router::new()
        .route("/api/v1/incidents/{id}/acknowledge", post(incidents::acknowledge))
        .route("/api/v1/incidents/{id}/close", post(incidents::close))
        .route("/api/v1/plans/{id}/approve", post(plans::approve))
        .route("/api/v1/plans/{id}/deny", post(plans::deny))
        .route("/api/v1/freeze", post(plans::freeze))
        .route("/api/v1/pauses", post(pauses::pause))
        .layer(from_fn_with_state((shared.clone(), Role::Approve), auth::require));
    let administering = Router::new()
        .route("/api/v1/thaw", post(plans::thaw))
        .route("/api/v1/pauses/{name}/resume", post(pauses::resume))
        .route("/api/v1/objectives/{name}/relearn", post(status::relearn))
        .route("/api/v1/changes", post(status::change))
        .route("/api/v1/drills", post(drills::start))
        .route("/api/v1/drills/plan", post(drills::plan))
        .route("/api/v1/drills/stop", post(drills::stop_all))
        .route("/api/v1/drills/resume", post(drills::resume))
        .route("/api/v1/drills/{id}/stop", post(drills::stop))
        .layer(from_fn_with_state((shared.clone(), Role::Admin), auth::require));
    Router::new()
        .merge(reading)
        .merge(approving)
        .merge(administering)
        .route("/livez", get(status::alive))
        .route("/readyz", get(status::ready))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(extract::refuse_large))
        .layer(from_fn_with_state(shared.clone(), auth::guard_host))
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
    receivers::serve_routes(listener, router(shared), &limits, shutdown).await;
}
