//! Processes of the host: who they are, which of them is a target's, and handles that never miss.
//!
//! A pid is a slot that the kernel gives away again; a process is host + boot + pid + start time.
//! Invariant: nothing here returns a zombie as running. Only processes of the agent's own network
//! and pid namespace are seen.

pub mod identity;

pub mod listener;

pub mod handle;

pub mod find;

pub mod usage;

mod pid_file;

pub use find::{Found, Holder, children, find, find_among, holders};
pub use handle::ProcessHandle;
pub use identity::Host;
pub use listener::Listeners;
