//! Saving and taking up the whole state, tied to a position in the input log.
//!
//! ```text
//! "IMSN" version:u32 engine:u32 position:u64 crc32c:u32 postcard(Core)
//! ```
//!
//! A snapshot of another version, or a damaged one, is refused by name; the driver then rebuilds
//! the state from an older snapshot or from the log itself.

use crate::Core;

const MAGIC: &[u8; 4] = b"IMSN";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("not a snapshot, or cut short")]
    Foreign,
    #[error(
        "snapshot of format {format}, engine {engine}; this program has {VERSION}, {}",
        crate::VERSION
    )]
    Version { format: u32, engine: u32 },
    #[error("snapshot is damaged")]
    Damaged,
}

/// Bytes of a snapshot taken after the entry numbered `position` was applied.
pub fn save(core: &Core, position: u64) -> Result<Vec<u8>, postcard::Error> {
    let state = postcard::to_stdvec(core)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + state.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crate::VERSION.to_le_bytes());
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.extend_from_slice(&checksum(position, &state).to_le_bytes());
    bytes.extend_from_slice(&state);
    Ok(bytes)
}

/// The state and the position after which the log goes on.
pub fn load(bytes: &[u8]) -> Result<(Core, u64), Error> {
    let (header, state) = bytes.split_at_checked(HEADER_BYTES).ok_or(Error::Foreign)?;
    if &header[..4] != MAGIC {
        return Err(Error::Foreign);
    }
    let (format, engine) = (u32_at(header, 4), u32_at(header, 8));
    if (format, engine) != (VERSION, crate::VERSION) {
        return Err(Error::Version { format, engine });
    }
    let position = u64::from(u32_at(header, 12)) | u64::from(u32_at(header, 16)) << 32;
    if checksum(position, state) != u32_at(header, 20) {
        return Err(Error::Damaged);
    }
    let core = postcard::from_bytes(state).map_err(|_| Error::Damaged)?;
    Ok((core, position))
}

/// Tells configurations apart in the journal.
pub fn fingerprint(config: &crate::Config) -> u32 {
    serde_json::to_vec(config).map_or(0, |text| crc32c::crc32c(&text))
}

fn checksum(position: u64, state: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.to_le_bytes()), state)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}
