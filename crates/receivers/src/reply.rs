//! The small messages that receivers answer with, written by hand.
//!
//! `Export…ServiceResponse` has the same shape for the three signals; `google.rpc.Status` carries
//! errors, with `google.rpc.RetryInfo` where a client should come again.

use std::time::Duration;

use bytes::Bytes;
use model::signal::Signal;
use tonic::Code;

use crate::intake::{Failure, Taken};
use crate::sink::{Encoding, Refusal};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `Export…ServiceResponse`: empty after full success, otherwise with `partial_success`.
pub(crate) fn success(signal: Signal, encoding: Encoding, taken: &Taken) -> Bytes {
    let full = taken.rejected == 0 && taken.message.is_empty();
    match encoding {
        Encoding::Protobuf if full => Bytes::new(),
        Encoding::Protobuf => {
            let mut partial = Vec::new();
            put_varint_field(&mut partial, 1, taken.rejected);
            put_bytes_field(&mut partial, 2, taken.message.as_bytes());
            let mut response = Vec::new();
            put_bytes_field(&mut response, 1, &partial);
            Bytes::from(response)
        }
        Encoding::Json if full => Bytes::from_static(b"{}"),
        Encoding::Json => {
            let rejected = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            // A 64-bit integer is a string in protobuf's JSON.
            let response = serde_json::json!({
                "partialSuccess": {
                    rejected: taken.rejected.to_string(),
                    "errorMessage": taken.message,
                }
            });
            Bytes::from(response.to_string())
        }
    }
}

/// `google.rpc.Status` of a refused request.
pub(crate) fn status(encoding: Encoding, code: Code, failure: &Failure) -> Bytes {
    let message = failure.to_string();
    let retry_after = failure.retry_after();
    match encoding {
        Encoding::Protobuf => {
            let mut status = Vec::new();
            put_varint_field(&mut status, 1, code as u64);
            put_bytes_field(&mut status, 2, message.as_bytes());
            if let Some(retry_after) = retry_after {
                let mut detail = Vec::new();
                put_bytes_field(&mut detail, 1, RETRY_INFO.as_bytes());
                put_bytes_field(&mut detail, 2, &retry_info(retry_after));
                put_bytes_field(&mut status, 3, &detail);
            }
            Bytes::from(status)
        }
        Encoding::Json => {
            let mut status = serde_json::json!({ "code": code as i32, "message": message });
            if let Some(retry_after) = retry_after {
                let delay =
                    format!("{}.{:03}s", retry_after.as_secs(), retry_after.subsec_millis());
                status["details"] =
                    serde_json::json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
            }
            Bytes::from(status.to_string())
        }
    }
}

/// The gRPC status code of a failure; `google.rpc.Status` uses the same over HTTP.
pub(crate) fn code(failure: &Failure) -> Code {
    match failure {
        Failure::Unauthenticated => Code::Unauthenticated,
        Failure::Forbidden(_) => Code::PermissionDenied,
        Failure::WrongMethod | Failure::Unsupported(_) => Code::Unimplemented,
        Failure::TooLarge { .. }
        | Failure::TooLargeDecompressed { .. }
        | Failure::TooLargeDecoded { .. } => Code::ResourceExhausted,
        Failure::BadData(_) => Code::InvalidArgument,
        Failure::TooSlow(_) => Code::DeadlineExceeded,
        Failure::Busy
        | Failure::Refused(Refusal::Overloaded { .. } | Refusal::Unavailable { .. }) => {
            Code::Unavailable
        }
    }
}

/// `google.rpc.RetryInfo { retry_delay: google.protobuf.Duration { seconds, nanos } }`.
fn retry_info(retry_after: Duration) -> Vec<u8> {
    let mut delay = Vec::new();
    put_varint_field(&mut delay, 1, retry_after.as_secs());
    put_varint_field(&mut delay, 2, u64::from(retry_after.subsec_nanos()));
    let mut info = Vec::new();
    put_bytes_field(&mut info, 1, &delay);
    info
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// Protobuf leaves out what has its default.
fn put_varint_field(message: &mut Vec<u8>, number: u8, value: u64) {
    if value != 0 {
        message.push(number << 3);
        put_varint(message, value);
    }
}

fn put_bytes_field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        message.push(number << 3 | 2);
        put_varint(message, bytes.len() as u64);
        message.extend_from_slice(bytes);
    }
}
