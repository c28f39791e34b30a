//! Protobuf on the wire, without a schema: whatever reads as fields, and is written as the same
//! bytes again, is taken for a message, so that lengths are right after every change.

use super::{Seeded, Spoil};

const DEPTH_MAX: usize = 12;
/// Numbers of fields in use end about there.
const NUMBERS: usize = 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
    Fixed32([u8; 4]),
}

/// The indexes that lead to a field.
type Way = Vec<usize>;

pub fn read(bytes: &[u8]) -> Option<Vec<Field>> {
    read_message(bytes, 0)
}

pub fn write(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields.iter().for_each(|field| field.write(&mut bytes));
    bytes
}

pub fn holds_varint(fields: &[Field], number: u64) -> bool {
    fields.iter().any(|field| match &field.value {
        Value::Varint(_) => field.number == number,
        Value::Message(inner) => holds_varint(inner, number),
        _ => false,
    })
}

/// One change of one field.
pub fn change(fields: &mut Vec<Field>, dice: &mut Seeded, spoil: Spoil<'_>) {
    let all = ways(fields);
    let (Some(way), Some(from)) = (dice.pick(&all), dice.pick(&all)) else {
        return fields.push(Field::any(dice));
    };
    let Some(donor) = field_at(fields, from).cloned() else { return };
    let Some((&at, parents)) = way.split_last() else { return };
    let Some(list) = list_at(fields, parents) else { return };
    match dice.below(14) {
        0 | 1 => {
            list.remove(at);
        }
        2 => list.insert(at, list[at].clone()),
        3 => list.insert(at, donor),
        4 => {
            let other = dice.below(list.len());
            list.swap(at, other);
        }
        5 => list[at].number = 1 + dice.below(NUMBERS) as u64,
        6 => list[at].value = donor.value,
        7 => list.insert(at, Field::any(dice)),
        _ => list[at].value.change(dice, spoil),
    }
}

/// A field of `other` comes to where its like would be, beside or instead of one.
pub fn graft(fields: &mut Vec<Field>, other: &[Field], dice: &mut Seeded) {
    let donors = ways(other);
    let Some(from) = dice.pick(&donors) else { return };
    let Some(donor) = field_at(other, from).cloned() else { return };
    let place = numbers(other, &from[..from.len() - 1]);
    let mut lists: Vec<Way> = ways(fields)
        .into_iter()
        .filter(|way| matches!(field_at(fields, way), Some(Field { value: Value::Message(_), .. })))
        .chain([Way::new()])
        .collect();
    if dice.below(8) > 0 && lists.iter().any(|way| numbers(fields, way) == place) {
        lists.retain(|way| numbers(fields, way) == place);
    }
    let Some(list) = dice.pick(&lists).and_then(|way| list_at(fields, way)) else { return };
    match list.iter().position(|field| field.number == donor.number) {
        Some(at) if dice.below(2) == 0 => list[at] = donor,
        _ => list.insert(dice.below(list.len() + 1), donor),
    }
}

impl Field {
    fn any(dice: &mut Seeded) -> Field {
        let value = match dice.below(5) {
            0 => Value::Varint(dice.below(16) as u64),
            1 => Value::Fixed64(dice.next().to_le_bytes()),
            2 => Value::Fixed32((dice.next() as u32).to_le_bytes()),
            3 => Value::Bytes(vec![b'a'; dice.below(20)]),
            _ => Value::Message(Vec::new()),
        };
        Field { number: 1 + dice.below(NUMBERS) as u64, value }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let tag = |kind: u64| self.number << 3 | kind;
        match &self.value {
            Value::Varint(number) => {
                write_varint(bytes, tag(0));
                write_varint(bytes, *number);
            }
            Value::Fixed64(number) => {
                write_varint(bytes, tag(1));
                bytes.extend_from_slice(number);
            }
            Value::Bytes(content) => write_counted(bytes, tag(2), content),
            Value::Message(fields) => write_counted(bytes, tag(2), &write(fields)),
            Value::Fixed32(number) => {
                write_varint(bytes, tag(5));
                bytes.extend_from_slice(number);
            }
        }
    }
}

impl Value {
    fn change(&mut self, dice: &mut Seeded, spoil: Spoil<'_>) {
        match self {
            Value::Varint(number) => *number = dice.number_near(*number),
            Value::Fixed64(number) => {
                *number = dice.number_near(u64::from_le_bytes(*number)).to_le_bytes();
            }
            Value::Fixed32(number) => {
                let near = dice.number_near(u64::from(u32::from_le_bytes(*number)));
                *number = (near as u32).to_le_bytes();
            }
            Value::Bytes(content) => spoil(content),
            Value::Message(fields) if dice.below(4) == 0 => fields.clear(),
            Value::Message(fields) => fields.push(Field::any(dice)),
        }
    }
}

fn read_message(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let whole = bytes;
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(read_varint(&mut bytes)?),
            1 => Value::Fixed64(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = read_varint(&mut bytes)?;
                let content = take(&mut bytes, usize::try_from(length).ok()?)?;
                let message = (depth < DEPTH_MAX).then(|| read_message(content, depth + 1));
                match message.flatten() {
                    Some(fields) => Value::Message(fields),
                    None => Value::Bytes(content.to_vec()),
                }
            }
            5 => Value::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        fields.push(Field { number: tag >> 3, value });
    }
    (write(&fields) == whole).then_some(fields)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn write_counted(bytes: &mut Vec<u8>, tag: u64, content: &[u8]) {
    write_varint(bytes, tag);
    write_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// The ways to all fields.
fn ways(fields: &[Field]) -> Vec<Way> {
    fn walk(fields: &[Field], way: &mut Way, all: &mut Vec<Way>) {
        for (at, field) in fields.iter().enumerate() {
            way.push(at);
            all.push(way.clone());
            if let Value::Message(inner) = &field.value {
                walk(inner, way, all);
            }
            way.pop();
        }
    }
    let mut all = Vec::new();
    walk(fields, &mut Way::new(), &mut all);
    all
}

fn field_at<'a>(fields: &'a [Field], way: &[usize]) -> Option<&'a Field> {
    let (first, rest) = way.split_first()?;
    let field = fields.get(*first)?;
    match &field.value {
        Value::Message(inner) if !rest.is_empty() => field_at(inner, rest),
        _ => rest.is_empty().then_some(field),
    }
}

/// The fields of the message there; of the outermost where the way is empty.
fn list_at<'a>(fields: &'a mut Vec<Field>, way: &[usize]) -> Option<&'a mut Vec<Field>> {
    let Some((first, rest)) = way.split_first() else { return Some(fields) };
    match &mut fields.get_mut(*first)?.value {
        Value::Message(inner) => list_at(inner, rest),
        _ => None,
    }
}

/// What a schema would know the way by.
fn numbers(fields: &[Field], way: &[usize]) -> Vec<u64> {
    let all = (1..=way.len()).filter_map(|length| field_at(fields, &way[..length]));
    all.map(|field| field.number).collect()
}
