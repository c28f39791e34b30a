//! Finds the line and column of a value by its path, such as `detect.slos[2].objective`.
//!
//! The text is read once, however many places are asked for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// The places of all values of a text.
pub(super) struct Places(Option<Spanned<Node>>);

impl Places {
    pub(super) fn of(text: &str) -> Places {
        Places(serde_saphyr::from_str(text).ok())
    }

    /// Line and column of the value at `path`, or of the nearest thing around it that is there.
    pub(super) fn find(&self, path: &str) -> Option<(u32, u32)> {
        let mut here = self.0.as_ref()?;
        for step in steps(path) {
            let next = match (&here.value, step) {
                (Node::Map(entries), Step::Key(key)) => {
                    entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
                }
                (Node::List(items), Step::Index(index)) => items.get(index),
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
        }
        let place = here.referenced;
        Some((place.line() as u32, place.column() as u32))
    }
}

/// A value with its path, and its line and column.
pub(super) type Placed = (String, Value, Option<(u32, u32)>);

impl Places {
    /// Every value of a configuration that has none within, or only a list of such; with its place
    /// where it was written.
    pub(super) fn of_each(&self, config: &Value) -> Vec<Placed> {
        let mut found = Vec::new();
        gather(config, self.0.as_ref(), String::new(), &mut found);
        found
    }
}

fn gather(value: &Value, node: Option<&Spanned<Node>>, path: String, found: &mut Vec<Placed>) {
    match value {
        Value::Object(values) if !values.is_empty() => {
            for (name, value) in values {
                let node = node.and_then(|node| match &node.value {
                    Node::Map(entries) => {
                        entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
                    }
                    // Of a value that is written shorter than it is meant.
                    Node::Leaf => Some(node),
                    Node::List(_) => None,
                });
                let path = match path.as_str() {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                gather(value, node, path, found);
            }
        }
        Value::Array(values) if values.iter().any(|it| it.is_object() || it.is_array()) => {
            for (index, value) in values.iter().enumerate() {
                let node = node.and_then(|node| match &node.value {
                    Node::List(items) => items.get(index),
                    Node::Map(_) | Node::Leaf => Some(node),
                });
                gather(value, node, format!("{path}[{index}]"), found);
            }
        }
        value => {
            let place = node.map(|node| node.referenced);
            let place = place.map(|place| (place.line() as u32, place.column() as u32));
            found.push((path, value.clone(), place));
        }
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| {
        match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => Step::Index(index),
            _ => Step::Key(part),
        }
    })
}

enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Leaf,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}
