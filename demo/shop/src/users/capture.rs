//! Where in an answer a value is: `$.order.id`, `$.products[0].sku`, `$.products[*].sku`.
//!
//! A small part of JSONPath (RFC 9535): names, indexes, and `[*]`, which here picks one element
//! at random, the way a user picks a product. No filters, no recursion.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Name(String),
    Index(usize),
    Any,
}

impl Capture {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Capture, String> {
        let fault = || format!("{text:?} is not a path such as $.id or $.items[*].sku");
        let mut rest = text.strip_prefix('$').ok_or_else(fault)?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            if let Some(named) = rest.strip_prefix('.') {
                let end = named.find(['.', '[']).unwrap_or(named.len());
                let (name, after) = named.split_at(end);
                if name.is_empty() {
                    return Err(fault());
                }
                segments.push(Segment::Name(name.to_owned()));
                rest = after;
            } else {
                let inside = rest.strip_prefix('[').ok_or_else(fault)?;
                let (index, after) = inside.split_once(']').ok_or_else(fault)?;
                segments.push(match index {
                    "*" => Segment::Any,
                    _ => Segment::Index(index.parse().map_err(|_| fault())?),
                });
                rest = after;
            }
        }
        Ok(Capture { segments })
    }

    /// The value at this path, where there is one.
    pub fn find<'a>(&self, answer: &'a Value, generator: &mut StdRng) -> Option<&'a Value> {
        let mut value = answer;
        for segment in &self.segments {
            value = match segment {
                Segment::Name(name) => value.get(name)?,
                Segment::Index(index) => value.get(index)?,
                Segment::Any => {
                    let elements = value.as_array().filter(|elements| !elements.is_empty())?;
                    elements.get(generator.random_range(0..elements.len()))?
                }
            };
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;
    use serde_json::json;

    use super::*;

    fn find(path: &str, answer: &Value) -> Option<Value> {
        let capture = Capture::parse(path).expect("a path");
        capture.find(answer, &mut StdRng::seed_from_u64(1)).cloned()
    }

    #[test]
    fn names_and_indexes_lead_to_the_value() {
        let answer = json!({ "order": { "id": "o-1", "lines": [{ "sku": "mug" }] } });
        assert_eq!(find("$.order.id", &answer), Some(json!("o-1")));
        assert_eq!(find("$.order.lines[0].sku", &answer), Some(json!("mug")));
        assert_eq!(find("$", &json!(5)), Some(json!(5)));
    }

    #[test]
    fn a_missing_value_is_none() {
        let answer = json!({ "order": { "lines": [] } });
        for path in ["$.id", "$.order[0]", "$.order.lines[0]", "$.order.lines[*]", "$[0]"] {
            assert_eq!(find(path, &answer), None, "{path}");
        }
    }

    #[test]
    fn a_star_picks_every_element_sooner_or_later() {
        let capture = Capture::parse("$[*]").expect("a path");
        let mut generator = StdRng::seed_from_u64(1);
        let answer = json!([1, 2, 3]);
        let picked: BTreeSet<u64> =
            (0..100).filter_map(|_| capture.find(&answer, &mut generator)?.as_u64()).collect();
        assert_eq!(picked, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "id", "$id", "$.", "$..id", "$[", "$[x]", "$[-1]", "$.a[0"] {
            assert!(Capture::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
