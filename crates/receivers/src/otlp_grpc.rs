//! OTLP/gRPC: the `Export` methods of the three collector services.
//!
//! Each is unary: one framed message in, one out. We read the frame ourselves, where generated
//! code would, because then the bytes stay as they were sent (they go to the log), limits and time
//! bounds are those of OTLP/HTTP, and bounds are checked before anything is allocated. Statuses
//! are tonic's. Over its limit a message is RESOURCE_EXHAUSTED; overload is UNAVAILABLE with
//! `RetryInfo`, which makes clients retry.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use model::signal::Signal;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::compression::Compression;
use crate::counters::Transport;
use crate::intake::{Export, Failure, Intake, Taken};
use crate::reply;
use crate::sink::Encoding;

/// Compression flag and length of a message.
const FRAME_HEADER_BYTES: usize = 5;

/// Paths of the three methods.
const METHODS: &[(&str, Signal)] = &[
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];

pub(crate) fn router(intake: &Arc<Intake>) -> Router {
    let mut router = Router::new();
    for &(path, signal) in METHODS {
        let export =
            move |state: State<Arc<Intake>>, request: Request| answer(state, signal, request);
        router = router.route(path, any(export));
    }
    router.fallback(unimplemented).with_state(Arc::clone(intake))
}

async fn unimplemented() -> Response {
    Status::unimplemented("this method is not served here").into_http()
}

async fn answer(State(intake): State<Arc<Intake>>, signal: Signal, request: Request) -> Response {
    if !is_grpc(request.headers()) {
        let mut response = Response::new(Body::from("only gRPC is answered on this port\n"));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match receive(&intake, signal, request).await {
        Ok(taken) => respond(&reply::success(signal, Encoding::Protobuf, &taken)),
        Err(failure) => {
            intake.refuse(signal, Transport::Grpc, &failure);
            refuse(&failure).into_http()
        }
    }
}

async fn receive(intake: &Intake, signal: Signal, request: Request) -> Result<Taken, Failure> {
    let (parts, body) = request.into_parts();
    intake.authenticate(&parts.headers)?;
    let announced = compression(&parts.headers)?;
    let mut admission = intake.admit()?;
    // Which limit holds is known once the frame's flag was seen; until then the larger of the two.
    let limit = intake.body_limit(announced).max(intake.body_limit(Compression::None));
    let body = intake
        .read_body(body, limit.saturating_add(FRAME_HEADER_BYTES), &mut admission)
        .await
        .map_err(|failure| match failure {
            Failure::TooLarge { .. } => Failure::TooLarge { limit },
            other => other,
        })?;
    let (compression, body) = unframe(body, announced)?;
    let limit = intake.body_limit(compression);
    if body.len() > limit {
        return Err(Failure::TooLarge { limit });
    }
    let (transport, encoding) = (Transport::Grpc, Encoding::Protobuf);
    intake.take(Export { signal, transport, encoding, compression, body }, admission).await
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match content_type.strip_prefix(b"application/grpc") {
        Some([] | [b'+', b'p', b'r', b'o', b't', b'o', ..] | [b';', ..]) => true,
        Some(_) | None => false,
    }
}

fn compression(headers: &HeaderMap) -> Result<Compression, Failure> {
    let Some(value) = headers.get("grpc-encoding") else { return Ok(Compression::None) };
    value.to_str().ok().and_then(Compression::from_name).ok_or_else(|| {
        let accepted = Compression::ACCEPTED;
        Failure::Unsupported(format!("grpc-encoding {value:?} is not supported; use {accepted}"))
    })
}

/// The one message of a unary request.
fn unframe(mut body: Bytes, announced: Compression) -> Result<(Compression, Bytes), Failure> {
    let bad = |what: &str| Err(Failure::BadData(format!("not a gRPC message: {what}")));
    if body.len() < FRAME_HEADER_BYTES {
        return bad("it ends within its header");
    }
    let compression = match body.get_u8() {
        0 => Compression::None,
        1 if announced == Compression::None => {
            return bad("it is flagged as compressed, but grpc-encoding does not say how");
        }
        1 => announced,
        _ => return bad("its flag is neither 0 nor 1"),
    };
    let length = body.get_u32() as usize;
    if body.len() < length {
        return bad("it is shorter than it says");
    }
    if body.len() > length {
        return bad("more follows it, where one message is expected");
    }
    Ok((compression, body))
}

fn respond(message: &Bytes) -> Response {
    let mut frame = BytesMut::with_capacity(FRAME_HEADER_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn refuse(failure: &Failure) -> Status {
    let code = reply::code(failure);
    let mut metadata = MetadataMap::new();
    if code == Code::Unimplemented {
        let accepted = MetadataValue::from_static("gzip,zstd,identity");
        metadata.insert("grpc-accept-encoding", accepted);
    }
    let details = reply::status(Encoding::Protobuf, code, failure);
    Status::with_details_and_metadata(code, failure.to_string(), details, metadata)
}
