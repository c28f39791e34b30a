//! The product's receivers with a sink that writes bodies to files.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use receivers::{Accepted, Encoding, Intake, Refusal, Sink, allow_everyone};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::telemetry::folder::{Captured, Protocol, Writer};

pub struct Receiver {
    writer: Arc<Mutex<Writer>>,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
    addresses: [SocketAddr; 2],
    _serving: JoinSet<()>,
}

/// Writes what came over one protocol.
struct Into {
    protocol: Protocol,
    writer: Arc<Mutex<Writer>>,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Receiver {
    /// Listens on free ports of this machine.
    pub async fn start(folder: &Path) -> Result<Receiver> {
        let writer = Arc::new(Mutex::new(Writer::create(folder)?));
        let failure = Arc::new(Mutex::new(None));
        let (http, grpc) =
            (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let addresses = [http.local_addr()?, grpc.local_addr()?];
        let intake = |protocol| {
            let sink = Into { protocol, writer: writer.clone(), failure: failure.clone() };
            Intake::new(&receivers::config::Otlp::default(), Arc::new(sink), allow_everyone())
        };
        let (over_http, over_grpc) = (intake(Protocol::Http), intake(Protocol::Grpc));
        let mut serving = JoinSet::new();
        // They serve until they are dropped.
        serving.spawn(async move {
            let _ = receivers::serve_http(http, over_http, std::future::pending()).await;
        });
        serving.spawn(async move {
            let _ = receivers::serve_grpc(grpc, over_grpc, std::future::pending()).await;
        });
        Ok(Receiver { writer, failure, addresses, _serving: serving })
    }

    /// Of HTTP and gRPC.
    pub fn ports(&self) -> [u16; 2] {
        self.addresses.map(|address| address.port())
    }

    /// Requests and bytes so far.
    pub fn written(&self) -> (usize, u64) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        (writer.count(), writer.bytes())
    }

    pub fn stop(self) -> Result<(usize, u64)> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(failure) => Err(failure).context("the capture is not whole"),
            None => Ok(self.written()),
        }
    }
}

impl Sink for Into {
    fn accept(&self, request: Accepted) -> BoxFuture<'static, Result<(), Refusal>> {
        let captured = Captured {
            protocol: self.protocol,
            signal: request.signal,
            received_unix_nano: server::clock::now().0,
            body: request.body.to_vec(),
        };
        let written = match request.encoding {
            Encoding::Protobuf => {
                self.writer.lock().unwrap_or_else(PoisonError::into_inner).add(&captured)
            }
            Encoding::Json => Err(anyhow::anyhow!("a request came as JSON")),
        };
        if let Err(error) = written {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
        }
        ready(Ok(())).boxed()
    }
}
