//! Integration tests of the receivers, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod oracle;

mod random;

mod equivalence;

mod protobuf;

mod json;

mod corpus;

mod rig;

mod http;

mod grpc;

mod bounds;

mod memory;

mod sdk;
