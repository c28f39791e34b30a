//! One connection that sends export requests, over HTTP/1.1 or gRPC, one at a time; over gRPC
//! several that share it, each one at a time.
//!
//! Bodies come compressed with gzip. The least that a client can be: it keeps up with a server that
//! takes a few microseconds an item. What it is told it passes on: taken, refused (and when to come
//! again), or failed.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::folder::Protocol;
use crate::serving::Listening;

/// A request that is not answered within this time has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const GRPC_PREFIX_BYTES: usize = 5;
const RESOURCE_EXHAUSTED: &str = "8";
const UNAVAILABLE: &str = "14";

/// A request that only needs to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub protocol: Protocol,
    pub signal: Signal,
    /// Compressed; with the prefix of a gRPC message where it is one.
    pub body: Bytes,
    pub items: usize,
    /// Spans, log records, or samples as Prometheus counts them.
    pub samples: usize,
    /// Bytes of protobuf.
    pub raw_bytes: usize,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken {
        /// Items that the server says it left out.
        rejected: u64,
    },
    /// Not taken, and to be sent again: HTTP 429 or 503, gRPC 8 or 14.
    Refused {
        status: u16,
        /// Whether and when to come again, as the server says.
        retry_after: Option<Duration>,
    },
    /// Anything else, a connection that broke included.
    Failed(String),
}

pub struct Line {
    sender: Sender,
    authority: String,
}

enum Sender {
    Http(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

impl Line {
    pub async fn open(at: Listening, protocol: Protocol) -> Result<Line> {
        let address = match protocol {
            Protocol::Http => at.otlp_http,
            Protocol::Grpc => at.otlp_grpc,
        };
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        // A connection ends when its sender is dropped; why it ended the sender is told.
        let sender = match protocol {
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::Http(sender)
            }
            Protocol::Grpc => {
                let mut client = http2::Builder::new(TokioExecutor::new());
                // Bodies of any size: the server's own windows are bound enough.
                client.initial_stream_window_size(1 << 20).max_frame_size(1 << 20);
                let (sender, connection) = client.handshake(io).await?;
                tokio::spawn(connection);
                Sender::Grpc(sender)
            }
        };
        Ok(Line { sender, authority: address.to_string() })
    }

    /// Whether another request can be sent after one that failed.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            // An answer that never came may still come: it would be taken for the next one's.
            Sender::Http(_) => false,
            Sender::Grpc(sender) => !sender.is_closed(),
        }
    }

    /// Another that sends over the same connection at the same time, where the protocol can.
    pub fn beside(&self) -> Option<Line> {
        match &self.sender {
            Sender::Http(_) => None,
            Sender::Grpc(sender) => {
                let sender = Sender::Grpc(sender.clone());
                Some(Line { sender, authority: self.authority.clone() })
            }
        }
    }

    pub async fn send(&mut self, prepared: &Prepared) -> Verdict {
        let sent = timeout(ANSWER_WITHIN, self.exchange(prepared)).await;
        match sent {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Verdict::Failed(format!("{error:#}")),
            Err(_) => Verdict::Failed("no answer within 30 s".to_owned()),
        }
    }

    async fn exchange(&mut self, prepared: &Prepared) -> Result<Verdict> {
        let body = Full::new(prepared.body.clone());
        match &mut self.sender {
            Sender::Http(sender) => {
                let request = Request::post(format!("/v1/{}", prepared.signal.as_str()))
                    .header("host", &self.authority)
                    .header("content-type", "application/x-protobuf")
                    .header("content-encoding", "gzip")
                    .body(body)?;
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                let (head, body) = answer.into_parts();
                let body = body.collect().await?.to_bytes();
                of_http(prepared.signal, head.status.as_u16(), &head.headers, &body)
            }
            Sender::Grpc(sender) => {
                let url = format!("http://{}{}", self.authority, grpc_path(prepared.signal));
                let request = Request::post(url)
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .header("grpc-encoding", "gzip")
                    .body(body)?;
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                let (head, body) = answer.into_parts();
                let collected = body.collect().await?;
                let trailers = collected.trailers().cloned().unwrap_or_default();
                of_grpc(prepared.signal, &head.headers, &trailers, &collected.to_bytes())
            }
        }
    }
}

/// A message in gRPC's frame, marked as compressed.
pub fn grpc_frame(compressed: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(GRPC_PREFIX_BYTES + compressed.len());
    framed.put_u8(1);
    framed.put_u32(compressed.len() as u32);
    framed.put_slice(compressed);
    framed.freeze()
}

fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

fn of_http(signal: Signal, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Verdict> {
    match status {
        200 => Ok(Verdict::Taken { rejected: rejected(signal, body)? }),
        429 | 503 => {
            let told = headers.get("retry-after").and_then(|value| value.to_str().ok());
            let seconds = told.and_then(|told| told.parse().ok());
            Ok(Verdict::Refused { status, retry_after: seconds.map(Duration::from_secs) })
        }
        other => Ok(Verdict::Failed(format!("{other}: {}", String::from_utf8_lossy(body)))),
    }
}

fn of_grpc(
    signal: Signal,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: &[u8],
) -> Result<Verdict> {
    let told = |name: &str| {
        let value = trailers.get(name).or_else(|| headers.get(name));
        value.and_then(|value| value.to_str().ok())
    };
    match told("grpc-status").context("an answer without grpc-status")? {
        "0" => {
            let message = body.get(GRPC_PREFIX_BYTES..).unwrap_or_default();
            Ok(Verdict::Taken { rejected: rejected(signal, message)? })
        }
        status @ (RESOURCE_EXHAUSTED | UNAVAILABLE) => {
            // RetryInfo lies in the details; that it is there is what makes clients come again.
            let details = told("grpc-status-details-bin");
            let retry_after = details.map(|_| Duration::from_secs(1));
            Ok(Verdict::Refused { status: status.parse()?, retry_after })
        }
        other => {
            let message = told("grpc-message").unwrap_or_default();
            Ok(Verdict::Failed(format!("gRPC status {other}: {message}")))
        }
    }
}

fn rejected(signal: Signal, body: &[u8]) -> Result<u64> {
    let rejected = match signal {
        Signal::Traces => {
            let answer = ExportTraceServiceResponse::decode(body)?;
            answer.partial_success.map_or(0, |partial| partial.rejected_spans)
        }
        Signal::Metrics => {
            let answer = ExportMetricsServiceResponse::decode(body)?;
            answer.partial_success.map_or(0, |partial| partial.rejected_data_points)
        }
        Signal::Logs => {
            let answer = ExportLogsServiceResponse::decode(body)?;
            answer.partial_success.map_or(0, |partial| partial.rejected_log_records)
        }
    };
    Ok(rejected.max(0) as u64)
}
