//! The threads that fill columns. Each owns its [`Hot`], so that nothing is locked on the way.
//!
//! Invariants: messages are done in the order in which they came, so a seal cuts exactly where the
//! driver said, and a query sees all that was appended before it asked. What holds a batch's memory
//! is let go only when the batch is in the columns. A writer does no I/O.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::Batch;

use super::shared::{Shared, chain, count};
use crate::Error;
use crate::columns::{EngineSample, Hot};
use crate::schema::Table;

/// Messages that wait for one writer. What they hold is bounded by whoever received it.
pub(super) const QUEUE_MAX: usize = 64;

pub(super) enum Message {
    Append {
        arrival: Timestamp,
        batch: Arc<Batch>,
        /// The batch's share of the receivers' memory.
        held: Box<dyn Send>,
    },
    Engine(Vec<EngineSample>),
    /// Hand over what was gathered.
    Seal {
        generation: u64,
    },
    Snapshot {
        table: Table,
        metric: Option<String>,
        reply: SyncSender<Answer>,
    },
    Stop,
}

/// What a writer has gathered since its last seal.
pub(super) struct Answer {
    pub writer: usize,
    /// The generation that it will belong to.
    pub generation: u64,
    pub batches: Result<Vec<RecordBatch>, Error>,
}

pub(super) struct Writer {
    pub number: usize,
    pub shared: Arc<Shared>,
    pub messages: Receiver<Message>,
    pub hot: Hot,
    pub generation: u64,
}

impl Writer {
    pub fn run(mut self) {
        while let Ok(message) = self.messages.recv() {
            match message {
                Message::Append { arrival, batch, held } => {
                    self.append(&batch, arrival);
                    drop(batch);
                    drop(held);
                }
                Message::Engine(samples) => {
                    self.hot.append_engine(&samples);
                    self.tell();
                }
                Message::Seal { generation } => {
                    if let Err(error) = self.seal(generation) {
                        self.shared.fail(format!("cannot seal columns: {}", chain(&error)));
                        return;
                    }
                }
                Message::Snapshot { table, metric, reply } => {
                    let batches = self.hot.snapshot(table, metric.as_deref());
                    let answer =
                        Answer { writer: self.number, generation: self.generation, batches };
                    // Whoever asked may have gone.
                    let _ = reply.send(answer);
                }
                Message::Stop => return,
            }
        }
    }

    fn append(&mut self, batch: &Batch, arrival: Timestamp) {
        if let Err(error) = self.hot.append(batch, arrival) {
            count(&self.shared.counters.batches_refused, 1);
            tracing::error!(error = %chain(&error), "a batch does not fit into columns");
        }
        self.tell();
    }

    fn seal(&mut self, generation: u64) -> Result<(), Error> {
        let sealed = self.hot.take()?;
        self.generation = generation + 1;
        self.shared.deliver(self.number, generation, sealed);
        self.tell();
        (self.shared.config.after_work)();
        Ok(())
    }

    fn tell(&self) {
        self.shared.hot_bytes_of[self.number].store(self.hot.bytes(), Ordering::Release);
        self.shared.hot_rows_of[self.number].store(self.hot.rows(), Ordering::Release);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also when it panicked: nothing may wait for ever for what it gathered.
        if !self.shared.is_stopping() {
            self.shared.fail(format!("writer {} has ended", self.number));
        }
    }
}
