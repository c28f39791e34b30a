//! What must hold of the simulator itself, whatever the engine says.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use proptest::prelude::*;
use sim::draw;
use sim::fault::{Family, Fault, Size};
use sim::life::Life;
use sim::random::Random;
use sim::world::World;
use sim::{Plan, simulate};

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
    let plan = Plan { seed: 5, hours: 1, faults: 1, sealed: false, services: Some(4) };
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

/// Each family hurts users of every fleet in which it finds a victim, or all but one of many, and
/// its innocent twin, the same fleet without it, is well.
#[test]
fn every_fault_hurts_and_its_innocent_twin_is_well() {
    let mut weak = Vec::new();
    for family in Family::DEVELOPMENT.iter().chain(Family::SEALED) {
        let (mut struck, mut spared) = (0, Vec::new());
        for seed in 0..60 {
            let mut world = world(seed, false, 3_600);
            let mut random = Random::new(seed);
            run(&mut world, 300);
            let Some(fault) = Fault::draw(&world, *family, Size::Any, &mut random) else {
                continue;
            };
            let mut twin = world.clone();
            fault.begin(&mut world);
            struck += 1;
            if !hurts(&mut world, 600) {
                spared.push(seed);
            }
            check_ledgers(&world);
            assert!(!hurts(&mut twin, 300), "{family:?} {seed}: the twin is hurt");
            if struck == 8 {
                break;
            }
        }
        eprintln!("{family:?} {struck} {spared:?}");
        if struck < 5 || spared.len() > 1 {
            weak.push(format!("{family:?} spared users of {spared:?}, of {struck} fleets"));
        }
    }
    assert!(weak.is_empty(), "{weak:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_request_is_lost_or_made_up(
        seed in 0_u64..10_000,
        family in 0_usize..Family::DEVELOPMENT.len(),
        actions in prop::collection::vec((0_u64..120, 0_usize..64, 0_u8..5), 0..8),
    ) {
        let mut world = world(seed, false, 600);
        run(&mut world, 60);
        let family = Family::DEVELOPMENT[family];
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
