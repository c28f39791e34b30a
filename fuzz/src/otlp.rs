//! OTLP requests: our readers against the generated types, and against themselves.
//!
//! For protobuf the input is a request. Where prost reads it too and nothing was left out, both
//! must have read the same; and what prost makes of it, written again in protobuf and in JSON, must
//! read as the same batch. For JSON the input is a text; what our reader takes must be JSON, and
//! protobuf's JSON mapping has no second reader that could be trusted.

// One judge for tests and fuzzing.
#[allow(clippy::unwrap_used)] // A file of tests.
#[path = "../../crates/receivers/tests/it/oracle.rs"]
mod oracle;

use model::signal::{Batch, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use receivers::{DecodeError, Decoded, decode_json, decode_protobuf};

use crate::{Answer, Form, Memory, Target, mutate, planted};

/// Batch, its texts for comparing (twice), and prost's tree: far more than reading alone takes.
const MEMORY: Memory = Memory { base: 8 << 20, factor: 4096 };

/// `AnyValue.string_value_strindex`.
const VALUE_OF_PROFILES: u64 = 8;

pub const TRACES: Target = Target {
    name: "otlp-traces",
    feeds: "ExportTraceServiceRequest, protobuf; against prost, and through JSON",
    form: Form::Wire { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| {
        protobuf(Signal::Traces, input, &|request: &ExportTraceServiceRequest| {
            oracle::traces(request)
        })
    },
};

pub const METRICS: Target = Target {
    name: "otlp-metrics",
    feeds: "ExportMetricsServiceRequest, protobuf; against prost, and through JSON",
    form: Form::Wire { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| {
        protobuf(Signal::Metrics, input, &|request: &ExportMetricsServiceRequest| {
            oracle::metrics(request)
        })
    },
};

pub const LOGS: Target = Target {
    name: "otlp-logs",
    feeds: "ExportLogsServiceRequest, protobuf; against prost, and through JSON",
    form: Form::Wire { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| {
        protobuf(Signal::Logs, input, &|request: &ExportLogsServiceRequest| oracle::logs(request))
    },
};

pub const JSON_TRACES: Target = Target {
    name: "otlp-json-traces",
    feeds: "ExportTraceServiceRequest as OTLP/JSON",
    form: Form::Json { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| json(Signal::Traces, input),
};

pub const JSON_METRICS: Target = Target {
    name: "otlp-json-metrics",
    feeds: "ExportMetricsServiceRequest as OTLP/JSON",
    form: Form::Json { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| json(Signal::Metrics, input),
};

pub const JSON_LOGS: Target = Target {
    name: "otlp-json-logs",
    feeds: "ExportLogsServiceRequest as OTLP/JSON",
    form: Form::Json { head: 0 },
    memory: MEMORY,
    caught: &[],
    run: |input| json(Signal::Logs, input),
};

fn protobuf<M>(signal: Signal, input: &[u8], batch_of: &dyn Fn(&M) -> Batch) -> Answer
where
    M: Message + Default + serde::Serialize,
{
    let ours = twice(input, |body| decode_protobuf(signal, body));
    if let Ok(decoded) = &ours {
        planted::in_batch(&decoded.batch);
    }
    let answer = match &ours {
        Ok(decoded) if decoded.rejected == 0 => Answer::Taken,
        _ => Answer::Refused,
    };
    let Ok(request) = M::decode(input) else { return answer };
    compare("the same bytes", input, &ours, &request, batch_of);
    let written = request.encode_to_vec();
    let again = decode_protobuf(signal, &written);
    // Not quite the request: prost takes -0.0 for absent.
    let request = M::decode(&written[..]).expect("prost reads what it writes");
    compare("what prost wrote", input, &again, &request, batch_of);
    let words = format!("{again:?}");
    if words.contains("NaN") || words.contains("inf") {
        // Which the generated types write as null.
        return answer;
    }
    let Ok(text) = serde_json::to_string(&request) else { return answer };
    compare("its JSON", input, &decode_json(signal, text.as_bytes()), &request, batch_of);
    answer
}

/// Where both read a request, and nothing of it had to be left out or altered, they agree. The
/// oracle is only asked then: it panics at identifiers of a wrong length.
fn compare<M>(
    what: &str,
    input: &[u8],
    ours: &Result<Decoded, DecodeError>,
    request: &M,
    batch_of: &dyn Fn(&M) -> Batch,
) {
    if let Ok(decoded) = ours
        && decoded.rejected == 0
        && decoded.message.is_empty()
    {
        let (ours, theirs) = (format!("{:?}", decoded.batch), format!("{:?}", batch_of(request)));
        // For prost, an index into a table that only profiles have is one more kind of value, and
        // ends what was there before. For us it is an unknown field.
        let of_profiles = || mutate::holds_varint(input, VALUE_OF_PROFILES);
        assert!(ours == theirs || of_profiles(), "{what}: read as\n{ours}\nby prost as\n{theirs}");
    }
}

fn json(signal: Signal, input: &[u8]) -> Answer {
    let Ok(decoded) = twice(input, |body| decode_json(signal, body)) else {
        return Answer::Refused;
    };
    planted::in_batch(&decoded.batch);
    let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(input);
    if let Err(error) = theirs {
        // Bounds of serde_json, not of JSON.
        let says = error.to_string();
        let bound = says.contains("out of range") || says.contains("recursion limit");
        assert!(bound, "taken, but not JSON: {says}");
    }
    if decoded.rejected == 0 { Answer::Taken } else { Answer::Refused }
}

/// The same bytes give the same answer, and a refusal says something.
fn twice(
    input: &[u8],
    read: impl Fn(&[u8]) -> Result<Decoded, DecodeError>,
) -> Result<Decoded, DecodeError> {
    let (first, second) = (read(input), read(input));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    match &first {
        Ok(decoded) => assert_eq!(decoded.rejected > 0, decoded.rejected > 0 && said(decoded)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    first
}

fn said(decoded: &Decoded) -> bool {
    !decoded.message.is_empty()
}
