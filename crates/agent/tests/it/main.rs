//! The agent as it is: real processes, real signals, real crashes.
//!
//! Agents and services are this very program started anew in another role, so that they can be
//! killed. Tests wait for states, with a deadline.

#![allow(clippy::unwrap_used, reason = "this is all test code, helpers included")]

mod balancers;
mod containers;
mod databases;
mod faults;
mod kinds;
mod lab;
mod link;
mod names;
mod orders;
mod redirects;
mod requests;
mod restart;
mod service;
mod signals;
mod units;
