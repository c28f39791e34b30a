//! Makes captured spans and log records as different from each other as real ones: each bears a
//! text of its own, which no compression makes smaller than its bits.
//!
//! The captured ones repeat all but ids and times from pass to pass: a folder of a given size would
//! hold several times as many of them.

use anyhow::Result;
use model::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;

use crate::telemetry::folder::Captured;
use crate::telemetry::templates::Template;

const NAME: &str = "session.token";
/// About as long as a signed token, a statement's parameters, or a stack trace's changing part.
const BYTES: usize = 320;
/// Stands for the text in templates.
const BLANK: u8 = 0x16;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters that one random word gives.
const LETTERS_A_WORD: usize = 10;

/// The captured requests with room for noise in each item.
pub fn with_room(captured: &[Captured]) -> Result<Vec<Captured>> {
    captured.iter().map(one_with_room).collect()
}

fn one_with_room(captured: &Captured) -> Result<Captured> {
    let body = match captured.signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(captured.body.as_slice())?;
            let resources = request.resource_spans.iter_mut();
            let scopes = resources.flat_map(|resource| &mut resource.scope_spans);
            let spans = scopes.flat_map(|scope| &mut scope.spans);
            spans.for_each(|span| span.attributes.push(room()));
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(captured.body.as_slice())?;
            let resources = request.resource_logs.iter_mut();
            let scopes = resources.flat_map(|resource| &mut resource.scope_logs);
            let records = scopes.flat_map(|scope| &mut scope.log_records);
            records.for_each(|record| record.attributes.push(room()));
            request.encode_to_vec()
        }
        Signal::Metrics => captured.body.clone(),
    };
    Ok(Captured { body, ..captured.clone() })
}

fn room() -> KeyValue {
    let text = char::from(BLANK).to_string().repeat(BYTES);
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(text)) });
    KeyValue { key: NAME.to_owned(), value, ..KeyValue::default() }
}

/// Where in a template the noise goes.
pub fn places(template: &Template) -> Vec<usize> {
    let blank = [BLANK; BYTES];
    let (body, mut places, mut at) = (&template.body, Vec::new(), 0);
    while let Some(found) = body[at..].iter().position(|byte| *byte == BLANK) {
        at += found;
        if body[at..].starts_with(&blank) {
            places.push(at);
            at += BYTES;
        } else {
            at += 1;
        }
    }
    places
}

/// Fills the places with letters that never come again.
pub fn fill(body: &mut [u8], places: &[usize], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for place in places {
        for chunk in body[*place..place + BYTES].chunks_mut(LETTERS_A_WORD) {
            // Marsaglia 2003, "Xorshift RNGs".
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let mut word = state;
            for letter in chunk {
                *letter = LETTERS[(word & 63) as usize];
                word >>= 6;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::telemetry::folder::Protocol;
    use crate::telemetry::templates::{Filled, Templates};

    #[test]
    fn each_span_gets_a_text_of_its_own() {
        let span = |id| Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span(1), span(2)], ..Default::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let (protocol, signal) = (Protocol::Http, Signal::Traces);
        let captured = Captured { protocol, signal, received_unix_nano: 9, body };
        let roomy = with_room(&[captured]).unwrap();
        let templates = Templates::traces(&roomy, Filled::Full).unwrap().all;
        let mut body = templates[0].body.clone();
        fill(&mut body, &places(&templates[0]), 5);
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let texts: Vec<_> = spans.iter().map(|span| span.attributes[0].value.clone()).collect();
        assert!(texts.len() == 2 && texts[0] != texts[1] && texts[0] != room().value);
    }
}
