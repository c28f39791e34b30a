//! HTTP proxies: a listener that leads to an upstream, with faults by method, route and share.
//!
//! Bodies stream through; only one that is replaced is not read. Both sides are HTTP/1.1; what
//! belongs to one hop stays on it, and an upgrade to another protocol is not passed on.

mod connector;

mod fault;

mod forward;

mod headers;

mod proxies;

mod proxy;

pub use fault::{Edits, Fault, Replacement};
pub use proxies::{HttpProxies, Wanted};
pub use proxy::{HttpProxy, View};

pub(crate) use proxy::{Shared, start};
