//! Tables of times and values, as the data sets have them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model::Timestamp;

/// Larger files are not of these data sets.
const BYTES_MAX: u64 = 64 << 20;

pub struct Row {
    pub at: Timestamp,
    /// `None`: nothing was measured then.
    pub value: Option<f64>,
    pub is_labelled: bool,
}

/// Columns: time, value, and a label (0 or 1) where there is one. A field may be quoted.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let told = || format!("{}", path.display());
    ensure!(
        std::fs::metadata(path).with_context(told)?.len() <= BYTES_MAX,
        "{}: too large",
        told()
    );
    let text = std::fs::read_to_string(path).with_context(told)?;
    let lines = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            row(line).with_context(|| format!("{}, line {}: `{line}`", path.display(), number + 1))
        })
        .collect()
}

fn row(line: &str) -> Result<Row> {
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let at = time(fields.next().unwrap_or_default())?;
    let value = fields.next().context("no value")?;
    let value = match value {
        "" => None,
        value => Some(value.parse().context("the value is no number")?),
    };
    let is_labelled = fields.next().is_some_and(|label| label.parse() == Ok(1.0));
    Ok(Row { at, value, is_labelled })
}

/// `2014-04-01 00:00:00`, or with `T`, `Z` and fractions of a second.
pub fn time(text: &str) -> Result<Timestamp> {
    let text = text.trim_end_matches('Z').replacen(' ', "T", 1);
    Timestamp::parse_rfc3339(&format!("{text}Z")).with_context(|| format!("`{text}` is no time"))
}

/// All files below a folder, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let told = || format!("{}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(told)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "csv") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
