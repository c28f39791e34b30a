//! Round robin over fixed instances, of which operators may take some out.
//!
//! No health checks and no ejection of its own: with one of two instances dead, every other
//! request meets it. Whether such a request fails or is tried at the next instance is the
//! caller's choice ([`Balancer::read`] repeats what was refused a connection).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::telemetry::outbound::{Call, Caller};
use crate::transport::Upstream;

/// Instances in turn.
pub struct Balancer {
    name: &'static str,
    instances: Vec<Upstream>,
    /// In the order of `instances`.
    states: Mutex<Vec<State>>,
    turn: AtomicUsize,
}

/// Whether an instance gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It gets its turns.
    Active,
    /// An operator took it out.
    Ejected,
}

/// One instance, as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Instance {
    /// The service's name and the instance's number, from 1: `payment-2`.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether it gets requests.
    pub state: State,
}

impl Balancer {
    /// A balancer over at least one instance of the service `name`.
    pub fn new(name: &'static str, instances: Vec<Upstream>) -> Balancer {
        assert!(!instances.is_empty(), "the command line requires an instance");
        let states = Mutex::new(vec![State::Active; instances.len()]);
        Balancer { name, instances, states, turn: AtomicUsize::new(0) }
    }

    /// The active instance whose turn it is; any where all are ejected.
    pub fn next(&self) -> &Upstream {
        self.by_turn()[0]
    }

    /// The active instances, or all where all are ejected, beginning with the one whose turn it is.
    fn by_turn(&self) -> Vec<&Upstream> {
        let with_states = self.instances.iter().zip(self.states());
        let active = with_states.filter(|(_, state)| *state == State::Active);
        let mut instances: Vec<&Upstream> = active.map(|(instance, _)| instance).collect();
        if instances.is_empty() {
            instances = self.instances.iter().collect();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % instances.len();
        instances.rotate_left(turn);
        instances
    }

    /// Asks the instance whose turn it is for something that may be asked twice, whatever its
    /// method. Where the connection is refused, the next one is asked, once for each instance.
    pub async fn read(
        &self,
        caller: &Caller,
        call: BalancedCall<'_>,
    ) -> Result<Response<Bytes>, Problem> {
        let mut last = None;
        for instance in self.by_turn() {
            match caller.call(call.to(self.name, instance)).await {
                Err(problem) if problem.is_unreachable() => last = Some(problem),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| Problem::not_found("no instance")))
    }

    /// Every instance, in order.
    pub fn instances(&self) -> Vec<Instance> {
        let states = self.states();
        let numbered = (1..).zip(&self.instances).zip(states);
        numbered
            .map(|((number, upstream), state)| Instance {
                name: format!("{}-{number}", self.name),
                url: upstream.to_string(),
                state,
            })
            .collect()
    }

    /// Takes an instance out, or back. False where there is none of that name.
    pub fn set(&self, name: &str, state: State) -> bool {
        let Some(index) = self.instances().iter().position(|known| known.name == name) else {
            return false;
        };
        self.states.lock().unwrap_or_else(|poison| poison.into_inner())[index] = state;
        true
    }

    fn states(&self) -> Vec<State> {
        self.states.lock().unwrap_or_else(|poison| poison.into_inner()).clone()
    }
}

/// A call that has no instance yet.
pub struct BalancedCall<'a> {
    /// Request method.
    pub method: Method,
    /// Path at the instance, with its query.
    pub path: &'a str,
    /// Headers beside `host` and `traceparent`.
    pub headers: HeaderMap,
    /// Request body.
    pub body: Bytes,
    /// Time until the whole answer must be there.
    pub timeout: std::time::Duration,
}

impl<'a> BalancedCall<'a> {
    fn to(&self, name: &'a str, upstream: &'a Upstream) -> Call<'a> {
        Call {
            name,
            upstream,
            method: self.method.clone(),
            path: self.path,
            headers: self.headers.clone(),
            body: self.body.clone(),
            timeout: self.timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(ports: &[u16]) -> Balancer {
        let url = |port| format!("http://127.0.0.1:{port}").parse().expect("good URL");
        Balancer::new("payment", ports.iter().map(url).collect())
    }

    fn ports(balancer: &Balancer, count: usize) -> Vec<u16> {
        (0..count).map(|_| balancer.next().port()).collect()
    }

    #[test]
    fn instances_take_turns() {
        assert_eq!(ports(&balancer(&[1, 2, 3]), 7), [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn an_ejected_instance_gets_nothing_until_it_is_back() {
        let balancer = balancer(&[1, 2]);
        assert!(balancer.set("payment-1", State::Ejected));
        assert_eq!(ports(&balancer, 3), [2, 2, 2]);
        assert_eq!(balancer.instances()[0].state, State::Ejected);
        assert!(balancer.set("payment-1", State::Active));
        assert!(ports(&balancer, 2).contains(&1));
        assert!(!balancer.set("payment-3", State::Ejected));
    }

    #[test]
    fn with_all_ejected_none_is_left_out() {
        let balancer = balancer(&[1, 2]);
        assert!(["payment-1", "payment-2"].iter().all(|name| balancer.set(name, State::Ejected)));
        let mut seen = ports(&balancer, 2);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn the_turns_of_many_threads_are_shared_evenly() {
        let balancer = balancer(&[1, 2]);
        let first: usize = std::thread::scope(|scope| {
            let count = || (0..500).filter(|_| balancer.next().port() == 1).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(first, 1000);
    }

    #[tokio::test]
    async fn a_read_whose_connection_is_refused_is_tried_at_the_next_instance() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let dead = free.local_addr().expect("address").port();
        drop(free);
        let alive = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = alive.local_addr().expect("address").port();
        let routes = axum::Router::new().route("/x", axum::routing::get(|| async { "here" }));
        tokio::spawn(axum::serve(alive, routes).into_future());
        let balancer = balancer(&[dead, port]);
        let call = |method: Method| BalancedCall {
            method,
            path: "/x",
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: std::time::Duration::from_secs(5),
        };
        let caller = Caller::new();
        for turn in 0..6 {
            // Others take turns too, between a refusal and the next try.
            balancer.turn.fetch_add(turn, Ordering::Relaxed);
            let answer = balancer.read(&caller, call(Method::GET)).await.expect("the other one");
            assert_eq!(answer.body().as_ref(), b"here");
            let answer = balancer.read(&caller, call(Method::POST)).await.expect("the other one");
            assert_eq!(answer.status(), http::StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}
