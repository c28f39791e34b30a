//! JSON, and YAML read as the same tree.

use serde_json::{Map, Number, Value};

use super::{Seeded, Spoil};

/// A name in a map, or a place in a list.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

type Way = Vec<Step>;

pub fn read_json(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// Not where there may be anchors: written out, what they stand for can be a thousand times as
/// long.
pub fn read_yaml(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains('&') { None } else { serde_saphyr::from_str(text).ok() }
}

pub fn write_json(tree: &Value) -> Option<Vec<u8>> {
    serde_json::to_vec(tree).ok()
}

/// A value a line, so that later changes of lines find some.
pub fn write_yaml(tree: &Value) -> Option<Vec<u8>> {
    serde_saphyr::to_string(tree).ok().map(String::into_bytes)
}

/// One change of one value.
pub fn change(tree: &mut Value, dice: &mut Seeded, spoil: Spoil<'_>) {
    let all = ways(tree);
    let (Some(way), Some(from)) = (dice.pick(&all), dice.pick(&all)) else {
        return change_value(tree, dice, spoil);
    };
    let Some(donor) = value_at(tree, from).cloned() else { return };
    let Some((step, parents)) = way.split_last() else { return };
    let Some(parent) = value_at_mut(tree, parents) else { return };
    match dice.below(12) {
        0..=2 => drop(remove(parent, step)),
        3 => insert(parent, step, donor),
        4 => {
            let key = from.iter().rev().find_map(|step| match step {
                Step::Key(key) => Some(Step::Key(key.clone())),
                Step::Index(_) => None,
            });
            insert(parent, &key.unwrap_or(Step::Index(0)), donor);
        }
        5 => {
            let twin = child(parent, step).cloned().unwrap_or_default();
            insert(parent, &renamed(step, spoil), twin);
        }
        6 => insert(parent, &renamed(&Step::Key(String::new()), spoil), donor),
        _ => {
            if let Some(value) = child(parent, step) {
                change_value(value, dice, spoil);
            }
        }
    }
}

/// A value of `other` comes to the same place, or anywhere; places in lists are all the same.
pub fn graft(tree: &mut Value, other: &Value, dice: &mut Seeded) {
    let (here, donors) = (ways(tree), ways(other));
    let Some(from) = dice.pick(&donors) else { return };
    let Some(donor) = value_at(other, from).cloned() else { return };
    let way = match dice.pick(&here) {
        Some(way) if dice.below(4) == 0 => way,
        _ => from,
    };
    let mut at = tree;
    let Some((last, parents)) = way.split_last() else { return };
    for (step, next) in parents.iter().zip(&way[1..]) {
        let empty = match next {
            Step::Key(_) => Value::Object(Map::new()),
            Step::Index(_) => Value::Array(Vec::new()),
        };
        let step = match (step, &*at) {
            (Step::Index(_), Value::Array(list)) => Step::Index(dice.below(list.len() + 1)),
            _ => step.clone(),
        };
        if child(at, &step).is_none() {
            insert(at, &step, empty);
        }
        let Some(inner) = child(at, &step) else { return };
        at = inner;
    }
    let instead = dice.below(2) == 0;
    match (last, at) {
        (Step::Index(_), Value::Array(list)) if instead && !list.is_empty() => {
            let place = dice.below(list.len());
            list[place] = donor;
        }
        (_, at) => insert(at, last, donor),
    }
}

fn change_value(value: &mut Value, dice: &mut Seeded, spoil: Spoil<'_>) {
    match value {
        Value::Null => *value = Value::Bool(true),
        Value::Bool(yes) => *yes = !*yes,
        Value::Number(number) => {
            let near = dice.number_near(number.as_i64().unwrap_or_default() as u64);
            *number = match dice.below(4) {
                0 => Number::from(near),
                1 => Number::from_f64(f64::from_bits(near)).unwrap_or_else(|| Number::from(near)),
                _ => Number::from(near as i64),
            };
        }
        Value::String(text) => match dice.below(8) {
            // Numbers are written as texts in places, and the other way round.
            0 => *value = Value::from(text.parse::<i64>().unwrap_or_default()),
            1 => *value = Value::Null,
            _ => *text = spoilt(std::mem::take(text), spoil),
        },
        Value::Array(list) => match list.last().cloned() {
            Some(last) if dice.below(2) == 0 => list.push(last),
            Some(_) => list.clear(),
            None => list.push(Value::Object(Map::new())),
        },
        Value::Object(map) if dice.below(2) == 0 => map.clear(),
        Value::Object(map) => {
            let key = spoilt(String::new(), spoil);
            map.insert(key, Value::from(dice.below(16)));
        }
    }
}

fn renamed(step: &Step, spoil: Spoil<'_>) -> Step {
    match step {
        Step::Key(key) => Step::Key(spoilt(key.clone(), spoil)),
        Step::Index(at) => Step::Index(*at),
    }
}

fn spoilt(text: String, spoil: Spoil<'_>) -> String {
    let mut bytes = text.into_bytes();
    spoil(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The ways to all values but the outermost.
fn ways(tree: &Value) -> Vec<Way> {
    fn walk(value: &Value, way: &mut Way, all: &mut Vec<Way>) {
        let mut each = |step: Step, inner: &Value| {
            way.push(step);
            all.push(way.clone());
            walk(inner, way, all);
            way.pop();
        };
        match value {
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(at, inner)| each(Step::Index(at), inner));
            }
            Value::Object(map) => {
                map.iter().for_each(|(key, inner)| each(Step::Key(key.clone()), inner));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(tree, &mut Way::new(), &mut all);
    all
}

fn child<'a>(value: &'a mut Value, step: &Step) -> Option<&'a mut Value> {
    match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get_mut(key),
        (Value::Array(list), Step::Index(at)) => list.get_mut(*at),
        _ => None,
    }
}

fn value_at_mut<'a>(tree: &'a mut Value, way: &[Step]) -> Option<&'a mut Value> {
    way.iter().try_fold(tree, child)
}

fn value_at<'a>(tree: &'a Value, way: &[Step]) -> Option<&'a Value> {
    way.iter().try_fold(tree, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(at) => value.get(at),
    })
}

fn remove(parent: &mut Value, step: &Step) -> Option<Value> {
    match (parent, step) {
        (Value::Object(map), Step::Key(key)) => map.remove(key),
        (Value::Array(list), Step::Index(at)) if *at < list.len() => Some(list.remove(*at)),
        _ => None,
    }
}

/// Into a map under the name; into a list at the place. Whatever else was there is replaced.
fn insert(parent: &mut Value, step: &Step, value: Value) {
    match (parent, step) {
        (Value::Object(map), Step::Key(key)) => drop(map.insert(key.clone(), value)),
        (Value::Object(map), Step::Index(_)) => drop(map.insert(String::new(), value)),
        (Value::Array(list), Step::Index(at)) => list.insert((*at).min(list.len()), value),
        (Value::Array(list), Step::Key(_)) => list.push(value),
        (parent, Step::Key(key)) => {
            *parent = Value::Object(Map::from_iter([(key.clone(), value)]));
        }
        (parent, Step::Index(_)) => *parent = Value::Array(vec![value]),
    }
}
