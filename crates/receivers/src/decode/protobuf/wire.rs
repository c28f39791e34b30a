//! Protobuf's wire format: tags, varints, fixed words, length-prefixed bytes.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Groups (wire types 3 and 4,
//! deprecated) are skipped as unknown fields, without recursion. Allocates nothing but the lists
//! it is asked to extend.

use super::super::check::Fault;
use super::super::tally::Tally;
use super::super::{DecodeError, Result};

/// Deepest nesting of groups that is skipped.
const GROUP_NESTING_MAX: usize = 32;

/// The unread rest of a message, and where in the body it starts.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    rest: &'a [u8],
    offset: usize,
}

/// One field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    offset: usize,
    value: Value<'a>,
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

impl<'a> Message<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Message { rest: body, offset: 0 }
    }

    /// The next field, or `None` at the end of the message.
    pub(super) fn next_field(&mut self) -> Result<Option<Field<'a>>> {
        while !self.rest.is_empty() {
            let (number, wire_type) = self.tag()?;
            if wire_type == GROUP_START {
                self.skip_group(number)?;
                continue;
            }
            let value = self.value(wire_type)?;
            // Of a length-prefixed value, its first byte: errors inside it count from there.
            let offset = match value {
                Value::Bytes(bytes) => self.offset - bytes.len(),
                _ => self.offset,
            };
            return Ok(Some(Field { number, offset, value }));
        }
        Ok(None)
    }

    fn tag(&mut self) -> Result<(u32, u64)> {
        let tag = self.varint()?;
        match u32::try_from(tag >> 3) {
            Ok(number) if number != 0 && tag <= u64::from(u32::MAX) => Ok((number, tag & 7)),
            _ => Err(self.error("a field number out of range")),
        }
    }

    fn value(&mut self, wire_type: u64) -> Result<Value<'a>> {
        match wire_type {
            VARINT => Ok(Value::Varint(self.varint()?)),
            FIXED64 => Ok(Value::Fixed64(u64::from_le_bytes(self.array()?))),
            FIXED32 => Ok(Value::Fixed32(u32::from_le_bytes(self.array()?))),
            BYTES => {
                let length = self.varint()?;
                match usize::try_from(length) {
                    Ok(length) if length <= self.rest.len() => Ok(Value::Bytes(self.take(length))),
                    _ => Err(self.error(&format!(
                        "a length of {length} bytes where {} are left",
                        self.rest.len()
                    ))),
                }
            }
            GROUP_END => Err(self.error("the end of a group that was not begun")),
            other => Err(self.error(&format!("unknown wire type {other}"))),
        }
    }

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

    /// At most ten bytes; bits beyond the 64th are an error, not cut off.
    fn varint(&mut self) -> Result<u64> {
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

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some(bytes) = self.rest.first_chunk::<N>() else {
            return Err(self.error("ends within a number"));
        };
        self.take(N);
        Ok(*bytes)
    }

    /// Takes `length` bytes, which the caller knows to be there.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.offset += length;
        taken
    }

    fn error(&self, what: &str) -> DecodeError {
        DecodeError::Protobuf { offset: self.offset, what: what.to_owned() }
    }
}

impl<'a> Field<'a> {
    pub(super) fn bytes(&self) -> Result<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type()),
        }
    }

    pub(super) fn message(&self) -> Result<Message<'a>> {
        Ok(Message { rest: self.bytes()?, offset: self.offset })
    }

    pub(super) fn text(&self) -> Result<String> {
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(DecodeError::Protobuf {
                offset: self.offset + error.valid_up_to(),
                what: format!("field {}: text is not UTF-8", self.number),
            }),
        }
    }

    pub(super) fn id<const N: usize>(&self, name: &str, fault: &mut Fault) -> Result<[u8; N]> {
        Ok(fault.id(self.bytes()?, name))
    }

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

    pub(super) fn fixed64(&self) -> Result<u64> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

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
            Value::Bytes(_) => {
                let mut packed = self.message()?;
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

    fn wrong_type(&self) -> DecodeError {
        DecodeError::Protobuf {
            offset: self.offset,
            what: format!("field {} has the wrong wire type", self.number),
        }
    }

    pub(super) fn nested_too_deep(&self) -> DecodeError {
        DecodeError::Protobuf {
            offset: self.offset,
            what: format!("a value nested deeper than {} levels", super::super::NESTING_MAX),
        }
    }
}
