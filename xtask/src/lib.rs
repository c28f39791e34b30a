//! The chores of this repository: its tidiness, checked as a test, and the sum of all test results.
//!
//! Chores are code here, not shell, so that they can be tested: every check of [`tidy`] is shown a
//! planted offence and a clean tree. Nothing in this crate is part of the product.

pub mod count;
pub mod rust_source;
pub mod tidy;
pub mod tree;
