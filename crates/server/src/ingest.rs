//! Telemetry from the receivers into the input log.

use std::sync::Arc;
use std::time::Duration;

use engine::Entry;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use receivers::{Accepted, Refusal, Sink};
use storage::store::{Pressure, Store};

use crate::clock;
use crate::driver::{Error, Handle};
use crate::entry;

/// Clients come again after this when the log cannot take more.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub struct Ingest {
    pub handle: Handle,
    pub store: Arc<Store>,
}

impl Sink for Ingest {
    fn accept(&self, request: Accepted) -> BoxFuture<'static, Result<(), Refusal>> {
        if request.batch.is_empty() {
            return futures_util::future::ready(Ok(())).boxed();
        }
        if let Some(refusal) = self.refusal_of_the_store() {
            return futures_util::future::ready(Err(refusal)).boxed();
        }
        let arrival = clock::now();
        let record = entry::telemetry(request.signal, request.encoding, arrival, &request.body);
        let entry = Entry::Telemetry { arrival, batch: Arc::new(request.batch) };
        let submitted = self.handle.telemetry(record, entry, Some(request.memory));
        async move {
            let durable = submitted.map_err(refusal)?;
            match durable.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(reason)) => Err(Refusal::Unavailable { retry_after: RETRY_AFTER, reason }),
                Err(_) => Err(refusal(Error::Stopped)),
            }
        }
        .boxed()
    }

    fn refusal(&self) -> Option<Refusal> {
        let log_is_full = || {
            let full = self.handle.log_is_full();
            full.then_some(Refusal::Overloaded { retry_after: RETRY_AFTER })
        };
        self.refusal_of_the_store().or_else(log_is_full)
    }
}

impl Ingest {
    /// What the store cannot hold is refused before the log has to.
    fn refusal_of_the_store(&self) -> Option<Refusal> {
        let retry_after = RETRY_AFTER;
        Some(match self.store.pressure()? {
            Pressure::Memory { .. } => Refusal::Overloaded { retry_after },
            pressure => Refusal::Unavailable { retry_after, reason: pressure.to_string() },
        })
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Busy => Refusal::Overloaded { retry_after: RETRY_AFTER },
        other => Refusal::Unavailable { retry_after: RETRY_AFTER, reason: other.to_string() },
    }
}
