//! What queries mean, how they are written, and what is said of those that are none.

use model::signal::{AnyValue, Attributes, InstrumentationScope, LogRecord, Resource};
use proptest::prelude::*;

use super::*;
use crate::query::logs::ArrivedRow;

/// A record of orders about a refused connection.
fn matches(query: &str) -> bool {
    let resource = Resource {
        attributes: Attributes::default()
            .with_str("service.name", "orders")
            .with_str("service.instance.id", "orders-1")
            .with_str("k8s.node.name", "node-7"),
    };
    let scope = InstrumentationScope { name: "http.client".into(), ..Default::default() };
    let mut attributes = Attributes::default()
        .with_str("user.id", "A-17")
        .with_str("exception.message", "dial tcp 10.0.0.3:5432: i/o timeout")
        .with_str("body", "an attribute")
        .with_i64("attempt", 3);
    attributes.push("seconds", AnyValue::Double(0.25));
    attributes.push("tags", AnyValue::Array(vec![AnyValue::String("Retry me".into())]));
    let record = LogRecord {
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: AnyValue::String("Connection refused: db_main is down, größe 5%".into()),
        attributes,
        trace_id: [0xab; 16],
        event_name: "db.refused".into(),
        ..Default::default()
    };
    let row = ArrivedRow { resource: &resource, scope: &scope, record: &record };
    Query::parse(query).unwrap_or_else(|invalid| panic!("{query}: {invalid}")).matches(&row)
}

#[track_caller]
fn check(queries: &[&str], expected: bool) {
    for query in queries {
        assert_eq!(matches(query), expected, "{query}");
        let written = Query::parse(query).unwrap().to_string();
        assert_eq!(matches(&written), expected, "{query} written as {written}");
    }
}

#[track_caller]
fn check_invalid(query: &str, expected: &str) {
    let invalid = Query::parse(query).expect_err(query);
    let text = invalid.to_string();
    assert!(text.starts_with(expected), "{query}\n  expected {expected}\n  found    {text}");
}

#[test]
fn words_match_whole_tokens_whatever_their_case() {
    check(
        &["refused", "CONNECTION", "db_main", "down", "timeout", "retry", "GRÖSSE OR größe"],
        true,
    );
    check(&["connect", "refuse", "main", "dow", "gröss"], false);
    check(&["10.0.0.3", "tcp 5432", "a-17", "attempt:3 3"], true);
    // Names of attributes and of the resource's are not texts of the record.
    check(&["exception", "orders", "attempt"], false);
}

#[test]
fn phrases_match_as_they_are_written_between_borders_of_tokens() {
    check(
        &["\"connection refused\"", "\"REFUSED: db_main\"", "\"5%\"", "\": db\" OR \"refused: \""],
        true,
    );
    check(&["\"connection  refused\"", "\"nection refused\"", "\"refused db_main\""], false);
    check(&["\"GRÖẞE 5\"", "\"größe 5\""], true);
}

#[test]
fn wildcards_stand_for_letters_digits_and_underscores() {
    check(
        &["connect*", "*fused", "db_*", "con*on", "*onnec*", "re*ed", "gr*ße", "*", "d*n,"],
        true,
    );
    check(&["connect*refused", "onnec*", "*connec", "gr*ß"], false);
    check(&["body:conn*"], true);
}

#[test]
fn regexes_match_anywhere() {
    check(
        &["/time(d )?out/i", "/^Connection/", r"/\d+\.\d+:5432/", "/i\\/o/", "body:/DOWN/i"],
        true,
    );
    check(&["/^connection/", "/Down/", "body:/timeout/"], false);
}

#[test]
fn fields_compare_whole_values() {
    check(
        &["service:orders", "instance:orders-1", "service:ord*", "service:/^ord/", "event:db.*"],
        true,
    );
    check(&["service:order", "service:Orders", "service:rders", "instance:*2"], false);
    check(
        &["user.id:A-17", "user.id:*", "attempt:3", "attempt:>2", "attempt:<=3", "seconds:<0.3"],
        true,
    );
    check(
        &["user.id:a-17", "user.id:A", "attempt:>3", "user.id:>1", "nothing:*", "seconds:0"],
        false,
    );
    check(
        &["resource.k8s.node.name:node-7", "resource.\"k8s.node.name\":node*", "scope:http.client"],
        true,
    );
    check(&["k8s.node.name:*", "scope:http", "exception.message:timeout"], false);
    check(&["\"body\":\"an attribute\"", "body:refused", "exception.message:*timeout"], true);
    check(&["body:attribute", "body:timeout"], false);
}

#[test]
fn severities_are_compared_by_class_or_number() {
    check(
        &["severity:error", "severity:>=warn", "severity:>warn", "severity:17", "severity:<=ERROR"],
        true,
    );
    check(
        &["severity:warn", "severity:>error", "severity:18", "severity:<error", "severity:none"],
        false,
    );
}

#[test]
fn a_severity_is_told_by_its_text_where_there_is_no_number() {
    assert_eq!(Severity::number(0, Some("Warning")), 13);
    assert_eq!(Severity::number(0, Some("custom")), 0);
    assert_eq!(Severity::number(9, Some("error")), 9);
    assert_eq!(Severity::number(9000, None), 24);
    assert_eq!(Severity::number(-5, None), 0);
}

#[test]
fn traces_and_spans_are_found_by_their_ids() {
    let id = "ab".repeat(16);
    check(&[&format!("trace:{id}"), &format!("trace_id:{}", id.to_uppercase()), "trace:*"], true);
    check(&[&format!("trace:{}", "cd".repeat(16)), "span:*", "span:0102030405060708"], false);
}

#[test]
fn terms_are_joined_by_and_or_and_not() {
    check(&["", "  ", "refused down", "refused AND down", "nope OR refused", "-nope"], true);
    check(&["refused nope", "NOT refused", "-(refused OR nope)", "refused -down"], false);
    // AND binds closer than OR.
    check(
        &["refused OR nope nope", "(refused OR nope) down", "NOT NOT refused", "--refused"],
        true,
    );
    check(&["(refused OR nope) nope"], false);
    check(&["and OR refused", "\"OR\" OR down"], true);
}

#[test]
fn errors_point_at_the_column_and_say_what_to_write() {
    check_invalid("foo (bar", "column 5: this `(` is not closed");
    check_invalid("foo)", "column 4: `)` without a `(`");
    check_invalid("größe OR", "column 9: a term is missing");
    check_invalid("OR foo", "column 1: `OR` stands between terms");
    check_invalid("\"foo", "column 1: this quote is not closed");
    check_invalid("a /foo", "column 3: this regex is not closed");
    check_invalid("/api/cart", "column 6: after a regex comes only an `i`");
    check_invalid("/a(b/", "column 1: the regex cannot be read: unclosed group");
    check_invalid("//", "column 1: the regex is empty");
    check_invalid("key: value", "column 5: a value is missing: write it directly after `key:`");
    check_invalid("key:>5ms", "column 5: `5ms` is not a number");
    check_invalid("severity:bad", "column 10: `bad` is no severity");
    check_invalid("severity:25", "column 10: `25` is no severity");
    check_invalid("trace:123", "column 7: `123` is no id of a trace: write its 32 digits");
    check_invalid("12:30", "column 1: `12` is no name of a field: put the text in quotes");
    check_invalid("- foo", "column 1: write what to leave out directly after the `-`");
    check_invalid("\"\"", "column 1: the quotes are empty");
    check_invalid("/(\\w{100}){100}/", "column 1: the regex cannot be read: it is too large");
    check_invalid("body:*", "column 6: write a word");
}

#[test]
fn queries_are_bounded() {
    check_invalid(&"a".repeat(QUERY_BYTES_MAX + 1), "column 1: a query has at most 4096 bytes");
    check_invalid(&"(".repeat(4000), "column 33: at most 32 parentheses");
    check_invalid(&"-".repeat(4000), "column 33: at most 32");
    check_invalid(&"NOT ".repeat(1000), "column 129: at most 32");
    check_invalid(&"a ".repeat(65), "column 129: a query has at most 64 terms");
    check_invalid(&"/a/ ".repeat(9), "column 33: a query has at most 8 regexes");
    check_invalid(&"a*".repeat(9), "column 1: at most 8 `*`");
    let deep = format!("{}a b OR c{}", "(x OR (y ".repeat(15), "))".repeat(15));
    let query = Query::parse(&deep).unwrap();
    assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
}

#[test]
fn a_query_is_narrowed_to_a_service() {
    let query = Query::parse("a OR b").unwrap().of_service("my shop");
    assert_eq!(query.to_string(), "service:\"my shop\" (a OR b)");
    assert_eq!(Query::all().of_service("a").to_string(), "service:a");
}

/// Texts that are mostly queries.
fn query_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "foo",
        "Größe",
        "\"a b\"",
        "\"q\\\"\\\\ \\n\"",
        "/x+y/i",
        "/a\\/b\\\\/",
        "key:v",
        "key:*",
        "\"odd key\":v",
        "key:\"v w\"",
        "key:>=1.5",
        "key:<-3e7",
        "key:/r/",
        "severity:>=warn",
        "severity:7",
        "trace:*",
        "span:0102030405060708",
        "service:a*b",
        "body:w",
        "body:\"x y\"",
        "resource.k:v",
        "resource.\"a b\":v",
        "\"service\":x",
        "\"resource.x\":y",
        "scope:s",
        "w*ld",
        "*x",
        "y*",
        "*",
        "OR",
        "AND",
        "NOT",
        "-",
        "(",
        ")",
        "(a OR b c)",
        "-(a OR b)",
        " ",
        ":",
        "/",
        "\"",
        "**",
        "k:**a**",
        "\\",
        "resource.",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_reads_back_as_the_same(text in query_text()) {
        if let Ok(query) = Query::parse(&text) {
            let written = query.to_string();
            prop_assert_eq!(Query::parse(&written), Ok(query), "{} written as {}", text, written);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), glued in query_text()) {
        for text in [text, glued.replace(' ', "")] {
            if let Ok(query) = Query::parse(&text) {
                let written = query.to_string();
                let read = Query::parse(&written);
                prop_assert_eq!(read, Ok(query), "{} written as {}", text, written);
            }
        }
    }

    /// The promise that row groups rely upon.
    #[test]
    fn a_text_that_matches_has_all_the_tokens_that_are_needed(
        text in "[a-cA-CsSkK _.ßſKσΣς²-]{0,12}",
        pattern in "[a-cA-CsSkK_.ßſKσΣς²]{0,4}[*.+ ]?[a-csk \\\\b^$|()?*]{0,6}",
    ) {
        let queries = [pattern.clone(), format!("\"{pattern}\""), format!("/{pattern}/i"),
            format!("/{pattern}/"), format!("key:{pattern}"), format!("key:/{pattern}/i")];
        let resource = Resource::default();
        let scope = InstrumentationScope::default();
        let record = LogRecord {
            attributes: Attributes::default().with_str("key", &text),
            ..Default::default()
        };
        let row = ArrivedRow { resource: &resource, scope: &scope, record: &record };
        for query in queries {
            if let Ok(query) = Query::parse(&query) && query.matches(&row) {
                let needs = Needs::of(&query);
                prop_assert!(needs.may_match(&Tokens(&text)).unwrap(), "{} in {:?}", query, text);
            }
        }
    }
}

/// A row group that holds one text.
struct Tokens<'a>(&'a str);

impl Hints for Tokens<'_> {
    fn services(&self) -> Option<(&str, &str)> {
        Some(("", ""))
    }
    fn severities(&self) -> Option<(i32, i32)> {
        Some((0, 0))
    }
    fn may_hold_trace(&self, _: &TraceId) -> Result<bool, crate::Error> {
        Ok(false)
    }
    fn may_hold_token(&self, hash: u64) -> Result<bool, crate::Error> {
        Ok(crate::tokens::tokens(self.0).any(|token| crate::tokens::hash(&token) == hash))
    }
}

#[test]
fn needs_are_what_must_be_there() {
    let token = |word: &str| Needs::Token(crate::tokens::hash(word));
    let either = |one: &str, other: &str| Needs::Any(vec![token(one), token(other)]);
    let check = |query: &str, expected: Needs| {
        assert_eq!(Needs::of(&Query::parse(query).unwrap()), expected, "{query}");
    };
    check("Timeout", token("timeout"));
    check("conn*", Needs::Nothing);
    check("/(?:GET|PUT) \\/users\\/\\d+/", token("users"));
    check("/took long: .*/", token("long"));
    check("/ (aa|bb) /i", either("aa", "bb"));
    check("/(aa|bb) /i", Needs::Nothing);
    check("/ status=(500|503),/", Needs::All(vec![token("status"), either("500", "503")]));
    check("/^timeout$/i", token("timeout"));
    check("/x time out/i", token("time"));
    check("a OR user:b", Needs::Any(vec![token("a"), token("b")]));
    check("-a", Needs::Nothing);
    check("-(-a)", token("a"));
    check("a*b c-d*", token("c"));
}

/// A row group of which the smallest and largest are known.
struct Range(&'static str, &'static str, i32, i32);

impl Hints for Range {
    fn services(&self) -> Option<(&str, &str)> {
        Some((self.0, self.1))
    }
    fn severities(&self) -> Option<(i32, i32)> {
        Some((self.2, self.3))
    }
    fn may_hold_trace(&self, _: &TraceId) -> Result<bool, crate::Error> {
        Ok(true)
    }
    fn may_hold_token(&self, _: u64) -> Result<bool, crate::Error> {
        Ok(true)
    }
}

#[test]
fn row_groups_are_refused_by_service_and_severity() {
    let check = |query: &str, range: Range, expected: bool| {
        let needs = Needs::of(&Query::parse(query).unwrap());
        assert_eq!(needs.may_match(&range).unwrap(), expected, "{query}");
    };
    check("service:cart", Range("a", "b", 9, 9), false);
    check("service:cart", Range("a", "d", 9, 9), true);
    check("-service:cart", Range("cart", "cart", 9, 9), false);
    check("-service:cart", Range("cart", "catalog", 9, 9), true);
    check("service:ca*", Range("cart", "catalog", 9, 9), true);
    check("service:ca*", Range("cb", "d", 9, 9), false);
    check("service:ca*", Range("a", "b", 9, 9), false);
    check("service:/x/", Range("cart", "cart", 9, 9), false);
    check("severity:>=error", Range("a", "a", 5, 13), false);
    check("severity:>=error", Range("a", "a", 0, 13), true);
    check("severity:>=error x", Range("a", "a", 5, 17), true);
}
