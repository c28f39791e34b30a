//! From a description to a fleet: callers before those they call, services before stores, and what
//! was left out sized by what is usually asked.

use std::collections::BTreeMap;

use model::{ActionKind, Entity, Scope};

use super::{Act, Service, Store, System};
use crate::fleet::{Call, Entry, Fleet, Kind, Node, PATIENCE_SECONDS};

/// Without a word on it, a copy can work on so many times what it usually does, and on this many.
const SPARE_TIMES: f64 = 5.0;
const SLOTS_MIN: f64 = 8.0;
const QUEUE_TIMES: f64 = 4.0;
const TIMEOUT_TIMES: f64 = 12.0;
const TIMEOUT_SECONDS_MIN: f64 = 1.0;

impl System {
    /// The fleet that it describes. Only for a system without `problems`.
    pub fn fleet(&self) -> Fleet {
        let order = self.order().unwrap_or_default();
        let mut nodes: Vec<Node> =
            order.iter().map(|name| service(name, &self.services[*name])).collect();
        let kinds = [
            (Kind::Database, &self.databases),
            (Kind::Cache, &self.caches),
            (Kind::Broker, &self.queues),
        ];
        for (kind, stores) in kinds {
            nodes.extend(stores.iter().map(|(name, given)| store(kind, name, given)));
        }
        let places: BTreeMap<String, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node.name.clone(), at)).collect();
        for node in nodes.iter_mut().filter(|node| node.is_service()) {
            let calls = self.services[&node.name].calls.iter();
            let call = |given: &super::Call| {
                Some(Call {
                    to: *places.get(&given.to)?,
                    per_request: given.per_request,
                    must: !given.optional,
                    // Set by `provide`, where none is given.
                    timeout_seconds: given.timeout.map_or(0.0, |it| it.0.as_secs_f64()),
                    retries: i32::try_from(given.retries).unwrap_or(0),
                    pool: given.pool,
                })
            };
            node.calls = calls.filter_map(call).collect();
        }
        let entry = |(name, users): (&String, &super::Users)| {
            Some(Entry { node: *places.get(name)?, rate: users.requests_per_s, probe: None })
        };
        let only = self.services.iter().filter(|(_, service)| !service.allow.is_empty());
        let only = only.map(|(name, service)| (places[name], actions(&service.allow))).collect();
        let mut fleet = Fleet {
            nodes,
            entries: self.users.iter().filter_map(entry).collect(),
            sampling: self.sampling,
            drops_dead_after: self.dead_copies_leave_after.map(|after| after.0.as_secs()),
            daily_swing: self.traffic.daily_swing,
            weekend: self.traffic.weekend,
            peak_at: self.traffic.peak_hour * 3_600.0,
            only,
        };
        provide(&mut fleet);
        fleet
    }

    /// Services, callers first; or those that call each other in a circle, the first again at the
    /// end.
    pub(super) fn order(&self) -> Result<Vec<&str>, Vec<&str>> {
        let mut order = Vec::new();
        // `false`: its calls are being looked at.
        let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
        for first in self.services.keys() {
            if seen.contains_key(first.as_str()) {
                continue;
            }
            seen.insert(first, false);
            let mut path: Vec<(&str, usize)> = vec![(first, 0)];
            while let Some((name, next)) = path.last_mut() {
                let name = *name;
                let Some(call) = self.services[name].calls.get(*next) else {
                    seen.insert(name, true);
                    order.push(name);
                    path.pop();
                    continue;
                };
                *next += 1;
                let Some((to, _)) = self.services.get_key_value(&call.to) else { continue };
                match seen.get(to.as_str()) {
                    Some(true) => {}
                    Some(false) => {
                        let names = path.iter().map(|(name, _)| *name);
                        let mut circle: Vec<&str> =
                            names.skip_while(|name| *name != to.as_str()).collect();
                        circle.push(to);
                        return Err(circle);
                    }
                    None => {
                        seen.insert(to, false);
                        path.push((to, 0));
                    }
                }
            }
        }
        order.reverse();
        Ok(order)
    }
}

fn service(name: &str, given: &Service) -> Node {
    let operation = Entity::operation(&Scope::default(), name, &format!("GET /{name}"));
    Node {
        name: name.to_owned(),
        kind: Kind::Service,
        entity: Kind::Service.entity(name, given.telemetry),
        calls: Vec::new(),
        copies: given.copies,
        slots: given.concurrency.unwrap_or(0.0),
        queue: given.queue.unwrap_or(-1.0),
        own_seconds: given.takes_ms / 1e3,
        sigma: given.spread,
        errors: given.errors,
        told: given.telemetry,
        agent: !given.allow.is_empty(),
        drops: 0.0,
        consumes: None,
        operations: vec![(operation, 1.0)],
        usual_rate: 0.0,
        usual_seconds: 0.0,
    }
}

fn store(kind: Kind, name: &str, given: &Store) -> Node {
    Node {
        entity: kind.entity(name, false),
        kind,
        told: false,
        operations: Vec::new(),
        slots: given.concurrency.unwrap_or(0.0),
        queue: given.queue.unwrap_or(-1.0),
        own_seconds: given.takes_ms / 1e3,
        sigma: given.spread,
        ..service(name, &Service::default())
    }
}

fn actions(allow: &[Act]) -> Vec<ActionKind> {
    let kinds = allow.iter().flat_map(|act| match act {
        Act::Restart => vec![ActionKind::Restart],
        Act::Rollback => vec![ActionKind::Rollback],
        Act::Eject => vec![ActionKind::Eject, ActionKind::Return],
    });
    kinds.collect()
}

/// Fills in what was not given.
fn provide(fleet: &mut Fleet) {
    let mut rates = vec![0.0; fleet.nodes.len()];
    for entry in &fleet.entries {
        rates[entry.node] += entry.rate;
    }
    for (at, node) in fleet.nodes.iter().enumerate() {
        for call in &node.calls {
            rates[call.to] += rates[at] * call.per_request;
        }
    }
    let mut seconds = vec![0.0; fleet.nodes.len()];
    for at in (0..fleet.nodes.len()).rev() {
        let node = &mut fleet.nodes[at];
        let called: f64 = node.calls.iter().map(|call| call.per_request * seconds[call.to]).sum();
        seconds[at] = node.own_seconds + called;
        (node.usual_rate, node.usual_seconds) = (rates[at], seconds[at]);
        for call in node.calls.iter_mut().filter(|call| call.timeout_seconds <= 0.0) {
            let usual = TIMEOUT_TIMES * seconds[call.to];
            call.timeout_seconds = usual.clamp(TIMEOUT_SECONDS_MIN, PATIENCE_SECONDS);
        }
        let busy = rates[at] * seconds[at] / node.copies as f64;
        if node.slots <= 0.0 {
            node.slots = (SPARE_TIMES * busy).ceil().max(SLOTS_MIN);
        }
        if node.queue < 0.0 {
            node.queue = QUEUE_TIMES * node.slots;
        }
    }
}
