//! What must be present in a row group for any of its rows to match a query.
//!
//! A [`Needs`] is made once of a query and asked for each row group, with what the file tells of it
//! ([`Hints`]). It errs on one side only: a row group that it refuses holds no match.

use model::signal::TraceId;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::matching::severity_matches;
use super::pattern::is_token_char;
use super::{Comparison, Expression, Field, Level, Query, RegexPattern, Severity, Term, Test};
use crate::{Error, tokens};

/// Larger classes of characters in a regex are taken for anything.
const CLASS_CHARACTERS_MAX: usize = 1024;
const REGEX_DEPTH_MAX: u32 = 50;

/// What a file tells of one row group without reading its rows.
pub trait Hints {
    /// Smallest and largest service.
    fn services(&self) -> Option<(&str, &str)>;
    /// Smallest and largest number of severity.
    fn severities(&self) -> Option<(i32, i32)>;
    fn may_hold_trace(&self, id: &TraceId) -> Result<bool, Error>;
    /// By [`tokens::hash`].
    fn may_hold_token(&self, hash: u64) -> Result<bool, Error>;
}

#[derive(Clone, Debug, PartialEq)]
pub enum Needs {
    /// Anything may match.
    Nothing,
    Service(Test),
    /// A service for which the test fails.
    OtherService(Test),
    Severity(Comparison, Level),
    Trace(TraceId),
    /// The hash of a token.
    Token(u64),
    All(Vec<Needs>),
    Any(Vec<Needs>),
}

impl Needs {
    pub fn of(query: &Query) -> Needs {
        of_expression(query.expression(), true)
    }

    pub fn may_match(&self, hints: &dyn Hints) -> Result<bool, Error> {
        Ok(match self {
            Needs::Nothing => true,
            Needs::Service(test) => {
                hints.services().is_none_or(|(min, max)| service_may_match(test, min, max))
            }
            Needs::OtherService(test) => {
                hints.services().is_none_or(|(min, max)| min != max || !test.is_match(min))
            }
            Needs::Severity(comparison, level) => {
                let range = hints.severities();
                range.is_none_or(|range| severity_may_match(*comparison, *level, range))
            }
            Needs::Trace(id) => hints.may_hold_trace(id)?,
            Needs::Token(hash) => hints.may_hold_token(*hash)?,
            Needs::All(parts) => {
                for part in parts {
                    if !part.may_match(hints)? {
                        return Ok(false);
                    }
                }
                true
            }
            Needs::Any(parts) => {
                for part in parts {
                    if part.may_match(hints)? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    fn all(parts: Vec<Needs>) -> Needs {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Needs::Nothing => {}
                Needs::All(inner) => flat.extend(inner),
                part => flat.push(part),
            }
        }
        // What costs no reading is asked first.
        flat.sort_by_key(Needs::cost);
        match flat.len() {
            0 => Needs::Nothing,
            1 => flat.remove(0),
            _ => Needs::All(flat),
        }
    }

    fn any(mut parts: Vec<Needs>) -> Needs {
        if parts.contains(&Needs::Nothing) {
            return Needs::Nothing;
        }
        parts.sort_by_key(Needs::cost);
        match parts.len() {
            1 => parts.remove(0),
            _ => Needs::Any(parts),
        }
    }

    fn cost(&self) -> u8 {
        match self {
            Needs::Nothing | Needs::Service(_) | Needs::OtherService(_) => 0,
            Needs::Severity(..) => 0,
            Needs::Trace(_) => 1,
            Needs::Token(_) => 2,
            Needs::All(_) | Needs::Any(_) => 3,
        }
    }
}

/// Of the expression, or of its contrary where not `wanted`.
fn of_expression(expression: &Expression, wanted: bool) -> Needs {
    match (expression, wanted) {
        (Expression::All, _) => Needs::Nothing,
        (Expression::And(parts), true) | (Expression::Or(parts), false) => {
            Needs::all(parts.iter().map(|part| of_expression(part, wanted)).collect())
        }
        (Expression::Or(parts), true) | (Expression::And(parts), false) => {
            Needs::any(parts.iter().map(|part| of_expression(part, wanted)).collect())
        }
        (Expression::Not(part), _) => of_expression(part, !wanted),
        (Expression::Term(term), true) => of_term(term),
        (Expression::Term(Term::Field(Field::Service, test)), false) => {
            Needs::OtherService(test.clone())
        }
        (Expression::Term(_), false) => Needs::Nothing,
    }
}

fn of_term(term: &Term) -> Needs {
    match term {
        Term::Text(_, pattern) => {
            let open = (pattern.open_left(), pattern.open_right());
            of_pieces(pattern.pieces(), open.0, open.1)
        }
        Term::Regex(_, regex) => of_regex(regex),
        Term::Field(Field::Service, test) => Needs::Service(test.clone()),
        // Of these the values are among a row group's tokens.
        Term::Field(Field::Event | Field::Attribute(_), test) => match test {
            Test::Is(pattern) => of_pieces(pattern.pieces(), false, false),
            Test::Matches(regex) => of_regex(regex),
            Test::Exists | Test::Compares(..) => Needs::Nothing,
        },
        Term::Field(Field::Instance | Field::Scope | Field::Resource(_), _) => Needs::Nothing,
        Term::Severity(comparison, level) => Needs::Severity(*comparison, *level),
        Term::Trace(Some(id)) => Needs::Trace(*id),
        Term::Trace(None) | Term::Span(_) => Needs::Nothing,
    }
}

/// Of texts with anything between them.
fn of_pieces(pieces: &[String], open_left: bool, open_right: bool) -> Needs {
    let last = pieces.len().saturating_sub(1);
    let needs = pieces.iter().enumerate().map(|(index, piece)| {
        of_whole_tokens(piece, index > 0 || open_left, index < last || open_right)
    });
    Needs::all(needs.collect())
}

/// Of a text that may begin or end within a token where it is `cut`.
fn of_whole_tokens(text: &str, cut_left: bool, cut_right: bool) -> Needs {
    let mut whole = text;
    if cut_left {
        whole = whole.trim_start_matches(is_token_char);
    }
    if cut_right {
        whole = whole.trim_end_matches(is_token_char);
    }
    let mut hashes: Vec<u64> = tokens::tokens(whole).map(|token| tokens::hash(&token)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    Needs::all(hashes.into_iter().map(Needs::Token).collect())
}

fn of_regex(regex: &RegexPattern) -> Needs {
    let parsed = regex_syntax::ParserBuilder::new()
        .case_insensitive(regex.ignore_case())
        .nest_limit(REGEX_DEPTH_MAX)
        .build()
        .parse(regex.source());
    // It was parsed before; should this one say otherwise, nothing is known of it.
    parsed.map_or(Needs::Nothing, |hir| of_sequence(&hir, false, false))
}

/// A stretch of a regex, as far as tokens go.
#[derive(Default)]
struct Sequence {
    /// Text that stands side by side; each is between two gaps. What only separates tokens is a
    /// space.
    texts: Vec<String>,
    needs: Vec<Needs>,
}

impl Sequence {
    fn gap(&mut self) {
        self.texts.push(String::new());
    }

    fn text(&mut self, text: &str) {
        match self.texts.last_mut() {
            Some(last) => last.push_str(text),
            None => self.texts.push(text.to_owned()),
        }
    }

    fn ends_with_border(&self) -> bool {
        self.texts.last().is_some_and(|text| text.ends_with(|last| !is_token_char(last)))
    }
}

/// Of a regex, and whether a token can neither go on to its left nor to its right.
fn of_sequence(hir: &Hir, border_left: bool, border_right: bool) -> Needs {
    let mut sequence = Sequence::default();
    if border_left {
        sequence.text(" ");
    }
    walk(hir, border_right, &mut sequence);
    if border_right {
        sequence.text(" ");
    }
    let texts = sequence.texts.iter().map(|text| of_whole_tokens(text, true, true));
    Needs::all(texts.chain(sequence.needs).collect())
}

fn walk(hir: &Hir, border_right: bool, sequence: &mut Sequence) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => sequence.text(text),
            Err(_) => sequence.gap(),
        },
        HirKind::Class(class) => match of_class(class) {
            Some(letter) => sequence.text(letter.encode_utf8(&mut [0; 4])),
            None => sequence.gap(),
        },
        HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => sequence.text(" "),
        // Other borders of words are not those of tokens.
        HirKind::Look(_) => {}
        HirKind::Capture(capture) => walk(&capture.sub, border_right, sequence),
        HirKind::Concat(parts) => {
            for (index, part) in parts.iter().enumerate() {
                let next = parts.get(index + 1);
                walk(part, next.map_or(border_right, begins_with_border), sequence);
            }
        }
        HirKind::Repetition(repetition) => match repetition.sub.kind() {
            HirKind::Class(class) if repetition.min > 0 && of_class(class) == Some(' ') => {
                sequence.text(" ");
            }
            _ => {
                if repetition.min > 0 {
                    sequence.needs.push(of_sequence(&repetition.sub, false, false));
                }
                sequence.gap();
            }
        },
        HirKind::Alternation(parts) => {
            let border_left = sequence.ends_with_border();
            let parts = parts.iter().map(|part| of_sequence(part, border_left, border_right));
            sequence.needs.push(Needs::any(parts.collect()));
            sequence.gap();
        }
    }
}

fn begins_with_border(hir: &Hir) -> bool {
    let mut text = Sequence::default();
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => walk(hir, false, &mut text),
        _ => return false,
    }
    text.texts.first().is_some_and(|text| text.starts_with(|first| !is_token_char(first)))
}

/// The lower case that all characters of the class share; a space where all separate tokens.
fn of_class(class: &Class) -> Option<char> {
    let letters: Vec<char> = match class {
        Class::Unicode(class) => {
            let ranges = class.iter().map(|range| range.start()..=range.end());
            ranges.flatten().take(CLASS_CHARACTERS_MAX).collect()
        }
        Class::Bytes(class) => {
            let ranges = class.iter().map(|range| range.start()..=range.end());
            ranges.flatten().map(char::from).take(CLASS_CHARACTERS_MAX).collect()
        }
    };
    if letters.len() == CLASS_CHARACTERS_MAX {
        return None;
    }
    if !letters.iter().copied().any(is_token_char) {
        return (!letters.is_empty()).then_some(' ');
    }
    let lower = lower_case(*letters.first()?)?;
    letters.iter().all(|letter| lower_case(*letter) == Some(lower)).then_some(lower)
}

/// Where it is one character.
fn lower_case(letter: char) -> Option<char> {
    let mut lower = letter.to_lowercase();
    lower.next().filter(|_| lower.next().is_none())
}

fn service_may_match(test: &Test, min: &str, max: &str) -> bool {
    if min == max {
        return test.is_match(min);
    }
    let Test::Is(pattern) = test else { return true };
    match (pattern.as_literal(), pattern.pieces().first()) {
        (Some(literal), _) => min <= literal && literal <= max,
        // Whatever begins so is at or after the prefix, and at or before all that is greater.
        (None, Some(prefix)) => {
            max >= prefix.as_str() && (min <= prefix.as_str() || min.starts_with(prefix.as_str()))
        }
        (None, None) => true,
    }
}

fn severity_may_match(comparison: Comparison, level: Level, (min, max): (i32, i32)) -> bool {
    // A record without a number may have a text.
    if min <= 0 {
        return true;
    }
    let (min, max) = (Severity::number(min, None), Severity::number(max, None));
    (min..=max).any(|number| severity_matches(comparison, level, number))
}
