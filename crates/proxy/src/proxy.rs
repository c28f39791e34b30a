//! A proxy: a listener, where it leads, and its toxics. Disabled it listens no more, and all its
//! connections are cut.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::connection::carry;
use crate::error::Error;
use crate::json::Object;
use crate::links::Links;
use crate::listen;
use crate::memory::Memory;
use crate::toxic::Toxic;
use crate::toxics::Toxics;
use crate::traffic::Traffic;
use crate::upstream::Upstream;

/// An upstream that does not answer for so long is not there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause after a failed accept (no file descriptors left, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all proxies share.
#[derive(Debug)]
pub struct Settings {
    /// Connections of one proxy; more are closed at once and counted.
    pub connections_max: usize,
    pub seed: u64,
    pub memory: Arc<Memory>,
    pub next_toxic: AtomicU64,
}

/// What a request may say of a proxy.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub name: Option<String>,
    pub listen: Option<String>,
    pub upstream: Option<String>,
    pub enabled: Option<bool>,
}

/// A proxy as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    pub toxics: Vec<Arc<Toxic>>,
}

pub struct Proxy {
    pub name: String,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// What the connections of a proxy share.
pub struct Shared {
    pub toxics: watch::Sender<Arc<Toxics>>,
    pub links: Arc<Links>,
    pub memory: Arc<Memory>,
    pub traffic: Traffic,
    connections_max: usize,
    seed: u64,
}

struct State {
    /// As given; once it runs, the address that was bound.
    listen: String,
    upstream: String,
    running: Option<Running>,
}

/// Connections are taken while this is there.
pub struct Running {
    pub stop: oneshot::Sender<()>,
    pub accepting: JoinHandle<()>,
}

impl Running {
    pub fn start(listener: TcpListener, shared: &Arc<Shared>, upstream: Upstream) -> Running {
        let (stop, stopped) = oneshot::channel();
        let accepting = tokio::spawn(accept(listener, Arc::clone(shared), upstream, stopped));
        Running { stop, accepting }
    }

    /// Listens no more and cuts all connections; when this returns it is so.
    pub async fn stop(self) {
        drop(self.stop);
        // It can only fail by a panic, and then it has ended too.
        let _ = self.accepting.await;
    }
}

impl Shared {
    pub fn new(settings: &Settings, name: &str) -> Shared {
        let mut hasher = DefaultHasher::new();
        (settings.seed, name).hash(&mut hasher);
        Shared {
            toxics: watch::Sender::new(Arc::default()),
            links: Arc::default(),
            memory: Arc::clone(&settings.memory),
            traffic: Traffic::default(),
            connections_max: settings.connections_max,
            seed: hasher.finish(),
        }
    }
}

impl Wanted {
    pub fn read(body: &Object) -> Result<Wanted, String> {
        Ok(Wanted {
            name: body.string("name")?,
            listen: body.string("listen")?,
            upstream: body.string("upstream")?,
            enabled: body.boolean("enabled")?,
        })
    }
}

impl Proxy {
    /// A proxy that does not run yet.
    pub fn new(settings: &Arc<Settings>, name: String, listen: String, upstream: String) -> Proxy {
        let shared = Arc::new(Shared::new(settings, &name));
        let state = Mutex::new(State { listen, upstream, running: None });
        Proxy { name, settings: Arc::clone(settings), shared, state }
    }

    /// Listens, unless it does so already.
    pub async fn start(&self) -> Result<(), Error> {
        self.start_locked(&mut *self.state.lock().await).await
    }

    /// Listens no more and cuts all connections; when this returns it is so.
    pub async fn stop(&self) {
        stop_locked(&mut *self.state.lock().await).await;
    }

    pub async fn update(&self, wanted: Wanted) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let listen = wanted.listen.unwrap_or_else(|| state.listen.clone());
        let upstream = wanted.upstream.unwrap_or_else(|| state.upstream.clone());
        let enabled = wanted.enabled.unwrap_or(state.running.is_some());
        if differs(&state, &listen, &upstream).await? {
            stop_locked(&mut state).await;
            state.listen = listen;
            state.upstream = upstream;
        }
        if enabled {
            self.start_locked(&mut state).await?;
        } else {
            stop_locked(&mut state).await;
        }
        Ok(())
    }

    /// Whether it would have to become another proxy for these.
    pub async fn differs(&self, listen: &str, upstream: &str) -> Result<bool, Error> {
        differs(&*self.state.lock().await, listen, upstream).await
    }

    pub async fn view(&self) -> View {
        let state = self.state.lock().await;
        View {
            name: self.name.clone(),
            listen: state.listen.clone(),
            upstream: state.upstream.clone(),
            enabled: state.running.is_some(),
            toxics: self.toxics().all().cloned().collect(),
        }
    }

    pub fn toxics(&self) -> Arc<Toxics> {
        Arc::clone(&self.shared.toxics.borrow())
    }

    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.links.connections()
    }

    pub async fn add_toxic(&self, body: &Object) -> Result<Arc<Toxic>, Error> {
        let id = self.settings.next_toxic.fetch_add(1, Ordering::Relaxed);
        self.change(|toxics| toxics.add(id, body)).await
    }

    pub async fn update_toxic(&self, name: &str, body: &Object) -> Result<Arc<Toxic>, Error> {
        self.change(|toxics| toxics.update(name, body)).await
    }

    pub async fn remove_toxic(&self, name: &str) -> Result<(), Error> {
        self.change(|toxics| toxics.remove(name)).await
    }

    pub async fn reset_toxics(&self) {
        if self.toxics().all().next().is_some() {
            let cleared = self.change(|toxics| {
                toxics.clear();
                Ok(())
            });
            // Clearing cannot fail.
            let _ = cleared.await;
        }
    }

    /// Changes the toxics, and waits until all connections have taken the change.
    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Toxics) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (changed, generation) = {
            let _one_at_a_time = self.state.lock().await;
            let mut toxics = Toxics::clone(&self.toxics());
            let changed = change(&mut toxics)?;
            let generation = toxics.generation;
            self.shared.toxics.send_replace(Arc::new(toxics));
            (changed, generation)
        };
        self.shared.links.wait_for(generation).await;
        Ok(changed)
    }

    async fn start_locked(&self, state: &mut State) -> Result<(), Error> {
        if state.running.is_some() {
            return Ok(());
        }
        let listener = listen::bind(&state.listen).await.map_err(Error::internal)?;
        let bound = listener.local_addr().map_err(|error| Error::internal(error.to_string()))?;
        state.listen = bound.to_string();
        let upstream = Upstream::Named(state.upstream.clone());
        state.running = Some(Running::start(listener, &self.shared, upstream));
        tracing::info!(proxy = self.name, listen = state.listen, upstream = state.upstream, "up");
        Ok(())
    }
}

async fn stop_locked(state: &mut State) {
    if let Some(running) = state.running.take() {
        running.stop().await;
    }
}

async fn differs(state: &State, listen: &str, upstream: &str) -> Result<bool, Error> {
    let resolved = listen::resolve(listen).await.map_err(Error::internal)?;
    Ok(state.listen != resolved.to_string() || state.upstream != upstream)
}

/// Takes connections until `stopped`; then listener and connections are closed.
async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    upstream: Upstream,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Some(client) = taken(accepted, &shared, connections.len()).await else {
                    continue;
                };
                let number = shared.traffic.accepted.fetch_add(1, Ordering::Relaxed);
                let (shared, upstream) = (Arc::clone(&shared), upstream.clone());
                connections.spawn(connect(client, shared, upstream, number));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The client, if there is room for it.
async fn taken(
    accepted: io::Result<(TcpStream, SocketAddr)>,
    shared: &Shared,
    connections: usize,
) -> Option<TcpStream> {
    match accepted {
        Ok((client, _)) if connections < shared.connections_max => Some(client),
        Ok(_) => {
            shared.traffic.refused.fetch_add(1, Ordering::Relaxed);
            None
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connect(client: TcpStream, shared: Arc<Shared>, upstream: Upstream, number: u64) {
    let connecting = upstream.connect(&client);
    let server = match tokio::time::timeout(CONNECT_TIME_MAX, connecting).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => {
            tracing::warn!(?upstream, %error, "cannot connect");
            return;
        }
        Err(_) => {
            tracing::warn!(?upstream, "no answer to a connection");
            return;
        }
    };
    let seed = shared.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    carry(&client, &server, &shared, seed).await;
}
