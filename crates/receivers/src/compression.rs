//! Decompression that cannot be made to take more memory than it was allowed.
//!
//! Output is produced piece by piece: each growth of the buffer is first taken from the
//! reservation of the request and stays under the limit, so a small body that stands for a huge
//! one costs no more than the limit. The texts of a batch keep its body in memory, so what comes
//! out has no room to spare: both formats tell its size, which is believed within reason, and a
//! buffer that is much too large is cut.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::intake::Failure;
use crate::memory::Reservation;

/// Largest zstd window accepted, as a power of two: 8 MiB, what RFC 8878 asks decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Size of the first buffer where none was told; each further one doubles it.
const BUFFER_BYTES: usize = 64 << 10;

/// A told size is believed up to this many times the compressed one: telemetry shrinks 3 to 15
/// times.
const BELIEVED_RATIO: usize = 32;

/// A part of the buffer this large may stay unused.
const SLACK: usize = 8;

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
    let told = told_size(compression, &body);
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            read_all(MultiGzDecoder::new(&body[..]), "gzip", told, limit, reservation)
        }
        Compression::Zstd => {
            let corrupt = |error| Failure::BadData(format!("the body is not zstd: {error}"));
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(corrupt)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(corrupt)?;
            read_all(decoder, "zstd", told, limit, reservation)
        }
    }
}

/// The decompressed size that a body tells of itself, where that is believable; it may be wrong
/// nevertheless.
pub(crate) fn told_size(compression: Compression, body: &[u8]) -> Option<usize> {
    let size = match compression {
        Compression::None => Some(body.len()),
        // RFC 1952, `ISIZE`: the last four bytes.
        Compression::Gzip => body.last_chunk().map(|size| u32::from_le_bytes(*size) as usize),
        Compression::Zstd => {
            let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
            size.and_then(|size| usize::try_from(size).ok())
        }
    };
    size.filter(|size| *size <= body.len().saturating_mul(BELIEVED_RATIO))
}

fn read_all(
    mut decoder: impl Read,
    name: &str,
    told: Option<usize>,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Failure> {
    let mut output = Vec::new();
    // One byte more, to see the end without growing.
    let first = told.map_or(BUFFER_BYTES, |told| told.saturating_add(1));
    let mut length = 0;
    loop {
        if length == output.len() {
            if length > limit {
                return Err(Failure::TooLargeDecompressed { limit });
            }
            // One byte more than the limit, to tell a full body from one that goes on.
            let larger = match output.len() {
                0 => first,
                held => (held * 2).max(BUFFER_BYTES),
            };
            let larger = larger.min(limit.saturating_add(1));
            reservation.grow(larger - output.len())?;
            output.reserve_exact(larger - output.len());
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
    if output.capacity() - length > length / SLACK {
        output.shrink_to_fit();
    }
    Ok(Bytes::from(output))
}
