//! What was accepted, rejected and refused, by signal and transport, since the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use model::signal::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Grpc,
    Http,
}

impl Transport {
    pub const ALL: &[Transport] = &[Transport::Grpc, Transport::Http];

    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Http => "http",
        }
    }
}

/// Why a whole request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Unauthenticated,
    Forbidden,
    Unsupported,
    TooLarge,
    BadData,
    TooSlow,
    Overloaded,
    Unavailable,
}

impl Reason {
    pub const ALL: &[Reason] = &[
        Reason::Unauthenticated,
        Reason::Forbidden,
        Reason::Unsupported,
        Reason::TooLarge,
        Reason::BadData,
        Reason::TooSlow,
        Reason::Overloaded,
        Reason::Unavailable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unauthenticated => "unauthenticated",
            Reason::Forbidden => "forbidden",
            Reason::Unsupported => "unsupported",
            Reason::TooLarge => "too_large",
            Reason::BadData => "bad_data",
            Reason::TooSlow => "too_slow",
            Reason::Overloaded => "overloaded",
            Reason::Unavailable => "unavailable",
        }
    }
}

/// Counts of one signal over one transport.
#[derive(Default)]
struct Cell {
    requests: AtomicU64,
    items: AtomicU64,
    body_bytes: AtomicU64,
    rejected_items: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
}

/// Counters of all receivers, shared by them.
#[derive(Default)]
pub struct Counters {
    cells: [[Cell; Transport::ALL.len()]; Signal::ALL.len()],
}

/// The counts of one signal over one transport at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    pub signal: Signal,
    pub transport: Transport,
    /// Requests answered with success, partial success included.
    pub requests: u64,
    /// Spans, data points or log records made durable.
    pub items: u64,
    /// Decompressed bytes of accepted requests.
    pub body_bytes: u64,
    /// Items left out of accepted requests because they were invalid.
    pub rejected_items: u64,
    /// Requests refused, by reason.
    pub refused: Vec<(Reason, u64)>,
}

impl Counters {
    pub(crate) fn accept(
        &self,
        signal: Signal,
        transport: Transport,
        items: u64,
        rejected_items: u64,
        body_bytes: u64,
    ) {
        let cell = self.cell(signal, transport);
        cell.requests.fetch_add(1, Relaxed);
        cell.items.fetch_add(items, Relaxed);
        cell.rejected_items.fetch_add(rejected_items, Relaxed);
        cell.body_bytes.fetch_add(body_bytes, Relaxed);
    }

    pub(crate) fn refuse(&self, signal: Signal, transport: Transport, reason: Reason) {
        self.cell(signal, transport).refused[reason as usize].fetch_add(1, Relaxed);
    }

    /// All counts, in the order of `Signal::ALL` and `Transport::ALL`.
    pub fn snapshot(&self) -> Vec<Counts> {
        let mut all = Vec::new();
        for &signal in Signal::ALL {
            for &transport in Transport::ALL {
                let cell = self.cell(signal, transport);
                let refused = |reason: Reason| cell.refused[reason as usize].load(Relaxed);
                all.push(Counts {
                    signal,
                    transport,
                    requests: cell.requests.load(Relaxed),
                    items: cell.items.load(Relaxed),
                    body_bytes: cell.body_bytes.load(Relaxed),
                    rejected_items: cell.rejected_items.load(Relaxed),
                    refused: Reason::ALL.iter().map(|&reason| (reason, refused(reason))).collect(),
                });
            }
        }
        all
    }

    fn cell(&self, signal: Signal, transport: Transport) -> &Cell {
        &self.cells[signal as usize][transport as usize]
    }
}
