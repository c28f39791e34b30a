//! Where messages to the server go: the one connection that is current, if any.
//!
//! Sending never waits: a server that does not read loses reports (the next one tells the same),
//! and gets a message that matters back into the hands of who sent it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::protocol::FromAgent;

/// Messages that wait to be written to one connection.
pub const QUEUE_MAX: usize = 256;

/// One end of a connection to a server.
#[derive(Clone, Debug)]
pub struct Connection {
    pub id: u64,
    sender: mpsc::Sender<FromAgent>,
    close: Arc<Notify>,
}

#[derive(Debug, Default)]
pub struct Outbox(Mutex<Option<Connection>>);

impl Connection {
    pub fn new(id: u64) -> (Connection, mpsc::Receiver<FromAgent>, Arc<Notify>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let close = Arc::new(Notify::new());
        (Connection { id, sender, close: close.clone() }, receiver, close)
    }

    /// Gives the message back when it cannot be queued now.
    pub fn send(&self, message: FromAgent) -> Result<(), Box<FromAgent>> {
        self.sender.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(message)
            | mpsc::error::TrySendError::Closed(message) => Box::new(message),
        })
    }

    /// Ends the connection once what is queued has been written.
    pub fn close(&self) {
        self.close.notify_one();
    }
}

impl Outbox {
    pub fn send(&self, message: FromAgent) -> Result<(), Box<FromAgent>> {
        match &*self.current() {
            Some(connection) => connection.send(message),
            None => Err(Box::new(message)),
        }
    }

    pub fn is_current(&self, id: u64) -> bool {
        self.current().as_ref().is_some_and(|connection| connection.id == id)
    }

    pub fn connected(&self) -> bool {
        self.current().is_some()
    }

    /// Makes this the current connection; returns the one before, unless it is the same.
    pub fn replace(&self, connection: &Connection) -> Option<Connection> {
        let before = self.current().replace(connection.clone());
        before.filter(|before| before.id != connection.id)
    }

    /// True when this was the current connection.
    pub fn remove(&self, id: u64) -> bool {
        let mut current = self.current();
        let was = current.as_ref().is_some_and(|connection| connection.id == id);
        if was {
            *current = None;
        }
        was
    }

    /// Ends the current connection after what is queued.
    pub fn close(&self) {
        if let Some(connection) = self.current().take() {
            connection.close();
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
