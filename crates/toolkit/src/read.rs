//! Experiments, settings and variables from text: JSON and YAML, bounded in size and depth.

use serde_saphyr::{DuplicateKeyPolicy, Options};

use crate::value::Value;

/// What a file may hold.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Nesting of YAML; JSON's own limit is 127.
const YAML_DEPTH_MAX: usize = 100;
const YAML_NODES_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

impl Format {
    /// By the file's name, as Chaos Toolkit tells them apart.
    pub fn of(name: &str) -> Option<Format> {
        match name.rsplit_once('.')?.1 {
            "json" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Parses a file's content.
///
/// YAML is read by the rules of 1.1 that PyYAML follows: `yes` and `on` are booleans, `010` is
/// octal, of two equal keys the last holds.
pub fn parse(text: &str, format: Format) -> Result<Value, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("{} bytes are too many, at most {FILE_BYTES_MAX}", text.len()));
    }
    match format {
        Format::Json => serde_json::from_str(text).map_err(|error| format!("not JSON: {error}")),
        Format::Yaml => {
            serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| {
                let error = error.to_string();
                format!("not YAML: {}", error.lines().next().unwrap_or_default())
            })
        }
    }
}

fn yaml_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: YAML_DEPTH_MAX,
            max_nodes: YAML_NODES_MAX,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        strict_booleans: false,
    }
}

/// Whether a file's content is an experiment of Chaos Toolkit rather than one of Immune's own: it
/// has a `method`.
pub fn is_experiment(content: &Value) -> bool {
    content.get("method").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_as_pyyaml_reads_it() {
        let text = "a: yes\nb: 'yes'\nc: 010\nd: 1.5\ne: ~\nf: [on, 7]\nf: [off]\ng: 1_000\n";
        let json = r#"{"a":true,"b":"yes","c":8,"d":1.5,"e":null,"f":[false],"g":1000}"#;
        let yaml = parse(text, Format::Yaml).unwrap();
        assert_eq!(yaml, parse(json, Format::Json).unwrap());
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\n";
        let json = r#"{"base":{"x":1,"y":2},"other":{"x":1,"y":3}}"#;
        assert_eq!(parse(text, Format::Yaml).unwrap(), parse(json, Format::Json).unwrap());
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused() {
        let deep = |open: &str, close: &str, n| format!("{}{}", open.repeat(n), close.repeat(n));
        assert!(parse(&deep("[", "]", 500), Format::Json).is_err());
        assert!(parse(&deep("[", "]", 500), Format::Yaml).is_err());
        assert!(parse(&" ".repeat(FILE_BYTES_MAX + 1), Format::Json).is_err());
    }
}
