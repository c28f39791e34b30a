//! Bytes as they come over the network: HTTP, compressed bodies, gRPC frames; fed to the real
//! receivers over real sockets.
//!
//! Whatever is sent: an answer or a closed connection, and nothing held afterwards.

use crate::server_rig::{self, DECOMPRESSED_MAX, Port};
use crate::{Answer, Form, Memory, Target};

const MEMORY: Memory = Memory { base: 32 << 20, factor: 64 };

pub const HTTP: Target = Target {
    name: "http",
    feeds: "what a client sends to the OTLP/HTTP port, from its first byte on",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: |input| {
        server_rig::with(|rig| rig.exchange(Port::Http, input, true, |_| false));
        Answer::Taken
    },
};

pub const BODY: Target = Target {
    name: "http-body",
    feeds: "signal, encoding and compression (one byte), then the body of a request",
    form: Form::Bytes,
    memory: Memory { base: (32 << 20) + 4 * DECOMPRESSED_MAX, factor: 4096 },
    caught: &[],
    run: body,
};

pub const GRPC: Target = Target {
    name: "grpc",
    feeds: "signal and compression (one byte), then the frames of an export call",
    form: Form::Bytes,
    memory: Memory { base: (32 << 20) + 4 * DECOMPRESSED_MAX, factor: 4096 },
    caught: &[],
    run: grpc,
};

/// Which of `choices` a byte picks, and what is left of it.
fn pick<'a>(byte: &mut u8, choices: &[&'a str]) -> &'a str {
    let count = choices.len() as u8;
    let picked = choices[usize::from(*byte % count)];
    *byte /= count;
    picked
}

fn body(input: &[u8]) -> Answer {
    let Some((&first, body)) = input.split_first() else { return Answer::Refused };
    let mut choice = first;
    let signal = pick(&mut choice, &["traces", "metrics", "logs"]);
    let encoding = pick(&mut choice, &["gzip", "zstd", "identity"]);
    let kind = pick(&mut choice, &["x-protobuf", "json"]);
    let mut request = format!(
        "POST /v1/{signal} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/{kind}\r\n\
         content-encoding: {encoding}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let answer = server_rig::with(|rig| rig.exchange(Port::Http, &request, false, |_| false));
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let status = status.expect("every whole request is answered");
    assert!(["200", "400", "413", "503"].contains(&status), "answered {status}");
    if status == "200" { Answer::Taken } else { Answer::Refused }
}

/// HTTP/2, as little of it as a call needs: RFC 9113, 4.1 and 6.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEADER_BYTES: usize = 9;
/// Below what every peer takes without being asked.
const DATA_BYTES_MAX: usize = 8 << 10;

fn grpc(input: &[u8]) -> Answer {
    let Some((&first, messages)) = input.split_first() else { return Answer::Refused };
    let mut choice = first;
    let service = pick(
        &mut choice,
        &["trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"],
    );
    let encoding = pick(&mut choice, &["identity", "gzip", "zstd", ""]);
    let path = format!("/opentelemetry.proto.collector.{service}/Export");
    let mut headers = Vec::new();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-encoding", encoding),
    ];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        literal(&mut headers, name, value);
    }
    let mut call = PREFACE.to_vec();
    frame(&mut call, SETTINGS, 0, 0, &[]);
    frame(&mut call, HEADERS, END_HEADERS, 1, &headers);
    for chunk in messages.chunks(DATA_BYTES_MAX) {
        frame(&mut call, DATA, 0, 1, chunk);
    }
    frame(&mut call, DATA, END_STREAM, 1, &[]);
    let answer = server_rig::with(|rig| rig.exchange(Port::Grpc, &call, false, call_ended));
    assert!(call_ended(&answer), "every whole call is answered");
    Answer::Taken
}

/// A header field as it is, RFC 7541, 6.2.2.
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(text.len() as u8);
        block.extend_from_slice(text.as_bytes());
    }
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// True once the receiver has ended the stream, or the connection.
fn call_ended(answer: &[u8]) -> bool {
    let mut rest = answer;
    while rest.len() >= FRAME_HEADER_BYTES {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let Some(next) = rest.get(FRAME_HEADER_BYTES + length..) else { return false };
        let (kind, flags) = (rest[3], rest[4]);
        let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if ends || matches!(kind, RST_STREAM | GOAWAY) {
            return true;
        }
        rest = next;
    }
    false
}
