//! Reading the configuration file. Every complaint says file, line and column, what is wrong and
//! what to do.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Config;
use super::locate::Places;
use super::origin::Origins;

/// A configuration larger than this is a mistake.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Something wrong with a value, by its path in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

/// All complaints about one file.
#[derive(Debug, PartialEq, Eq)]
pub struct LoadError {
    pub file: PathBuf,
    /// (line and column, message).
    pub complaints: Vec<(Option<(u32, u32)>, String)>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (place, message)) in self.complaints.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match place {
                Some((line, column)) => {
                    write!(f, "{}:{line}:{column}: {message}", self.file.display())?;
                }
                None => write!(f, "{}: {message}", self.file.display())?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// A variable that was filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub name: String,
    /// Line and column in the text as it was then read.
    pub place: (u32, u32),
}

/// Reads and checks a file. Without one, the defaults.
pub fn load(path: Option<&Path>) -> Result<Config, LoadError> {
    load_with_origins(path).map(|(config, _)| config)
}

/// The same, with where each value comes from.
pub fn load_with_origins(path: Option<&Path>) -> Result<(Config, Origins), LoadError> {
    let Some(path) = path else { return Ok((Config::default(), Origins::default())) };
    let text = read_text(path)?;
    read(path, &text, |name| std::env::var(name).ok())
}

/// Reads and checks another file that is written as the configuration is. `problems` says what
/// types cannot check.
pub fn load_checked<T: DeserializeOwned>(
    file: &Path,
    problems: impl FnOnce(&T) -> Vec<Problem>,
) -> Result<T, LoadError> {
    checked(file, &read_text(file)?, problems)
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    let fail =
        |message: String| LoadError { file: path.to_owned(), complaints: vec![(None, message)] };
    let mut bytes = Vec::new();
    // Devices and pipes have no size that could be looked at before.
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(fail("is larger than the 4 MiB allowed".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let good = String::from_utf8_lossy(good);
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = "is not UTF-8 text; save the file as UTF-8".to_owned();
        let complaints = vec![(Some((line as u32, column as u32)), message)];
        LoadError { file: path.to_owned(), complaints }
    })
}

/// Reads and checks the text of a file; `environment` answers `${env:NAME}`.
pub fn parse(
    file: &Path,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, LoadError> {
    read(file, text, environment).map(|(config, _)| config)
}

pub(super) fn read(
    file: &Path,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(Config, Origins), LoadError> {
    let fail = |complaints| LoadError { file: file.to_owned(), complaints };
    let (text, filled) = fill_in(text, environment)
        .map_err(|(place, message)| fail(vec![(Some(place), message)]))?;
    if text.trim().is_empty() {
        return Ok((Config::default(), Origins::of(file, String::new(), Vec::new())));
    }
    let config = checked(file, &text, Config::problems)?;
    Ok((config, Origins::of(file, text, filled)))
}

fn checked<T: DeserializeOwned>(
    file: &Path,
    text: &str,
    problems: impl FnOnce(&T) -> Vec<Problem>,
) -> Result<T, LoadError> {
    let fail = |complaints| LoadError { file: file.to_owned(), complaints };
    let value: T = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|at| (at.line() as u32, at.column() as u32));
        fail(vec![(place, plain(&error))])
    })?;
    let problems = problems(&value);
    if problems.is_empty() {
        return Ok(value);
    }
    let places = Places::of(text);
    let complaint = |p: Problem| (places.find(&p.path), format!("{}: {}", p.path, p.message));
    Err(fail(problems.into_iter().map(complaint).collect()))
}

/// What the parser says to programmers, beside what people can do something with.
const PLAIN: &[(&str, &str)] = &[
    (", set DuplicateKeyPolicy in Options if acceptable", "; remove one of the two"),
    (
        "multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options",
        "a second document begins here; remove the `---`",
    ),
    ("expected mapping start", "expected a map: `name: value`, one a line"),
    ("expected sequence start", "expected a list: `- item`, one a line"),
    ("expected string scalar", "expected text"),
    ("invalid socket address syntax", "not an address; write for example 127.0.0.1:7700"),
    ("invalid u32", "expected a whole number, 0 to 4294967295"),
    ("invalid u64", "expected a whole number, 0 or more"),
    ("invalid u16", "expected a whole number, 0 to 65535"),
];

/// The first line of the parser's message, without the place (which is told in front).
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => first,
    };
    if first.starts_with("budget breached") {
        return "is too large once its aliases are written out".to_owned();
    }
    let said = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    PLAIN.iter().fold(first.to_owned(), said)
}

/// Line and column, from 1.
type Place = (u32, u32);

/// Replaces `${env:NAME}` and `${env:NAME:-default}`. Lines that are comments are left alone. The
/// error has its place and what is wrong.
fn fill_in(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(String, Vec<Filled>), (Place, String)> {
    let mut filled = String::with_capacity(text.len());
    let mut names = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let begin = filled.len();
        let mut rest = line;
        while !rest.trim_start().starts_with('#')
            && let Some(start) = rest.find("${env:")
        {
            let before = &line[..line.len() - rest.len() + start];
            let place = (index as u32 + 1, before.chars().count() as u32 + 1);
            let Some(length) = rest[start..].find('}') else {
                return Err((place, "`${env:` is not closed by `}`".to_owned()));
            };
            let inside = &rest[start + 6..start + length];
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let value = environment(name).or_else(|| default.map(str::to_owned));
            let Some(value) = value else {
                let message = format!(
                    "environment variable {name} is not set; set it, or write \
                     ${{env:{name}:-default}}"
                );
                return Err((place, message));
            };
            if value.contains(['\n', '\r']) {
                let message = format!("environment variable {name} holds more than one line");
                return Err((place, message));
            }
            filled.push_str(&rest[..start]);
            let column = filled[begin..].chars().count() as u32 + 1;
            names.push(Filled { name: name.to_owned(), place: (index as u32 + 1, column) });
            filled.push_str(&value);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
    }
    Ok((filled, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let environment = |name: &str| (name == "PORT").then(|| "7701".to_owned());
        match parse(Path::new("immune.yaml"), text, environment) {
            Ok(_) => "good".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_empty_file_is_good() {
        assert_eq!(complaint(""), "good");
        assert_eq!(complaint("# nothing\n"), "good");
    }

    #[test]
    fn environment_is_filled_in_but_not_in_comments() {
        assert_eq!(complaint("api: {listen: \"127.0.0.1:${env:PORT}\"}"), "good");
        assert_eq!(complaint("# ${env:NOPE}\napi: {listen: \"127.0.0.1:${env:X:-7}\"}"), "good");
        assert!(complaint("api: {listen: \"${env:NOPE}\"}").starts_with("immune.yaml:1:16: env"));
    }

    #[test]
    fn complaints_name_line_and_column() {
        assert!(complaint("api:\n  lisen: x\n").starts_with("immune.yaml:2:"));
        let text = "api:\n  listen: 0.0.0.0:7700\nnotify:\n  - name: pager\n    webhook:\n      \
                    url: nowhere\n";
        let complaints = complaint(text);
        assert!(complaints.contains("immune.yaml:2:11: api.listen: 0.0.0.0:7700"), "{complaints}");
        assert!(complaints.contains("immune.yaml:6:12: notify[0].webhook.url"), "{complaints}");
    }
}
