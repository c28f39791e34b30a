//! How much memory one input may take: counted at the allocator, so that nothing is left out.
//!
//! Counted for the whole process: inputs are tried one after another. What stays after an input
//! (connections, caches) counts for that input only; a leak is found by libFuzzer's own limit.

use peak_alloc::PeakAlloc;

use crate::Answer;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that may be allocated at a time beyond those held before: `base + factor * input`.
#[derive(Clone, Copy)]
pub struct Memory {
    pub base: usize,
    pub factor: usize,
}

impl Memory {
    pub(crate) fn watch(&self, input_bytes: usize, work: impl FnOnce() -> Answer) -> Answer {
        let allowed = self.base + self.factor * input_bytes;
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let answer = work();
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(
            taken <= allowed,
            "{taken} bytes of memory were taken for an input of {input_bytes} bytes, where \
             {allowed} are allowed"
        );
        answer
    }
}
