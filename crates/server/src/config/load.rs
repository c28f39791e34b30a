//! Reading the configuration file. Every complaint says file, line and column, what is wrong and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Config;
use super::locate::locate;

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

/// Reads and checks a file. Without one, the defaults.
pub fn load(path: Option<&Path>) -> Result<Config, LoadError> {
    let Some(path) = path else { return Ok(Config::default()) };
    let fail =
        |message: String| LoadError { file: path.to_owned(), complaints: vec![(None, message)] };
    let size = std::fs::metadata(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    if size.len() > FILE_BYTES_MAX as u64 {
        return Err(fail("is larger than the 4 MiB allowed".to_owned()));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    parse(path, &text, |name| std::env::var(name).ok())
}

/// Reads and checks the text of a file; `environment` answers `${env:NAME}`.
pub fn parse(
    file: &Path,
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, LoadError> {
    let fail = |complaints| LoadError { file: file.to_owned(), complaints };
    let text = fill_in(text, environment)
        .map_err(|(line, message)| fail(vec![(Some((line, 1)), message)]))?;
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    let config: Config = serde_saphyr::from_str(&text).map_err(|error| {
        let place = error.location().map(|at| (at.line() as u32, at.column() as u32));
        fail(vec![(place, plain(&error))])
    })?;
    let problems = config.problems();
    if problems.is_empty() {
        return Ok(config);
    }
    let complaint = |p: Problem| (locate(&text, &p.path), format!("{}: {}", p.path, p.message));
    Err(fail(problems.into_iter().map(complaint).collect()))
}

/// The first line of the parser's message, without the place (which is told in front).
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => first.to_owned(),
    }
}

/// Replaces `${env:NAME}` and `${env:NAME:-default}`. Comments are left alone.
fn fill_in(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, (u32, String)> {
    let mut filled = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        while !rest.trim_start().starts_with('#')
            && let Some(start) = rest.find("${env:")
        {
            let line_number = index as u32 + 1;
            let Some(length) = rest[start..].find('}') else {
                return Err((line_number, "`${env:` is not closed by `}`".to_owned()));
            };
            let inside = &rest[start + 6..start + length];
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let value = environment(name).or_else(|| default.map(str::to_owned));
            let Some(value) = value.filter(|value| !value.contains(['\n', '\r'])) else {
                let message = format!(
                    "environment variable {name} is not set; set it, or write ${{env:{name}:-default}}"
                );
                return Err((line_number, message));
            };
            filled.push_str(&rest[..start]);
            filled.push_str(&value);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
    }
    Ok(filled)
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
        assert!(complaint("api: {listen: \"${env:NOPE}\"}").starts_with("immune.yaml:1:1: env"));
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
