//! The labels of a row of samples, and which rows a selector takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use model::Timestamp;

use crate::Error;
use crate::query::attributes::text_of;
use crate::query::matchers::{Matcher, Selector};
use crate::query::reading::{Stage, keep_where, keep_words};
use crate::rows::{self, Attributes, Texts, Times};

pub const SERVICE: &str = "service";
pub const INSTANCE: &str = "instance";
const RESOURCE: &str = "resource.";
const NAME: &str = "__name__";

/// Columns that [`LabelColumns`] reads.
pub const COLUMNS: &[&str] = &["service", "instance", "resource", "attributes", "attribute_types"];

pub struct LabelColumns<'a> {
    service: Texts<'a>,
    instance: Texts<'a>,
    resource: Texts<'a>,
    attributes: Attributes<'a>,
}

impl<'a> LabelColumns<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<LabelColumns<'a>, Error> {
        let text = |name: &str| Texts::of(batch, name);
        Ok(LabelColumns {
            service: text("service")?,
            instance: text("instance")?,
            resource: text("resource")?,
            attributes: Attributes::of(batch)?,
        })
    }

    /// Of a label that is not of the resource; empty where there is none.
    fn value(&self, row: usize, label: &str) -> &'a str {
        let own = match label {
            SERVICE => self.service.text(row),
            INSTANCE => self.instance.text(row),
            _ => "",
        };
        // Without a service an attribute of that name is no less a label.
        if own.is_empty() { self.attributes.get(row, label).unwrap_or_default() } else { own }
    }

    /// All of them. Empty ones are as good as absent.
    pub fn all(&self, row: usize) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        let resource = rows::attributes_of(self.resource.text(row)).unwrap_or_default();
        for (key, value) in &resource.0 {
            labels.insert(format!("{RESOURCE}{}", key.as_str()), text_of(value).into_owned());
        }
        for (key, value, _) in self.attributes.iter(row) {
            labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        for label in [SERVICE, INSTANCE] {
            labels.insert(label.to_owned(), self.value(row, label).to_owned());
        }
        labels.retain(|_, value| !value.is_empty());
        labels
    }
}

/// Rows with a point that may lie from `from` until before `to`, of series that the selector takes.
pub fn stages(selector: &Selector, from: Timestamp, to: Timestamp) -> Vec<Stage> {
    let metric = selector.metric.clone();
    let mut stages = vec![Stage::new(vec!["metric", "time", "end_time"], move |batch, kept| {
        let (first, last) = (Times::of(batch, "time")?, Times::of(batch, "end_time")?);
        keep_where(kept, |row| {
            let (first, last) = (first.get(row).unwrap_or_default(), last.get(row));
            first < to && last.unwrap_or(first) >= from
        });
        if let Some(metric) = &metric {
            let is_it = |word: Option<&str>| word == Some(metric.as_str());
            keep_words(Texts::of(batch, "metric")?, kept, is_it);
        }
        Ok(())
    })];
    if !selector.matchers.is_empty() {
        stages.push(of_matchers(&selector.matchers));
    }
    stages
}

fn of_matchers(matchers: &[Matcher]) -> Stage {
    let mut columns = vec!["attributes", "attribute_types"];
    let is_of_resource = |matcher: &Matcher| matcher.label.starts_with(RESOURCE);
    for (column, is_needed) in [
        ("resource", matchers.iter().any(is_of_resource)),
        ("service", matchers.iter().any(|matcher| matcher.label == SERVICE)),
        ("instance", matchers.iter().any(|matcher| matcher.label == INSTANCE)),
        ("metric", matchers.iter().any(|matcher| matcher.label == NAME)),
    ] {
        columns.extend(is_needed.then_some(column));
    }
    let matchers: Arc<[Matcher]> = matchers.into();
    Stage::new(columns, move |batch, kept| {
        let columns = LabelColumns::of(batch)?;
        for matcher in matchers.iter() {
            if let Some(key) = matcher.label.strip_prefix(RESOURCE) {
                keep_words(columns.resource, kept, |json| {
                    let resource = json.and_then(rows::attributes_of).unwrap_or_default();
                    matcher.is_match(&resource.get(key).map(text_of).unwrap_or_default())
                });
            } else if matcher.label == NAME {
                let metrics = Texts::of(batch, "metric")?;
                keep_words(metrics, kept, |word| matcher.is_match(word.unwrap_or_default()));
            } else {
                keep_where(kept, |row| matcher.is_match(columns.value(row, &matcher.label)));
            }
        }
        Ok(())
    })
}
