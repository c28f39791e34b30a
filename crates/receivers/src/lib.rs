//! Receivers of telemetry. Today OTLP 1.x: gRPC and HTTP, protobuf and JSON, traces, metrics and
//! logs. And what other systems post of their alerts (`alertmanager`), which the API takes.
//!
//! A request passes these, in this order: transport (`otlp_http`, `otlp_grpc`), admission and
//! limits (`intake`), `compression`, [`decode`], [`Sink`], and back through `reply`. The server
//! owns the sink and the listeners; this crate knows neither storage nor engine.
//!
//! Invariants: a client is told of success only after the sink has made its request durable. What
//! is refused is refused with the status that makes clients do the right thing (retry or drop),
//! and counted. The same bytes decode to the same batch, now and at replay. The only crate that
//! names tonic.

pub mod config;

pub mod sink;

pub mod decode;

mod memory;

mod compression;

mod intake;

mod reply;

mod otlp_http;

mod otlp_grpc;

mod serve;

pub mod counters;

pub mod alertmanager;

pub use config::Config;
pub use counters::Counters;
pub use decode::{DecodeError, Decoded, decode, decode_json, decode_protobuf};
pub use intake::Intake;
pub use memory::MemoryGuard;
pub use model::ByteSize;
pub use serve::{ServeError, serve_grpc, serve_http, serve_routes};
pub use sink::{Accepted, Authenticator, Encoding, Refusal, Sink, allow_everyone};
