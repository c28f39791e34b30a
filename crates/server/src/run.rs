//! `immune run`: puts the parts together, in the order in which they need each other, and takes
//! them apart.
//!
//! recover → loop → configuration → agent → probes, notifications, drills → API → receivers.
//! Receivers come last, so that nothing arrives before all is ready; they go first at the end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use engine::Entry;
use model::Action;
use receivers::Intake;
use serde::Serialize;
use storage::Committer;
use storage::reserve::DiskWatch;
use storage::store::{self, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::{self, Shared};
use crate::config::{Config, Origins};
use crate::drills::Drills;
use crate::driver::{self, Driver, Handle};
use crate::ingest::Ingest;
use crate::journal::Journal;
use crate::state::{DataFolder, Recovered};
use crate::tail::Tail;
use crate::{clock, hands, notify, probes, retention};

/// Telemetry that may wait to be durable and taken by the loop; above it receivers shed load.
/// Decoded it needs several times as much memory.
const LOG_WAITING_BYTES_MAX: usize = 32 << 20;
const ORDERS_MAX: usize = 1_000;
const TICK: Duration = Duration::from_secs(1);
/// Requests that are open when the server stops get this long.
const SERVING_ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Small pages for this process: of huge ones, a few bytes in use hold two mebibytes, and a server
/// that has seen load would stay twice as large for ever. Says whether it had huge ones until now.
fn renounce_huge_pages() -> bool {
    let had_them = matches!(rustix::thread::transparent_huge_pages_are_disabled(), Ok(false));
    had_them && rustix::thread::disable_transparent_huge_pages(true).is_ok()
}

/// Where a running server can be reached; also written to `listening.json` in the data folder.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Listening {
    pub api: SocketAddr,
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub pid: u32,
}

/// Runs a server until `shutdown` resolves. `ready` is called once it takes telemetry.
pub async fn run(
    config: Config,
    origins: Origins,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(Listening),
) -> Result<()> {
    let huge_pages = renounce_huge_pages();
    let started = clock::now();
    let client = http_client()?;
    let folder =
        DataFolder::open(&config.storage.path)?.with_log_size_max(config.storage.log_size_max.0);
    let own_hands = own_hands(&config, &folder, huge_pages)?;
    let mut ground = Ground::recover(&config, &folder).await?;
    let (handle, journal) = (ground.handle.clone(), ground.journal.clone());

    let hands = hands::start(own_hands, handle.clone(), ground.orders);
    let drills = Drills::open(handle.clone(), hands.clone(), journal.clone(), &config, seed()?)?;
    drills.resume();
    let probing = probing_client()?;
    let probes = probes::spawn(&config.detect.probes, &probing, &handle);
    let mut tasks = JoinSet::new();
    tasks.spawn(tick(handle.clone(), ground.telemetry.disk.clone()));
    tasks.spawn(drills.clone().keep_schedule());
    tasks.spawn(retention::run(journal.clone(), handle.clone(), config.storage.journal_keep.0));
    let addresses = ground.listeners.addresses;
    let url = format!("http://{}", addresses.api);
    let couriers = notify::spawn(&config.notify, &journal, &ground.notified, &client, &url)?;

    let Telemetry { store, tail, .. } = ground.telemetry.clone();
    let intake = intake(&config, Ingest { handle: handle.clone(), store: store.clone() });
    let (stop, stopped) = watch::channel(false);
    let shared = Arc::new(Shared {
        handle: handle.clone(),
        journal,
        counters: intake.counters(),
        drills,
        hands: hands.clone(),
        started,
        listen: addresses.api,
        turns: api::Turns::default(),
        stopping: stopped.clone(),
        store: store.clone(),
        tail,
        live: api::Live::default(),
        config,
        origins,
    });
    let serving = ground.listeners.serve(shared, intake, stopped);
    folder.announce(&serde_json::to_string_pretty(&addresses)?)?;
    ready(addresses);

    tokio::select! {
        () = shutdown => tracing::info!("stopping"),
        // Without the loop nothing is watched; to end says so louder than to stay.
        _ = &mut ground.loop_ended => tracing::error!("the loop ended; stopping"),
    }
    stop.send_replace(true);
    let _ = tokio::time::timeout(SERVING_ENDS_WITHIN, serving.join_all()).await;
    drop((probes, couriers));
    hands.stop().await;
    tasks.shutdown().await;
    stop_loop(handle, ground.loop_thread, store).await
}

/// The agent on this host.
fn own_hands(config: &Config, folder: &DataFolder, huge_pages: bool) -> Result<hands::Config> {
    let dir = std::path::absolute(folder.agent())?;
    Ok(hands::Config {
        exe: std::env::current_exe().context("cannot find this program's own file")?,
        socket: hands::socket(&dir)?,
        dir,
        targets: config.targets.clone(),
        huge_pages,
    })
}

/// The way in of telemetry.
fn intake(config: &Config, sink: Ingest) -> Arc<Intake> {
    let tokens = config.api.tokens.clone();
    let may_ingest = move |secret: Option<&str>| api::may_ingest(&tokens, secret);
    Intake::new(&config.otlp(), Arc::new(sink), Arc::new(may_ingest))
}

/// Opens the store and rebuilds the state.
fn recover(
    config: store::Config,
    folder: &DataFolder,
    journal: &Journal,
    id_prefix: &str,
    receivers: &[String],
    disk: Arc<DiskWatch>,
) -> Result<(Arc<Store>, Recovered)> {
    let (store, opened) = Store::open(&folder.telemetry(), config, Arc::new(clock::now), disk)?;
    let store = Arc::new(store);
    let recovered = folder.recover(journal, id_prefix, receivers, &store)?;
    for note in opened.notes.iter().chain(&recovered.notes) {
        tracing::info!("recovery: {note}");
    }
    Ok((store, recovered))
}

/// What was taken, and where it is kept.
#[derive(Clone)]
struct Telemetry {
    store: Arc<Store>,
    disk: Arc<DiskWatch>,
    tail: Arc<Tail>,
}

/// What everything else stands on: the recovered loop with this run's configuration, and bound
/// ports.
struct Ground {
    journal: Arc<Journal>,
    listeners: Listeners,
    handle: Handle,
    telemetry: Telemetry,
    loop_thread: std::thread::JoinHandle<()>,
    loop_ended: oneshot::Receiver<()>,
    orders: mpsc::Receiver<Action>,
    notified: watch::Receiver<u64>,
}

impl Ground {
    async fn recover(config: &Config, folder: &DataFolder) -> Result<Ground> {
        let journal = Arc::new(folder.journal()?);
        let id_prefix = journal.meta("action_id_prefix", &format!("{:08x}", random_u32()?))?;
        let receivers: Vec<String> = config.notify.iter().map(|r| r.name.clone()).collect();
        let disk = Arc::new(DiskWatch::open(folder.path(), config.storage.disk())?);
        let (store, recovered) = {
            let (config, folder, journal) = (config.store(), folder.clone(), journal.clone());
            let (receivers, disk) = (receivers.clone(), disk.clone());
            // Reads files, and waits for the threads of the store.
            let work = move || recover(config, &folder, &journal, &id_prefix, &receivers, disk);
            tokio::task::spawn_blocking(work).await??
        };
        let listeners = Listeners::bind(config).await?;
        let committer = Committer::spawn(recovered.log, LOG_WAITING_BYTES_MAX)?;
        let (orders, orders_inbox) = mpsc::channel(ORDERS_MAX);
        let (notify, notified) = watch::channel(0);
        let tail = Arc::new(Tail::default());
        let driver = Driver {
            core: recovered.core,
            position: recovered.position,
            store: store.clone(),
            tail: tail.clone(),
            journal: journal.clone(),
            folder: folder.clone(),
            log_bytes_max: config.storage.log_size_max.0,
            snapshot_every: config.storage.snapshot_every.0,
            receivers,
            orders,
            notify,
        };
        let (handle, loop_thread, loop_ended) = driver::spawn(driver, committer)?;
        let reload = Entry::Reload { now: clock::now(), config: Box::new(config.engine()) };
        handle.ordered(reload).await?.ok();
        let telemetry = Telemetry { store, disk, tail };
        let orders = orders_inbox;
        Ok(Ground {
            journal,
            listeners,
            handle,
            telemetry,
            loop_thread,
            loop_ended,
            orders,
            notified,
        })
    }
}

fn http_client() -> Result<reqwest::Client> {
    client_builder().build().context("cannot make an HTTP client")
}

/// Probes connect anew each time, as users do: a connection that is kept tells neither of a
/// listener that is gone nor of the certificate of now.
fn probing_client() -> Result<reqwest::Client> {
    let builder = client_builder().pool_max_idle_per_host(0).tls_info(true);
    builder.build().context("cannot make an HTTP client for probes")
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // An address means what it says: what happens to be in the environment is not asked.
        .no_proxy()
        .user_agent(concat!("immune/", env!("CARGO_PKG_VERSION")))
}

/// The beat of the loop.
async fn tick(handle: Handle, disk: Arc<DiskWatch>) {
    let mut beat = interval(TICK);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beat.tick().await;
        let disk = disk.clone();
        tokio::task::spawn_blocking(move || disk.poll());
        if let Err(error) = handle.submit(Entry::Tick { now: clock::now() }) {
            tracing::warn!(%error, "a step was left out");
        }
    }
}

async fn stop_loop(
    handle: Handle,
    thread: std::thread::JoinHandle<()>,
    store: Arc<Store>,
) -> Result<()> {
    let ended = tokio::task::spawn_blocking(move || {
        handle.stop();
        let ended = thread.join();
        store.stop();
        ended
    });
    ended.await?.map_err(|_| anyhow::anyhow!("the loop's thread panicked"))
}

struct Listeners {
    api: TcpListener,
    grpc: TcpListener,
    http: TcpListener,
    addresses: Listening,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Listeners> {
        let api = bind("the API", config.api.listen, "api.listen").await?;
        let otlp = &config.receivers.otlp;
        let grpc = bind("OTLP/gRPC", otlp.grpc, "receivers.otlp.grpc").await?;
        let http = bind("OTLP/HTTP", otlp.http, "receivers.otlp.http").await?;
        let addresses = Listening {
            api: api.local_addr()?,
            otlp_grpc: grpc.local_addr()?,
            otlp_http: http.local_addr()?,
            pid: std::process::id(),
        };
        Ok(Listeners { api, grpc, http, addresses })
    }

    /// Serves all three until `stopped` becomes true.
    fn serve(
        self,
        shared: Arc<Shared>,
        intake: Arc<Intake>,
        stopped: watch::Receiver<bool>,
    ) -> JoinSet<()> {
        let until = move || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            }
        };
        let mut serving = JoinSet::new();
        let (api_end, grpc_end, http_end) = (until(), until(), until());
        serving.spawn(api::serve(self.api, shared, api_end));
        let grpc_intake = intake.clone();
        serving.spawn(async move {
            ended("OTLP/gRPC", receivers::serve_grpc(self.grpc, grpc_intake, grpc_end).await);
        });
        serving.spawn(async move {
            ended("OTLP/HTTP", receivers::serve_http(self.http, intake, http_end).await);
        });
        serving
    }
}

fn ended<E: std::error::Error + Send + Sync + 'static>(what: &str, result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!("{what} ended: {:#}", anyhow::Error::new(error));
    }
}

async fn bind(what: &str, address: SocketAddr, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{what} cannot listen on {address}; free the port, or change {setting}")
    })
}

/// Of which the moments of scheduled drills are drawn.
fn seed() -> Result<u64> {
    Ok((u64::from(random_u32()?) << 32) | u64::from(random_u32()?))
}

fn random_u32() -> Result<u32> {
    let mut bytes = [0; 4];
    let mut urandom = std::fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    std::io::Read::read_exact(&mut urandom, &mut bytes).context("cannot read /dev/urandom")?;
    Ok(u32::from_le_bytes(bytes))
}
