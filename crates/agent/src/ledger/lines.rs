//! A line of the ledger: `{"crc":"89abcdef","entry":{…}}`, the checksum (CRC-32C) of the entry's
//! text.

use super::Entry;

const BEFORE_CRC: &[u8] = b"{\"crc\":\"";
const BEFORE_ENTRY: &[u8] = b"\",\"entry\":";
const AFTER_ENTRY: &[u8] = b"}\n";
const CRC_DIGITS: usize = 8;

pub fn encode(entry: &Entry) -> Vec<u8> {
    let json = serde_json::to_vec(entry).expect("entries are plain data with text keys");
    let crc = format!("{:08x}", crc32c::crc32c(&json));
    [BEFORE_CRC, crc.as_bytes(), BEFORE_ENTRY, &json, AFTER_ENTRY].concat()
}

/// `None` for a line that is damaged, cut short, or no entry that this version knows.
pub fn decode(line: &[u8]) -> Option<Entry> {
    let rest = line.strip_prefix(BEFORE_CRC)?;
    let (crc, rest) = rest.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(BEFORE_ENTRY)?.strip_suffix(AFTER_ENTRY)?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    if crc != crc32c::crc32c(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}
