//! Both receivers on free ports before a sink that keeps, refuses or holds what it is given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use model::signal::Signal;
use receivers::config::Otlp;
use receivers::counters::{Counts, Reason, Transport};
use receivers::{Accepted, Authenticator, Intake, Refusal, Sink, serve_grpc, serve_http};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub struct Rig {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub sink: Arc<TestSink>,
    pub intake: Arc<Intake>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

pub struct TestSink {
    pub accepted: Mutex<Vec<Accepted>>,
    pub refusal: Mutex<Option<Refusal>>,
    /// Why nothing at all is wanted.
    pub closed: Mutex<Option<Refusal>>,
    /// Each request takes one permit before it is durable.
    pub gate: Arc<Semaphore>,
    /// How many requests have reached the sink.
    pub arrived: watch::Sender<usize>,
}

impl Sink for TestSink {
    fn accept(&self, request: Accepted) -> BoxFuture<'static, Result<(), Refusal>> {
        self.arrived.send_modify(|count| *count += 1);
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Box::pin(async { Err(refusal) });
        }
        self.accepted.lock().unwrap().push(request);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        })
    }

    fn refusal(&self) -> Option<Refusal> {
        self.closed.lock().unwrap().clone()
    }
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(Otlp::default(), receivers::allow_everyone()).await
    }

    pub async fn with(config: Otlp, authenticator: Authenticator) -> Self {
        // Whoever is first: other tests of the workspace may bring TLS clients along.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sink = Arc::new(TestSink {
            accepted: Mutex::default(),
            refusal: Mutex::default(),
            closed: Mutex::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            arrived: watch::Sender::new(0),
        });
        let intake = Intake::new(&config, Arc::clone(&sink) as Arc<dyn Sink>, authenticator);
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let wait = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let servers = vec![
            tokio::spawn({
                let (intake, stopped) = (Arc::clone(&intake), wait(stopped.clone()));
                async move { serve_http(http, intake, stopped).await.unwrap() }
            }),
            tokio::spawn({
                let (intake, stopped) = (Arc::clone(&intake), wait(stopped));
                async move { serve_grpc(grpc, intake, stopped).await.unwrap() }
            }),
        ];
        Rig { http: addresses.0, grpc: addresses.1, sink, intake, stop, servers }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Asks for shutdown and waits until both receivers have ended.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            server.await.unwrap();
        }
    }

    pub fn accepted(&self) -> Vec<Accepted> {
        self.sink.accepted.lock().unwrap().clone()
    }

    pub fn counts(&self, signal: Signal, transport: Transport) -> Counts {
        let same = |counts: &Counts| counts.signal == signal && counts.transport == transport;
        self.intake.counters().snapshot().into_iter().find(same).unwrap()
    }

    pub fn refused(&self, signal: Signal, transport: Transport, reason: Reason) -> u64 {
        let refused = self.counts(signal, transport).refused;
        refused.iter().find(|(each, _)| *each == reason).unwrap().1
    }

    /// Waits until `count` requests have reached the sink.
    pub async fn arrived(&self, count: usize) {
        self.sink.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }
}
