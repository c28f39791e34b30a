//! Requests on their way down: who is asked, what waits, what is turned away, what is called.
//!
//! Each copy works on `slots` requests at once, so it can answer `slots / service_seconds` a second
//! (Little's law); what comes beyond waits, what does not fit the queue is shed, and what waited
//! longer than its callers' patience is given up. How long a request is worked on depends on how
//! long those take that it calls, so slowness travels up and fills queues on its way.

use crate::fleet::Fleet;
use crate::world::{Process, Replica, World};

/// Who collapses under load does so while its queue is filled to this share.
pub(crate) const OVERLOADED_SHARE: f64 = 0.05;

impl World {
    pub(crate) fn flow(&mut self) {
        let fleet = std::sync::Arc::clone(&self.fleet);
        for state in &mut self.nodes {
            state.asked = 0;
        }
        for (at, entry) in fleet.entries.iter().enumerate() {
            let times = self.nodes[entry.node].surge;
            self.nodes[entry.node].asked += self.traffic.users(&fleet, at, self.second, times);
        }
        let mut rotation = std::mem::take(&mut self.sums.rotation);
        for node in 0..fleet.nodes.len() {
            if let Some(consumes) = fleet.nodes[node].consumes {
                self.keep(consumes.broker);
                self.notice_late(node);
            }
            let asked = self.nodes[node].asked;
            self.nodes[node].arrivals = asked;
            self.nodes[node].ledger.arrived += asked;
            self.rotation_into(node, &mut rotation);
            for copy in &self.nodes[node].copies {
                let flow = &mut self.copies[*copy].flow;
                (flow.answered, flow.shed, flow.given_up, flow.refused) = (0, 0, 0, 0);
                flow.asked.iter_mut().for_each(|asked| *asked = 0);
            }
            if rotation.is_empty() {
                self.nodes[node].ledger.refused += asked;
                continue;
            }
            if fleet.nodes[node].consumes.is_some() {
                for copy in &rotation {
                    let taken = self.take_messages(node, *copy);
                    self.nodes[node].arrivals += taken;
                    self.nodes[node].ledger.arrived += taken;
                    self.serve(&fleet, *copy, taken);
                }
                continue;
            }
            let (each, rest) = (asked / rotation.len() as u64, asked % rotation.len() as u64);
            for (turn, copy) in rotation.iter().enumerate() {
                let turn = (turn as u64 + self.second) % rotation.len() as u64;
                self.serve(&fleet, *copy, each + u64::from(turn < rest));
            }
        }
        self.sums.rotation = rotation;
    }

    /// One copy's second.
    fn serve(&mut self, fleet: &Fleet, copy: usize, arrivals: u64) {
        let node = self.copies[copy].node;
        let refuse = self.nodes[node].refuse;
        let mut arrivals = arrivals;
        let replica = &mut self.copies[copy];
        let refused = match (replica.state, refuse) {
            (Process::Running, None) => 0,
            (Process::Running, Some((share, _))) => self.random.binomial(arrivals, share),
            _ => arrivals,
        };
        arrivals -= refused;
        replica.flow.refused = refused;
        let patience = self.nodes[node].patience;
        let pooled_seconds = self.nodes[node].pooled_seconds;
        work(replica, fleet, arrivals, (patience, pooled_seconds), &mut self.random);
        let flow = &replica.flow;
        let (answered, shed, given_up) = (flow.answered, flow.shed, flow.given_up);
        let ledger = &mut self.nodes[node].ledger;
        ledger.refused += refused;
        ledger.answered += answered;
        ledger.shed += shed;
        ledger.given_up += given_up;
        for (at, call) in fleet.nodes[node].calls.iter().enumerate() {
            let state = &self.nodes[node].calls[at];
            let tries = tries(state.failing, call.retries + state.more);
            let wanted = answered as f64 * call.per_request * state.times * tries;
            let loss = state.loss.map_or(0.0, |(share, _)| share);
            let attempts = self.random.whole(wanted);
            let lost = self.random.binomial(attempts, loss);
            self.copies[copy].flow.asked[at] = attempts;
            self.nodes[call.to].asked += attempts - lost;
        }
    }
}

/// Takes requests, works on what waits, and says what became of them.
fn work(
    replica: &mut Replica,
    fleet: &Fleet,
    arrivals: u64,
    (patience, pooled_seconds): (f64, f64),
    random: &mut crate::random::Random,
) {
    if replica.state != Process::Running {
        return;
    }
    let of = &fleet.nodes[replica.node];
    replica.leaked += replica.conduct.leak;
    let waiting = replica.backlog + arrivals;
    if replica.conduct.hangs {
        // Nobody is answered; who has waited long enough goes.
        let gone = random.binomial(replica.backlog, 1.0 - (-1.0 / patience.max(0.1)).exp());
        let room = (of.slots + of.queue) as u64;
        let shed = (waiting - gone).saturating_sub(room);
        replica.backlog = waiting - gone - shed;
        (replica.flow.given_up, replica.flow.shed) = (gone, shed);
        replica.wait_seconds = 0.0;
        return;
    }
    let per_second = replica.per_second(fleet, pooled_seconds);
    let slots = per_second * replica.service_seconds.max(1e-6);
    let answered = waiting.min(random.whole(per_second));
    let mut backlog = waiting - answered;
    let shed = backlog.saturating_sub(of.queue as u64);
    backlog -= shed;
    let bearable = (per_second * patience).ceil() as u64;
    let given_up = backlog.saturating_sub(bearable);
    replica.backlog = backlog - given_up;
    (replica.flow.answered, replica.flow.shed, replica.flow.given_up) = (answered, shed, given_up);
    replica.load = 0.9 * replica.load + 0.1 * (waiting as f64 / per_second).min(1.0);
    replica.wait_seconds =
        replica.backlog as f64 / per_second + waits(replica.load, slots) * replica.service_seconds;
}

impl Replica {
    /// What it can answer in a second. `pooled_seconds`: see `State`.
    pub(crate) fn per_second(&self, fleet: &Fleet, pooled_seconds: f64) -> f64 {
        let (of, conduct) = (&fleet.nodes[self.node], &self.conduct);
        let is_overloaded = self.backlog as f64 > OVERLOADED_SHARE * of.queue;
        let collapse = if is_overloaded { conduct.collapse } else { 1.0 };
        let slots = (of.slots * conduct.slots_times / collapse).max(0.001);
        let by_slots = slots / self.service_seconds.max(1e-6);
        match pooled_seconds > 0.0 {
            true => by_slots.min((conduct.pool_share / pooled_seconds).max(0.001)),
            false => by_slots,
        }
    }
}

/// Mean attempts of a call of which so many fail, and that is tried so often again.
pub(crate) fn tries(failing: f64, retries: i32) -> f64 {
    match failing {
        failing if failing <= 0.0 || retries == 0 => 1.0,
        failing if failing >= 1.0 => f64::from(retries + 1),
        failing => (1.0 - failing.powi(retries + 1)) / (1.0 - failing),
    }
}

/// Mean wait of a queue with several servers, in service times (H. Sakasegawa, "An approximation
/// formula L_q = α·ρ^β/(1-ρ)", 1977).
fn waits(load: f64, slots: f64) -> f64 {
    let load = load.min(0.98);
    load.powf((2.0 * (slots + 1.0)).sqrt()) / (slots * (1.0 - load))
}
