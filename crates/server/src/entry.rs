//! How entries of the loop are written into the input log.
//!
//! Telemetry is kept as the bytes that came (`[version, signal, encoding, arrival:u64 LE, body…]`),
//! ticks as eight bytes, all others as JSON with the name of their variant.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use engine::Entry;
use model::Timestamp;
use model::signal::Signal;
use receivers::Encoding;

const TELEMETRY: u8 = 1;
const TICK: u8 = 2;
const OTHER: u8 = 3;
const TELEMETRY_VERSION: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a log record of kind {0} is not known to this program")]
    Kind(u8),
    #[error("a telemetry record is cut short or of another version")]
    Telemetry,
    #[error("a telemetry record does not decode")]
    Decode(#[source] receivers::DecodeError),
    #[error("a tick record is not eight bytes long")]
    Tick,
    #[error("a log record does not read as JSON")]
    Json(#[from] serde_json::Error),
}

/// Kind and payload of a telemetry record, from the body as received (decompressed).
pub fn telemetry(
    signal: Signal,
    encoding: Encoding,
    arrival: Timestamp,
    body: &[u8],
) -> (u8, Bytes) {
    let mut payload = BytesMut::with_capacity(11 + body.len());
    payload.put_u8(TELEMETRY_VERSION);
    payload.put_u8(signal_code(signal));
    payload.put_u8(match encoding {
        Encoding::Protobuf => 0,
        Encoding::Json => 1,
    });
    payload.put_u64_le(arrival.0);
    payload.put_slice(body);
    (TELEMETRY, payload.freeze())
}

/// Kind and payload of any other entry.
pub fn encode(entry: &Entry) -> Result<(u8, Bytes), Error> {
    match entry {
        Entry::Tick { now } => Ok((TICK, Bytes::copy_from_slice(&now.0.to_le_bytes()))),
        other => Ok((OTHER, Bytes::from(serde_json::to_vec(other)?))),
    }
}

/// Reads a record back into the entry that was applied when it was new.
pub fn decode(kind: u8, payload: &[u8]) -> Result<Entry, Error> {
    match kind {
        TELEMETRY => {
            let (header, body) = payload.split_at_checked(11).ok_or(Error::Telemetry)?;
            let signal = *Signal::ALL.get(usize::from(header[1])).ok_or(Error::Telemetry)?;
            let encoding = match (header[0], header[2]) {
                (TELEMETRY_VERSION, 0) => Encoding::Protobuf,
                (TELEMETRY_VERSION, 1) => Encoding::Json,
                _ => return Err(Error::Telemetry),
            };
            let arrival = header[3..].try_into().expect("eight bytes were split off");
            let decoded = receivers::decode(signal, encoding, body).map_err(Error::Decode)?;
            Ok(Entry::Telemetry {
                arrival: Timestamp(u64::from_le_bytes(arrival)),
                batch: Arc::new(decoded.batch),
            })
        }
        TICK => {
            let now = payload.try_into().map_err(|_| Error::Tick)?;
            Ok(Entry::Tick { now: Timestamp(u64::from_le_bytes(now)) })
        }
        OTHER => Ok(serde_json::from_slice(payload)?),
        other => Err(Error::Kind(other)),
    }
}

fn signal_code(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    }
}
