//! One short, stable name for what went wrong, whatever language said it.
//!
//! A refused connection is `ECONNREFUSED` in Node, `ConnectionError … [Errno 111] Connection
//! refused` in Python, `java.net.ConnectException` in Java and `connect` in Rust; here it is
//! `connection_refused`. What none of the classes knows keeps its own name (`error.type`, then
//! the exception's type), cut to a bounded length.

use model::signal::{AnyValue, Span};

use crate::normalise::{Facts, Field};

const KIND_MAX: usize = 64;
const SQLSTATE_CHARS: usize = 5;
/// How much of a message is read; stack traces may be pasted into it.
const MESSAGE_MAX: usize = 512;

/// Classes in the order in which they are looked for: a name, and what betrays it in lower-case
/// text.
const CLASSES: &[(&str, &[&str])] = &[
    (
        "dns",
        &[
            "enotfound",
            "eai_again",
            "eai_noname",
            "getaddrinfo",
            "nameresolution",
            "unknownhost",
            "name or service not known",
            "name resolution",
            "failed to lookup address",
            "no such host",
            "dns error",
        ],
    ),
    (
        "connection_refused",
        &["econnrefused", "connection refused", "connectionrefused", "errno 111", "error 111"],
    ),
    (
        "connection_reset",
        &[
            "econnreset",
            "connection reset",
            "connectionreset",
            "socket hang up",
            "epipe",
            "broken pipe",
            "brokenpipe",
            "remotedisconnected",
            "remote end closed",
            "server disconnected",
            "serverdisconnected",
            "connection aborted",
            "connection closed",
            "closed the connection",
            "und_err_socket",
            "other side closed",
            "unexpected eof",
            "unexpectedeof",
            "incompletemessage",
            "connection was closed",
            "terminating connection",
        ],
    ),
    (
        "timeout",
        &[
            "timeout",
            "timed out",
            "timedout",
            "etimedout",
            "deadline exceeded",
            "deadline_exceeded",
            "deadlineexceeded",
        ],
    ),
    (
        "unreachable",
        &[
            "ehostunreach",
            "enetunreach",
            "no route to host",
            "noroutetohost",
            "network is unreachable",
        ],
    ),
    ("tls", &["certificate", "sslerror", "ssl_error", "tls handshake", "sslhandshake"]),
    ("pool_exhausted", &["too many connections", "too many clients", "pool exhausted"]),
];

/// Types that mean a class only when nothing above spoke: whole, lower case, without their package.
const BARE_TYPES: &[(&str, &str)] = &[
    ("connect", "connection_refused"),
    ("connectexception", "connection_refused"),
    ("connecterror", "connection_refused"),
    ("newconnectionerror", "connection_refused"),
    ("connectionerror", "connection_error"),
];

/// What a caller that gave up itself leaves behind.
const CANCELLATIONS: &[&str] = &[
    "aborterror",
    "operation was aborted",
    "cancelled",
    "canceled",
    "cancellederror",
    "cancellation",
    "client disconnected",
    "clientdisconnect",
    "client closed request",
];

/// The texts of one item that may say what went wrong.
pub(crate) struct Clues<'a> {
    /// `error.type` or exception type as told.
    kind: Option<&'a str>,
    /// A number in `error.type`: an HTTP status, or a code of some library.
    code: Option<i64>,
    /// All of it in lower case, types first.
    text: String,
}

impl<'a> Clues<'a> {
    pub(crate) fn of_facts(facts: &Facts<'a>) -> Self {
        let mut clues = Clues { kind: None, code: None, text: String::new() };
        clues.read_type(facts.value(Field::ErrorType));
        clues.add(facts.text(Field::ErrorMessage));
        clues
    }

    pub(crate) fn of_span(facts: &Facts<'a>, span: &'a Span) -> Self {
        let mut clues = Clues::of_facts(facts);
        // The last exception is the one that ended the span.
        let exception = span.events.iter().rev().find(|event| event.name == "exception");
        if let Some(exception) = exception {
            clues.read_type(exception.attributes.get("exception.type"));
            clues.add(exception.attributes.str("exception.message"));
        }
        clues.add(Some(span.status_message.as_str()));
        clues
    }

    fn read_type(&mut self, value: Option<&'a AnyValue>) {
        match value {
            Some(AnyValue::Int(code)) => self.code = self.code.or(Some(*code)),
            Some(AnyValue::String(text)) => match text.parse() {
                // Five digits are the state that a database tells, and a name as it is.
                Ok(_) if text.len() == SQLSTATE_CHARS => self.kind = self.kind.or(Some(text)),
                Ok(code) => self.code = self.code.or(Some(code)),
                // `_OTHER` is the conventions' word for "unknown".
                Err(_) if !text.is_empty() && text != "_OTHER" => {
                    self.kind = self.kind.or(Some(text));
                    self.add(Some(text));
                }
                Err(_) => {}
            },
            _ => {}
        }
    }

    fn add(&mut self, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.text.extend(text.chars().take(MESSAGE_MAX).flat_map(char::to_lowercase));
            self.text.push('\n');
        }
    }

    fn http_status(&self) -> Option<i64> {
        self.code.filter(|code| (400..=599).contains(code))
    }

    /// A 4xx told only in `error.type`.
    pub(crate) fn is_client_mistake(&self) -> bool {
        self.http_status().is_some_and(|code| code < 500)
    }

    /// Did the caller give up, for another reason than that time ran out?
    pub(crate) fn is_cancelled(&self) -> bool {
        CANCELLATIONS.iter().any(|sign| self.text.contains(sign)) && self.class().is_none()
    }

    fn class(&self) -> Option<&'static str> {
        let known =
            CLASSES.iter().find(|(_, signs)| signs.iter().any(|sign| self.text.contains(sign)));
        if let Some((name, _)) = known {
            return Some(name);
        }
        let bare = self.kind?.rsplit(['.', ':']).next()?.to_ascii_lowercase();
        BARE_TYPES.iter().find(|(kind, _)| *kind == bare).map(|(_, name)| *name)
    }
}

/// The name of an error that no status code names.
pub(crate) fn name(clues: &Clues<'_>) -> String {
    if let Some(status) = clues.http_status() {
        return format!("http_{status}");
    }
    if let Some(class) = clues.class() {
        return class.to_owned();
    }
    let kind = clues.kind.unwrap_or("error");
    kind.chars().filter(|letter| !letter.is_control()).take(KIND_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::{Attributes, SpanEvent};

    fn check(error_type: AnyValue, exception: (&str, &str), message: &str, expected: &str) {
        let mut span = Span { status_message: message.into(), ..Span::default() };
        span.attributes.push("error.type", error_type);
        if !exception.0.is_empty() {
            let attributes = Attributes::default()
                .with_str("exception.type", exception.0)
                .with_str("exception.message", exception.1);
            span.events.push(SpanEvent {
                name: "exception".into(),
                attributes,
                time_unix_nanos: 0,
            });
        }
        let facts = Facts::read(&span.attributes);
        assert_eq!(name(&Clues::of_span(&facts, &span)), expected);
    }

    #[test]
    fn a_refused_connection_has_one_name_in_all_languages() {
        let text = |text: &str| AnyValue::String(text.into());
        let none = AnyValue::Empty;
        let refused = "connection_refused";
        check(text("ECONNREFUSED"), ("", ""), "connect ECONNREFUSED 127.0.0.1:5001", refused);
        check(text("Error"), ("Error", "connect ECONNREFUSED ::1:5001"), "", refused);
        check(
            none.clone(),
            ("redis.exceptions.ConnectionError", "Error 111 connecting to x. Connection refused."),
            "",
            refused,
        );
        check(text("java.net.ConnectException"), ("", ""), "", refused);
        check(text("connect"), ("", ""), "", refused);
        check(none, ("requests.exceptions.ConnectionError", "bad"), "", "connection_error");
    }

    #[test]
    fn other_ways_to_fail_have_names_too() {
        let text = |text: &str| AnyValue::String(text.into());
        check(text("ECONNRESET"), ("", ""), "read ECONNRESET", "connection_reset");
        let aborted = "The operation was aborted due to timeout";
        check(AnyValue::Int(23), ("23", aborted), aborted, "timeout");
        check(text("503"), ("", ""), "", "http_503");
        check(text("ENOTFOUND"), ("", ""), "getaddrinfo ENOTFOUND orders", "dns");
        let closed = "server closed the connection unexpectedly\n\tThis probably means";
        check(AnyValue::Empty, ("psycopg2.OperationalError", closed), "", "connection_reset");
        check(text("OutOfStock"), ("", ""), "", "OutOfStock");
        check(text("53100"), ("", ""), "could not extend file", "53100");
        check(text("_OTHER"), ("", ""), "", "error");
        check(AnyValue::Empty, ("", ""), "", "error");
    }

    #[test]
    fn a_name_is_never_long() {
        check(AnyValue::String("é".repeat(500).into()), ("", ""), "", &"é".repeat(KIND_MAX));
    }
}
