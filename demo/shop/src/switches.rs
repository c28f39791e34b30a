//! What operators may switch at a running part: slowness and a leak, for exercises.
//!
//! `GET` and `PUT /admin/switches` at every part, apart from its telemetry. A switch acts on all
//! requests but health checks and the administration itself. The leak is of the kind that real
//! caches have: every request adds an entry and looks through all of them, so that the part grows
//! and slows down until it is started anew, or the leak is switched off and gives back what it
//! took. `shop switch` is the command for it.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// The longest that a request may be made to wait.
const SLOW_MS_MAX: u64 = 60_000;
/// What one request may leave behind at most, in KiB.
const LEAK_KIB_MAX: usize = 1 << 10;
/// What all may leave behind: the machine is not the one to be hurt.
const LEAKED_BYTES_MAX: usize = 384 << 20;

/// What is switched on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Milliseconds that a request waits before it is worked on.
    pub slow_ms: u64,
    /// Share of the requests that wait, 0 to 1.
    pub slow_share: f64,
    /// KiB that each request leaves in memory.
    pub leak_kib: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { slow_ms: 0, slow_share: 1.0, leak_kib: 0 }
    }
}

/// What operators see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// What is switched on.
    #[serde(flatten)]
    pub settings: Settings,
    /// What requests left in memory.
    pub leaked_bytes: usize,
}

/// The switches of this process.
#[derive(Clone, Default)]
pub struct Switches {
    settings: Arc<Mutex<Settings>>,
    leaked: Arc<Leaked>,
}

#[derive(Default)]
struct Leaked {
    entries: Mutex<Vec<Arc<[u8]>>>,
    bytes: AtomicUsize,
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.slow_ms > SLOW_MS_MAX {
            return Err(format!("slow_ms is at most {SLOW_MS_MAX}"));
        }
        if !(0.0..=1.0).contains(&self.slow_share) {
            return Err("slow_share is 0 to 1".to_owned());
        }
        if self.leak_kib > LEAK_KIB_MAX {
            return Err(format!("leak_kib is at most {LEAK_KIB_MAX}"));
        }
        Ok(())
    }
}

impl Switches {
    /// The administration's routes.
    pub fn routes(&self) -> Router {
        Router::new().route("/admin/switches", get(show).put(set)).with_state(self.clone())
    }

    fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(|poison| poison.into_inner()).clone()
    }

    /// Axum middleware: what is switched on happens to the request.
    pub async fn act(State(switches): State<Switches>, request: Request, next: Next) -> Response {
        if request.uri().path() != "/healthz" {
            let settings = switches.settings();
            let is_slow = settings.slow_ms > 0 && rand::rng().random::<f64>() < settings.slow_share;
            if is_slow {
                tokio::time::sleep(Duration::from_millis(settings.slow_ms)).await;
            }
            if settings.leak_kib > 0 || switches.leaked.bytes.load(Ordering::Relaxed) > 0 {
                let (leaking, path) = (switches.clone(), request.uri().path().to_owned());
                let work = move || leaking.leaked.remember(&path, || leaking.settings().leak_kib);
                // A panic there could only be the lack of memory, which ends the process anyway.
                let _ = tokio::task::spawn_blocking(work).await;
            }
        }
        next.run(request).await
    }
}

impl Leaked {
    /// Looks through all entries for one that is the same, which takes longer the more there are,
    /// and adds one of `kib` KiB, as it is switched by then.
    fn remember(&self, path: &str, kib: impl FnOnce() -> usize) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(|poison| poison.into_inner());
        let mut wanted = std::hash::DefaultHasher::new();
        wanted.write(path.as_bytes());
        let wanted = wanted.finish();
        let mut found = false;
        for entry in entries.iter() {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(entry);
            found |= hasher.finish() == wanted;
        }
        let bytes = kib() << 10;
        if bytes > 0 && self.bytes.load(Ordering::Relaxed) + bytes <= LEAKED_BYTES_MAX {
            let entry: Arc<[u8]> = path.bytes().cycle().take(bytes).collect();
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            entries.push(entry);
        }
        found
    }

    fn forget(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(|poison| poison.into_inner());
        *entries = Vec::new();
        self.bytes.store(0, Ordering::Relaxed);
    }
}

async fn show(State(switches): State<Switches>) -> Json<Shown> {
    let leaked_bytes = switches.leaked.bytes.load(Ordering::Relaxed);
    Json(Shown { settings: switches.settings(), leaked_bytes })
}

async fn set(
    State(switches): State<Switches>,
    settings: Result<Json<Settings>, JsonRejection>,
) -> Result<Json<Shown>, Problem> {
    let Json(settings) = settings?;
    settings.check().map_err(Problem::invalid)?;
    let leaks = settings.leak_kib > 0;
    *switches.settings.lock().unwrap_or_else(|poison| poison.into_inner()) = settings;
    if !leaks {
        // Whoever looks through the leak just now is waited for.
        let leaked = switches.leaked.clone();
        let _ = tokio::task::spawn_blocking(move || leaked.forget()).await;
    }
    Ok(show(State(switches)).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hurt_the_machine_is_refused() {
        let good = Settings::default();
        assert_eq!(good.check(), Ok(()));
        assert!(Settings { slow_ms: 60_001, ..good.clone() }.check().is_err());
        assert!(Settings { slow_share: 1.5, ..good.clone() }.check().is_err());
        assert!(Settings { slow_share: f64::NAN, ..good.clone() }.check().is_err());
        assert!(Settings { leak_kib: 1025, ..good }.check().is_err());
    }

    #[test]
    fn a_leak_grows_with_each_request_and_has_an_end() {
        let leaked = Leaked::default();
        (0..3).for_each(|_| assert!(!leaked.remember("/carts/1", || 64)));
        assert_eq!(leaked.bytes.load(Ordering::Relaxed), (3 * 64) << 10);
        leaked.bytes.store(LEAKED_BYTES_MAX, Ordering::Relaxed);
        leaked.remember("/carts/1", || 64);
        assert_eq!(leaked.entries.lock().expect("no panic").len(), 3);
        leaked.forget();
        assert!(leaked.entries.lock().expect("no panic").is_empty());
        assert_eq!(leaked.bytes.load(Ordering::Relaxed), 0);
    }
}
