//! Both receivers on free ports of this machine, and the few bytes of a client that is needed to
//! say to them what no real client would.
//!
//! One thread serves and asks: whatever is left to do when the answer is there is done before the
//! next input.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use receivers::config::{Limits, Otlp};
use receivers::sink::{Accepted, Refusal, Sink};
use receivers::{ByteSize, Intake, allow_everyone, serve_grpc, serve_http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest answer that is read; the receivers' are far shorter.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What the requests of one input may decompress to.
pub const DECOMPRESSED_MAX: usize = 1 << 20;

pub struct ServerRig {
    runtime: Runtime,
    intake: Arc<Intake>,
    http: SocketAddr,
    grpc: SocketAddr,
}

/// Which receiver is spoken to.
#[derive(Clone, Copy)]
pub enum Port {
    Http,
    Grpc,
}

/// Checks that what is to be made durable gives the same batch when it is read again.
struct CheckingSink;

impl Sink for CheckingSink {
    fn accept(
        &self,
        request: Accepted,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>> {
        let again = receivers::decode(request.signal, request.encoding, &request.body)
            .expect("what was accepted reads again");
        assert_eq!(format!("{:?}", again.batch), format!("{:?}", request.batch));
        assert!(request.body.len() <= DECOMPRESSED_MAX, "{} bytes", request.body.len());
        Box::pin(async { Ok(()) })
    }
}

thread_local! {
    static RIG: ServerRig = ServerRig::start();
}

/// Speaks to the receivers of this thread.
pub fn with<T>(speak: impl FnOnce(&ServerRig) -> T) -> T {
    RIG.with(speak)
}

impl ServerRig {
    fn start() -> ServerRig {
        let limits = Limits {
            compressed: ByteSize(DECOMPRESSED_MAX as u64),
            decompressed: ByteSize(DECOMPRESSED_MAX as u64),
            ..Limits::default()
        };
        let config = Otlp { limits, ..Otlp::default() };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime needs nothing that could be missing");
        let intake = Intake::new(&config, Arc::new(CheckingSink), allow_everyone());
        let (http, grpc) = runtime.block_on(async {
            let http = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let grpc = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
            let addresses = (address(&http), address(&grpc));
            tokio::spawn(serve_http(http, Arc::clone(&intake), std::future::pending()));
            tokio::spawn(serve_grpc(grpc, Arc::clone(&intake), std::future::pending()));
            addresses
        });
        ServerRig { runtime, intake, http, grpc }
    }

    /// Sends all bytes, and reads until `ended` says that the answer is whole, or the receiver
    /// closes the connection. With `hang_up`, the client has nothing more to say, and says so.
    pub fn exchange(
        &self,
        port: Port,
        bytes: &[u8],
        hang_up: bool,
        ended: impl Fn(&[u8]) -> bool,
    ) -> Vec<u8> {
        let address = match port {
            Port::Http => self.http,
            Port::Grpc => self.grpc,
        };
        self.runtime.block_on(async {
            let talk = talk(address, bytes, hang_up, ended);
            let answer = tokio::time::timeout(PATIENCE, talk).await;
            let answer = answer.expect("the receiver answers or hangs up in time");
            self.rest().await;
            answer
        })
    }

    /// Waits until nothing is held for requests that are over.
    async fn rest(&self) {
        let at_rest = async {
            while self.intake.in_flight_bytes() > 0 || self.intake.decoded_bytes() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let rested = tokio::time::timeout(PATIENCE, at_rest).await;
        rested.expect("what was held for a request is given back after it");
    }
}

async fn talk(
    address: SocketAddr,
    bytes: &[u8],
    hang_up: bool,
    ended: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the receiver listens");
    let mut answer = Vec::new();
    // The receiver may refuse, and close, before it has read all.
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        if writer.write_all(bytes).await.is_ok() && hang_up {
            let _ = writer.shutdown().await;
        }
    };
    let reading = async {
        let mut buffer = [0; 16 << 10];
        while answer.len() < ANSWER_BYTES_MAX && !ended(&answer) {
            match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
            }
        }
    };
    tokio::join!(writing, reading);
    answer
}
