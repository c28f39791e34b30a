//! Text of telemetry without a copy of its own: a slice of the request that brought it.
//!
//! A span has thirty texts, and to allocate each costs more than to read the span. A [`Text`] is
//! 24 bytes: short ones (up to [`INLINE_MAX`] bytes: most attribute names, codes, methods) are held
//! in place, longer ones share the [`Body`] in which they arrived.
//!
//! Invariants: the bytes of a text are valid UTF-8, checked when it is made, and never change. A
//! text compares, hashes, prints and serialises as the `str` that it holds. A shared text keeps its
//! whole body in memory: who keeps one longer than the batch it came with keeps [`Text::detached`]
//! or a `String`.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text, in bytes, that is held in place.
pub const INLINE_MAX: usize = 22;

/// Immutable UTF-8 text; a clone costs no allocation.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    /// What follows the first `len` bytes is zero.
    Inline {
        len: u8,
        bytes: [u8; INLINE_MAX],
    },
    Fixed(&'static str),
    Shared {
        body: Arc<Bytes>,
        start: u32,
        len: u32,
    },
}

/// A request body whose texts share it.
#[derive(Clone, Debug)]
pub struct Body(Arc<Bytes>);

impl Body {
    pub fn new(bytes: Bytes) -> Self {
        Body(Arc::new(bytes))
    }

    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text of `part`, which should be a part of this body; what is not is copied.
    #[inline]
    pub fn text(&self, part: &[u8]) -> Result<Text, Utf8Error> {
        // The common case is ASCII, and told faster than well-formed UTF-8 is.
        if part.len() <= INLINE_MAX {
            let (text, is_ascii) = self.inline(part);
            if !is_ascii {
                std::str::from_utf8(part)?;
            }
            return Ok(text);
        }
        if !part.is_ascii() {
            std::str::from_utf8(part)?;
        }
        Ok(self.shared(part))
    }

    /// The same of a part that is known to be text.
    #[inline]
    pub fn slice(&self, part: &str) -> Text {
        if part.len() <= INLINE_MAX {
            return self.inline(part.as_bytes()).0;
        }
        self.shared(part.as_bytes())
    }

    /// At most [`INLINE_MAX`] bytes in place, and whether they are ASCII: by words, because most
    /// texts are as short as this and a call of `memcpy` costs more than the rest.
    #[inline]
    fn inline(&self, part: &[u8]) -> (Text, bool) {
        let start = self.distance(part);
        let window = self.0.get(start..).and_then(<[u8]>::first_chunk::<INLINE_MAX>);
        let Some(window) = window else {
            let text = Text::inline(part).unwrap_or_default();
            return (text, part.is_ascii());
        };
        let len = part.len().min(INLINE_MAX);
        let (mut low, mut high) = ([0; 16], [0; 8]);
        low.copy_from_slice(&window[..16]);
        high[..6].copy_from_slice(&window[16..]);
        // Bytes beyond the text become zero.
        let cut = 8 * (16 - len.min(16)) as u32;
        let low = u128::from_le_bytes(low) & u128::MAX.checked_shr(cut).unwrap_or(0);
        let high = u64::from_le_bytes(high) & ((1 << (8 * len.saturating_sub(16))) - 1);
        let is_ascii = low & (u128::MAX / 0xff * 0x80) == 0 && high & (u64::MAX / 0xff * 0x80) == 0;
        let mut bytes = [0; INLINE_MAX];
        bytes[..16].copy_from_slice(&low.to_le_bytes());
        bytes[16..].copy_from_slice(&high.to_le_bytes()[..6]);
        (Text(Repr::Inline { len: len as u8, bytes }), is_ascii)
    }

    /// `part` has been found to be UTF-8.
    fn shared(&self, part: &[u8]) -> Text {
        match (self.place(part), u32::try_from(part.len())) {
            (Some(start), Ok(len)) => Text(Repr::Shared { body: Arc::clone(&self.0), start, len }),
            _ => Text::copied(part),
        }
    }

    /// Where `part` stands, if it is a part of this body.
    fn place(&self, part: &[u8]) -> Option<u32> {
        let start = self.distance(part);
        let end = start.checked_add(part.len())?;
        u32::try_from(start).ok().filter(|_| end <= self.0.len())
    }

    /// How far behind the beginning of this body `part` begins; beyond its end when elsewhere.
    fn distance(&self, part: &[u8]) -> usize {
        (part.as_ptr() as usize).wrapping_sub(self.0.as_ptr() as usize)
    }
}

impl Text {
    /// Text of the program itself; never allocates.
    pub const fn fixed(text: &'static str) -> Self {
        Text(Repr::Fixed(text))
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Fixed(text) => text.as_bytes(),
            Repr::Shared { body, start, len } => {
                let start = *start as usize;
                &body[start..start + *len as usize]
            }
        }
    }

    #[allow(unsafe_code)] // A check at each reading would cost more than all else that is read.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: every way to make a `Repr` (`Body::inline`, `Body::shared`, `Text::inline`,
        // `copied`, `own`, `fixed`; all private but the last) is given bytes that were a `str` or
        // were checked by `from_utf8` (or are ASCII) before the text is handed out, none cuts them,
        // and neither `Bytes` nor a `Text` can be written to.
        unsafe { std::str::from_utf8_unchecked(self.as_bytes()) }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { len, .. } => usize::from(*len),
            Repr::Fixed(text) => text.len(),
            Repr::Shared { len, .. } => *len as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same text, which keeps nothing else in memory.
    pub fn detached(&self) -> Text {
        match &self.0 {
            Repr::Shared { body, .. } if body.len() > self.len() => Text::copied(self.as_bytes()),
            _ => self.clone(),
        }
    }

    fn inline(part: &[u8]) -> Option<Text> {
        let mut bytes = [0; INLINE_MAX];
        bytes.get_mut(..part.len())?.copy_from_slice(part);
        Some(Text(Repr::Inline { len: part.len() as u8, bytes }))
    }

    /// `part` is UTF-8. Texts of 4 GiB and more do not exist: no request is that large.
    fn copied(part: &[u8]) -> Text {
        Text::inline(part).unwrap_or_else(|| Text::own(Bytes::copy_from_slice(part)))
    }

    fn own(bytes: Bytes) -> Text {
        let len = u32::try_from(bytes.len()).expect("a text is shorter than 4 GiB");
        Text(Repr::Shared { body: Arc::new(bytes), start: 0, len })
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::fixed("")
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::copied(text.as_bytes())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Text::from(text.as_str())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::inline(text.as_bytes()).unwrap_or_else(|| Text::own(Bytes::from(text)))
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Text::from(text),
            Cow::Owned(text) => Text::from(text),
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Inline { len, bytes }, Repr::Inline { len: length, bytes: others }) => {
                len == length && bytes == others
            }
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<Text> for str {
    fn eq(&self, other: &Text) -> bool {
        other == self
    }
}

impl PartialEq<Text> for &str {
    fn eq(&self, other: &Text) -> bool {
        other == self
    }
}

impl PartialEq<Text> for String {
    fn eq(&self, other: &Text) -> bool {
        other == self
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::from(text))
            }
            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Text, E> {
                Ok(Text::from(text))
            }
        }
        deserializer.deserialize_string(Visitor)
    }
}

#[cfg(test)]
mod tests;
