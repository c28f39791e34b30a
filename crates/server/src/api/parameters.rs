//! Parameters of a question, taken one by one; what is left over is told, since a misspelt filter
//! must not look like an answer.

use std::fmt::Display;
use std::str::FromStr;

use model::Timestamp;
use model::human::HumanDuration;

use super::Error;
use super::asking::moment;
use super::extract::Query;
use crate::clock;

/// What is looked at when nothing else is asked for.
const RANGE_DEFAULT: HumanDuration = HumanDuration::from_secs(3600);

/// What follows the question mark.
pub(super) struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl From<Query<Vec<(String, String)>>> for Parameters {
    fn from(Query(left): Query<Vec<(String, String)>>) -> Parameters {
        Parameters { left, known: Vec::new() }
    }
}

impl Parameters {
    /// Every value that was given for `name`.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let mut values = Vec::new();
        self.left.retain_mut(|(key, value)| {
            let found = key == name;
            if found {
                values.push(std::mem::take(value));
            }
            !found
        });
        values
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let mut values = self.all(name);
        match values.len() {
            0 | 1 => Ok(values.pop().filter(|value| !value.is_empty())),
            _ => Err(Error::Invalid(format!("`{name}` is given more than once"))),
        }
    }

    /// A value that reads from text.
    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.read(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    pub(super) fn duration(
        &mut self,
        name: &'static str,
    ) -> Result<Option<std::time::Duration>, Error> {
        self.read(name, |text| HumanDuration::parse(text).map(|duration| duration.0))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Error> {
        self.read(name, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            found.map(|(_, value)| *value).ok_or_else(|| format!("write {}", list.join(" or ")))
        })
    }

    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let value = read(&text).map_err(|why| Error::Invalid(format!("`{name}`: {why}")))?;
        Ok(Some(value))
    }

    /// `from` and `to`; the last hour when nothing is said. The end is not in it.
    pub(super) fn range(&mut self) -> Result<(Timestamp, Timestamp), Error> {
        let now = clock::now();
        let to = self.read("to", |text| moment(text, now))?;
        let from = self.read("from", |text| moment(text, now))?;
        let end = to.unwrap_or(Timestamp(u64::MAX));
        let from = from.unwrap_or_else(|| end.min(now) - RANGE_DEFAULT.0);
        match from < end {
            true => Ok((from, end)),
            false => Err(Error::Invalid(format!("`from` ({from}) is not before `to` ({end})"))),
        }
    }

    /// Nothing is left.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        let known = self.known.join(", ");
        Err(Error::Invalid(format!("there is no parameter `{name}` here; there are: {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        let left = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Parameters { left: left.collect(), known: Vec::new() }
    }

    #[test]
    fn what_is_not_known_or_given_twice_is_told() {
        let mut given = parameters(&[("limit", "5"), ("a", "1"), ("a", "2"), ("typo", "x")]);
        assert_eq!(given.parsed::<usize>("limit").unwrap(), Some(5));
        assert_eq!(given.all("a"), ["1", "2"]);
        let error = given.finish().unwrap_err().to_string();
        assert!(error.contains("`typo`") && error.contains("limit, a"), "{error}");
        assert!(parameters(&[("a", "1"), ("a", "2")]).text("a").is_err());
        assert!(parameters(&[("limit", "many")]).parsed::<usize>("limit").is_err());
    }

    #[test]
    fn a_range_is_the_last_hour_unless_said_otherwise() {
        let (from, to) = parameters(&[]).range().unwrap();
        assert!(to == Timestamp(u64::MAX) && clock::now().since(from) >= RANGE_DEFAULT.0);
        let (from, to) = parameters(&[("from", "-2h"), ("to", "1h")]).range().unwrap();
        assert_eq!(to.since(from), RANGE_DEFAULT.0);
        assert!(parameters(&[("from", "1h"), ("to", "2h")]).range().is_err());
    }
}
