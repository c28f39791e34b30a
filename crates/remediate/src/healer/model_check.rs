//! A model check: the real healer, executors that keep the agent's rules, and a person, in every
//! order in which they can act, with the server and agents dying at any step and messages delayed
//! or lost. With one target deep, with three (more than may be acted upon at once) less deep.
//!
//! The server's state is rebuilt from its log after a death, so it is the healer as it was; what
//! was on its way is lost. An agent's ledger survives it, and tells what it was doing as
//! interrupted. Time moves in steps of ten seconds. `stateright` walks all states within bounds.
//!
//! Two reductions, neither of which loses a fault: what is only told (reasons, notes) does not tell
//! states apart; and moves of single hosts, which touch nothing of each other, are walked in the
//! order of hosts between two moves that concern all.

mod world;

use model::PlanState;
use model::plan::{OutcomeResult, Plan};
use stateright::{Checker, Model, Property};

use world::{Bounds, Entry, IN_FLIGHT_MAX, Planted, State, command};

const NEVER_WRONG: &str = "no double action, none after a freeze";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Pass,
    ServerDies { orders_arrive: bool },
    ServerStarts,
    Freeze,
    Thaw,
    Of(usize, Single),
}

/// A move of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Single {
    DeliverOrder,
    LoseOrder,
    Finish { ok: bool },
    DeliverOutcome,
    LoseOutcome,
    AgentDies { after: bool },
    AgentStarts,
    Connect,
    Recover,
}

struct Check {
    bounds: Bounds,
    planted: Planted,
}

fn singles(state: &State, at: usize, moves: &mut Vec<Move>) {
    let (left, host) = (&state.left, &state.hosts[at]);
    let mut may = |allowed: bool, what: Single| {
        if allowed {
            moves.push(Move::Of(at, what));
        }
    };
    let (order, told) = (!host.orders.is_empty(), !host.outcomes.is_empty());
    may(order && host.agent.up, Single::DeliverOrder);
    may(order && left.losses > 0, Single::LoseOrder);
    may(told && state.server_up, Single::DeliverOutcome);
    may(told && left.losses > 0, Single::LoseOutcome);
    let acting = host.agent.acting.is_some();
    may(acting, Single::Finish { ok: true });
    may(acting && left.failures > 0, Single::Finish { ok: false });
    let may_die = host.agent.up && left.agent_deaths > 0;
    may(may_die, Single::AgentDies { after: false });
    may(may_die && acting, Single::AgentDies { after: true });
    may(!host.agent.up, Single::AgentStarts);
    may(state.server_up && host.agent.up && !host.connected, Single::Connect);
    may(host.recovered_at.is_none() && left.recoveries > 0, Single::Recover);
}

fn single(state: &mut State, at: usize, what: Single) {
    match what {
        Single::DeliverOrder => {
            let order = state.hosts[at].orders.remove(0);
            state.accept(at, order);
        }
        Single::LoseOrder => {
            state.left.losses -= 1;
            state.hosts[at].orders.remove(0);
        }
        Single::DeliverOutcome => {
            let outcome = state.hosts[at].outcomes.remove(0);
            state.tell(&outcome.action, outcome.result);
        }
        Single::LoseOutcome => {
            state.left.losses -= 1;
            state.hosts[at].outcomes.remove(0);
        }
        Single::Finish { ok } => {
            let Some(id) = state.hosts[at].agent.acting.take() else { return };
            if ok {
                state.effect(at, &id);
            } else {
                state.left.failures -= 1;
            }
            let result = if ok { OutcomeResult::Done } else { OutcomeResult::Failed };
            state.end(at, &id, result);
        }
        Single::AgentDies { after } => {
            state.left.agent_deaths -= 1;
            state.agent_dies(at, after);
        }
        Single::AgentStarts => state.hosts[at].agent.up = true,
        Single::Connect => state.connect(at),
        Single::Recover => {
            state.left.recoveries -= 1;
            state.hosts[at].recovered_at = Some(state.now);
        }
    }
}

impl Model for Check {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self.bounds, self.planted)]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        let left = &state.left;
        if left.steps == 0 {
            return;
        }
        moves.push(Move::Pass);
        for at in state.turn..state.hosts.len() {
            singles(state, at, moves);
        }
        let mut may = |allowed: bool, what: Move| {
            if allowed {
                moves.push(what);
            }
        };
        let dies = state.server_up && left.server_deaths > 0;
        may(dies, Move::ServerDies { orders_arrive: true });
        let on_the_way = state.hosts.iter().any(|host| !host.orders.is_empty());
        may(dies && on_the_way, Move::ServerDies { orders_arrive: false });
        may(!state.server_up, Move::ServerStarts);
        let reachable = state.server_up && state.hosts.iter().any(|host| host.connected);
        may(reachable && !state.frozen && left.freezes > 0, Move::Freeze);
        may(reachable && state.frozen, Move::Thaw);
    }

    fn next_state(&self, last: &State, what: Move) -> Option<State> {
        let mut state = last.clone();
        state.turn = 0;
        match what {
            Move::Pass => {
                state.left.steps -= 1;
                state.pass();
            }
            Move::ServerDies { orders_arrive } => {
                state.left.server_deaths -= 1;
                state.server_dies(orders_arrive);
            }
            Move::ServerStarts => state.server_starts(),
            Move::Freeze => {
                state.left.freezes -= 1;
                state.freeze();
            }
            Move::Thaw => state.thaw(),
            Move::Of(at, what) => {
                state.turn = at;
                single(&mut state, at, what);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NEVER_WRONG, |_, state: &State| state.wrong.is_none()),
            Property::always("one action at a time on a target", |_, state: &State| {
                state.hosts.iter().all(|host| {
                    let entries = host.agent.ledger.values();
                    entries.filter(|entry| **entry == Entry::Accepted).count() <= 1
                })
            }),
            Property::always("no more in flight than allowed", |_, state: &State| {
                state.healer.in_flight().len() <= IN_FLIGHT_MAX
            }),
            Property::always("no more attempts than allowed", |_, state: &State| {
                state.healer.plans().all(|plan| plan.attempts.len() <= 2)
                    && state.healer.plans().count() <= state.hosts.len()
            }),
            Property::always("what helped in nothing is taken back first", |_, state: &State| {
                state.healer.plans().all(is_taken_back_first)
            }),
            Property::always(
                "verified, undone or told to a person in the end",
                |_, state: &State| state.left.steps > 0 || state.settles(),
            ),
        ];
        if self.bounds.targets > 1 {
            // A walk that is less deep does not come to all ends.
            return properties;
        }
        properties.extend([
            Property::sometimes("an action is verified", |_, state: &State| {
                state.healer.plans().any(|plan| plan.state == PlanState::Verified)
            }),
            Property::sometimes("an action is taken back", |_, state: &State| {
                let mut attempts = state.healer.plans().flat_map(|plan| &plan.attempts);
                attempts.any(|attempt| attempt.undo.as_ref().is_some_and(|it| it.outcome.is_some()))
            }),
            Property::sometimes("a plan is given up and a person told", |_, state: &State| {
                let mut plans = state.healer.plans();
                state.hosts[0].called && plans.any(|plan| plan.state == PlanState::GaveUp)
            }),
        ]);
        properties
    }
}

/// A further attempt is made only after the undo of the first was done, or where the first did not
/// reach the target at all.
fn is_taken_back_first(plan: &Plan) -> bool {
    let [first, _, ..] = &plan.attempts[..] else { return true };
    if first.action.kind != command("shed") {
        return true;
    }
    let told = first.outcome.as_ref().map(|outcome| outcome.result);
    let done = first.undo.as_ref().and_then(|undo| undo.outcome.as_ref());
    done.is_some_and(|undo| undo.result == OutcomeResult::Done)
        || !matches!(told, Some(OutcomeResult::Done | OutcomeResult::Interrupted))
}

fn prove(bounds: Bounds) {
    let check = Check { bounds, planted: Planted::Nothing };
    let checker = check.checker().threads(2).spawn_dfs().join();
    println!(
        "{bounds:?}: {} states, {} of them distinct, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

const ONE: Bounds = Bounds {
    targets: 1,
    steps: 6,
    server_deaths: 0,
    agent_deaths: 0,
    freezes: 0,
    losses: 0,
    failures: u8::MAX,
    recoveries: 1,
};
const THREE: Bounds = Bounds { targets: 3, steps: 4, failures: 1, ..ONE };

#[test]
fn no_order_of_deaths_and_delays_breaks_a_rule() {
    prove(Bounds { steps: 8, ..ONE });
    prove(Bounds { server_deaths: 1, ..ONE });
    prove(Bounds { agent_deaths: 1, ..ONE });
    prove(Bounds { freezes: 1, ..ONE });
    prove(Bounds { losses: 1, ..ONE });
}

#[test]
fn no_order_of_deaths_and_delays_of_three_breaks_a_rule() {
    let one = Bounds { steps: 3, failures: 0, recoveries: 0, ..THREE };
    prove(THREE);
    prove(Bounds { server_deaths: 1, ..one });
    prove(Bounds { server_deaths: 1, steps: 2, ..THREE });
    prove(Bounds { agent_deaths: 1, ..one });
    prove(Bounds { freezes: 1, ..one });
    prove(Bounds { losses: 1, steps: 3, ..THREE });
}

/// What is wrong on the path to the counterexample.
fn found(bounds: Bounds, planted: Planted) -> Option<&'static str> {
    let checker = Check { bounds, planted }.checker().spawn_dfs().join();
    checker.discovery(NEVER_WRONG).expect("a counterexample").last_state().wrong
}

#[test]
fn an_executor_that_begins_old_orders_or_in_a_freeze_is_found() {
    let wrong = found(Bounds { steps: 7, ..ONE }, Planted::Careless);
    assert_eq!(wrong, Some("an action was begun that nobody waits for any more"));
    for bounds in [ONE, THREE] {
        let bounds = Bounds { steps: 2, freezes: 1, failures: 0, recoveries: 0, ..bounds };
        let wrong = found(bounds, Planted::Deaf);
        assert_eq!(wrong, Some("an action was begun after a freeze"));
    }
}

/// Far longer than the others: for a release build, by `make prove`.
#[test]
#[ignore = "takes long"]
fn no_order_of_deaths_of_all_and_a_freeze_breaks_a_rule() {
    prove(Bounds { server_deaths: 1, agent_deaths: 1, ..ONE });
    let three = Bounds { steps: 3, failures: 0, recoveries: 0, ..THREE };
    prove(Bounds { server_deaths: 1, agent_deaths: 1, ..three });
    prove(Bounds { server_deaths: 1, freezes: 1, ..three });
    prove(Bounds { agent_deaths: 1, freezes: 1, ..three });
    prove(Bounds { server_deaths: 1, steps: 3, ..THREE });
    prove(Bounds { agent_deaths: 1, steps: 3, ..THREE });
}
