//! The way of a request that both transports share: admission, body, decompression, decoding,
//! sink.
//!
//! Bounds: requests worked on at a time (a semaphore), bytes of bodies held at a time (a pool from
//! which each request reserves as its bytes arrive, not as it declares them), memory of decoded
//! batches (another pool, held until the sink's side drops the batch), size before and after
//! decompression, time to send a body. At a bound the client is told to come again; nobody waits
//! in a queue here.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use model::ByteSize;
use model::signal::Signal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::compression::{Compression, decompress, told_size};
use crate::config::{Limits, Otlp};
use crate::counters::{Counters, Reason, Transport};
use crate::decode::{DecodeError, decode_within};
use crate::memory::{MemoryGuard, Pool, Reservation, Shortage};
use crate::sink::{Accepted, Authenticator, Encoding, Refusal, Sink};

/// Bodies that are larger than this, also once decompressed, are decoded away from the threads that
/// serve connections; the way to another thread costs more than to decode a small one.
const INLINE_BYTES_MAX: usize = 256 << 10;

/// Smaller bodies get memory of their own.
const SHARED_BYTES_MIN: usize = 32 << 10;

/// Buffers begin with what a request says to send, up to this.
const TOLD_BYTES_MAX: u64 = 256 << 10;

/// What clients are told to wait when our own bounds are reached.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Shared by all receivers of a server.
pub struct Intake {
    config: Otlp,
    sink: Arc<dyn Sink>,
    authenticator: Authenticator,
    counters: Arc<Counters>,
    requests: Arc<Semaphore>,
    bytes: Arc<Pool>,
    decoded: Arc<Pool>,
}

/// Why a request was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the ingest token is missing or wrong; send `Authorization: Bearer TOKEN`")]
    Unauthenticated,
    #[error("{0}")]
    Forbidden(String),
    #[error("only POST is answered here")]
    WrongMethod,
    #[error("{0}")]
    Unsupported(String),
    #[error("the body is larger than {} as sent; send smaller batches", ByteSize(*limit as u64))]
    TooLarge { limit: usize },
    #[error(
        "the body is larger than {} decompressed; send smaller batches",
        ByteSize(*limit as u64)
    )]
    TooLargeDecompressed { limit: usize },
    #[error(
        "decoded, the body needs more than the {} of memory that one may; send smaller batches",
        ByteSize(*limit as u64)
    )]
    TooLargeDecoded { limit: usize },
    #[error("{0}")]
    BadData(String),
    #[error("the body did not arrive within {} s", .0.as_secs_f64())]
    TooSlow(Duration),
    #[error("too many requests are being worked on at the moment")]
    Busy,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Failure {
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Failure::Unauthenticated => Reason::Unauthenticated,
            Failure::Forbidden(_) => Reason::Forbidden,
            Failure::WrongMethod | Failure::Unsupported(_) => Reason::Unsupported,
            Failure::TooLarge { .. }
            | Failure::TooLargeDecompressed { .. }
            | Failure::TooLargeDecoded { .. } => Reason::TooLarge,
            Failure::BadData(_) => Reason::BadData,
            Failure::TooSlow(_) => Reason::TooSlow,
            Failure::Busy | Failure::Refused(Refusal::Overloaded { .. }) => Reason::Overloaded,
            Failure::Refused(Refusal::Unavailable { .. }) => Reason::Unavailable,
        }
    }

    /// When to come again; `None` where the same request would fail again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Busy => Some(BUSY_RETRY_AFTER),
            Failure::Refused(
                Refusal::Overloaded { retry_after } | Refusal::Unavailable { retry_after, .. },
            ) => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<Shortage> for Failure {
    fn from(shortage: Shortage) -> Self {
        match shortage {
            Shortage::Pool => Failure::Busy,
            Shortage::Share { limit } => Failure::TooLarge { limit },
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::NoMemory => Failure::Busy,
            DecodeError::TooMuchMemory { limit } => Failure::TooLargeDecoded { limit },
            other => Failure::BadData(other.to_string()),
        }
    }
}

/// The right to be worked on, with the bytes that the request holds. Given back when dropped.
pub(crate) struct Admission {
    _permit: OwnedSemaphorePermit,
    reservation: Reservation,
}

/// A request whose body has arrived.
pub(crate) struct Export {
    pub(crate) signal: Signal,
    pub(crate) transport: Transport,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    pub(crate) body: Bytes,
}

/// What a successful request is answered with.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

impl Intake {
    pub fn new(config: &Otlp, sink: Arc<dyn Sink>, authenticator: Authenticator) -> Arc<Self> {
        let limits = &config.limits;
        Arc::new(Intake {
            config: config.clone(),
            sink,
            authenticator,
            counters: Arc::new(Counters::default()),
            requests: Arc::new(Semaphore::new(limits.in_flight_requests as usize)),
            bytes: Pool::new(limits.in_flight_bytes.as_usize()),
            decoded: Pool::new(limits.decoded_bytes.as_usize()),
        })
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Bytes of request bodies held at this moment.
    pub fn in_flight_bytes(&self) -> usize {
        self.bytes.used()
    }

    /// Memory of decoded requests held at this moment.
    pub fn decoded_bytes(&self) -> usize {
        self.decoded.used()
    }

    /// The most memory of decoded requests that was held at a time.
    pub fn decoded_bytes_peak(&self) -> usize {
        self.decoded.peak()
    }

    pub(crate) fn config(&self) -> &Otlp {
        &self.config
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Checks the token in an `Authorization` header.
    pub(crate) fn authenticate(&self, headers: &http::HeaderMap) -> Result<(), Failure> {
        let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match (self.authenticator)(token) {
            true => Ok(()),
            false => Err(Failure::Unauthenticated),
        }
    }

    pub(crate) fn admit(&self) -> Result<Admission, Failure> {
        if let Some(refusal) = self.sink.refusal() {
            return Err(refusal.into());
        }
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Failure::Busy)?;
        let reservation = self.bytes.reserve(usize::MAX);
        Ok(Admission { _permit: permit, reservation })
    }

    /// Largest body as sent.
    pub(crate) fn body_limit(&self, compression: Compression) -> usize {
        match compression {
            Compression::None => self.limits().decompressed.as_usize(),
            _ => self.limits().compressed.as_usize(),
        }
    }

    /// Reads a whole body of at most `limit` bytes, in the time that a client has for it.
    pub(crate) async fn read_body<B>(
        &self,
        body: B,
        limit: usize,
        admission: &mut Admission,
    ) -> Result<Bytes, Failure>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let timeout = self.limits().body_timeout.0;
        let reading = collect(body, limit, &mut admission.reservation);
        match tokio::time::timeout(timeout, reading).await {
            Ok(result) => result,
            Err(_) => Err(Failure::TooSlow(timeout)),
        }
    }

    /// Decodes a request and hands it to the sink; resolves when it is durable.
    pub(crate) async fn take(
        &self,
        export: Export,
        admission: Admission,
    ) -> Result<Taken, Failure> {
        let Export { signal, transport, encoding, compression, body } = export;
        let limit = self.limits().decompressed.as_usize();
        let mut admission = admission;
        let (compression, body) = decompress_small(compression, body, limit, &mut admission)?;
        let inline = compression == Compression::None && body.len() <= INLINE_BYTES_MAX;
        let mut memory = self.decoded.reserve(self.limits().decoded_share());
        let work = move || {
            let body = decompress(compression, body, limit, &mut admission.reservation)?;
            let decoded = decode_within(signal, encoding, body.clone(), &mut memory)?;
            Ok::<_, Failure>((body, decoded, admission, MemoryGuard::new(memory)))
        };
        let (body, decoded, admission, memory) = if inline {
            work()?
        } else {
            tokio::task::spawn_blocking(work).await.map_err(|error| {
                let reason = format!("decoding was interrupted: {error}");
                Refusal::Unavailable { retry_after: BUSY_RETRY_AFTER, reason }
            })??
        };
        let items = decoded.batch.len() as u64;
        let body_bytes = body.len() as u64;
        if items > 0 {
            let batch = decoded.batch;
            let request = Accepted { signal, encoding, body, batch, memory };
            self.sink.accept(request).await?;
        }
        drop(admission);
        self.counters.accept(signal, transport, items, decoded.rejected, body_bytes);
        Ok(Taken { rejected: decoded.rejected, message: decoded.message })
    }

    /// Counts a refused request.
    pub(crate) fn refuse(&self, signal: Signal, transport: Transport, failure: &Failure) {
        let (signal_name, transport_name) = (signal.as_str(), transport.as_str());
        tracing::debug!(signal = signal_name, transport = transport_name, %failure, "refused");
        self.counters.refuse(signal, transport, failure.reason());
    }
}

/// Decompresses a body that says to be small; one that lied is left as it was.
fn decompress_small(
    compression: Compression,
    body: Bytes,
    limit: usize,
    admission: &mut Admission,
) -> Result<(Compression, Bytes), Failure> {
    let is_small = told_size(compression, &body).is_some_and(|size| size <= INLINE_BYTES_MAX);
    if compression == Compression::None || !is_small {
        return Ok((compression, body));
    }
    let reservation = &mut admission.reservation;
    let held = reservation.bytes();
    match decompress(compression, body.clone(), limit.min(INLINE_BYTES_MAX), reservation) {
        Err(Failure::TooLargeDecompressed { .. }) if limit > INLINE_BYTES_MAX => {
            reservation.shrink_to(held);
            Ok((compression, body))
        }
        result => Ok((Compression::None, result?)),
    }
}

async fn collect<B>(
    mut body: B,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    // As long as it says to be, within reason: memory is reserved as bytes arrive.
    let told = body.size_hint().lower().min(TOLD_BYTES_MAX);
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Failure::BadData(format!("the body broke off after {} bytes: {error}", collected.len()))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > limit {
            return Err(Failure::TooLarge { limit });
        }
        reservation.grow(data.len())?;
        // A body in one piece is part of the connection's buffer, which lives as long as it.
        let is_whole = collected.is_empty() && body.is_end_stream();
        if is_whole && data.len() >= SHARED_BYTES_MIN {
            return Ok(data);
        }
        if collected.is_empty() {
            collected.reserve((told as usize).max(data.len()));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}
