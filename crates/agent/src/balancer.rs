//! Load balancers: who is in rotation, and taking one server out of it or putting it back.
//!
//! Invariants: a server is taken out only when enough others are left, as seen in the same breath,
//! and one change at a time (two agents' threads must not each leave the other's server to carry
//! all); a change counts only once the balancer itself shows it; what did not work is put back.

mod haproxy;

mod nginx;

use std::sync::TryLockError;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::clock;
use crate::config::LoadBalancer;
use crate::trouble::Trouble;

/// What a balancer says of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Taken out by the means that are used here; whether it is well is another matter.
    pub is_ejected: bool,
    /// Other servers that get users.
    pub others: u32,
}

/// The time that one change has.
#[derive(Clone, Copy)]
struct Until(Instant);

impl Until {
    fn left(self) -> Duration {
        self.0.saturating_duration_since(clock::monotonic())
    }
}

pub fn eject(bench: &Bench, balancer: &LoadBalancer) -> Result<String, Trouble> {
    change(bench, balancer, true)
}

pub fn put_back(bench: &Bench, balancer: &LoadBalancer) -> Result<String, Trouble> {
    change(bench, balancer, false)
}

fn change(bench: &Bench, balancer: &LoadBalancer, eject: bool) -> Result<String, Trouble> {
    let _alone = match bench.balancers.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            let why = "another server is being taken out or put back".to_owned();
            return Err(Trouble::Refused(why));
        }
    };
    let until = Until(clock::monotonic() + balancer.timeout.0);
    let server = &balancer.server;
    let standing = look(balancer, until).map_err(Trouble::Refused)?;
    if eject && standing.others < balancer.keep_min {
        let (others, keep_min) = (standing.others, balancer.keep_min);
        let why = format!("without {server} {others} would be in rotation, {keep_min} must be");
        return Err(Trouble::Refused(why));
    }
    let done = set(bench, balancer, eject, until)?;
    let now = look(balancer, until)?;
    let how = if eject { "out of rotation" } else { "in rotation again" };
    if now.is_ejected != eject {
        return Err(format!("{done}, but {server} is not {how}").into());
    }
    if eject && now.others < balancer.keep_min {
        // Another has left meanwhile.
        let (others, back) = (now.others, set(bench, balancer, false, until)?);
        return Err(format!("{done}, then only {others} were in rotation; {back}").into());
    }
    Ok(format!("{done}: {server} is {how}, {} others are in it", now.others))
}

fn set(
    bench: &Bench,
    balancer: &LoadBalancer,
    eject: bool,
    until: Until,
) -> Result<String, String> {
    let server = &balancer.server;
    match (&balancer.haproxy, &balancer.nginx) {
        (Some(haproxy), _) => haproxy::set(haproxy, server, eject, until),
        (None, Some(nginx)) => nginx::set(bench, nginx, server, eject, until),
        (None, None) => Err("no load balancer is declared".to_owned()),
    }
}

fn look(balancer: &LoadBalancer, until: Until) -> Result<Standing, String> {
    match (&balancer.haproxy, &balancer.nginx) {
        (Some(haproxy), _) => haproxy::standing(haproxy, &balancer.server, until),
        (None, Some(nginx)) => nginx::standing(nginx, &balancer.server),
        (None, None) => Err("no load balancer is declared".to_owned()),
    }
}
