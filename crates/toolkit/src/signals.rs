//! Signals to the run, each raised once in what is being done in the foreground.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::raise::Raise;

/// Signals that wait to be raised; more are dropped, for the run is ending anyway.
const WAITING_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    User1,
    User2,
    /// The terminal is gone. Taken by strict runs alone; chaoslib dies of it.
    Hangup,
}

impl Signal {
    const ALL: &'static [Signal] =
        &[Signal::Interrupt, Signal::Terminate, Signal::User1, Signal::User2, Signal::Hangup];

    pub fn by_name(name: &str) -> Option<Signal> {
        Signal::ALL.iter().copied().find(|signal| signal.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::User1 => "SIGUSR1",
            Signal::User2 => "SIGUSR2",
            Signal::Hangup => "SIGHUP",
        }
    }

    fn kind(self) -> SignalKind {
        match self {
            Signal::Interrupt => SignalKind::interrupt(),
            Signal::Terminate => SignalKind::terminate(),
            Signal::User1 => SignalKind::user_defined1(),
            Signal::User2 => SignalKind::user_defined2(),
            Signal::Hangup => SignalKind::hangup(),
        }
    }

    /// What the Python worker is sent in its place.
    pub fn number(self) -> rustix::process::Signal {
        match self {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate | Signal::Hangup => rustix::process::Signal::TERM,
            Signal::User1 => rustix::process::Signal::USR1,
            Signal::User2 => rustix::process::Signal::USR2,
        }
    }

    pub fn raise(self) -> Raise {
        match self {
            Signal::Interrupt => Raise::Keyboard,
            Signal::Terminate => Raise::Interrupt("SIGTERM signal received".to_owned()),
            Signal::Hangup => Raise::Interrupt("SIGHUP signal received".to_owned()),
            Signal::User1 => Raise::Exit(20),
            Signal::User2 => Raise::Exit(Raise::EXIT_WITHOUT_ROLLBACKS),
        }
    }
}

/// Where signals wait until the foreground takes them.
#[derive(Clone, Default)]
pub struct Signals {
    waiting: Arc<Mutex<VecDeque<Signal>>>,
    came: Arc<Notify>,
}

impl Signals {
    /// Takes the process's signals from now on, with SIGHUP or without. Within a tokio runtime.
    pub fn listen(&self, with_hangup: bool) -> std::io::Result<()> {
        for which in Signal::ALL.iter().filter(|which| with_hangup || **which != Signal::Hangup) {
            let mut stream = signal(which.kind())?;
            let signals = self.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    signals.push(*which);
                }
            });
        }
        Ok(())
    }

    pub fn push(&self, signal: Signal) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push_back(signal);
        }
        self.came.notify_one();
    }

    /// Waits for the next signal. Only one task may wait at a time: the foreground.
    pub async fn next(&self) -> Signal {
        loop {
            let taken = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(signal) = taken {
                return signal;
            }
            self.came.notified().await;
        }
    }
}
