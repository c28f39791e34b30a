//! Where ids and times lie in the bytes of an OTLP request, so that they can be changed in place:
//! all of them have a fixed width.
//!
//! Walks only what this program encoded itself; anything that does not read ends the walk with an
//! error.

use anyhow::{Result, bail, ensure};

/// A place in a request that a replay changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// 16 bytes.
    TraceId(usize),
    /// 8 bytes.
    SpanId(usize),
    /// 8 bytes, little endian, nanoseconds since 1970.
    Time(usize),
}

/// What a field of a message means here.
#[derive(Clone, Copy)]
enum Field {
    TraceId,
    SpanId,
    Time,
    Message(&'static [(u32, Field)]),
    /// A message that is an item of its own: a span or a log record.
    Item(&'static [(u32, Field)]),
}

const EVENT: &[(u32, Field)] = &[(1, Field::Time)];
const LINK: &[(u32, Field)] = &[(1, Field::TraceId), (2, Field::SpanId)];
const SPAN: &[(u32, Field)] = &[
    (1, Field::TraceId),
    (2, Field::SpanId),
    (4, Field::SpanId),
    (7, Field::Time),
    (8, Field::Time),
    (11, Field::Message(EVENT)),
    (13, Field::Message(LINK)),
];
const LOG_RECORD: &[(u32, Field)] =
    &[(1, Field::Time), (9, Field::TraceId), (10, Field::SpanId), (11, Field::Time)];
const SCOPE_SPANS: &[(u32, Field)] = &[(2, Field::Item(SPAN))];
const SCOPE_LOGS: &[(u32, Field)] = &[(2, Field::Item(LOG_RECORD))];

/// Of an `ExportTraceServiceRequest`.
pub const TRACES: Shape = Shape(&[(1, Field::Message(&[(2, Field::Message(SCOPE_SPANS))]))]);
/// Of an `ExportLogsServiceRequest`.
pub const LOGS: Shape = Shape(&[(1, Field::Message(&[(2, Field::Message(SCOPE_LOGS))]))]);

/// Which fields of a request are looked at.
#[derive(Clone, Copy)]
pub struct Shape(&'static [(u32, Field)]);

/// All places of each item, in the order of the items.
pub fn places(body: &[u8], shape: Shape) -> Result<Vec<Vec<Place>>> {
    let mut items = Vec::new();
    walk(body, 0, shape.0, &mut items)?;
    Ok(items)
}

fn walk(
    body: &[u8],
    base: usize,
    fields: &'static [(u32, Field)],
    items: &mut Vec<Vec<Place>>,
) -> Result<()> {
    let mut at = 0;
    while at < body.len() {
        let (number, content) = next(body, &mut at)?;
        let Some((_, field)) = fields.iter().find(|(known, _)| *known == number) else { continue };
        let (start, bytes) = (base + content.start, &body[content]);
        let place = match field {
            Field::Message(fields) => {
                walk(bytes, start, fields, items)?;
                continue;
            }
            Field::Item(fields) => {
                items.push(Vec::new());
                walk(bytes, start, fields, items)?;
                continue;
            }
            // What is absent or zero stays so.
            _ if bytes.iter().all(|byte| *byte == 0) => continue,
            Field::TraceId if bytes.len() == 16 => Place::TraceId(start),
            Field::SpanId if bytes.len() == 8 => Place::SpanId(start),
            Field::Time if bytes.len() == 8 => Place::Time(start),
            _ => bail!("an id or a time of {} bytes at byte {start}", bytes.len()),
        };
        if let Some(item) = items.last_mut() {
            item.push(place);
        }
    }
    Ok(())
}

/// Number and content of the field at `at`, which is moved behind it.
fn next(body: &[u8], at: &mut usize) -> Result<(u32, std::ops::Range<usize>)> {
    let key = varint(body, at)?;
    let start = *at;
    let len = match key & 7 {
        0 => {
            varint(body, at)?;
            *at - start
        }
        1 => 8,
        2 => {
            let len = varint(body, at)? as usize;
            let start = *at;
            ensure!(len <= body.len() - start, "a field is longer than its message");
            *at += len;
            return Ok(((key >> 3) as u32, start..start + len));
        }
        5 => 4,
        other => bail!("wire type {other}"),
    };
    ensure!(len <= body.len() - start, "a field is longer than its message");
    *at = start + len;
    Ok(((key >> 3) as u32, start..start + len))
}

fn varint(body: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let Some(byte) = body.get(*at) else { bail!("a varint is cut short") };
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a varint is too long")
}
