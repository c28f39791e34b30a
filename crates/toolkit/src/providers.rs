//! What an activity is done by: an HTTP request, a process, a Python function.

pub mod http;

pub mod process;

/// What a response's body or a process's output may hold.
pub const OUTPUT_BYTES_MAX: usize = 16 << 20;
