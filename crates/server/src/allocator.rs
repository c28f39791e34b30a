//! The allocator's own call that Rust has no word for.
//!
//! mimalloc keeps what a thread has let go of until that thread allocates again. Threads that work
//! now and then would keep what their largest piece of work needed, for ever.

/// Gives the system back what this thread has let go of. Does nothing of use, and no harm, in
/// programs with another allocator.
#[allow(unsafe_code, reason = "a function of C")]
pub fn give_back() {
    // SAFETY: `mi_collect` may be called by any thread at any time, and changes no memory in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
