//! The proxies as they are: real sockets, the real API. Toxiproxy's own tests of its API and of the
//! effects of toxics, and ours.

#![allow(clippy::unwrap_used, reason = "this is all test code, helpers included")]

mod api;
mod connections;
mod effects;
mod http_proxies;
mod lab;
