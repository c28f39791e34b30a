//! Calls between services: each counted once, attributed to who really answered.
//!
//! Calls wait until the tick ends, so that the order in which spans of one trace arrive within it
//! does not matter. Then
//!
//! - of client spans nested in each other (an HTTP library inside an HTTP library) for the same
//!   callee, one counts: the outermost when it is known by then, else the one that came first;
//! - an address that is known to be answered by a service is that service: its alias.
//!
//! Aliases are learnt where a server span names a client span as its parent: whoever sent the
//! server span answers at the address that the client span called, load balancers in between
//! included. Both orders of arrival work. A rival must answer `RIVAL_MATCHES` times in a row to
//! take an alias over, so an address that fronts several services keeps the alias of the first.
//! Aliases never cross a scope.

use std::collections::BTreeMap;

use model::signal::{SpanId, TraceId};
use model::tick::TopologyChange;
use model::{EntityKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Limits;
use crate::points::{Points, Request};
use crate::recent::Recent;
use crate::registry::{Id, Registry, Series};

/// Matches in a row after which an address belongs to another service.
const RIVAL_MATCHES: u8 = 5;

/// A span's identity in 64 bits: ids are random, so among a hundred thousand two are alike once
/// in 10^9 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SpanKey(u64);

impl SpanKey {
    /// `None` where an id is absent.
    pub(crate) fn new(trace: &TraceId, span: &SpanId) -> Option<SpanKey> {
        if *trace == TraceId::default() || *span == SpanId::default() {
            return None;
        }
        let trace = u128::from_be_bytes(*trace);
        let (high, low) = ((trace >> 64) as u64, trace as u64);
        let span = u64::from_be_bytes(*span);
        // Odd multipliers keep all bits; ids that differ in one place only stay apart.
        let mixed = high.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ low;
        let mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(27) ^ span;
        Some(SpanKey(mixed.wrapping_mul(0x94d0_49bb_1331_11eb)))
    }
}

/// A client or producer span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub key: Option<SpanKey>,
    pub parent: Option<SpanKey>,
    pub ends: Ends,
    pub request: Request,
    pub arrival: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub caller: Id,
    pub callee: Id,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calls {
    clients: Recent<SpanKey, Ends>,
    /// Parents of server spans whose client span has not come yet, with the service that answered.
    waiting: Recent<SpanKey, Id>,
    /// Parents of calls that were counted.
    inner: Recent<SpanKey, Ends>,
    pending: Vec<Call>,
    aliases: BTreeMap<Id, Alias>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Alias {
    service: Id,
    rival: Option<(Id, u8)>,
}

impl Calls {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limit = limits.recent_spans;
        Calls {
            clients: Recent::new(limit),
            waiting: Recent::new(limit),
            inner: Recent::new(limit),
            pending: Vec::new(),
            aliases: BTreeMap::new(),
        }
    }

    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        self.clients.set_limit(limits.recent_spans);
        self.waiting.set_limit(limits.recent_spans);
        self.inner.set_limit(limits.recent_spans);
    }

    /// Remembers a client span; false when it is a second delivery of one that is known.
    pub(crate) fn client_seen(
        &mut self,
        key: SpanKey,
        ends: Ends,
        registry: &mut Registry,
    ) -> bool {
        if self.clients.get(&key).is_some_and(|known| *known == ends) {
            return false;
        }
        self.clients.put(key, ends);
        if let Some(service) = self.waiting.take(&key) {
            self.learn(ends, service, registry);
        }
        true
    }

    /// A server span of `service` has the span `parent` as its parent.
    pub(crate) fn answered(&mut self, parent: SpanKey, service: Id, registry: &mut Registry) {
        match self.clients.get(&parent) {
            Some(ends) => self.learn(*ends, service, registry),
            None => self.waiting.put(parent, service),
        }
    }

    /// Keeps a call until the tick ends; true when no more fit and they have to be counted now.
    pub(crate) fn push(&mut self, call: Call, limits: &Limits) -> bool {
        self.pending.push(call);
        self.pending.len() >= limits.pending_calls
    }

    /// Counts what was kept.
    pub(crate) fn flush(&mut self, points: &mut Points, registry: &mut Registry, limits: &Limits) {
        for call in std::mem::take(&mut self.pending) {
            if self.is_told_by_another(&call) {
                continue;
            }
            let Ends { caller, callee } = call.ends;
            registry.touch(callee, call.arrival);
            let callee = self.resolve(callee);
            if registry.edge(caller, callee, call.arrival, limits) {
                points.request(Series::Edge { caller, callee }, &call.request, registry);
            }
        }
    }

    /// The service known to answer where `callee` is called, else the callee itself.
    pub(crate) fn resolve(&self, callee: Id) -> Id {
        self.aliases.get(&callee).map_or(callee, |alias| alias.service)
    }

    pub(crate) fn forget(&mut self, registry: &Registry) {
        self.aliases.retain(|callee, alias| {
            registry.entity(*callee).is_some() && registry.entity(alias.service).is_some()
        });
    }

    fn is_told_by_another(&mut self, call: &Call) -> bool {
        let is_same = |ends: Option<&Ends>| ends.is_some_and(|ends| *ends == call.ends);
        if call.parent.is_some_and(|parent| is_same(self.clients.get(&parent))) {
            // The parent is counted, or was. If a child of this one came before, it counted for
            // all of them.
            return true;
        }
        let child_counted = call.key.is_some_and(|key| is_same(self.inner.get(&key)));
        if let Some(parent) = call.parent {
            self.inner.put(parent, call.ends);
        }
        child_counted
    }

    fn learn(&mut self, ends: Ends, service: Id, registry: &mut Registry) {
        let (Some(peer), Some(entity)) = (registry.entity(ends.callee), registry.entity(service))
        else {
            return;
        };
        if peer.kind != EntityKind::Peer || peer.scope != entity.scope {
            return;
        }
        let news = TopologyChange::Alias { from: peer.clone(), entity: entity.clone() };
        let Some(alias) = self.aliases.get_mut(&ends.callee) else {
            self.aliases.insert(ends.callee, Alias { service, rival: None });
            registry.announce(news);
            return;
        };
        if alias.service == service {
            alias.rival = None;
            return;
        }
        let matches = match alias.rival {
            Some((rival, matches)) if rival == service => matches + 1,
            _ => 1,
        };
        if matches >= RIVAL_MATCHES {
            *alias = Alias { service, rival: None };
            registry.announce(news);
        } else {
            alias.rival = Some((service, matches));
        }
    }
}

#[cfg(test)]
mod tests;
