//! Bytes of an OTLP export request → [`Batch`]: the one reading of telemetry, at receipt and at
//! replay.
//!
//! Two encodings, protobuf and JSON, each with a reader of our own that fills `model::signal`
//! directly: a tree of the whole request is never built. What both must agree on (identifiers, the
//! shape of histograms, what makes an item invalid, how much memory a request may take) lives in
//! `check` and `tally`, once.
//!
//! Invariants: the result depends on the bytes alone, so that a replay of the log gives what was
//! acknowledged. Memory is proportional to the input (`tally`), recursion is bounded
//! ([`NESTING_MAX`]), nothing panics. A request that cannot be read as a whole is an error; an
//! item that is invalid by itself is left out and counted in [`Decoded::rejected`].
//!
//! Not done here: decompression and transport limits (`compression`, `intake`), meaning of
//! attributes (`observe`). Profile-only fields (`*_strindex`) and dropped-counts are skipped like
//! unknown ones.

mod tally;

mod check;

mod protobuf;

mod json;

use bytes::Bytes;
use model::signal::{Batch, Signal};

pub use self::tally::EXPANSION_MAX;
use self::tally::Tally;
use crate::memory::Reservation;
use crate::sink::Encoding;

/// Deepest nesting of arrays and maps in an attribute value or log body.
pub const NESTING_MAX: usize = 32;

/// A request that was read, less the items that were invalid by themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub batch: Batch,
    /// Spans, data points or log records left out.
    pub rejected: u64,
    /// Why items were left out or altered, for the sender; empty when none were.
    pub message: String,
}

/// Why a request cannot be read at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    #[error("not an OTLP protobuf message: at byte {offset}: {what}")]
    Protobuf { offset: usize, what: String },
    #[error("not OTLP/JSON: {path}: {what}")]
    Json { path: String, what: String },
    #[error("the request holds more (and smaller) items than its {bytes} bytes justify; split it")]
    TooDense { bytes: usize },
    /// At receipt only.
    #[error("decoded, the request needs more than the {limit} bytes that one may; split it")]
    TooMuchMemory { limit: usize },
    /// At receipt only, and for the moment.
    #[error("there is not enough memory for the decoded request at the moment")]
    NoMemory,
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads a request body in either encoding; what the server uses at replay.
pub fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Decoded> {
    read(encoding, Tally::new(signal, Bytes::copy_from_slice(body), None))
}

/// The same at receipt, where the memory of the batch is reserved first.
pub(crate) fn decode_within(
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
    memory: &mut Reservation,
) -> Result<Decoded> {
    read(encoding, Tally::new(signal, body, Some(memory)))
}

fn read(encoding: Encoding, mut tally: Tally<'_>) -> Result<Decoded> {
    tally.reserve_body()?;
    let batch = match encoding {
        Encoding::Protobuf => protobuf::batch(&mut tally)?,
        Encoding::Json => json::batch(&mut tally)?,
    };
    Ok(tally.finish(batch))
}

/// Reads `Export{Trace,Metrics,Logs}ServiceRequest` in protobuf's wire format.
pub fn decode_protobuf(signal: Signal, body: &[u8]) -> Result<Decoded> {
    decode(signal, Encoding::Protobuf, body)
}

/// Reads the same messages as OTLP/JSON. A key given twice in one object is an error, `null` is
/// absence.
pub fn decode_json(signal: Signal, body: &[u8]) -> Result<Decoded> {
    decode(signal, Encoding::Json, body)
}
