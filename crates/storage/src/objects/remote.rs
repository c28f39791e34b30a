//! A file in the object store, read in pieces.
//!
//! Small reads (footers, indexes, blocks of Bloom filters) are served from blocks that are kept for
//! a while, in bounded memory; large ones go past them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};

use bytes::{Bytes, BytesMut};

use super::Objects;
use crate::file::Source;

const BLOCK_BYTES: u64 = 256 << 10;
/// Of all files together.
const BLOCKS_MAX: usize = 64;
/// Reads of more than this are not kept.
const KEPT_READ_BYTES_MAX: u64 = 4 * BLOCK_BYTES;

/// A file that only the object store has.
pub struct RemoteFile {
    objects: Arc<Objects>,
    id: u64,
    name: String,
    len: u64,
}

impl RemoteFile {
    /// `name` as `catalog::name` makes it; `len` as the catalog says.
    pub fn new(objects: Arc<Objects>, id: u64, name: String, len: u64) -> RemoteFile {
        RemoteFile { objects, id, name, len }
    }

    fn read_direct(&self, offset: u64, len: u64) -> io::Result<Bytes> {
        let bytes =
            self.objects.read(&self.name, offset, len as usize).map_err(io::Error::other)?;
        if bytes.len() as u64 != len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the object is too short"));
        }
        Ok(bytes)
    }

    /// The blocks `first..=last`, from memory or with one request.
    fn read_blocks(&self, first: u64, last: u64) -> io::Result<Bytes> {
        let kept: Option<Vec<Bytes>> = {
            let mut blocks = self.objects.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            (first..=last).map(|block| blocks.get((self.id, block))).collect()
        };
        if let Some(kept) = kept {
            if let [only] = kept.as_slice() {
                return Ok(only.clone());
            }
            let mut joined = BytesMut::new();
            kept.iter().for_each(|block| joined.extend_from_slice(block));
            return Ok(joined.freeze());
        }
        let start = first * BLOCK_BYTES;
        let end = ((last + 1) * BLOCK_BYTES).min(self.len);
        let bytes = self.read_direct(start, end - start)?;
        let mut blocks = self.objects.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        for block in first..=last {
            let from = ((block - first) * BLOCK_BYTES) as usize;
            let to = (from + BLOCK_BYTES as usize).min(bytes.len());
            // A copy, so that one block in use does not keep its neighbours.
            blocks.put((self.id, block), Bytes::copy_from_slice(&bytes[from..to]));
        }
        Ok(bytes)
    }
}

impl Source for RemoteFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset.checked_add(len as u64).filter(|end| *end <= self.len);
        let Some(end) = end else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the file"));
        };
        if len == 0 {
            return Ok(Bytes::new());
        }
        if len as u64 > KEPT_READ_BYTES_MAX {
            return self.read_direct(offset, len as u64);
        }
        let (first, last) = (offset / BLOCK_BYTES, (end - 1) / BLOCK_BYTES);
        let blocks = self.read_blocks(first, last)?;
        let start = (offset - first * BLOCK_BYTES) as usize;
        Ok(blocks.slice(start..start + len))
    }
}

/// Blocks of files, those kept that were used last.
#[derive(Default)]
pub(super) struct Blocks {
    /// By file and number of the block.
    kept: BTreeMap<(u64, u64), Block>,
    uses: u64,
}

struct Block {
    bytes: Bytes,
    used: u64,
}

impl Blocks {
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    fn get(&mut self, key: (u64, u64)) -> Option<Bytes> {
        self.uses += 1;
        let block = self.kept.get_mut(&key)?;
        block.used = self.uses;
        Some(block.bytes.clone())
    }

    fn put(&mut self, key: (u64, u64), bytes: Bytes) {
        self.uses += 1;
        self.kept.insert(key, Block { bytes, used: self.uses });
        if self.kept.len() > BLOCKS_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, block)| block.used).map(|(key, _)| *key);
            oldest.map(|key| self.kept.remove(&key));
        }
    }
}
