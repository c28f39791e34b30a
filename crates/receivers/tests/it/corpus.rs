//! The committed hostile requests, each with what must be said to it, at every receiver.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::signal::Signal::{self, Logs, Metrics, Traces};
use receivers::config::{Limits, Otlp};
use receivers::{ByteSize, Encoding, decode};

use crate::rig::Rig;

/// What must come of a file: so many items rejected, or an error that says this.
enum Expect {
    Rejects(u64),
    Says(&'static str),
}
use Expect::{Rejects, Says};

const PROTOBUF: &[(&str, Signal, Expect)] = &[
    ("truncated_span", Traces, Says("where")),
    ("truncated_tag", Traces, Says("ends within a varint")),
    ("truncated_fixed64", Traces, Says("ends within a number")),
    ("huge_length", Traces, Says("a length of 9223372036854775807 bytes where 0 are left")),
    ("length_beyond_the_end", Traces, Says("a length of 5 bytes where 3 are left")),
    ("length_beyond_the_parent", Traces, Says("a length of 5 bytes where 2 are left")),
    ("overlong_varint", Traces, Says("an endless varint")),
    ("varint_of_65_bits", Traces, Says("more than 64 bits")),
    ("field_number_zero", Traces, Says("field number out of range")),
    ("field_number_too_large", Traces, Says("field number out of range")),
    ("wire_type_6", Traces, Says("unknown wire type 6")),
    ("wire_type_7", Traces, Says("unknown wire type 7")),
    ("group_end_without_begin", Traces, Says("a group that was not begun")),
    ("group_never_ended", Traces, Says("ends within a varint")),
    ("group_ended_by_another", Traces, Says("a group that was not begun")),
    ("groups_nested_deep", Traces, Says("groups nested too deep")),
    ("value_nested_deep", Logs, Says("nested deeper than 32")),
    ("wrong_wire_type_of_resource_spans", Traces, Says("field 1 has the wrong wire type")),
    ("wrong_wire_type_of_trace_id", Traces, Says("field 1 has the wrong wire type")),
    ("name_not_utf8", Traces, Says("text is not UTF-8")),
    ("name_with_surrogate", Traces, Says("text is not UTF-8")),
    ("packed_bounds_cut", Metrics, Says("ends within a number")),
    ("trace_id_too_short", Traces, Rejects(1)),
    ("no_ids", Traces, Rejects(1)),
    ("histogram_of_wrong_shape", Metrics, Rejects(1)),
    ("empty_spans_many", Traces, Rejects(30_000)),
    ("empty_spans_many", Logs, Says("more (and smaller) items")),
    ("json_instead", Traces, Says("not an OTLP protobuf message")),
    ("zeros", Traces, Says("field number out of range")),
];

const JSON: &[(&str, Signal, Expect)] = &[
    ("empty", Traces, Says("$: expected an object, found the end of the text")),
    ("truncated", Traces, Says("expected a comma or `]`, found the end of the text")),
    ("truncated_string", Traces, Says("the text ends within a string")),
    ("truncated_escape", Traces, Says("without four hexadecimal digits")),
    ("not_an_object", Traces, Says("expected an object, found an array")),
    ("two_documents", Traces, Says("expected the end of the text")),
    ("byte_order_mark", Traces, Says("expected an object")),
    ("trailing_comma", Traces, Says("expected a key")),
    ("comment", Traces, Says("expected a key")),
    ("single_quotes", Traces, Says("expected a key")),
    ("kind_by_name", Traces, Says("spans[0].kind: expected an integer")),
    ("kind_as_string", Traces, Says("spans[0].kind: expected an integer")),
    ("kind_too_large", Traces, Says("spans[0].kind: expected an integer in range")),
    ("time_as_float", Traces, Says("spans[0].startTimeUnixNano: expected an integer")),
    ("time_too_large", Traces, Says("spans[0].startTimeUnixNano: expected an integer")),
    ("time_negative", Traces, Says("spans[0].startTimeUnixNano: expected an integer")),
    ("id_in_base64", Traces, Says("parentSpanId: expected a hexadecimal string")),
    ("id_of_odd_length", Traces, Says("parentSpanId: expected a hexadecimal string")),
    ("id_too_short", Traces, Rejects(1)),
    ("key_twice", Traces, Says("spans[0].name: this key is given twice")),
    ("value_of_two_types", Logs, Says("logRecords[0].body.intValue: a value has one type")),
    ("lone_surrogate", Logs, Says("half of a surrogate pair")),
    ("control_character", Logs, Says("a control character in a string")),
    ("bad_base64", Logs, Says("body.bytesValue: expected a base64 string")),
    ("double_overflow", Metrics, Says("asDouble: expected a number in range")),
    ("double_by_wrong_word", Metrics, Says("asDouble: expected a number in range")),
    ("metric_of_two_kinds", Metrics, Says("metrics[0].summary: a metric has one kind")),
    ("arrays_nested_deep", Logs, Says("nested deeper than")),
    ("values_nested_deep", Logs, Says("nested deeper than")),
    ("leading_zero", Traces, Says("flags: expected an integer")),
    ("wrong_type_of_resource_spans", Traces, Says("resourceSpans: expected an array")),
    ("null_in_a_list", Traces, Says("resourceSpans[0]: expected an object, found null")),
    ("empty_records_many", Logs, Says("more (and smaller) items")),
    ("protobuf_instead", Traces, Says("expected an object")),
    ("not_utf8", Traces, Says("not UTF-8 at byte 25")),
];

/// Compressed bodies, the status that answers them and what it says.
const COMPRESSED: &[(&str, u16, &str)] = &[
    ("bomb.gz", 413, "larger than 1MiB decompressed"),
    ("bomb.zst", 413, "larger than 1MiB decompressed"),
    ("bomb_of_many_members.gz", 413, "larger than 1MiB decompressed"),
    ("garbage_after.gz", 400, "not gzip"),
    // Says that 2^60 bytes follow, and then holds none: nothing is allocated for what is only
    // declared.
    ("huge_content_size.zst", 200, ""),
    ("huge_window.zst", 400, "not zstd"),
    ("not_gzip.gz", 400, "not gzip"),
    ("not_zstd.zst", 400, "not zstd"),
    ("truncated.gz", 400, "not gzip"),
    ("truncated.zst", 400, "not zstd"),
    ("two_members.gz", 200, ""),
    ("wrong_checksum.gz", 400, "not gzip"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

fn check_folder<'a>(name: &str, expected: impl Iterator<Item = &'a str>) {
    let files = std::fs::read_dir(folder(name)).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> = expected.map(str::to_owned).collect();
    assert_eq!(files, expected, "files of {name} and expectations");
}

fn check(encoding: Encoding, path: &Path, signal: Signal, expect: &Expect) {
    let body = std::fs::read(path).unwrap();
    let place = path.display();
    match (decode::decode(signal, encoding, &body), expect) {
        (Ok(decoded), Rejects(rejected)) => {
            assert_eq!(decoded.rejected, *rejected, "{place}");
            assert!(!decoded.message.is_empty(), "{place}");
        }
        (Err(error), Says(what)) => {
            let error = error.to_string();
            assert!(error.contains(what), "{place}: `{error}` does not say `{what}`");
        }
        (outcome, _) => panic!("{place}: {outcome:?}"),
    }
}

#[test]
fn every_hostile_protobuf_message_is_answered_as_expected() {
    for (name, signal, expect) in PROTOBUF {
        let path = folder("protobuf").join(name).with_extension("bin");
        check(Encoding::Protobuf, &path, *signal, expect);
    }
}

#[test]
fn every_hostile_json_text_is_answered_as_expected() {
    for (name, signal, expect) in JSON {
        let path = folder("json").join(name).with_extension("json");
        check(Encoding::Json, &path, *signal, expect);
    }
}

#[test]
fn every_file_of_the_corpus_has_its_expectation() {
    let names = |list: &[(&str, Signal, Expect)], extension: &str| -> Vec<String> {
        list.iter().map(|(name, ..)| format!("{name}.{extension}")).collect()
    };
    check_folder("protobuf", names(PROTOBUF, "bin").iter().map(String::as_str));
    check_folder("json", names(JSON, "json").iter().map(String::as_str));
    check_folder("http", COMPRESSED.iter().map(|(name, ..)| *name));
}

#[tokio::test]
async fn hostile_bodies_over_http_get_their_status_and_leave_nothing_behind() {
    let limits = Limits { decompressed: ByteSize::mib(1), ..Limits::default() };
    let rig = Rig::with(Otlp { limits, ..Otlp::default() }, receivers::allow_everyone()).await;
    let client = reqwest::Client::new();
    let post = |signal: Signal, content_type: &str, encoding: Option<&str>, body: Vec<u8>| {
        let url = rig.url(&format!("/v1/{}", signal.as_str()));
        let request = client.post(url).header("content-type", content_type).body(body);
        match encoding {
            Some(encoding) => request.header("content-encoding", encoding).send(),
            None => request.send(),
        }
    };
    for (name, status, what) in COMPRESSED {
        let encoding = if name.ends_with(".gz") { "gzip" } else { "zstd" };
        let body = std::fs::read(folder("http").join(name)).unwrap();
        let response = post(Traces, "application/x-protobuf", Some(encoding), body).await.unwrap();
        assert_eq!(response.status().as_u16(), *status, "{name}");
        let body = response.bytes().await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains(what), "{name}: {text}");
    }
    let lists = [(PROTOBUF, "protobuf", "bin", "x-protobuf"), (JSON, "json", "json", "json")];
    for (list, kind, extension, subtype) in lists {
        for (name, signal, expect) in list {
            let path = folder(kind).join(name).with_extension(extension);
            let body = std::fs::read(&path).unwrap();
            let content_type = format!("application/{subtype}");
            let response = post(*signal, &content_type, None, body).await.unwrap();
            let expected = if matches!(expect, Rejects(_)) { 200 } else { 400 };
            assert_eq!(response.status().as_u16(), expected, "{}", path.display());
            assert_eq!(response.headers()["content-type"], content_type);
        }
    }
    assert_eq!(rig.intake.in_flight_bytes(), 0);
    rig.stop().await;
}
