//! One HTTP proxy: listener, upstream, faults.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::connector::Connector;
use super::fault::Fault;
use super::forward::{Body, forward};
use super::proxies::Wanted;
use crate::error::Error;
use crate::listen;
use crate::proxy::{Running, Settings};
use crate::serve::{AtEnd, serve};
use crate::upstream::meant;

/// Faults that a proxy may have.
pub const FAULTS_MAX: usize = 64;
/// Connections to the upstream that are kept for later requests, and for how long.
const IDLE_MAX: usize = 32;
const IDLE_TIME_MAX: Duration = Duration::from_secs(15);

pub struct HttpProxy {
    pub name: String,
    connections_max: usize,
    shared: Arc<Shared>,
    state: tokio::sync::Mutex<State>,
}

/// An HTTP proxy as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    pub faults: Vec<Arc<Fault>>,
}

/// What the requests of a proxy share.
pub struct Shared {
    pub client: Client<Connector, Body>,
    upstream: Mutex<String>,
    faults: Mutex<Vec<Arc<Fault>>>,
    dice: Mutex<StdRng>,
}

struct State {
    listen: String,
    running: Option<Running>,
}

impl HttpProxy {
    /// A proxy that does not run yet.
    pub fn new(
        settings: &Settings,
        name: String,
        listen: String,
        upstream: String,
        faults: Vec<Fault>,
    ) -> Result<HttpProxy, Error> {
        check_upstream(&upstream)?;
        let shared = Shared::new(settings, &name, upstream, None, faults)?;
        Ok(HttpProxy {
            name,
            connections_max: settings.connections_max,
            shared: Arc::new(shared),
            state: tokio::sync::Mutex::new(State { listen, running: None }),
        })
    }

    pub async fn start(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if state.running.is_some() {
            return Ok(());
        }
        let listener = listen::bind(&state.listen).await.map_err(Error::internal)?;
        let bound = listener.local_addr().map_err(|error| Error::internal(error.to_string()))?;
        state.listen = bound.to_string();
        state.running = Some(start(listener, &self.shared, self.connections_max, false));
        Ok(())
    }

    /// Listens no more and cuts all connections; when this returns it is so.
    pub async fn stop(&self) {
        if let Some(running) = self.state.lock().await.running.take() {
            running.stop().await;
        }
    }

    /// Changes what is given. Where it listens cannot be changed.
    pub async fn update(&self, wanted: Wanted) -> Result<(), Error> {
        if wanted.listen.is_some() || wanted.name.is_some() {
            let why = "name and listen cannot be changed; remove the proxy and add it anew";
            return Err(Error::bad_request_body(why));
        }
        let faults = wanted.faults.map(checked).transpose()?;
        if let Some(upstream) = wanted.upstream {
            check_upstream(&upstream)?;
            *locked(&self.shared.upstream) = upstream;
        }
        if let Some(faults) = faults {
            *locked(&self.shared.faults) = faults;
        }
        match wanted.enabled {
            Some(true) => self.start().await,
            Some(false) => {
                self.stop().await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub fn add_fault(&self, fault: Fault) -> Result<Arc<Fault>, Error> {
        fault.check()?;
        let mut faults = locked(&self.shared.faults);
        if faults.iter().any(|other| other.name == fault.name) {
            return Err(Error::new(409, "fault already exists"));
        }
        if faults.len() >= FAULTS_MAX {
            return Err(Error::too_many("faults", FAULTS_MAX));
        }
        let fault = Arc::new(fault);
        faults.push(Arc::clone(&fault));
        Ok(fault)
    }

    pub fn remove_fault(&self, name: &str) -> Result<(), Error> {
        let mut faults = locked(&self.shared.faults);
        let found = faults.iter().position(|fault| fault.name == name);
        faults.remove(found.ok_or_else(|| Error::new(404, "fault not found"))?);
        Ok(())
    }

    pub fn reset_faults(&self) {
        locked(&self.shared.faults).clear();
    }

    pub async fn view(&self) -> View {
        let state = self.state.lock().await;
        View {
            name: self.name.clone(),
            listen: state.listen.clone(),
            upstream: self.shared.upstream(),
            enabled: state.running.is_some(),
            faults: locked(&self.shared.faults).clone(),
        }
    }
}

/// Answers requests that come there. Connections that a rule led here go on, each to where it was
/// meant for, all others to the upstream that was named.
pub fn start(
    listener: TcpListener,
    shared: &Arc<Shared>,
    connections_max: usize,
    is_led: bool,
) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let shared = Arc::clone(shared);
    let service_of = move |stream: &TcpStream| {
        let meant = is_led.then(|| meant(stream).map_or(String::new(), |meant| meant.to_string()));
        let (shared, meant) = (Arc::clone(&shared), meant.map(Arc::<str>::from));
        service_fn(move |request: Request<Incoming>| {
            let (shared, meant) = (Arc::clone(&shared), meant.clone());
            async move { forward(&shared, meant.as_deref(), request).await }
        })
    };
    let accepting = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        serve(listener, service_of, connections_max, AtEnd::Cut, stopped).await;
    });
    Running { stop, accepting }
}

impl Shared {
    /// With a mark, upstreams are addresses and sockets to them bear it.
    pub fn new(
        settings: &Settings,
        name: &str,
        upstream: String,
        mark: Option<u32>,
        faults: Vec<Fault>,
    ) -> Result<Shared, Error> {
        let mut hasher = DefaultHasher::new();
        (settings.seed, name, "http").hash(&mut hasher);
        Ok(Shared {
            client: client(Connector::new(mark)),
            upstream: Mutex::new(upstream),
            faults: Mutex::new(checked(faults)?),
            dice: Mutex::new(StdRng::seed_from_u64(hasher.finish())),
        })
    }

    pub fn upstream(&self) -> String {
        locked(&self.upstream).clone()
    }

    /// The faults that act upon a request, and how long they delay it together.
    pub fn drawn(&self, method: &Method, path: &str) -> (Vec<Arc<Fault>>, Duration) {
        let mut dice = locked(&self.dice);
        let mut faults = locked(&self.faults).clone();
        faults.retain(|fault| fault.matches(method, path) && fault.acts(&mut dice));
        let delay = faults.iter().map(|fault| fault.delay(&mut dice)).sum();
        (faults, delay)
    }
}

fn client(connector: Connector) -> Client<Connector, Body> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME_MAX)
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector)
}

fn checked(faults: Vec<Fault>) -> Result<Vec<Arc<Fault>>, Error> {
    if faults.len() > FAULTS_MAX {
        return Err(Error::too_many("faults", FAULTS_MAX));
    }
    for (index, fault) in faults.iter().enumerate() {
        fault.check()?;
        if faults[..index].iter().any(|other| other.name == fault.name) {
            return Err(Error::new(409, "fault already exists"));
        }
    }
    Ok(faults.into_iter().map(Arc::new).collect())
}

fn check_upstream(upstream: &str) -> Result<(), Error> {
    let authority = upstream.parse::<http::uri::Authority>();
    let is_host_and_port =
        authority.is_ok_and(|parsed| parsed.port().is_some() && !upstream.contains('@'));
    if is_host_and_port {
        return Ok(());
    }
    Err(Error::bad_request_body(format!("upstream {upstream:?} is not HOST:PORT")))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
