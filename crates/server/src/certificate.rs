//! Until when a certificate is valid: the one field that probes read of what a server shows.
//!
//! A walk over the DER of X.509 (RFC 5280, section 4.1), no further than `validity`; nothing is
//! verified here, that did who made the connection. Every length is checked against what is there.

use model::Timestamp;

const SEQUENCE: u8 = 0x30;
/// The version, in `[0]`.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate in DER; `None` of what is none.
pub fn valid_until(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut body, _) = element(certificate, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        body = element(body, VERSION)?.1;
    }
    // Serial number, algorithm and issuer come first.
    for _ in 0..3 {
        body = any(body)?.2;
    }
    let (validity, _) = element(body, SEQUENCE)?;
    let (_, _, rest) = any(validity)?;
    let (tag, time, _) = any(rest)?;
    moment(tag, std::str::from_utf8(time).ok()?)
}

/// What is in an element of this kind, and what follows it.
fn element(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = any(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// Kind, content and what follows.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on (section 4.1.2.5).
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let (century, text) = match tag {
        // From 50 on it is the century before, which no certificate of today ends in.
        UTC_TIME => ("20", text),
        GENERALIZED_TIME => text.split_at_checked(2)?,
        _ => return None,
    };
    let digits = text.strip_suffix('Z')?;
    if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| &digits[at..at + 2];
    let (year, month, day) = (part(0), part(2), part(4));
    let (hour, minute, second) = (part(6), part(8), part(10));
    let text = format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    Timestamp::parse_rfc3339(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: &[u8] = include_bytes!("certificate/near.der");
    const FAR: &[u8] = include_bytes!("certificate/far.der");

    #[test]
    fn reads_until_when_a_certificate_is_valid() {
        let until = |der: &[u8]| valid_until(der).map(|at| at.to_string());
        assert_eq!(until(NEAR).as_deref(), Some("2026-12-30T20:51:04.000Z"));
        assert_eq!(until(FAR).as_deref(), Some("2081-09-02T20:51:11.000Z"));
    }

    #[test]
    fn what_is_cut_or_spoilt_is_no_certificate_and_no_panic() {
        for der in [NEAR, FAR] {
            for at in 0..der.len() {
                let _ = valid_until(&der[..at]);
                for flip in [0x01, 0x80, 0xff] {
                    let mut spoilt = der.to_vec();
                    spoilt[at] ^= flip;
                    let _ = valid_until(&spoilt);
                }
            }
        }
        assert_eq!(valid_until(&[]), None);
        assert_eq!(valid_until(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
