//! JSONPath as `jsonpath2` understands it, the dialect of Chaos Toolkit's tolerances.
//!
//! It is not that of RFC 9535, so no crate for that can stand in: a filter `[?(…)]` judges the
//! value it is applied to, not its members (`$.items[*][?(@.up = false)]`), equality is a single
//! `=`, operators are words (`and`, `or`, `not`), and there are calls such as `length()`. The
//! grammar is that of jsonpath2 0.4.5 (`JSONPath.g4`).

mod lex;
mod parse;

use std::borrow::Cow;

use crate::value::Value;

/// Values that one match may yield and steps it may take; beyond, it ends with an error.
const STEPS_MAX: usize = 1_000_000;

#[derive(Clone, Debug)]
pub struct JsonPath(Vec<Segment>);

#[derive(Clone, Debug)]
struct Segment {
    /// After `..`: applied to the value and everything in it, depth first.
    recursive: bool,
    subscripts: Vec<Subscript>,
}

#[derive(Clone, Debug)]
enum Subscript {
    Key(String),
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: Option<i64>,
    },
    Wildcard,
    Filter(Expression),
    /// The path's values are keys or indices.
    Path(Path),
    Call(Function, Vec<Operand>),
}

#[derive(Clone, Debug)]
struct Path {
    from_root: bool,
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    CharAt,
    Entries,
    Keys,
    Length,
    Substring,
    Values,
}

#[derive(Clone, Debug)]
enum Operand {
    Path(Path),
    Value(Value),
}

#[derive(Clone, Debug)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Some(Operand),
    Compare(Comparison, Operand, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl JsonPath {
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        parse::path(text).map(JsonPath)
    }

    /// The values that the path leads to, in document order.
    pub fn find<'a>(&self, root: &'a Value) -> Result<Vec<Found<'a>>, String> {
        Search { root, steps: 0 }.segments(&self.0, &Cow::Borrowed(root))
    }
}

/// A value of the document, or one that a call made.
pub type Found<'a> = Cow<'a, Value>;

struct Search<'a> {
    root: &'a Value,
    steps: usize,
}

impl<'a> Search<'a> {
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("the JSON path takes more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn segments(
        &mut self,
        segments: &[Segment],
        current: &Found<'a>,
    ) -> Result<Vec<Found<'a>>, String> {
        self.step()?;
        let Some((segment, rest)) = segments.split_first() else {
            return Ok(vec![current.clone()]);
        };
        let mut found = Vec::new();
        for subscript in &segment.subscripts {
            for value in self.subscript(subscript, current)? {
                found.extend(self.segments(rest, &value)?);
            }
        }
        if segment.recursive {
            for member in members(current) {
                found.extend(self.segments(segments, &member)?);
            }
        }
        Ok(found)
    }

    fn subscript(
        &mut self,
        subscript: &Subscript,
        current: &Found<'a>,
    ) -> Result<Vec<Found<'a>>, String> {
        Ok(match subscript {
            Subscript::Key(key) => part(current, |value| value.get(key)).into_iter().collect(),
            Subscript::Index(index) => {
                part(current, |value| at_index(value, *index)).into_iter().collect()
            }
            Subscript::Slice { start, end, step } => slice(current, *start, *end, *step)?,
            Subscript::Wildcard => members(current),
            Subscript::Filter(expression) => {
                let holds = self.holds(expression, current)?;
                holds.then(|| current.clone()).into_iter().collect()
            }
            Subscript::Path(path) => {
                let mut found = Vec::new();
                for value in self.path(path, current)? {
                    found.extend(part(current, |current| match value.as_ref() {
                        Value::Bool(yes) => at_index(current, i64::from(*yes)),
                        Value::Int(index) => at_index(current, i64::try_from(*index).ok()?),
                        Value::Text(key) => current.get(key),
                        _ => None,
                    }));
                }
                found
            }
            Subscript::Call(function, operands) => {
                let mut found = Vec::new();
                for arguments in self.arguments(operands, current)? {
                    found.extend(call(*function, &arguments, current).map(Cow::Owned));
                }
                found
            }
        })
    }

    /// Every combination of the operands' values.
    fn arguments(
        &mut self,
        operands: &[Operand],
        current: &Found<'a>,
    ) -> Result<Vec<Vec<Found<'a>>>, String> {
        let mut combinations = vec![Vec::new()];
        for operand in operands {
            let values = self.operand(operand, current)?;
            let mut longer = Vec::new();
            for combination in &combinations {
                for value in &values {
                    self.step()?;
                    let mut combination: Vec<Found<'a>> = combination.clone();
                    combination.push(value.clone());
                    longer.push(combination);
                }
            }
            combinations = longer;
        }
        Ok(combinations)
    }

    fn path(&mut self, path: &Path, current: &Found<'a>) -> Result<Vec<Found<'a>>, String> {
        match path.from_root {
            true => self.segments(&path.segments, &Cow::Borrowed(self.root)),
            false => self.segments(&path.segments, current),
        }
    }

    fn operand(
        &mut self,
        operand: &Operand,
        current: &Found<'a>,
    ) -> Result<Vec<Found<'a>>, String> {
        match operand {
            Operand::Path(path) => self.path(path, current),
            Operand::Value(value) => Ok(vec![Cow::Owned(value.clone())]),
        }
    }

    fn holds(&mut self, expression: &Expression, current: &Found<'a>) -> Result<bool, String> {
        self.step()?;
        Ok(match expression {
            Expression::All(all) => {
                for expression in all {
                    if !self.holds(expression, current)? {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Any(any) => {
                for expression in any {
                    if self.holds(expression, current)? {
                        return Ok(true);
                    }
                }
                false
            }
            Expression::Not(expression) => !self.holds(expression, current)?,
            Expression::Some(Operand::Path(path)) => !self.path(path, current)?.is_empty(),
            Expression::Some(Operand::Value(value)) => value.truthy(),
            Expression::Compare(comparison, left, right) => {
                let left = self.operand(left, current)?;
                let right = self.operand(right, current)?;
                for left in &left {
                    for right in &right {
                        self.step()?;
                        if compare(*comparison, left, right) {
                            return Ok(true);
                        }
                    }
                }
                false
            }
        })
    }
}

/// A part of a value: borrowed from the document where the value is.
fn part<'a>(
    value: &Found<'a>,
    choose: impl for<'b> Fn(&'b Value) -> Option<&'b Value>,
) -> Option<Found<'a>> {
    match value {
        Cow::Borrowed(value) => choose(value).map(Cow::Borrowed),
        Cow::Owned(value) => choose(value).cloned().map(Cow::Owned),
    }
}

fn members<'a>(value: &Found<'a>) -> Vec<Found<'a>> {
    let of = |value: &Value| match value {
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => 0,
    };
    let member = |index: usize| {
        part(value, |value| match value {
            Value::List(list) => list.get(index),
            Value::Map(map) => map.get_index(index).map(|(_, member)| member),
            _ => None,
        })
    };
    (0..of(value)).filter_map(member).collect()
}

fn at_index(value: &Value, index: i64) -> Option<&Value> {
    let list = value.as_list()?;
    let index = if index < 0 { index.checked_add(list.len() as i64)? } else { index };
    list.get(usize::try_from(index).ok()?)
}

/// jsonpath2's own reckoning of slices, which differs from Python's at its edges.
fn slice<'a>(
    value: &Found<'a>,
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
) -> Result<Vec<Found<'a>>, String> {
    let Some(list) = value.as_list() else { return Ok(Vec::new()) };
    let length = list.len() as i64;
    let start = match start {
        Some(start) if start < 0 => {
            let from_end = start.saturating_abs();
            start + if from_end < length { length } else { from_end }
        }
        start => start.unwrap_or(0),
    };
    let end = match end {
        Some(end) if end < 0 => end.saturating_add(length),
        end => end.unwrap_or(length),
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err("the step of a slice cannot be zero".to_owned());
    }
    let mut found = Vec::new();
    let mut index = start;
    // Bounded: what lies beyond the list's length on either side yields nothing.
    if step < 0 && start >= length {
        let over = start - (length - 1);
        let steps = over / step.saturating_neg() + i64::from(over % step != 0);
        index = start.saturating_add(steps.saturating_mul(step));
    }
    while (step > 0 && index < end.min(length)) || (step < 0 && index > end.max(-length - 1)) {
        found.extend(part(value, |value| at_index(value, index)));
        index = index.saturating_add(step);
    }
    Ok(found)
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let ordered = left.is_number() && right.is_number();
    let order = || if ordered { left.order(right).ok().flatten() } else { None };
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => order().is_some_and(|order| order.is_lt()),
        Comparison::AtMost => order().is_some_and(|order| order.is_le()),
        Comparison::Greater => order().is_some_and(|order| order.is_gt()),
        Comparison::AtLeast => order().is_some_and(|order| order.is_ge()),
    }
}

fn call(function: Function, arguments: &[Found<'_>], current: &Value) -> Option<Value> {
    let int = |at: usize| match arguments.get(at).map(Cow::as_ref) {
        Some(Value::Int(number)) => i64::try_from(*number).ok(),
        Some(Value::Bool(yes)) => Some(i64::from(*yes)),
        _ => None,
    };
    let pair = |key: Value, value: &Value| Value::List(vec![key, value.clone()]);
    let index = |at: usize| Value::Int(at as i128);
    match (function, current, arguments.len()) {
        (Function::CharAt, Value::Text(text), 1) => {
            let characters: Vec<char> = text.chars().collect();
            let at = position(int(0)?, characters.len());
            characters.get(usize::try_from(at).ok()?).map(|found| Value::text(found.to_string()))
        }
        (Function::Substring, Value::Text(text), count @ (1 | 2)) => {
            let characters: Vec<char> = text.chars().collect();
            let length = characters.len();
            let clamp = |at| usize::try_from(position(at, length).max(0)).unwrap_or(0).min(length);
            let start = clamp(int(0)?);
            let end = if count == 2 { clamp(int(1)?) } else { length };
            Some(Value::Text(characters[start.min(end)..end].iter().collect()))
        }
        (Function::Length, Value::Text(text), 0) => Some(index(text.chars().count())),
        (Function::Length, Value::List(list), 0) => Some(index(list.len())),
        (Function::Keys, Value::Map(map), 0) => {
            Some(Value::List(map.keys().map(Value::text).collect()))
        }
        (Function::Keys, Value::List(list), 0) => {
            Some(Value::List((0..list.len()).map(index).collect()))
        }
        (Function::Values, Value::Map(_) | Value::List(_), 0) => {
            let values = members(&Cow::Borrowed(current));
            Some(Value::List(values.into_iter().map(Cow::into_owned).collect()))
        }
        (Function::Entries, Value::Map(map), 0) => {
            let entries = map.iter().map(|(key, value)| pair(Value::text(key), value));
            Some(Value::List(entries.collect()))
        }
        (Function::Entries, Value::List(list), 0) => {
            let entries = list.iter().enumerate().map(|(at, value)| pair(index(at), value));
            Some(Value::List(entries.collect()))
        }
        _ => None,
    }
}

fn position(at: i64, length: usize) -> i64 {
    if at < 0 { at.saturating_add(length as i64) } else { at }
}

#[cfg(test)]
mod tests;
