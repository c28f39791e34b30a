//! Did a request go wrong?
//!
//! For the side that serves: HTTP 5xx; gRPC UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE,
//! DATA_LOSS; where no status code decides, span status ERROR. Not 4xx and not a cancellation by
//! the client (gRPC CANCELLED, 499), even where the span's status is ERROR. All adjustable per
//! service.
//!
//! For the side that calls, the question is whether the *callee* failed: 5xx, the same gRPC
//! codes, no answer at all (refused, reset, timed out). A 4xx answer is the caller's own mistake,
//! although conventions give such client spans status ERROR, and a call that the caller itself
//! gave up is nobody's error; one given up because time ran out is.

use model::signal::{AnyValue, Span, SpanStatus};

use crate::config::{Config, ErrorRules, ServiceRules, StatusRange};
use crate::error_kind::{self, Clues};
use crate::normalise::{Facts, Field};

const HTTP_ERRORS: StatusRange = StatusRange::new(500, 599);
const GRPC_ERRORS: &[&str] =
    &["UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// gRPC status codes by number (grpc/grpc `doc/statuscodes.md`).
const GRPC_CODES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The rules in force for one service.
pub(crate) struct Rules<'a> {
    own: Option<&'a ServiceRules>,
    global: &'a ErrorRules,
}

impl<'a> Rules<'a> {
    pub(crate) fn of(config: &'a Config, service: &str) -> Self {
        Rules { own: config.services.get(service), global: &config.errors }
    }

    pub(crate) fn ignores(&self, operation: &str) -> bool {
        self.own.is_some_and(|own| own.ignore_operations.iter().any(|name| name == operation))
    }

    fn first<T>(&self, rule: impl Fn(&'a ErrorRules) -> Option<T>) -> Option<T> {
        self.own.and_then(|own| rule(&own.errors)).or_else(|| rule(self.global))
    }

    fn http_error(&self, status: u16) -> bool {
        match self.first(|rules| rules.http_statuses.as_deref()) {
            Some(ranges) => ranges.iter().any(|range| range.contains(status)),
            None => HTTP_ERRORS.contains(status),
        }
    }

    fn grpc_error(&self, code: &str) -> bool {
        match self.first(|rules| rules.grpc_statuses.as_deref()) {
            Some(codes) => codes.iter().any(|name| name.eq_ignore_ascii_case(code)),
            None => GRPC_ERRORS.contains(&code),
        }
    }

    fn span_status(&self) -> bool {
        self.first(|rules| rules.span_status).unwrap_or(true)
    }
}

/// The kind of error of a request that a server or consumer span tells of; `None` when it went
/// well.
pub(crate) fn served(facts: &Facts<'_>, span: &Span, rules: &Rules<'_>) -> Option<String> {
    let failed = span.status == SpanStatus::Error && rules.span_status();
    let clues = || Clues::of_span(facts, span);
    verdict(facts, rules, || failed && !clues().is_cancelled()).then(|| kind(facts, &clues()))
}

/// The same for a point of a metric, which has no span status: what `error.type` says counts for
/// it.
pub(crate) fn measured(facts: &Facts<'_>, rules: &Rules<'_>) -> Option<String> {
    let failed = facts.has(Field::ErrorType) && rules.span_status();
    let clues = || Clues::of_facts(facts);
    verdict(facts, rules, || failed && !clues().is_cancelled()).then(|| kind(facts, &clues()))
}

/// A status code decides where it says anything about failure; else `otherwise` does.
fn verdict(facts: &Facts<'_>, rules: &Rules<'_>, otherwise: impl FnOnce() -> bool) -> bool {
    if let Some(status) = facts.http_status() {
        return rules.http_error(status) || (status < 400 && otherwise());
    }
    match grpc_code(facts) {
        Some("OK") | None => otherwise(),
        Some(code) => rules.grpc_error(code),
    }
}

/// The kind of error of the callee that a client or producer span tells of; `None` when it did
/// not fail.
pub(crate) fn called(facts: &Facts<'_>, span: &Span) -> Option<String> {
    let http = facts.http_status();
    let grpc = grpc_code(facts).filter(|code| *code != "OK");
    if let (None, Some(code)) = (http, grpc) {
        return GRPC_ERRORS.contains(&code).then(|| format!("grpc_{}", code.to_ascii_lowercase()));
    }
    if http.is_some_and(|status| status >= 400) {
        return http
            .filter(|status| HTTP_ERRORS.contains(*status))
            .map(|code| format!("http_{code}"));
    }
    // No answer, or one that began well and broke off.
    if span.status != SpanStatus::Error && !facts.has(Field::ErrorType) {
        return None;
    }
    let clues = Clues::of_span(facts, span);
    let failed = !clues.is_client_mistake() && !clues.is_cancelled();
    failed.then(|| error_kind::name(&clues))
}

fn kind(facts: &Facts<'_>, clues: &Clues<'_>) -> String {
    match (facts.http_status(), grpc_code(facts)) {
        (Some(status), _) if status >= 400 => format!("http_{status}"),
        (_, Some(code)) if code != "OK" => format!("grpc_{}", code.to_ascii_lowercase()),
        _ => error_kind::name(clues),
    }
}

/// The gRPC status, told as number or as name; Connect RPC uses the same names in lower case.
fn grpc_code(facts: &Facts<'_>) -> Option<&'static str> {
    let by_number = |number: i64| usize::try_from(number).ok().and_then(|at| GRPC_CODES.get(at));
    let code = match facts.value(Field::RpcStatus)? {
        AnyValue::Int(number) => by_number(*number),
        AnyValue::String(text) => match text.parse() {
            Ok(number) => by_number(number),
            Err(_) => GRPC_CODES.iter().find(|code| code.eq_ignore_ascii_case(text)),
        },
        _ => None,
    };
    code.copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::Attributes;

    fn span(attributes: &[(&str, &str)], status: SpanStatus, message: &str) -> Span {
        let attributes = attributes
            .iter()
            .fold(Attributes::default(), |all, (name, value)| all.with_str(name, value));
        Span { attributes, status, status_message: message.into(), ..Span::default() }
    }

    fn check_served(attributes: &[(&str, &str)], status: SpanStatus, expected: Option<&str>) {
        let span = span(attributes, status, "");
        let config = Config::default();
        let found = served(&Facts::read(&span.attributes), &span, &Rules::of(&config, "any"));
        assert_eq!(found.as_deref(), expected, "{attributes:?} {status:?}");
    }

    fn check_called(attributes: &[(&str, &str)], message: &str, expected: Option<&str>) {
        let span = span(attributes, SpanStatus::Error, message);
        let found = called(&Facts::read(&span.attributes), &span);
        assert_eq!(found.as_deref(), expected, "{attributes:?} {message}");
    }

    #[test]
    fn a_server_fails_by_its_status_code_first() {
        use SpanStatus::{Error, Ok, Unset};
        check_served(&[("http.response.status_code", "502")], Unset, Some("http_502"));
        check_served(&[("http.status_code", "500")], Ok, Some("http_500"));
        check_served(&[("http.status_code", "404")], Error, None);
        check_served(&[("http.status_code", "499")], Error, None);
        check_served(&[("http.status_code", "200")], Error, Some("error"));
        check_served(&[("rpc.grpc.status_code", "14")], Unset, Some("grpc_unavailable"));
        check_served(&[("rpc.grpc.status_code", "1")], Error, None);
        check_served(&[("rpc.response.status_code", "NOT_FOUND")], Error, None);
        check_served(&[("rpc.response.status_code", "OK")], Error, Some("error"));
        check_served(&[], Unset, None);
        check_served(&[], Error, Some("error"));
        check_served(&[("error.type", "context canceled")], Error, None);
    }

    #[test]
    fn a_service_may_have_rules_of_its_own() {
        let errors = ErrorRules {
            http_statuses: Some(vec![StatusRange::new(429, 429)]),
            span_status: Some(false),
            ..ErrorRules::default()
        };
        let mut config = Config::default();
        let own = ServiceRules { errors, ignore_operations: vec!["GET /metrics".to_owned()] };
        config.services.insert("edge".to_owned(), own);
        let rules = Rules::of(&config, "edge");
        assert!(
            rules.ignores("GET /metrics") && !Rules::of(&config, "cart").ignores("GET /metrics")
        );
        for (status, expected) in [("429", true), ("503", false), ("200", false)] {
            let span = span(&[("http.status_code", status)], SpanStatus::Error, "");
            let failed = served(&Facts::read(&span.attributes), &span, &rules).is_some();
            assert_eq!(failed, expected, "{status}");
        }
    }

    #[test]
    fn a_callee_fails_when_it_breaks_not_when_it_refuses() {
        check_called(&[("http.response.status_code", "404"), ("error.type", "404")], "", None);
        check_called(&[("http.response.status_code", "503")], "", Some("http_503"));
        check_called(&[("error.type", "ECONNREFUSED")], "", Some("connection_refused"));
        check_called(&[("rpc.grpc.status_code", "5")], "", None);
        check_called(&[("rpc.grpc.status_code", "4")], "", Some("grpc_deadline_exceeded"));
        check_called(&[("error.type", "AbortError")], "This operation was aborted", None);
        check_called(
            &[("error.type", "23")],
            "The operation was aborted due to timeout",
            Some("timeout"),
        );
    }
}
