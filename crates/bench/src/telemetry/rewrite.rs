//! Gives a template new ids and times of now, in place.
//!
//! An id becomes a hash of itself and of the pass: the same within one pass, in whatever request it
//! is met, and as good as random between passes.

use super::templates::{Anchor, Template};
use super::wire::Place;

/// One pass over all templates.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// Different for each pass of a run, and for each run.
    pub key: u64,
    /// When each request of the pass is going to be sent, nanoseconds since 1970.
    pub sent: &'a [u64],
}

/// The body of request `number` of the pass.
pub fn rewritten(template: &Template, number: usize, pass: Pass<'_>) -> Vec<u8> {
    let mut body = template.body.clone();
    for patch in &template.patches {
        match patch.place {
            Place::TraceId(at) => {
                let half = |from: usize, salt: u64| hashed(word(&body, at + from), pass.key ^ salt);
                let (high, low) = (half(0, 0), half(8, 1));
                // Both halves matter for both, or traces with one equal half would show it.
                let id = [(high ^ low.rotate_left(32)).to_le_bytes(), low.to_le_bytes()].concat();
                body[at..at + 16].copy_from_slice(&id);
            }
            Place::SpanId(at) => {
                let id = hashed(word(&body, at), pass.key);
                body[at..at + 8].copy_from_slice(&id.to_le_bytes());
            }
            Place::Time(at) => {
                let anchor = match patch.anchor {
                    Anchor::Own => number,
                    Anchor::Template(first) => first,
                };
                let time = pass.sent[anchor].saturating_sub(patch.age_ns);
                body[at..at + 8].copy_from_slice(&time.to_le_bytes());
            }
        }
    }
    body
}

/// Makes another id of one, word by word.
pub fn rehash(id: &mut [u8], key: u64) {
    for at in (0..id.len() / 8 * 8).step_by(8) {
        let word = hashed(word(id, at), key);
        id[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

fn word(body: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes were sliced"))
}

/// SplitMix64's finaliser (Steele et al. 2014), never zero: that would be no id.
fn hashed(value: u64, key: u64) -> u64 {
    let mut z = value ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).max(1)
}

#[cfg(test)]
mod tests {
    use model::signal::Signal;

    use super::*;
    use crate::telemetry::folder::Protocol;
    use crate::telemetry::templates::Patch;

    #[test]
    fn ids_change_with_the_pass_and_only_with_it() {
        let places = [Place::TraceId(0), Place::SpanId(16), Place::SpanId(24), Place::Time(32)];
        let patch = |place| Patch { place, anchor: Anchor::Template(0), age_ns: 40 };
        let mut body = vec![7; 32];
        body.extend([0; 8]);
        let template = Template {
            protocol: Protocol::Http,
            signal: Signal::Traces,
            body,
            items: 1,
            patches: places.map(patch).to_vec(),
        };
        let sent = [1_000, 2_000];
        let one = rewritten(&template, 0, Pass { key: 1, sent: &sent });
        let same = rewritten(&template, 1, Pass { key: 1, sent: &sent });
        let other = rewritten(&template, 0, Pass { key: 2, sent: &sent });
        assert_eq!(one, same);
        assert_ne!(one[..16], other[..16]);
        assert_ne!(one[16..24], other[16..24]);
        assert_eq!(one[16..24], one[24..32]);
        assert_eq!(word(&one, 32), 960);
    }
}
