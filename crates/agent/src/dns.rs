//! Messages of DNS (RFC 1035, section 4) as far as a fault needs them: which name a query asks for,
//! and answers to it.
//!
//! Reads what anybody on this host sends: bounded, without recursion, and what is not one plain
//! question is `None`, to be passed on as it is.

use std::net::IpAddr;

/// The longest message: what TCP's length field says.
pub const MESSAGE_MAX: usize = u16::MAX as usize;
const HEADER: usize = 12;
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;
const INTERNET: u16 = 1;
const A: u16 = 1;
const AAAA: u16 = 28;

/// Response codes.
pub const NO_ERROR: u8 = 0;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;

/// The one question of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// In small letters, without the dot at its end.
    pub name: String,
    pub kind: u16,
    /// Where the question ends in the message.
    end: usize,
}

impl Question {
    /// Of a standard query with one question in the class of the Internet.
    pub fn read(message: &[u8]) -> Option<Question> {
        const RESPONSE_AND_OPCODE: u8 = 0b1111_1000;
        let header: &[u8; HEADER] = message.first_chunk()?;
        if header[2] & RESPONSE_AND_OPCODE != 0 || header[4..6] != [0, 1] {
            return None;
        }
        let (name, at) = name(message, HEADER)?;
        let [kind_high, kind_low, class_high, class_low] = *message.get(at..)?.first_chunk()?;
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        let class = u16::from_be_bytes([class_high, class_low]);
        (class == INTERNET).then_some(Question { name, kind, end: at + 4 })
    }

    /// Is the name this one, or with `*.` at its begin, below it? Patterns are in small letters.
    pub fn is_for(&self, pattern: &str) -> bool {
        match pattern.strip_prefix("*.") {
            None => self.name == pattern,
            Some(above) => {
                let below = self.name.strip_suffix(above);
                below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            }
        }
    }

    /// Answers the query, which must be the one that the question was read from. An address of the
    /// other version of IP than asked for is no answer, which is an answer too.
    pub fn answer(&self, query: &[u8], code: u8, address: Option<IpAddr>) -> Vec<u8> {
        const RESPONSE: u8 = 0b1000_0000;
        const RECURSION_DESIRED: u8 = 1;
        const RECURSION_AVAILABLE: u8 = 0b1000_0000;
        /// The name of the question.
        const NAME: [u8; 2] = [0xc0, HEADER as u8];
        /// Nobody may keep it.
        const TIME_TO_LIVE: [u8; 4] = [0; 4];
        let data = match (address, self.kind) {
            (Some(IpAddr::V4(ip)), A) => ip.octets().to_vec(),
            (Some(IpAddr::V6(ip)), AAAA) => ip.octets().to_vec(),
            _ => Vec::new(),
        };
        let mut answer = query.get(..self.end).unwrap_or_default().to_vec();
        let Some(header) = answer.first_chunk_mut::<HEADER>() else { return Vec::new() };
        header[2] = RESPONSE | header[2] & RECURSION_DESIRED;
        header[3] = RECURSION_AVAILABLE | code & 0xf;
        header[6..].copy_from_slice(&[0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
        if !data.is_empty() {
            answer.extend(NAME);
            answer.extend(self.kind.to_be_bytes());
            answer.extend(INTERNET.to_be_bytes());
            answer.extend(TIME_TO_LIVE);
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        answer
    }
}

/// A name that begins there, and where it ends. Questions are not compressed.
fn name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let begin = at;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        let label = message.get(at..at + length)?;
        at += length;
        if length > LABEL_MAX || at - begin >= NAME_MAX {
            return None;
        }
        if !label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'.') {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
}

/// A query for the address of a name; `None` when it is no name.
pub fn query(id: u16, name: &str) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: [u8; 2] = [1, 0];
    let mut query = id.to_be_bytes().to_vec();
    query.extend(RECURSION_DESIRED);
    query.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        query.push(length);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(A.to_be_bytes());
    query.extend(INTERNET.to_be_bytes());
    Question::read(&query).map(|_| query)
}

/// The code of an answer to the query of that id, and whether the bytes of an address are in it.
pub fn read_answer(id: u16, message: &[u8], address: Option<IpAddr>) -> Option<(u8, bool)> {
    const RESPONSE: u8 = 0b1000_0000;
    let header: &[u8; HEADER] = message.first_chunk()?;
    if header[..2] != id.to_be_bytes() || header[2] & RESPONSE == 0 {
        return None;
    }
    let octets = match address {
        Some(IpAddr::V4(ip)) => ip.octets().to_vec(),
        Some(IpAddr::V6(ip)) => ip.octets().to_vec(),
        None => Vec::new(),
    };
    let has_answers = header[6..8] != [0, 0];
    let is_there = has_answers && !octets.is_empty() && message.ends_with(&octets);
    Some((header[3] & 0xf, is_there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let query = query(7, "Orders.Internal").unwrap();
        let question = Question::read(&query).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("orders.internal", A));
        assert_eq!(question.end, query.len());
        for (pattern, is_for) in [
            ("orders.internal", true),
            ("*.internal", true),
            ("*.orders.internal", false),
            ("*.ders.internal", false),
            ("internal", false),
        ] {
            assert_eq!(question.is_for(pattern), is_for, "{pattern}");
        }
    }

    #[test]
    fn answers_bear_the_question_and_what_is_asked_for() {
        let query = query(0x1234, "orders.internal").unwrap();
        let question = Question::read(&query).unwrap();
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let answer = question.answer(&query, NO_ERROR, Some(ip));
        assert_eq!(&answer[..12], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(read_answer(0x1234, &answer, Some(ip)), Some((NO_ERROR, true)));
        assert_eq!(read_answer(0x1235, &answer, Some(ip)), None);
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let none = question.answer(&query, NO_ERROR, Some(v6));
        assert_eq!(read_answer(0x1234, &none, Some(v6)), Some((NO_ERROR, false)));
        let missing = question.answer(&query, NXDOMAIN, None);
        assert_eq!(read_answer(0x1234, &missing, None), Some((NXDOMAIN, false)));
        assert_eq!(Question::read(&answer), None, "an answer is no query");
    }

    #[test]
    fn what_is_no_plain_question_is_passed_on() {
        let good = query(7, "a.b").unwrap();
        for (at, byte) in [(2, 0x80), (2, 0x28), (5, 2), (12, 64), (12, 0xc0), (13, b' '), (20, 3)]
        {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(Question::read(&bad), None, "{at}");
        }
        for length in 0..good.len() {
            assert_eq!(Question::read(&good[..length]), None, "{length}");
        }
        let long = vec!["a".repeat(63); 4].join(".");
        assert_eq!(query(7, &long), None);
        assert_eq!(query(7, "a..b"), None);
    }
}
