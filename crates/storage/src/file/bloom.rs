//! Split-block Bloom filters, as Parquet defines them: written whole, asked by one block of 32
//! bytes.
//!
//! A filter says "no" or "maybe"; the block that holds the answer is told by the hash, so a
//! question costs one small read however large the filter is. Our filters over tokens have as many
//! blocks as they need; those that the Parquet library writes over trace ids have a power of two.
//!
//! Invariant: what was put in is never denied.

/// Bytes of a block.
pub const BLOCK: usize = 32;

/// From the Parquet format's specification (`BloomFilter.md`).
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Bits for each distinct value: about 1 % false answers.
const BITS_PER_VALUE: usize = 10;

/// Values of one filter, at most. With more there is no filter, and the answer is always "maybe".
const VALUES_MAX: usize = 4 << 20;

/// Which block of `blocks` knows of `hash`.
pub fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

/// Whether `block` may have `hash`.
pub fn may_hold(block: &[u8; BLOCK], hash: u64) -> bool {
    masks(hash).zip(block.chunks_exact(4)).all(|(mask, word)| {
        let word = word.try_into().map_or(u32::MAX, u32::from_le_bytes);
        word & mask != 0
    })
}

fn masks(hash: u64) -> impl Iterator<Item = u32> {
    let low = hash as u32;
    SALT.iter().map(move |salt| 1 << (low.wrapping_mul(*salt) >> 27))
}

/// Gathers the distinct hashes of one row group.
pub struct Distinct {
    seen: hashbrown::HashSet<u64>,
    /// Hashes met lately, so that words which are everywhere cost no look-up.
    recent: Vec<u64>,
    overflowed: bool,
}

const RECENT: usize = 4_096;

impl Default for Distinct {
    fn default() -> Self {
        Distinct::new()
    }
}

impl Distinct {
    pub fn new() -> Distinct {
        Distinct { seen: hashbrown::HashSet::new(), recent: vec![0; RECENT], overflowed: false }
    }

    pub fn insert(&mut self, hash: u64) {
        let recent = &mut self.recent[hash as usize % RECENT];
        if *recent == hash && hash != 0 {
            return;
        }
        *recent = hash;
        if self.seen.len() < VALUES_MAX {
            self.seen.insert(hash);
        } else {
            self.overflowed = true;
        }
    }

    /// The filter over all that was inserted, and begins anew. Empty where there were too many.
    pub fn take_filter(&mut self) -> Vec<u8> {
        let values = self.seen.len();
        if std::mem::take(&mut self.overflowed) {
            self.seen.clear();
            return Vec::new();
        }
        let blocks = (values * BITS_PER_VALUE).div_ceil(BLOCK * 8).max(1);
        let mut filter = vec![0_u8; blocks * BLOCK];
        for hash in self.seen.drain() {
            let start = block_of(hash, blocks as u64) as usize * BLOCK;
            for (word, mask) in masks(hash).enumerate() {
                let at = start + word * 4;
                for (byte, bits) in filter[at..at + 4].iter_mut().zip(mask.to_le_bytes()) {
                    *byte |= bits;
                }
            }
        }
        self.recent.fill(0);
        filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(filter: &[u8], hash: u64) -> bool {
        let at = block_of(hash, (filter.len() / BLOCK) as u64) as usize * BLOCK;
        may_hold(filter[at..at + BLOCK].try_into().unwrap(), hash)
    }

    fn hash(value: u64) -> u64 {
        twox_hash::XxHash3_64::oneshot(&value.to_le_bytes())
    }

    #[test]
    fn what_was_put_in_is_never_denied_and_little_else_is_believed() {
        let mut distinct = Distinct::new();
        for value in 0..20_000 {
            distinct.insert(hash(value));
            distinct.insert(hash(value % 7));
        }
        distinct.insert(0);
        let filter = distinct.take_filter();
        assert!(filter.len() <= 20_001 * BITS_PER_VALUE / 8 + BLOCK, "{}", filter.len());
        assert!((0..20_000).all(|value| ask(&filter, hash(value))));
        assert!(ask(&filter, 0));
        let wrong = (20_000..120_000).filter(|value| ask(&filter, hash(*value))).count();
        assert!(wrong < 2_500, "{wrong} of 100,000");
    }

    #[test]
    fn the_next_row_group_begins_with_nothing() {
        let mut distinct = Distinct::new();
        distinct.insert(hash(1));
        distinct.take_filter();
        distinct.insert(hash(2));
        let filter = distinct.take_filter();
        assert!(ask(&filter, hash(2)) && !ask(&filter, hash(1)));
    }

    #[test]
    fn agrees_with_the_filters_of_the_parquet_library() {
        let mut theirs = parquet::bloom_filter::Sbbf::new_with_num_of_bytes(4_096);
        for value in 0..1_000_u64 {
            theirs.insert(&(value as i64));
        }
        let mut written = Vec::new();
        theirs.write_bitset(&mut written).unwrap();
        let hash = |value: u64| twox_hash::XxHash64::oneshot(0, &value.to_le_bytes());
        assert!((0..1_000).all(|value| ask(&written, hash(value))));
        assert!(!(1_000..2_000).all(|value| ask(&written, hash(value))));
    }
}
