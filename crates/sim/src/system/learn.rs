//! A description learnt from what a running server observed.
//!
//! Telemetry tells who calls whom, how often and how long, how many copies there are and what
//! fails. It does not tell which calls a request can do without, timeouts, retries, or how much a
//! copy can bear: those stay unsaid, which means required, patient, and five times what is usual.
//! Durations are taken for log-normal, so their 50th and 95th percentile give mean and spread.

use std::collections::BTreeMap;

use model::{Entity, EntityKind};

use super::{Act, Call, Service, Store, System, Users};

/// Of the 95th percentile of a normal distribution, in deviations.
const P95: f64 = 1.645;
const SPREAD: (f64, f64) = (0.1, 1.5);
/// Of a request at least this share is its own part, however long its calls seem to take.
const OWN_SHARE_MIN: f64 = 0.05;
const TAKES_MS_MIN: f64 = 0.05;
/// What comes to a service beyond its callers' calls is users, if it is more than this share; less
/// is what telemetry lost.
const USERS_SHARE_MIN: f64 = 0.05;
/// A tenth of a request in a minute: less is no traffic.
const RATE_MIN: f64 = 0.002;
const CALLS_PER_REQUEST: (f64, f64) = (0.0001, 1_000.0);
const ERRORS_MIN: f64 = 0.00005;

/// What was seen of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub entity: Entity,
    pub copies: usize,
    pub rate: Rate,
    pub allow: Vec<Act>,
}

/// Requests over the window that was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    pub per_s: f64,
    /// Share that failed, 0–1.
    pub errors: f64,
    /// `None` where nothing was asked.
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
}

impl Rate {
    /// Mean in seconds and spread of the logarithm.
    fn durations(&self) -> Option<(f64, f64)> {
        let (p50, p95) = (self.p50_seconds?, self.p95_seconds?);
        if !(p50 > 0.0 && p95.is_finite()) {
            return None;
        }
        let (low, high) = SPREAD;
        let sigma = ((p95 / p50).max(1.0).ln() / P95).clamp(low, high);
        Some((p50 * (sigma * sigma / 2.0).exp(), sigma))
    }
}

impl System {
    /// The system that was seen, of one environment; and what of it could not be taken as it is, in
    /// words. What nobody asked is left out.
    pub fn learnt(seen: &[Seen], calls: &[(Entity, Entity, Rate)]) -> (System, Vec<String>) {
        let mut system = System { sampling: 1.0, ..System::default() };
        let mut notes = Vec::new();
        let used: Vec<&Seen> = seen.iter().filter(|one| one.rate.per_s >= RATE_MIN).collect();
        for one in &used {
            system.take(one, calls);
        }
        let by_entity: BTreeMap<&Entity, &Seen> =
            used.iter().map(|one| (&one.entity, *one)).collect();
        for one in used.iter().filter(|one| is_service(&one.entity)) {
            let asked: f64 = calls
                .iter()
                .filter(|(caller, callee, _)| {
                    *callee == one.entity && by_entity.contains_key(caller)
                })
                .map(|(_, _, rate)| rate.per_s)
                .sum();
            let from_users = one.rate.per_s - asked;
            if from_users >= (USERS_SHARE_MIN * one.rate.per_s).max(RATE_MIN) {
                let users = Users { requests_per_s: from_users };
                system.users.insert(one.entity.name.clone(), users);
            }
        }
        for (caller, callee, rate) in calls {
            let (Some(from), Some(_)) = (by_entity.get(caller), by_entity.get(callee)) else {
                continue;
            };
            let (low, high) = CALLS_PER_REQUEST;
            let per_request = rate.per_s / from.rate.per_s;
            if let Some(service) = system.services.get_mut(&caller.name)
                && per_request >= low
                && caller != callee
            {
                service.calls.push(Call {
                    to: callee.name.clone(),
                    per_request: per_request.min(high),
                    optional: false,
                    timeout: None,
                    retries: 0,
                    pool: None,
                });
            }
        }
        system.straighten(&mut notes);
        (system, notes)
    }

    fn take(&mut self, one: &Seen, calls: &[(Entity, Entity, Rate)]) {
        let name = one.entity.name.clone();
        let (seconds, spread) = one.rate.durations().unwrap_or((0.01, 0.5));
        match one.entity.kind {
            EntityKind::Service | EntityKind::Peer => {
                let of = calls.iter().filter(|(caller, _, _)| *caller == one.entity);
                let called: f64 = of
                    .filter_map(|(_, _, rate)| {
                        let (seconds, _) = rate.durations()?;
                        Some(seconds * rate.per_s / one.rate.per_s)
                    })
                    .sum();
                let own = (seconds - called).max(OWN_SHARE_MIN * seconds);
                let errors = one.rate.errors.clamp(0.0, 1.0);
                let is_service = one.entity.kind == EntityKind::Service;
                let service = Service {
                    copies: one.copies.max(1),
                    takes_ms: (1e3 * own).max(TAKES_MS_MIN),
                    spread,
                    errors: if errors < ERRORS_MIN { 0.0 } else { errors },
                    telemetry: is_service,
                    allow: if is_service { one.allow.clone() } else { Vec::new() },
                    ..Service::default()
                };
                self.services.insert(name, service);
            }
            kind => {
                let takes_ms = (1e3 * seconds).max(TAKES_MS_MIN);
                let store = Store { takes_ms, spread, ..Store::default() };
                let is_cache = ["redis", "valkey", "memcached"]
                    .iter()
                    .any(|system| name.split(['/', '@']).next() == Some(*system));
                let stores = match kind {
                    EntityKind::Queue => &mut self.queues,
                    _ if is_cache => &mut self.caches,
                    _ => &mut self.databases,
                };
                stores.insert(name, store);
            }
        }
    }

    /// Leaves out calls that close a circle: of each circle the one that is made least often.
    fn straighten(&mut self, notes: &mut Vec<String>) {
        loop {
            let circle: Vec<String> = match self.order() {
                Ok(_) => return,
                Err(circle) => circle.into_iter().map(str::to_owned).collect(),
            };
            let per_request = |pair: &[String]| {
                let calls = self.services[&pair[0]].calls.iter();
                calls.filter(|call| call.to == pair[1]).map(|call| call.per_request).sum::<f64>()
            };
            let rarest = circle.windows(2).min_by(|a, b| per_request(a).total_cmp(&per_request(b)));
            let Some([from, to]) = rarest else { return };
            let (from, to) = (from.clone(), to.clone());
            notes.push(format!("left out: {from} calls {to}, which closes a circle"));
            if let Some(service) = self.services.get_mut(&from) {
                service.calls.retain(|call| call.to != to);
            }
        }
    }
}

fn is_service(entity: &Entity) -> bool {
    entity.kind == EntityKind::Service
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Scope;

    fn seen(kind: EntityKind, name: &str, per_s: f64, p50: f64, p95: f64) -> Seen {
        let rate = Rate { per_s, errors: 0.0, p50_seconds: Some(p50), p95_seconds: Some(p95) };
        let entity = Entity::new(&Scope::default(), kind, name);
        Seen { entity, copies: 2, rate, allow: vec![Act::Restart] }
    }

    fn call(from: &Seen, to: &Seen, per_s: f64) -> (Entity, Entity, Rate) {
        (from.entity.clone(), to.entity.clone(), Rate { per_s, ..to.rate })
    }

    #[test]
    fn what_was_seen_is_described() {
        let web = seen(EntityKind::Service, "web", 10.0, 0.020, 0.050);
        let cart = seen(EntityKind::Service, "cart", 5.0, 0.008, 0.016);
        let shop = seen(EntityKind::Database, "postgresql/shop", 15.0, 0.001, 0.002);
        let cache = seen(EntityKind::Database, "redis@cache:6379", 1.0, 0.0005, 0.001);
        let pay = seen(EntityKind::Peer, "pay.example:443", 1.0, 0.1, 0.3);
        let idle = seen(EntityKind::Service, "idle", 0.0, 0.1, 0.3);
        let calls = [
            call(&web, &cart, 4.9),
            call(&cart, &shop, 15.0),
            call(&cart, &cache, 1.0),
            call(&web, &pay, 1.0),
            call(&cart, &web, 0.01),
        ];
        let all = [web, cart, shop, cache, pay, idle];
        let (system, notes) = System::learnt(&all, &calls);
        assert_eq!(system.problems(), []);
        assert_eq!(notes, ["left out: cart calls web, which closes a circle"]);
        assert_eq!(system.users.keys().collect::<Vec<_>>(), ["web"]);
        let cart = &system.services["cart"];
        assert_eq!((cart.copies, cart.allow.as_slice()), (2, [Act::Restart].as_slice()));
        assert_eq!(cart.calls[0].per_request, 3.0);
        assert!((4.0..7.0).contains(&cart.takes_ms), "{}: without its queries", cart.takes_ms);
        assert!(!system.services["pay.example:443"].telemetry);
        assert!(system.caches.contains_key("redis@cache:6379"));
        assert!(!system.services.contains_key("idle"));
        let fleet = system.fleet();
        let rate = |name| fleet.nodes.iter().find(|node| node.name == name).unwrap().usual_rate;
        assert!((rate("postgresql/shop") - 15.0).abs() < 0.5, "{}", rate("postgresql/shop"));
    }
}
