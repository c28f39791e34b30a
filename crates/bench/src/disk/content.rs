//! The bytes of one file, and which of them a power cut may take.
//!
//! Held in memory. A page is dirty from its first change after an fsync to the next fsync; of a
//! dirty page three versions are known: the one on disk, the newest, and one in between that a
//! disk may have written by itself. After a power cut any of them may be there, or sectors of
//! both: that is what POSIX promises and no more. What was synced is never touched.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use super::Fate;

const PAGE_BYTES: usize = 4096;
/// The smallest piece that a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Content {
    bytes: Vec<u8>,
    synced_len: usize,
    dirty: BTreeMap<usize, Dirty>,
    /// Space that was asked for beyond the end.
    reserved: u64,
}

/// Other versions of a page; bytes that are not there are zero.
#[derive(Clone, Debug, Default)]
struct Dirty {
    synced: Vec<u8>,
    between: Option<Vec<u8>>,
    changes: u32,
}

impl Content {
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Space that it takes on the disk.
    pub fn space(&self) -> u64 {
        (self.bytes.len() as u64).max(self.reserved)
    }

    pub fn read(&self, offset: usize, len: usize) -> &[u8] {
        let from = offset.min(self.bytes.len());
        &self.bytes[from..offset.saturating_add(len).clamp(from, self.bytes.len())]
    }

    pub fn write(&mut self, offset: usize, data: &[u8], generator: &mut StdRng) {
        let end = offset + data.len();
        self.touch(offset, end, generator);
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(data);
    }

    pub fn set_len(&mut self, len: usize, generator: &mut StdRng) {
        // What is cut off may be back after a power cut.
        self.touch(len, self.bytes.len(), generator);
        self.bytes.resize(len, 0);
    }

    pub fn reserve(&mut self, space: u64) {
        self.reserved = self.reserved.max(space);
    }

    pub fn sync(&mut self) {
        self.dirty.clear();
        self.synced_len = self.bytes.len();
    }

    /// What is there after a power cut.
    pub fn after_cut(&self, fate: Fate, generator: &mut StdRng) -> Content {
        let len = self.surviving_len(fate, generator);
        let mut bytes = self.bytes.clone();
        bytes.resize(len, 0);
        for (page, dirty) in &self.dirty {
            let (from, to) = (page * PAGE_BYTES, ((page + 1) * PAGE_BYTES).min(len));
            if from >= to {
                continue;
            }
            let newest = padded(self.read(from, PAGE_BYTES));
            let kept = dirty.surviving(newest, fate, generator);
            bytes[from..to].copy_from_slice(&kept[..to - from]);
        }
        Content { bytes, synced_len: len, dirty: BTreeMap::new(), reserved: self.reserved }
    }

    fn surviving_len(&self, fate: Fate, generator: &mut StdRng) -> usize {
        let (synced, newest) = (self.synced_len, self.bytes.len());
        match fate {
            Fate::Lost => synced,
            Fate::Kept => newest,
            Fate::Mixed => match generator.random_range(0..3) {
                0 => synced,
                1 => newest,
                // A file grows piece by piece; it is never cut to a length nobody asked for.
                _ if newest > synced => generator.random_range(synced..=newest),
                _ => newest,
            },
        }
    }

    /// Remembers the pages of `from..to` before they change.
    fn touch(&mut self, from: usize, to: usize, generator: &mut StdRng) {
        if from >= to {
            return;
        }
        for page in from / PAGE_BYTES..=(to - 1) / PAGE_BYTES {
            let start = page * PAGE_BYTES;
            let now = self.bytes.get(start..).unwrap_or_default();
            let now = &now[..now.len().min(PAGE_BYTES)];
            let Some(dirty) = self.dirty.get_mut(&page) else {
                // What lies beyond what was synced is not on disk.
                let synced = self.synced_len.saturating_sub(start).min(now.len());
                let synced = now[..synced].to_vec();
                self.dirty.insert(page, Dirty { synced, ..Dirty::default() });
                continue;
            };
            // Each version in between is as likely as any other to be the one on disk.
            dirty.changes = dirty.changes.saturating_add(1);
            if generator.random_range(0..dirty.changes) == 0 {
                dirty.between = Some(now.to_vec());
            }
        }
    }
}

impl Dirty {
    fn surviving(&self, newest: Vec<u8>, fate: Fate, generator: &mut StdRng) -> Vec<u8> {
        match fate {
            Fate::Lost => padded(&self.synced),
            Fate::Kept => newest,
            Fate::Mixed => {
                let between = self.between.as_deref().map_or_else(|| newest.clone(), padded);
                match generator.random_range(0..4) {
                    0 => padded(&self.synced),
                    1 => newest,
                    2 => between,
                    _ => torn(&padded(&self.synced), &newest, generator),
                }
            }
        }
    }
}

/// A page of which some sectors were written and others not.
fn torn(old: &[u8], new: &[u8], generator: &mut StdRng) -> Vec<u8> {
    let mut page = old.to_vec();
    for at in (0..PAGE_BYTES).step_by(SECTOR_BYTES) {
        if generator.random_bool(0.5) {
            page[at..at + SECTOR_BYTES].copy_from_slice(&new[at..at + SECTOR_BYTES]);
        }
    }
    page
}

fn padded(part: &[u8]) -> Vec<u8> {
    let mut page = part.to_vec();
    page.resize(PAGE_BYTES, 0);
    page
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn generator() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn synced_bytes_survive_every_cut() {
        let mut generator = generator();
        let mut content = Content::default();
        content.write(0, &[1; 10_000], &mut generator);
        content.sync();
        content.write(10_000, &[2; 5_000], &mut generator);
        for fate in [Fate::Lost, Fate::Kept, Fate::Mixed] {
            for _ in 0..50 {
                let after = content.after_cut(fate, &mut generator);
                assert!(after.len() >= 10_000 && after.len() <= 15_000);
                assert_eq!(after.read(0, 10_000), [1; 10_000]);
            }
        }
        assert_eq!(content.after_cut(Fate::Lost, &mut generator).len(), 10_000);
        assert_eq!(content.after_cut(Fate::Kept, &mut generator).read(0, 20_000), content.bytes);
    }

    #[test]
    fn an_unsynced_append_may_leave_zeros_behind() {
        let mut generator = generator();
        let mut content = Content::default();
        content.write(0, &[3; 9_000], &mut generator);
        let seen: Vec<Content> =
            (0..100).map(|_| content.after_cut(Fate::Mixed, &mut generator)).collect();
        assert!(seen.iter().any(|after| after.len() == 0));
        assert!(seen.iter().any(|after| after.len() == 9_000 && after.bytes.contains(&0)));
    }

    #[test]
    fn what_was_cut_off_without_a_sync_may_be_back() {
        let mut generator = generator();
        let mut content = Content::default();
        content.write(0, &[4; 6_000], &mut generator);
        content.sync();
        content.set_len(100, &mut generator);
        assert_eq!(content.after_cut(Fate::Lost, &mut generator).read(0, 6_000), [4; 6_000]);
        assert_eq!(content.after_cut(Fate::Kept, &mut generator).len(), 100);
        content.sync();
        assert_eq!(content.after_cut(Fate::Lost, &mut generator).len(), 100);
    }

    #[test]
    fn a_page_written_twice_may_be_left_as_it_was_in_between() {
        let mut generator = generator();
        let mut content = Content::default();
        content.write(0, &[1; 4_096], &mut generator);
        content.sync();
        content.write(0, &[2; 4_096], &mut generator);
        content.write(0, &[3; 4_096], &mut generator);
        let firsts: std::collections::BTreeSet<u8> =
            (0..100).map(|_| content.after_cut(Fate::Mixed, &mut generator).bytes[0]).collect();
        assert_eq!(firsts.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
