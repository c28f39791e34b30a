//! Where each value of the configuration in force comes from: a line of the file, a variable of the
//! environment that was filled in there, an option of the command line, or the default.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Config;
use super::load::Filled;
use super::locate::Places;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Default,
    /// Of the configuration file.
    File {
        line: u32,
    },
    /// Filled in there from these variables.
    Environment {
        line: u32,
        names: Vec<String>,
    },
    /// An option of the command line.
    Option {
        name: String,
    },
}

/// One value of the configuration in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// `healing.policies[0].mode`
    pub path: String,
    /// Secrets are covered.
    pub value: Value,
    pub origin: Origin,
}

/// What was read, and what of it came from where.
#[derive(Clone, Default)]
pub struct Origins {
    file: Option<PathBuf>,
    /// As it was read.
    text: String,
    filled: Vec<Filled>,
    /// Path of the value, name of the option.
    options: Vec<(String, String)>,
}

impl Origins {
    pub(super) fn of(file: &Path, text: String, filled: Vec<Filled>) -> Origins {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Origins { file: Some(file), text, filled, options: Vec::new() }
    }

    /// The value at `path` was given by an option.
    pub fn given(&mut self, path: &str, option: &str) {
        self.options.push((path.to_owned(), option.to_owned()));
    }

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Every value of `config`, in its order, with where it comes from; secrets are covered.
    pub fn settings(&self, config: &Config) -> Vec<Setting> {
        let config = serde_json::to_value(config.clone().without_secrets()).unwrap_or_default();
        let places = Places::of(&self.text);
        let found = places.of_each(&config);
        let starts: Vec<(u32, u32)> = found.iter().filter_map(|(_, _, place)| *place).collect();
        let settings = found.into_iter().map(|(path, value, place)| {
            let origin = self.origin(&path, place, &starts);
            Setting { path, value, origin }
        });
        settings.collect()
    }

    fn origin(&self, path: &str, place: Option<(u32, u32)>, starts: &[(u32, u32)]) -> Origin {
        if let Some((_, name)) = self.options.iter().find(|(given, _)| given == path) {
            return Origin::Option { name: name.clone() };
        }
        let Some(place) = place else { return Origin::Default };
        // What is filled in belongs to the value that begins last before it.
        let next = starts.iter().filter(|start| **start > place).min();
        let within = |filled: &&Filled| {
            place <= filled.place && next.is_none_or(|next| filled.place < *next)
        };
        let mut names: Vec<String> =
            self.filled.iter().filter(within).map(|filled| filled.name.clone()).collect();
        names.dedup();
        match names.is_empty() {
            true => Origin::File { line: place.0 },
            false => Origin::Environment { line: place.0, names },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::read;
    use super::*;

    fn settings(text: &str, option: Option<&str>) -> Vec<Setting> {
        let environment = |name: &str| match name {
            "PORT" => Some("7701".to_owned()),
            "TOKEN" => Some("a-secret-of-0123456789".to_owned()),
            _ => None,
        };
        let (config, mut origins) = read(Path::new("immune.yaml"), text, environment).unwrap();
        if let Some(path) = option {
            origins.given(path, "--data");
        }
        origins.settings(&config)
    }

    fn origin(settings: &[Setting], path: &str) -> Origin {
        let found = settings.iter().find(|setting| setting.path == path);
        found.unwrap_or_else(|| panic!("{path} is not there")).origin.clone()
    }

    #[test]
    fn each_value_is_known_by_where_it_was_written() {
        let text = "healing:\n  mode: approve\nnotify:\n  - name: pager\n    webhook:\n      \
                    url: \"http://127.0.0.1:9/x\"\napi: {listen: \
                    \"127.0.0.1:${env:PORT}\", hosts: [a.example]}\n";
        let settings = settings(text, Some("storage.path"));
        assert_eq!(origin(&settings, "healing.mode"), Origin::File { line: 2 });
        assert_eq!(origin(&settings, "notify[0].webhook.url"), Origin::File { line: 6 });
        assert_eq!(origin(&settings, "notify[0].webhook.token"), Origin::Default);
        let names = vec!["PORT".to_owned()];
        assert_eq!(origin(&settings, "api.listen"), Origin::Environment { line: 7, names });
        assert_eq!(origin(&settings, "api.hosts"), Origin::File { line: 7 });
        assert_eq!(origin(&settings, "storage.path"), Origin::Option { name: "--data".into() });
        assert_eq!(origin(&settings, "memory"), Origin::Default);
    }

    #[test]
    fn no_secret_is_told() {
        let text = "api:\n  tokens:\n    admin:\n      - name: ops\n        secret: \
                    \"${env:TOKEN}\"\n";
        let settings = settings(text, None);
        let names = vec!["TOKEN".to_owned()];
        let path = "api.tokens.admin[0].secret";
        assert_eq!(origin(&settings, path), Origin::Environment { line: 5, names });
        assert!(!serde_json::to_string(&settings).unwrap().contains("0123456789"));
    }
}
