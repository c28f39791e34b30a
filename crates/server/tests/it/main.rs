//! The real `immune` program, from outside: real processes, real signals, real files.
//!
//! Each test has a server of its own on free ports with its own data folder (`lab`), users who ask
//! a real process and tell of it as OTLP (`traffic`), and waits for states, never for times.
//! Nothing here reaches into the server: what it shows is what a user of the program would see. But
//! `schedule` reads the seed of its moments out of the journal, so as not to wait for a day.

#![allow(clippy::unwrap_used, reason = "this is all test code, helpers included")]

mod wait;

mod http;

mod lab;

mod traffic;

mod webhook;

mod healing;

mod crashes;

mod modes;

mod drills;

mod schedule;

mod notifications;

mod api;

mod description;

mod live;

mod simulated;

mod views;

mod full_disk;

mod startup;

mod telemetry;

mod config;

mod reference;

mod pty;

mod terminal;
