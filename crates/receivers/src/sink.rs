//! What the receivers hand on, and what they ask of whoever runs them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::signal::{Batch, Signal};
use serde::{Deserialize, Serialize};

use crate::memory::MemoryGuard;

/// How a request body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Protobuf,
    Json,
}

/// A request that was read and is to be made durable.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub signal: Signal,
    pub encoding: Encoding,
    /// The decompressed body as it was sent, rejected items included: [`crate::decode::decode`]
    /// makes `batch` of it again.
    pub body: Bytes,
    pub batch: Batch,
    /// Keep it as long as the batch: until it is dropped, the memory of the batch counts as held.
    pub memory: MemoryGuard,
}

/// Why a request cannot be taken now. Clients are told to come again after `retry_after`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("too much telemetry arrives at the moment")]
    Overloaded { retry_after: Duration },
    #[error("telemetry cannot be stored at the moment: {reason}")]
    Unavailable { retry_after: Duration, reason: String },
}

/// Takes requests in; the client is told of success when the future has resolved, so not before the
/// request is durable. Dropping the future (the client went away) may or may not undo it.
pub trait Sink: Send + Sync + 'static {
    fn accept(&self, request: Accepted) -> BoxFuture<'static, Result<(), Refusal>>;

    /// Why nothing would be taken at this moment: asked before a body is read and decoded, so that
    /// saying no costs little just when there is too much. What it lets pass may be refused still.
    fn refusal(&self) -> Option<Refusal> {
        None
    }
}

/// Decides by the bearer token of a request, if it has one, whether it may send telemetry.
pub type Authenticator = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// Lets everyone send: for receivers that listen on loopback only.
pub fn allow_everyone() -> Authenticator {
    Arc::new(|_| true)
}
