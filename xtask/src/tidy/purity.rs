//! The core crates have no clock, no randomness, no I/O, no async, no logging.
//!
//! The same input must give the same incidents in production, in a replay and in simulation. This
//! check looks for the names through which such things come in, in all code but tests.

use super::Finding;
use super::sources::{self, Source};
use crate::rust_source::Token;
use crate::tree::Tree;

const PURE_CRATES: &[&str] =
    &["model", "observe", "detect", "diagnose", "remediate", "chaos", "engine", "sim"];

/// Modules of `std` that reach the world outside.
const BANNED_MODULES: &[&str] = &["env", "fs", "net", "os", "process", "thread"];
const BANNED_PACKAGES: &[&str] = &["rand", "rustix", "tokio", "tracing"];
const BANNED_WORDS: &[&str] = &["Instant", "SystemTime", "async", "await"];
const BANNED_MACROS: &[&str] = &["dbg", "eprint", "eprintln", "print", "println"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources::read(tree) {
        if is_pure(source.path) && !source.is_test {
            findings.extend(offences(&source));
        }
    }
    findings
}

fn is_pure(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates")
        && parts.next().is_some_and(|name| PURE_CRATES.contains(&name))
        && parts.next() == Some("src")
}

fn offences(source: &Source<'_>) -> Vec<Finding> {
    let tokens = source.rust.product_tokens();
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).map_or("", |token| token.text.as_str());
        let word = token.text.as_str();
        let after_use = index > 0 && tokens[index - 1].text == "use";
        let named = if word == "std" && next == "::" {
            std_modules(&tokens[index + 2..]).into_iter().find(|name| BANNED_MODULES.contains(name))
        } else {
            let is_package = BANNED_PACKAGES.contains(&word) && (next == "::" || after_use);
            let is_macro = BANNED_MACROS.contains(&word) && next == "!";
            (is_package || is_macro || BANNED_WORDS.contains(&word)).then_some(word)
        };
        if let Some(name) = named {
            let message = format!("a pure crate names `{name}`");
            findings.push(Finding::new(source.path, token.line, message));
        }
    }
    findings
}

/// The modules named after `std::`: one, or those of a group in braces.
fn std_modules(after: &[Token]) -> Vec<&str> {
    let mut modules = Vec::new();
    let mut depth = 0_usize;
    let mut is_first = true;
    for token in after {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "," => {}
            word => {
                if is_first && depth <= 1 {
                    modules.push(word);
                }
            }
        }
        if depth == 0 {
            break;
        }
        is_first = depth == 1 && matches!(token.text.as_str(), "{" | ",");
    }
    modules
}
