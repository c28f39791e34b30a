//! What must hold of the simulator itself, whatever the engine says.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use proptest::prelude::*;
use sim::draw;
use sim::fault::{Family, Fault, Remedy, Size};
use sim::life::Life;
use sim::pairs::{self, Contrary};
use sim::random::Random;
use sim::session::Session;
use sim::world::World;
use sim::{Plan, episode, simulate};

fn world(seed: u64, sealed: bool, seconds: u64) -> World {
    let random = Random::new(seed);
    let fleet = draw::fleet_of(&random, sealed, 12);
    let life = Life::new(&fleet, &random, seconds);
    World::new(Arc::new(fleet), &random, life)
}

fn run(world: &mut World, seconds: u64) {
    (0..seconds).for_each(|_| world.step());
}

/// Is anybody off target where it is felt, in any of the next seconds?
fn hurts(world: &mut World, seconds: u64) -> bool {
    (0..seconds).any(|_| {
        world.step();
        world.fleet.felt().any(|node| world.nodes[node].truth.is_off())
    })
}

/// Of every request that came, it is known what became of it.
fn check_ledgers(world: &World) {
    for (at, state) in world.nodes.iter().enumerate() {
        let ledger = state.ledger;
        let told = ledger.answered + ledger.refused + ledger.shed + ledger.given_up + ledger.lost;
        let name = &world.fleet.nodes[at].name;
        assert_eq!(ledger.arrived, told + world.waiting(at), "{name}: {ledger:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let plan = Plan { seed: 5, hours: 1, faults: 1, services: Some(4), ..Plan::default() };
    let run = || {
        let mut notes = String::new();
        let report = simulate(&plan, |note| notes += &format!("{note:?}\n"));
        (format!("{report:?}"), notes)
    };
    assert_eq!(run(), run());
}

#[test]
fn ordinary_life_hurts_nobody() {
    let mut hurt = Vec::new();
    for seed in 0..20 {
        let mut world = world(seed, seed % 2 == 1, 7_200);
        if hurts(&mut world, 7_200) {
            hurt.push((seed, world.second));
        }
    }
    // A burst of errors of a service with a single copy and few requests may.
    assert!(hurt.len() <= 2, "{hurt:?}");
}

/// Each family hurts users of every fleet in which it finds a victim; the innocent twin, the same
/// fleet without it, is well.
#[test]
fn every_fault_hurts_and_its_innocent_twin_is_well() {
    const STRUCK: usize = 6;
    let mut worlds: Vec<World> = Vec::new();
    for seed in 0..45 {
        let mut world = world(seed, false, 3_600);
        run(&mut world, 300);
        assert!(!hurts(&mut world.clone(), 300), "seed {seed}: the twin is hurt");
        worlds.push(world);
    }
    let mut weak = Vec::new();
    for family in Family::DEVELOPMENT.iter().chain(Family::SEALED) {
        let mut struck = 0;
        for (seed, world) in worlds.iter().enumerate() {
            let mut random = Random::new(seed as u64);
            let Some(fault) = Fault::draw(world, *family, Size::Any, &mut random) else {
                continue;
            };
            let mut world = world.clone();
            fault.begin(&mut world);
            struck += 1;
            if !hurts(&mut world, 600) {
                weak.push(format!("{family:?} spared the users of seed {seed}"));
            }
            check_ledgers(&world);
            if struck == STRUCK {
                break;
            }
        }
        if struck < 4 {
            weak.push(format!("{family:?} found {struck} victims only"));
        }
    }
    assert!(weak.is_empty(), "{weak:#?}");
}

/// A fault of a family in the first fleet in which it finds a victim, begun.
fn begun(family: Family) -> (World, Fault) {
    let found = (0..60).find_map(|seed| {
        let mut world = world(seed, false, 3_600);
        run(&mut world, 120);
        let fault = Fault::draw(&world, family, Size::Any, &mut Random::new(seed))?;
        fault.begin(&mut world);
        Some((world, fault))
    });
    found.unwrap()
}

fn is_hurt(world: &World) -> bool {
    world.fleet.felt().any(|node| world.nodes[node].truth.is_off())
}

#[test]
fn overload_outlasts_its_trigger_until_what_waits_is_lost() {
    let (mut world, fault) = begun(Family::Metastable);
    run(&mut world, 600);
    assert!(is_hurt(&world), "the trigger is gone for ten minutes");
    for copy in world.rotation(fault.node) {
        world.restart(copy);
    }
    run(&mut world, 120);
    assert!(!is_hurt(&world));
}

#[test]
fn a_database_that_is_restarted_under_load_hurts_for_minutes_and_comes_back() {
    let (mut world, fault) = begun(Family::Lock);
    run(&mut world, 60);
    let mut unblocked = world.clone();
    assert!(unblocked.unlock(fault.node));
    run(&mut unblocked, 90);
    assert!(!is_hurt(&unblocked), "ending the transaction is enough");
    let copy = world.rotation(fault.node)[0];
    world.restart(copy);
    run(&mut world, 20);
    assert!(is_hurt(&world), "a restart is worse for now");
    run(&mut world, 400);
    assert!(!is_hurt(&world));
}

#[test]
fn work_that_nobody_takes_waits_and_hurts_whoever_waits_for_it() {
    let (mut world, fault) = begun(Family::ConsumerStall);
    run(&mut world, 300);
    let (lag, age) = world.lag(fault.node);
    assert!(lag > 0 && age >= 290, "{lag} {age}");
    assert!(is_hurt(&world));
    for copy in world.rotation(fault.node) {
        world.restart(copy);
    }
    run(&mut world, 400);
    assert!(world.lag(fault.node).1 <= 2 && !is_hurt(&world), "{:?}", world.lag(fault.node));
}

#[test]
fn an_exhausted_pool_makes_requests_wait_at_the_caller() {
    let (mut world, fault) = begun(Family::PoolExhaustion);
    run(&mut world, 120);
    let calls = world.fleet.nodes[fault.node].calls.iter();
    let stores: Vec<usize> = calls.filter(|it| it.pool.is_some()).map(|it| it.to).collect();
    assert!(world.waiting(fault.node) > 0);
    assert!(stores.iter().all(|store| world.waiting(*store) == 0), "the database is idle");
}

/// The same crash is to be healed where that is allowed, and to be passed on where it is not.
#[test]
fn a_twin_that_may_not_be_healed_gets_no_order() {
    let mut session = None;
    for seed in 0..20 {
        let random = Random::new(seed);
        let mut fresh = Session::new(world(seed, false, 3_600), &random);
        (0..120).for_each(|_| fresh.step());
        let fault = Fault::draw(&fresh.world, Family::Crash, Size::Any, &mut random.stream(9));
        if let Some(fault) = fault.filter(|fault| matches!(fault.remedy, Remedy::Act(_))) {
            session = Some((fresh, fault));
            break;
        }
    }
    let (session, fault) = session.unwrap();
    let healed = episode::run(session.clone(), &fault, true);
    assert!(healed.right_decision && healed.orders > 0, "{healed:?}");
    let pairs = pairs::run(&session, &fault, &healed);
    assert_eq!(pairs[0].contrary, Contrary::Forbidden);
    assert!(pairs[0].twin.orders == 0 && pairs[0].is_right, "{pairs:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_request_is_lost_or_made_up(
        seed in 0_u64..10_000,
        family in 0_usize..Family::DEVELOPMENT.len() + Family::SEALED.len(),
        actions in prop::collection::vec((0_u64..120, 0_usize..64, 0_u8..5), 0..8),
    ) {
        let mut world = world(seed, false, 600);
        run(&mut world, 60);
        let mut families = Family::DEVELOPMENT.iter().chain(Family::SEALED).copied();
        let family = families.nth(family).unwrap();
        if let Some(fault) = Fault::draw(&world, family, Size::Any, &mut Random::new(seed)) {
            fault.begin(&mut world);
        }
        for (wait, copy, action) in actions {
            run(&mut world, wait);
            let copy = copy % world.copies.len();
            let node = world.copies[copy].node;
            match action {
                0 => world.restart(copy),
                1 => world.roll_back(node),
                2 => world.copies[copy].ejected = !world.copies[copy].ejected,
                3 => world.scale_in(node),
                _ => world.crash(copy),
            }
            check_ledgers(&world);
        }
        run(&mut world, 60);
        check_ledgers(&world);
    }
}
