//! Which rows of a batch match a query: the same as [`Query::matches`] of each row, by columns.
//!
//! Texts of a column lie one after the other in memory, so a word is looked for in all of them at
//! once; words of a dictionary are judged once each. Terms of which nothing can be gained so are
//! tested row by row. What AND has dropped is not looked at again.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};

use super::stored::{StoredRows, columns_of_term};
use crate::Error;
use crate::query::language::{
    Expression, Field, Query, RegexPattern, Term, TextField, TextPattern, term_matches,
};
use crate::schema::LOG_TEXTS;

/// With fewer rows left than one in this many, texts are tested row by row.
const FEW: usize = 16;

/// Drops rows that do not match.
pub fn narrow(query: &Query, batch: &RecordBatch, kept: &mut [bool]) -> Result<(), Error> {
    let rows = StoredRows::of(batch)?;
    Select { batch, rows }.narrow(query.expression(), kept);
    Ok(())
}

/// The same expression with cheap terms before costly ones in each AND and OR.
pub fn cheap_first(expression: &Expression) -> Expression {
    let sorted = |parts: &[Expression]| {
        let mut parts: Vec<Expression> = parts.iter().map(cheap_first).collect();
        parts.sort_by_key(cost);
        parts
    };
    match expression {
        Expression::And(parts) => Expression::And(sorted(parts)),
        Expression::Or(parts) => Expression::Or(sorted(parts)),
        Expression::Not(part) => Expression::Not(Box::new(cheap_first(part))),
        other => other.clone(),
    }
}

fn cost(expression: &Expression) -> usize {
    match expression {
        Expression::All => 0,
        Expression::And(parts) | Expression::Or(parts) => parts.iter().map(cost).sum(),
        Expression::Not(part) => cost(part),
        Expression::Term(term) => {
            let regex = usize::from(matches!(term, Term::Regex(..)));
            let texts = columns_of_term(term).iter().filter(|name| is_text(name)).count();
            1 + texts * 4 + regex * 16
        }
    }
}

fn is_text(column: &str) -> bool {
    matches!(column, "body" | "attributes") || LOG_TEXTS.contains(&column)
}

struct Select<'a> {
    batch: &'a RecordBatch,
    rows: StoredRows<'a>,
}

#[derive(Clone, Copy)]
enum Pattern<'a> {
    Text(&'a TextPattern),
    Regex(&'a RegexPattern),
}

impl Pattern<'_> {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Pattern::Text(pattern) => pattern.is_match(text),
            Pattern::Regex(pattern) => pattern.is_match(text),
        }
    }
}

impl Select<'_> {
    /// Drops rows that do not match.
    fn narrow(&self, expression: &Expression, kept: &mut [bool]) {
        match expression {
            Expression::All => {}
            Expression::And(parts) => {
                for part in parts {
                    if !kept.contains(&true) {
                        return;
                    }
                    self.narrow(part, kept);
                }
            }
            Expression::Or(parts) => {
                let mut rest = kept.to_vec();
                for part in parts {
                    let mut found = rest.clone();
                    self.narrow(part, &mut found);
                    rest.iter_mut().zip(&found).for_each(|(rest, found)| *rest &= !found);
                }
                kept.iter_mut().zip(&rest).for_each(|(kept, rest)| *kept &= !rest);
            }
            Expression::Not(part) => {
                let mut found = kept.to_vec();
                self.narrow(part, &mut found);
                kept.iter_mut().zip(&found).for_each(|(kept, found)| *kept &= !found);
            }
            Expression::Term(term) => self.narrow_term(term, kept),
        }
    }

    fn narrow_term(&self, term: &Term, kept: &mut [bool]) {
        let few = kept.iter().filter(|kept| **kept).count() < kept.len() / FEW;
        match term {
            Term::Text(field, pattern) if !few => {
                self.narrow_texts(*field, Pattern::Text(pattern), kept);
            }
            Term::Regex(field, pattern) if !few => {
                self.narrow_texts(*field, Pattern::Regex(pattern), kept);
            }
            Term::Field(Field::Service, _) => self.narrow_words("service", term, kept),
            Term::Field(Field::Instance, _) => self.narrow_words("instance", term, kept),
            Term::Field(Field::Event, _) => self.narrow_words("event_name", term, kept),
            Term::Field(Field::Scope, _) => self.narrow_words("scope", term, kept),
            Term::Field(Field::Resource(_), _) => self.narrow_words("resource", term, kept),
            _ => self.narrow_rows(term, kept),
        }
    }

    fn narrow_rows(&self, term: &Term, kept: &mut [bool]) {
        for (index, kept) in kept.iter_mut().enumerate() {
            *kept = *kept && term_matches(term, &self.rows.row(index));
        }
    }

    /// For a term that looks at one column only: one row stands for all that have the same word.
    fn narrow_words(&self, column: &str, term: &Term, kept: &mut [bool]) {
        let words = self.batch.column_by_name(column);
        let Some(words) = words.and_then(|words| words.as_dictionary_opt::<Int32Type>()) else {
            return self.narrow_rows(term, kept);
        };
        // The last place is of rows without a word.
        let absent = words.values().len();
        let mut verdicts: Vec<Option<bool>> = vec![None; absent + 1];
        for (index, kept) in kept.iter_mut().enumerate().filter(|(_, kept)| **kept) {
            let verdict = &mut verdicts[words.key(index).unwrap_or(absent).min(absent)];
            *kept = *verdict.get_or_insert_with(|| term_matches(term, &self.rows.row(index)));
        }
    }

    fn narrow_texts(&self, field: TextField, pattern: Pattern<'_>, kept: &mut [bool]) {
        let mut found = vec![false; kept.len()];
        self.mark("body", pattern, &mut found);
        if field == TextField::Any {
            for column in LOG_TEXTS.iter().chain(&["event_name"]) {
                self.mark(column, pattern, &mut found);
            }
            self.mark_attributes(pattern, &mut found);
        }
        kept.iter_mut().zip(&found).for_each(|(kept, found)| *kept &= found);
    }

    fn mark(&self, column: &str, pattern: Pattern<'_>, found: &mut [bool]) {
        if let Some(column) = self.batch.column_by_name(column) {
            mark(column, pattern, found);
        }
    }

    fn mark_attributes(&self, pattern: Pattern<'_>, found: &mut [bool]) {
        let column = self.batch.column_by_name("attributes");
        let Some(map) = column.and_then(|column| column.as_map_opt()) else { return };
        let mut values = vec![false; map.values().len()];
        mark(map.values(), pattern, &mut values);
        for (row, range) in map.value_offsets().windows(2).enumerate() {
            let range = range[0] as usize..range[1] as usize;
            found[row] |= map.is_valid(row) && values[range].contains(&true);
        }
    }
}

/// Marks the texts that match.
fn mark(column: &ArrayRef, pattern: Pattern<'_>, found: &mut [bool]) {
    if let Some(texts) = column.as_string_opt::<i32>() {
        match pattern {
            Pattern::Text(pattern) if pattern.is_ascii() => {
                return mark_together(texts, pattern, found);
            }
            _ => {}
        }
        for (index, found) in found.iter_mut().enumerate() {
            *found = *found || (texts.is_valid(index) && pattern.is_match(texts.value(index)));
        }
        return;
    }
    let Some(words) = column.as_dictionary_opt::<Int32Type>() else { return };
    let Some(values) = words.values().as_string_opt::<i32>() else { return };
    if values.is_empty() || words.null_count() == words.len() {
        return;
    }
    let mut verdicts = vec![false; values.len()];
    for (index, verdict) in verdicts.iter_mut().enumerate() {
        *verdict = values.is_valid(index) && pattern.is_match(values.value(index));
    }
    if !verdicts.contains(&true) {
        return;
    }
    for (index, found) in found.iter_mut().enumerate() {
        *found |= words.key(index).and_then(|key| verdicts.get(key)).is_some_and(|found| *found);
    }
}

/// Looks through all texts as one.
fn mark_together(texts: &StringArray, pattern: &TextPattern, found: &mut [bool]) {
    let offsets = texts.value_offsets();
    let (Some(first), Some(end)) = (offsets.first(), offsets.last()) else { return };
    let Some(bytes) = texts.value_data().get(..*end as usize) else { return };
    let (mut from, mut row) = (*first as usize, 0);
    while let Some(at) = pattern.find_ascii(bytes, from) {
        from = at.start + 1;
        while row < texts.len() && offsets[row + 1] as usize <= at.start {
            row += 1;
        }
        if row >= texts.len() {
            return;
        }
        let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        // Not where one text ends and the next begins.
        let inside = at.end <= end && texts.is_valid(row);
        if inside && pattern.has_borders(texts.value(row), at.start - start, at.end - start) {
            found[row] = true;
            from = end;
        }
    }
}
