//! Texts of lines, where what belongs to a line is indented below it.

use std::ops::Range;

use super::{Seeded, Spoil};

pub fn read(bytes: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_inclusive('\n').map(str::to_owned).collect())
}

pub fn write(lines: &[String]) -> Vec<u8> {
    lines.concat().into_bytes()
}

/// One change of a line, with what belongs to it.
pub fn change(lines: &mut Vec<String>, dice: &mut Seeded, spoil: Spoil<'_>) {
    let from = block(lines, dice.below(lines.len()));
    let to = dice.below(lines.len() + 1);
    let copy = lines[from.clone()].to_vec();
    match dice.below(8) {
        0 => drop(lines.drain(from)),
        1 => insert(lines, from.end, &copy),
        2 => insert(lines, to, &copy),
        3 => {
            lines.drain(from);
            insert(lines, to.min(lines.len()), &copy);
        }
        4 => {
            let indent = indent(lines, to);
            insert(lines, to, &indented(&copy, indent));
        }
        5 => {
            if let Some(other) = dice.pick(lines) {
                lines[from.start] = with_end_of(&lines[from.start], other);
            }
        }
        _ => {
            if let Some(line) = lines.get_mut(from.start) {
                let mut bytes = std::mem::take(line).into_bytes();
                let ended = bytes.pop_if(|last| *last == b'\n').is_some();
                spoil(&mut bytes);
                bytes.extend(ended.then_some(b'\n'));
                *line = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
    }
}

/// A line of `other` comes in, with what belongs to it, where it stood or as the lines there do.
pub fn graft(lines: &mut Vec<String>, other: &[String], dice: &mut Seeded) {
    let copy = &other[block(other, dice.below(other.len()))];
    let to = dice.below(lines.len() + 1);
    match dice.below(2) {
        0 => insert(lines, to, copy),
        _ => insert(lines, to, &indented(copy, indent(lines, to))),
    }
}

fn insert(lines: &mut Vec<String>, at: usize, copy: &[String]) {
    // The last line may have no end.
    let mut copy = copy.to_vec();
    for line in lines.last_mut().into_iter().chain(copy.last_mut()) {
        if !line.ends_with('\n') {
            line.push('\n');
        }
    }
    lines.splice(at..at, copy);
}

/// The line and those below it that are indented more.
fn block(lines: &[String], at: usize) -> Range<usize> {
    let Some(line) = lines.get(at) else { return at..at };
    let depth = depth(line);
    let more = lines[at + 1..].iter().take_while(|line| self::depth(line) > depth).count();
    at..at + 1 + more
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn indent(lines: &[String], at: usize) -> usize {
    lines.get(at).or(lines.last()).map_or(0, |line| depth(line))
}

/// The block with its first line so far to the right, the others as far from it as before.
fn indented(block: &[String], indent: usize) -> Vec<String> {
    let first = block.first().map_or(0, |line| depth(line));
    let each = block.iter().map(|line| {
        let depth = indent + depth(line).saturating_sub(first);
        format!("{}{}", " ".repeat(depth), line.trim_start_matches(' '))
    });
    each.collect()
}

/// The first words of one line and the last of another.
fn with_end_of(one: &str, other: &str) -> String {
    let middle = |text: &str| text.trim_end().rfind(' ').map_or(0, |at| at + 1);
    format!("{}{}", &one[..middle(one)], &other[middle(other)..])
}
