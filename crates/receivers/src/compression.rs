//! Decompression that cannot be made to take more memory than it was allowed.
//!
//! Output is produced piece by piece: each growth of the buffer is first taken from the
//! reservation of the request and stays under the limit, so a small body that stands for a huge
//! one costs no more than the limit.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::intake::Failure;
use crate::memory::Reservation;

/// Largest zstd window accepted, as a power of two: 8 MiB, what RFC 8878 asks decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Size of the first buffer; each further one doubles it.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Names as in `Content-Encoding` and `grpc-encoding`.
    pub(crate) const ACCEPTED: &str = "gzip, zstd, identity";

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Some(Compression::None),
            "gzip" | "x-gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Undoes the compression of a whole body; at most `limit` bytes come out.
pub(crate) fn decompress(
    compression: Compression,
    body: Bytes,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Failure> {
    if body.is_empty() {
        return Ok(body);
    }
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => read_all(MultiGzDecoder::new(&body[..]), "gzip", limit, reservation),
        Compression::Zstd => {
            let corrupt = |error| Failure::BadData(format!("the body is not zstd: {error}"));
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(corrupt)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(corrupt)?;
            read_all(decoder, "zstd", limit, reservation)
        }
    }
}

fn read_all(
    mut decoder: impl Read,
    name: &str,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Failure> {
    let mut output = Vec::new();
    let mut length = 0;
    loop {
        if length == output.len() {
            if length > limit {
                return Err(Failure::TooLargeDecompressed { limit });
            }
            // One byte more than the limit, to tell a full body from one that goes on.
            let larger = (output.len() * 2).clamp(BUFFER_BYTES, limit.saturating_add(1).max(1));
            reservation.grow(larger - output.len())?;
            output.resize(larger, 0);
        }
        let read = decoder
            .read(&mut output[length..])
            .map_err(|error| Failure::BadData(format!("the body is not {name}: {error}")))?;
        if read == 0 {
            break;
        }
        length += read;
    }
    if length > limit {
        return Err(Failure::TooLargeDecompressed { limit });
    }
    output.truncate(length);
    Ok(Bytes::from(output))
}
