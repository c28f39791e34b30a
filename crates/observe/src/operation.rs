//! What a request asked for, under a name that cannot explode.
//!
//! Invariant: a raw path never becomes an operation. `METHOD route`, `rpc.Service/Method`,
//! `process destination`; else the span's name where it is visibly a template; else the method
//! alone.

use std::borrow::Cow;

use model::signal::SpanKind;

use crate::normalise::{Facts, Field};

const SPAN_NAME_MAX: usize = 100;

pub(crate) fn name<'a>(facts: &Facts<'a>, span_name: &'a str, kind: SpanKind) -> Cow<'a, str> {
    if let Some(method) = facts.http_method() {
        return match http_template(facts, span_name) {
            Some(route) => Cow::Owned(format!("{method} {route}")),
            None => Cow::Borrowed(method),
        };
    }
    if facts.has(Field::RpcSystem)
        && let Some(name) = rpc(facts)
    {
        return name;
    }
    if facts.has(Field::MessagingSystem) {
        let operation = facts.text(Field::MessagingOperation).unwrap_or("process");
        return match facts.text(Field::MessagingDestination) {
            Some(destination) => Cow::Owned(format!("{operation} {destination}")),
            None => Cow::Borrowed(operation),
        };
    }
    if is_low_cardinality(span_name) {
        return Cow::Borrowed(span_name);
    }
    Cow::Borrowed(if kind == SpanKind::Consumer { "CONSUMER" } else { "SERVER" })
}

/// The route: as told, or as old instrumentation hid it in the span's name or the target.
fn http_template<'a>(facts: &Facts<'a>, span_name: &'a str) -> Option<&'a str> {
    if let Some(route) = facts.text(Field::Route) {
        return Some(route);
    }
    let in_name = span_name.split_once(' ').map(|(_, path)| path.trim()).unwrap_or(span_name);
    [Some(in_name), facts.text(Field::Path)].into_iter().flatten().find(|path| is_template(path))
}

fn rpc<'a>(facts: &Facts<'a>) -> Option<Cow<'a, str>> {
    match (facts.text(Field::RpcService), facts.text(Field::RpcMethod)) {
        (Some(service), Some(method)) if !method.contains('/') => {
            Some(Cow::Owned(format!("{service}/{method}")))
        }
        // New conventions put `package.Service/Method` into the method.
        (_, Some(method)) => Some(Cow::Borrowed(method)),
        (Some(service), None) => Some(Cow::Borrowed(service)),
        (None, None) => None,
    }
}

/// Does a path hold a placeholder: `{id}`, `<int:id>`, `:id`, `*`?
pub(crate) fn is_template(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= SPAN_NAME_MAX
        && !path.contains('?')
        && path.split('/').any(|part| {
            let braces = part.starts_with('{') && part.ends_with('}');
            let angles = part.starts_with('<') && part.ends_with('>');
            let colon = part.len() > 1 && part.starts_with(':') && !part.contains('%');
            braces || angles || colon || part == "*"
        })
}

/// Names of spans are meant to be few; those with numbers, queries or paths in them are not.
fn is_low_cardinality(name: &str) -> bool {
    let mut digits = 0;
    let mut digits_max = 0;
    for byte in name.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        digits_max = digits_max.max(digits);
    }
    let has_path = name.split(' ').any(|word| word.starts_with('/'));
    !name.is_empty()
        && name.len() <= SPAN_NAME_MAX
        && digits_max < 3
        && !name.contains(['?', '=', '&'])
        && (!has_path || name.split(' ').any(is_template))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::Attributes;

    fn check(span_name: &str, attributes: &[(&str, &str)], expected: &str) {
        let attributes = attributes
            .iter()
            .fold(Attributes::default(), |all, (name, value)| all.with_str(name, value));
        assert_eq!(name(&Facts::read(&attributes), span_name, SpanKind::Server), expected);
    }

    #[test]
    fn a_route_names_the_operation() {
        let get = ("http.request.method", "GET");
        check("GET", &[get, ("http.route", "/orders/{id}")], "GET /orders/{id}");
        check(
            "GET /orders/<int:order_id>",
            &[("http.method", "get")],
            "GET /orders/<int:order_id>",
        );
        check("GET /orders/:id", &[get], "GET /orders/:id");
    }

    #[test]
    fn a_raw_path_never_does() {
        let get = ("http.request.method", "GET");
        check("GET /orders/1234", &[get, ("url.path", "/orders/1234")], "GET");
        check("/orders/1234", &[get], "GET");
        check("GET /orders", &[get], "GET");
        check("BREW /pot", &[("http.method", "BREW")], "_OTHER");
        check("/orders/1234", &[], "SERVER");
        check("job 20260131", &[], "SERVER");
    }

    #[test]
    fn remote_procedures_and_messages_have_names_of_their_own() {
        let grpc = ("rpc.system", "grpc");
        check("x", &[grpc, ("rpc.service", "pay.Pay"), ("rpc.method", "Charge")], "pay.Pay/Charge");
        check("x", &[grpc, ("rpc.method", "pay.Pay/Charge")], "pay.Pay/Charge");
        let kafka = ("messaging.system", "kafka");
        check("x", &[kafka, ("messaging.destination.name", "orders")], "process orders");
        check("nightly report", &[], "nightly report");
    }
}
