//! What people and programs ask: queries over logs, filters of spans, selectors of series.
//!
//! Q-1 what is written as text is read as the same; Q-2 it then matches the same; Q-3 a row group
//! that holds a match is never passed over.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use model::signal::{SpanId, TraceId};
use storage::query::attributes::AttributeFilter;
use storage::query::language::{Hints, Invalid, Needs, Query, Row};
use storage::query::matchers::Selector;
use storage::tokens;

use crate::{Answer, Form, Memory, Target};

/// Regexes are compiled within bounds of their own, several in a query, and more than once here.
const MEMORY: Memory = Memory { base: 64 << 20, factor: 1024 };

pub const LOGS: Target = Target {
    name: "query-logs",
    feeds: "a query over logs; behind zero bytes service, body, and an attribute's key and value",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: logs,
};

pub const SPANS: Target = Target {
    name: "query-spans",
    feeds: "a filter of spans by an attribute; behind a zero byte a value",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: |input| {
        let [filter, value, ..] = parts(input);
        let Some(filter) = read::<AttributeFilter>(&filter) else { return Answer::Refused };
        let Some(again) = read::<AttributeFilter>(&filter.to_string()) else {
            return Answer::Taken;
        };
        assert_eq!(filter.is_match(Some(&value)), again.is_match(Some(&value)), "Q-2");
        assert_eq!(filter.takes_absent(), again.takes_absent(), "Q-2");
        Answer::Taken
    },
};

pub const SERIES: Target = Target {
    name: "query-series",
    feeds: "a selector of series; behind a zero byte a label's value",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: |input| {
        let [selector, value, ..] = parts(input);
        let Some(selector) = read::<Selector>(&selector) else { return Answer::Refused };
        let Some(again) = read::<Selector>(&selector.to_string()) else { return Answer::Taken };
        for (one, other) in selector.matchers.iter().zip(&again.matchers) {
            assert_eq!(one.is_match(&value), other.is_match(&value), "Q-2");
        }
        Answer::Taken
    },
};

/// The texts between zero bytes; what is missing is empty, what is not text is made text.
fn parts(input: &[u8]) -> [Cow<'_, str>; 5] {
    let mut parts = input.splitn(5, |byte| *byte == 0).map(String::from_utf8_lossy);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Q-1, or a refusal that points into the text.
fn read<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Invalid> + Display + PartialEq + Debug,
{
    match text.parse::<T>() {
        Ok(query) => {
            let written = query.to_string();
            let again = written.parse::<T>();
            let again = again.unwrap_or_else(|invalid| panic!("Q-1: {written:?}: {invalid}"));
            assert_eq!(again, query, "Q-1: {text:?} was written as {written:?}");
            Some(query)
        }
        Err(Invalid { column, message }) => {
            assert!(!message.is_empty(), "refused without a word");
            assert!((1..=text.chars().count() + 1).contains(&column), "column {column}");
            None
        }
    }
}

fn logs(input: &[u8]) -> Answer {
    let [query, service, body, key, value] = parts(input);
    let Some(query) = read::<Query>(&query) else { return Answer::Refused };
    let again: Query = query.to_string().parse().expect("Q-1");
    let numbers = [0, 5, 9, 13, 17, 21];
    let severity_number = numbers[body.len() % numbers.len()];
    let record = Record { service, severity_number, body, key, value };
    let matches = query.matches(&record);
    assert_eq!(matches, again.matches(&record), "Q-2");
    if matches {
        let needed = Needs::of(&query).may_match(&record).expect("nothing is read");
        assert!(needed, "Q-3: {query} matches {record:?}, which {:?} refuses", Needs::of(&query));
    }
    Answer::Taken
}

/// A record, and all that a file tells of a row group that holds it alone.
#[derive(Debug)]
struct Record<'a> {
    service: Cow<'a, str>,
    severity_number: i32,
    body: Cow<'a, str>,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

const TRACE: TraceId = [0x5a; 16];

impl Row for Record<'_> {
    fn service(&self) -> &str {
        &self.service
    }

    fn instance(&self) -> Option<&str> {
        None
    }

    fn severity_number(&self) -> i32 {
        self.severity_number
    }

    fn severity_text(&self) -> Option<&str> {
        None
    }

    fn trace_id(&self) -> Option<TraceId> {
        Some(TRACE)
    }

    fn span_id(&self) -> Option<SpanId> {
        None
    }

    fn event_name(&self) -> Option<&str> {
        None
    }

    fn body(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.body))
    }

    fn scope_name(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn any_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        test(&self.key, &self.value)
    }

    fn any_resource_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        test("service.name", &self.service)
    }
}

impl Hints for Record<'_> {
    fn services(&self) -> Option<(&str, &str)> {
        Some((&self.service, &self.service))
    }

    fn severities(&self) -> Option<(i32, i32)> {
        Some((self.severity_number, self.severity_number))
    }

    fn may_hold_trace(&self, id: &TraceId) -> Result<bool, storage::Error> {
        Ok(*id == TRACE)
    }

    fn may_hold_token(&self, hash: u64) -> Result<bool, storage::Error> {
        let mut held = false;
        for text in [&self.body, &self.value] {
            tokens::each_hash(text, |one| held |= one == hash);
        }
        Ok(held)
    }
}
