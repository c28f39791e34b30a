//! Pauses, told as stories.

use model::plan::OutcomeResult;
use model::{Mode, PlanState};
use proptest::prelude::*;

use super::*;
use crate::fixtures as f;
use crate::healer::tests::World;
use crate::pause::PAUSES_MAX;

const MINUTE: HumanDuration = HumanDuration::from_secs(60);
const ANN: (&str, &str) = ("ann", "sale");

fn orders() -> Paused {
    Paused::Target("orders".into())
}

#[test]
fn a_pause_holds_what_it_names_and_ends_by_itself() {
    let names = ["orders", "payment"];
    let incidents = (1..).zip(names).map(|(id, name)| f::incident(id, name)).collect();
    let mut world = World::of(f::config(Mode::Auto, &names), incidents);
    world.healer.pause("sale", orders(), MINUTE, ANN, world.now()).unwrap();
    let targets: Vec<String> = world.run(59).into_iter().map(|order| order.target).collect();
    assert_eq!(targets, ["payment"]);
    assert_eq!(world.plan(1).state, PlanState::Held);
    let reason = &world.plan(1).reason;
    assert!(reason.contains("G-6 target orders is paused by ann until"), "{reason}");
    assert_eq!(world.run(2)[0].target, "orders");
    assert_eq!(world.healer.pauses(), []);
}

#[test]
fn what_is_under_way_finishes_and_several_pauses_hold_until_the_last_ends() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    let service = Paused::Service("orders".into());
    world.healer.pause("one", Paused::All, MINUTE, ANN, world.now()).unwrap();
    world.healer.pause("two", service, MINUTE, ANN, world.now()).unwrap();
    world.tell(&order, OutcomeResult::Failed);
    assert_eq!(world.states(), [PlanState::BackingOff]);
    assert_eq!(world.run(40), []);
    assert_eq!(world.states(), [PlanState::Held]);
    world.healer.resume("one", "bob").unwrap();
    assert_eq!(world.run(5), []);
    world.healer.resume("two", "bob").unwrap();
    assert_eq!(world.run(1).len(), 1);
}

#[test]
fn a_pause_survives_a_snapshot_and_a_clock_that_is_set_back() {
    let mut world = World::crashed(Mode::Auto);
    world.healer.pause("sale", orders(), MINUTE, ANN, world.now()).unwrap();
    world.run(10);
    let bytes = postcard::to_allocvec(&world.healer).unwrap();
    let kept: Healer = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(kept.pauses(), world.healer.pauses());
    let mut anew = Healer::new(f::config(Mode::Auto, &["orders"]), Vec::new(), "s1".into());
    anew.take_over_pauses(kept.pauses(), world.now(), f::at(0));
    assert_eq!(anew.pauses()[0].until, f::at(50), "fifty seconds are left");
}

#[test]
fn a_pause_that_names_nothing_or_has_no_end_is_refused() {
    let mut world = World::crashed(Mode::Auto);
    let now = world.now();
    let healer = &mut world.healer;
    let mut refused = |name: &str, what, length| {
        healer.pause(name, what, length, ANN, now).unwrap_err().to_string()
    };
    let nowhere = || Paused::Target("nowhere".into());
    assert!(refused(" ", Paused::All, MINUTE).contains("name"));
    assert_eq!(refused("a", nowhere(), MINUTE), "there is no target `nowhere`");
    let service = Paused::Service("nowhere".into());
    assert_eq!(refused("a", service, MINUTE), "no target is of service `nowhere`");
    assert!(refused("a", Paused::All, HumanDuration::from_secs(0)).contains("1s to 30d"));
    for number in 0..PAUSES_MAX {
        healer.pause(&number.to_string(), Paused::All, MINUTE, ANN, now).unwrap();
    }
    let mut refused =
        |name: &str| healer.pause(name, Paused::All, MINUTE, ANN, now).unwrap_err().to_string();
    assert!(refused("7").contains("in force already"));
    assert!(refused("a").contains("100 pauses"));
    let unknown = world.healer.resume("a", "ann").unwrap_err();
    assert_eq!(unknown, PauseError::Unknown("a".into()));
}

proptest! {
    /// While any pause covers a target, nothing is ordered on it, whichever come and go.
    #[test]
    fn nothing_paused_is_acted_upon(
        steps in prop::collection::vec((0_usize..4, 1_u64..40, 0_usize..3), 1..30),
    ) {
        let names = ["orders", "payment", "cart"];
        let incidents = (1..).zip(names).map(|(id, name)| f::incident(id, name)).collect();
        let mut world = World::of(f::config(Mode::Auto, &names), incidents);
        for (number, (what, secs, which)) in steps.into_iter().enumerate() {
            let what = match what {
                0 => Paused::All,
                1 => Paused::Target(names[which].into()),
                2 => Paused::Service(names[which].into()),
                _ => {
                    let name = world.healer.pauses().first().map(|pause| pause.name.clone());
                    name.map(|name| world.healer.resume(&name, "bob"));
                    continue;
                }
            };
            let (now, length) = (world.now(), HumanDuration::from_secs(secs));
            world.healer.pause(&number.to_string(), what, length, ANN, now).unwrap();
            for _ in 0..20 {
                let orders = world.step().orders;
                for order in &orders {
                    let target = f::target(&order.target);
                    let covers = |pause: &Pause| pause.what.covers(&target);
                    prop_assert!(!world.healer.pauses().iter().any(covers), "{order:?}");
                    world.tell(order, OutcomeResult::Failed);
                }
            }
        }
    }
}
