//! What is wrong with a description beyond its types. Everything is bounded, so that no file makes
//! a simulation that never ends.

use std::collections::BTreeSet;

use model::human::HumanDuration;

use super::{Call, Problem, Store, System, Traffic, Users};
use crate::fleet::PATIENCE_SECONDS;

const ENTITIES_MAX: usize = 1_000;
const CALLS_MAX: usize = 200;
const COPIES_MAX: usize = 50;
const RETRIES_MAX: u32 = 10;
const NAME_CHARS_MAX: usize = 100;
/// Requests a second that users make, and that anybody is asked.
const RATE_MAX: f64 = 100_000.0;
/// A copy that is busier than this at the mean of a day hurts users every day.
const BUSY_MAX: f64 = 0.9;

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    fn between(&mut self, path: String, value: f64, (low, high): (f64, f64)) {
        if !(low..=high).contains(&value) {
            self.add(path, format!("{value} is out of range; use {low} to {high}"));
        }
    }

    fn room(&mut self, at: &str, concurrency: Option<f64>, queue: Option<f64>) {
        if let Some(concurrency) = concurrency {
            self.between(format!("{at}.concurrency"), concurrency, (1.0, 100_000.0));
        }
        if let Some(queue) = queue {
            self.between(format!("{at}.queue"), queue, (0.0, 1e7));
        }
    }
}

impl System {
    /// Everything that types cannot check; none, if it can be simulated.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        self.check_names(&mut found);
        self.check_users(&mut found);
        self.check_services(&mut found);
        let stores =
            [("databases", &self.databases), ("caches", &self.caches), ("queues", &self.queues)];
        for (kind, stores) in stores {
            stores.iter().for_each(|(name, store)| check_store(kind, name, store, &mut found));
        }
        let Traffic { daily_swing, weekend, peak_hour } = self.traffic;
        found.between("traffic.daily_swing".into(), daily_swing, (0.0, 0.9));
        found.between("traffic.weekend".into(), weekend, (0.05, 3.0));
        found.between("traffic.peak_hour".into(), peak_hour, (0.0, 24.0));
        found.between("sampling".into(), self.sampling, (0.001, 1.0));
        if found.0.is_empty() {
            self.check_order(&mut found);
        }
        if found.0.is_empty() {
            self.check_load(&mut found);
        }
        found.0
    }

    fn check_names(&self, found: &mut Found) {
        let stores = [&self.databases, &self.caches, &self.queues];
        let all = self.services.len() + stores.iter().map(|them| them.len()).sum::<usize>();
        if all > ENTITIES_MAX {
            found.add("services", format!("{all} entities; at most {ENTITIES_MAX} are simulated"));
        }
        let mut known = BTreeSet::new();
        let names = self.services.keys().map(|name| ("services", name));
        let kinds = ["databases", "caches", "queues"].into_iter().zip(stores);
        let stored = kinds.flat_map(|(kind, them)| them.keys().map(move |name| (kind, name)));
        for (kind, name) in names.chain(stored) {
            let is_plain = !name.chars().any(|c| c.is_control() || c.is_whitespace());
            if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !is_plain {
                let message = format!("a name has 1 to {NAME_CHARS_MAX} characters and no spaces");
                found.add(format!("{kind}.{name}"), message);
            }
            if !known.insert(name) {
                found.add(format!("{kind}.{name}"), "another entity has this name");
            }
        }
    }

    fn check_users(&self, found: &mut Found) {
        if self.users.is_empty() {
            found.add("users", "nobody comes; name a service and its `requests_per_s`");
        }
        for (name, Users { requests_per_s }) in &self.users {
            if !self.services.contains_key(name) {
                found.add(format!("users.{name}"), format!("there is no service `{name}`"));
            }
            let path = format!("users.{name}.requests_per_s");
            found.between(path, *requests_per_s, (0.001, RATE_MAX));
        }
    }

    fn check_services(&self, found: &mut Found) {
        for (name, service) in &self.services {
            let at = format!("services.{name}");
            let copies = service.copies;
            if !(1..=COPIES_MAX).contains(&copies) {
                let message = format!("{copies} is out of range; use 1 to {COPIES_MAX}");
                found.add(format!("{at}.copies"), message);
            }
            found.between(format!("{at}.takes_ms"), service.takes_ms, (0.01, 60_000.0));
            found.between(format!("{at}.spread"), service.spread, (0.05, 2.0));
            found.between(format!("{at}.errors"), service.errors, (0.0, 1.0));
            found.room(&at, service.concurrency, service.queue);
            if !service.telemetry && !service.allow.is_empty() {
                let message = "an agent acts on what telemetry tells of; set `telemetry: true`";
                found.add(format!("{at}.allow"), message);
            }
            if service.calls.len() > CALLS_MAX {
                let message = format!("more than the {CALLS_MAX} calls that are simulated");
                found.add(format!("{at}.calls"), message);
            }
            let mut known = BTreeSet::new();
            for (index, call) in service.calls.iter().take(CALLS_MAX).enumerate() {
                let at = format!("{at}.calls[{index}]");
                self.check_call(&at, call, found);
                if !known.insert(&call.to) {
                    let message = format!("`{}` is called twice; write one call", call.to);
                    found.add(format!("{at}.to"), message);
                }
            }
        }
    }

    fn check_call(&self, at: &str, call: &Call, found: &mut Found) {
        let stores = [&self.databases, &self.caches, &self.queues];
        let is_known = self.services.contains_key(&call.to)
            || stores.iter().any(|them| them.contains_key(&call.to));
        if !is_known {
            let message = format!("there is no service, database, cache or queue `{}`", call.to);
            found.add(format!("{at}.to"), message);
        }
        found.between(format!("{at}.per_request"), call.per_request, (0.0001, 1_000.0));
        if call.retries > RETRIES_MAX {
            let message = format!("{} is out of range; use 0 to {RETRIES_MAX}", call.retries);
            found.add(format!("{at}.retries"), message);
        }
        if let Some(pool) = call.pool {
            found.between(format!("{at}.pool"), pool, (1.0, 100_000.0));
        }
        if let Some(HumanDuration(timeout)) = call.timeout
            && !(0.001..=600.0).contains(&timeout.as_secs_f64())
        {
            found.add(format!("{at}.timeout"), "use 1ms to 10m");
        }
    }

    /// The simulator carries requests down and answers up: there may be no circle.
    fn check_order(&self, found: &mut Found) {
        if let Err(circle) = self.order() {
            let at = format!("services.{}.calls", circle[0]);
            let circle = circle.join(" -> ");
            found.add(at, format!("{circle} is a circle; leave out the call that matters least"));
        }
    }

    /// Can it bear what is usually asked, and is it waited for long enough?
    fn check_load(&self, found: &mut Found) {
        let fleet = self.fleet();
        for node in &fleet.nodes {
            let kind = match node.kind {
                crate::fleet::Kind::Service => "services",
                crate::fleet::Kind::Database => "databases",
                crate::fleet::Kind::Cache => "caches",
                crate::fleet::Kind::Broker => "queues",
            };
            let at = format!("{kind}.{}", node.name);
            if node.usual_rate > RATE_MAX {
                let message = format!("is asked {:.0} times a second", node.usual_rate);
                found.add(at, format!("{message}; at most {RATE_MAX} are simulated"));
                continue;
            }
            let busy = node.usual_rate * node.usual_seconds / node.copies as f64;
            if busy > BUSY_MAX * node.slots {
                let message = format!(
                    "each copy works on {busy:.1} requests at a time on average, and can on {:.1}; \
                     add copies or concurrency",
                    node.slots
                );
                found.add(format!("{at}.concurrency"), message);
            }
            for call in &node.calls {
                let to = &fleet.nodes[call.to];
                let taken = to.usual_seconds;
                if taken > call.timeout_seconds {
                    let message = format!(
                        "a call of `{}` usually takes {:.0} ms, longer than {:.0} ms are waited",
                        to.name,
                        1e3 * taken,
                        1e3 * call.timeout_seconds
                    );
                    found.add(format!("{at}.calls"), message);
                }
            }
            let is_entry =
                fleet.entries.iter().any(|entry| fleet.nodes[entry.node].name == node.name);
            if is_entry && node.usual_seconds > PATIENCE_SECONDS {
                let message = format!("takes {:.0} s; users lose patience", node.usual_seconds);
                found.add(format!("{at}.takes_ms"), message);
            }
        }
    }
}

fn check_store(kind: &str, name: &str, store: &Store, found: &mut Found) {
    let at = format!("{kind}.{name}");
    found.between(format!("{at}.takes_ms"), store.takes_ms, (0.01, 60_000.0));
    found.between(format!("{at}.spread"), store.spread, (0.05, 2.0));
    found.room(&at, store.concurrency, store.queue);
}
