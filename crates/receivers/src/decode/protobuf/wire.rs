//! Protobuf's wire format: tags, varints, fixed words, length-prefixed bytes.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Groups (wire types 3 and 4,
//! deprecated) are skipped as unknown fields, without recursion. Allocates nothing but the lists
//! it is asked to extend.

use std::str::Utf8Error;

use model::Text;

use super::super::check::Fault;
use super::super::tally::Tally;
use super::super::{DecodeError, Result};

/// Deepest nesting of groups that is skipped.
const GROUP_NESTING_MAX: usize = 32;

/// The unread rest of a message, and where in the body it ends.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    rest: &'a [u8],
    end: usize,
}

/// One field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    value: Value<'a>,
    /// What follows it.
    next: Message<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const GROUP_START: u64 = 3;
const GROUP_END: u64 = 4;
const FIXED32: u64 = 5;

// What every field passes through is inlined where messages are read; what is rare is kept out.
impl<'a> Message<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Message { rest: body, end: body.len() }
    }

    /// The next field, or `None` at the end of the message.
    #[inline(always)]
    pub(super) fn next_field(&mut self) -> Result<Option<Field<'a>>> {
        while !self.rest.is_empty() {
            let (number, wire_type) = self.tag()?;
            if wire_type == GROUP_START {
                self.skip_group(number)?;
                continue;
            }
            let value = self.value(wire_type)?;
            return Ok(Some(Field { number, value, next: *self }));
        }
        Ok(None)
    }

    #[inline(always)]
    fn tag(&mut self) -> Result<(u32, u64)> {
        // Numbers up to 15 take one byte.
        if let [tag @ 0x08..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((u32::from(tag >> 3), u64::from(tag & 7)));
        }
        self.long_tag()
    }

    #[inline(never)]
    fn long_tag(&mut self) -> Result<(u32, u64)> {
        let tag = self.varint()?;
        match u32::try_from(tag >> 3) {
            Ok(number) if number != 0 && tag <= u64::from(u32::MAX) => Ok((number, tag & 7)),
            _ => Err(self.error("a field number out of range")),
        }
    }

    #[inline(always)]
    fn value(&mut self, wire_type: u64) -> Result<Value<'a>> {
        match wire_type {
            BYTES => {
                let length = self.varint()?;
                match usize::try_from(length) {
                    Ok(length) if length <= self.rest.len() => Ok(Value::Bytes(self.take(length))),
                    _ => Err(self.too_long(length)),
                }
            }
            VARINT => Ok(Value::Varint(self.varint()?)),
            FIXED64 => Ok(Value::Fixed64(u64::from_le_bytes(self.array()?))),
            FIXED32 => Ok(Value::Fixed32(u32::from_le_bytes(self.array()?))),
            other => Err(self.bad_wire_type(other)),
        }
    }

    #[inline(never)]
    fn skip_group(&mut self, number: u32) -> Result<()> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                GROUP_START if open.len() == GROUP_NESTING_MAX => {
                    return Err(self.error("groups nested too deep"));
                }
                GROUP_START => open.push(number),
                GROUP_END if number == innermost => {
                    open.pop();
                }
                _ => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64> {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    /// At most ten bytes; bits beyond the 64th are an error, not cut off.
    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                if at == 9 && byte > 1 {
                    return Err(self.error("a varint of more than 64 bits"));
                }
                self.take(at + 1);
                return Ok(value);
            }
        }
        let what = if self.rest.len() < 10 { "ends within a varint" } else { "an endless varint" };
        Err(self.error(what))
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.error("ends within a number")),
        }
    }

    /// Takes `length` bytes, which the caller knows to be there.
    #[inline(always)]
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Where in the body the rest begins.
    fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    #[cold]
    fn error(&self, what: &str) -> DecodeError {
        DecodeError::Protobuf { offset: self.offset(), what: what.to_owned() }
    }

    #[cold]
    fn too_long(&self, length: u64) -> DecodeError {
        let left = self.rest.len();
        self.error(&format!("a length of {length} bytes where {left} are left"))
    }

    #[cold]
    fn bad_wire_type(&self, wire_type: u64) -> DecodeError {
        match wire_type {
            GROUP_END => self.error("the end of a group that was not begun"),
            other => self.error(&format!("unknown wire type {other}")),
        }
    }
}

impl<'a> Field<'a> {
    /// Makes room for the elements of a list of which this field is one: mostly all stand in a row.
    #[inline(always)]
    pub(super) fn make_room<T>(&self, list: &mut Vec<T>, tally: &mut Tally<'_>) -> Result<()> {
        if list.capacity() == 0 {
            tally.make_room(list, self.run())?;
        }
        Ok(())
    }

    /// How many fields of this number stand here in a row, itself included.
    fn run(&self) -> usize {
        let mut next = self.next;
        let mut length = 1;
        while let Ok((number, BYTES)) = next.tag()
            && number == self.number
            && next.value(BYTES).is_ok()
        {
            length += 1;
        }
        length
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> Result<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline(always)]
    pub(super) fn message(&self) -> Result<Message<'a>> {
        Ok(Message { rest: self.bytes()?, end: self.next.offset() })
    }

    #[inline(always)]
    pub(super) fn text(&self, tally: &Tally<'_>) -> Result<Text> {
        tally.body().text(self.bytes()?).map_err(|error| self.not_text(error))
    }

    pub(super) fn id<const N: usize>(&self, name: &str, fault: &mut Fault) -> Result<[u8; N]> {
        Ok(fault.id(self.bytes()?, name))
    }

    #[inline(always)]
    pub(super) fn varint(&self) -> Result<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    /// `int32`, `uint32` and enums: the low 32 bits, as protobuf prescribes.
    pub(super) fn varint32(&self) -> Result<u32> {
        Ok(self.varint()? as u32)
    }

    pub(super) fn enum_number(&self) -> Result<i32> {
        Ok(self.varint()? as i32)
    }

    pub(super) fn sint32(&self) -> Result<i32> {
        let zigzag = self.varint32()?;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    #[inline(always)]
    pub(super) fn fixed64(&self) -> Result<u64> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline(always)]
    pub(super) fn fixed32(&self) -> Result<u32> {
        match self.value {
            Value::Fixed32(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    pub(super) fn double(&self) -> Result<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// `repeated fixed64` or `repeated double` (as bits), packed or one by one.
    pub(super) fn each_fixed64<T>(
        &self,
        list: &mut Vec<T>,
        tally: &mut Tally<'_>,
        convert: fn(u64) -> T,
    ) -> Result<()> {
        match self.value {
            Value::Fixed64(value) => tally.push(list, convert(value)),
            Value::Bytes(bytes) => {
                let mut packed = self.message()?;
                if list.capacity() == 0 {
                    tally.make_room(list, bytes.len() / size_of::<u64>())?;
                }
                while !packed.rest.is_empty() {
                    let value = u64::from_le_bytes(packed.array()?);
                    tally.push(list, convert(value))?;
                }
                Ok(())
            }
            _ => Err(self.wrong_type()),
        }
    }

    /// `repeated uint64`, packed or one by one.
    pub(super) fn each_varint(&self, list: &mut Vec<u64>, tally: &mut Tally<'_>) -> Result<()> {
        match self.value {
            Value::Varint(value) => tally.push(list, value),
            Value::Bytes(_) => {
                let mut packed = self.message()?;
                while !packed.rest.is_empty() {
                    let value = packed.varint()?;
                    tally.push(list, value)?;
                }
                Ok(())
            }
            _ => Err(self.wrong_type()),
        }
    }

    /// Where its value stands: of a length-prefixed one the first byte, of others what follows.
    fn offset(&self) -> usize {
        match self.value {
            Value::Bytes(bytes) => self.next.offset() - bytes.len(),
            _ => self.next.offset(),
        }
    }

    #[cold]
    fn not_text(&self, error: Utf8Error) -> DecodeError {
        DecodeError::Protobuf {
            offset: self.offset() + error.valid_up_to(),
            what: format!("field {}: text is not UTF-8", self.number),
        }
    }

    #[cold]
    fn wrong_type(&self) -> DecodeError {
        DecodeError::Protobuf {
            offset: self.offset(),
            what: format!("field {} has the wrong wire type", self.number),
        }
    }

    #[cold]
    pub(super) fn nested_too_deep(&self) -> DecodeError {
        DecodeError::Protobuf {
            offset: self.offset(),
            what: format!("a value nested deeper than {} levels", super::super::NESTING_MAX),
        }
    }
}
