//! What is drawn of the drills.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn drawn(choice: &Choice, seed: Option<u64>) -> Vec<Act> {
    let mut chances = Chances::new(seed);
    let programs = (PathBuf::from("/opt/bin/immune"), PathBuf::from("/opt/bin/shop"));
    let ports = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let layout = Layout::draw(Path::new("/tmp/demo"), programs, ports, &mut chances);
    draw(choice, &layout, &mut chances)
}

fn told(acts: &[Act]) -> Vec<(&'static str, String, Duration)> {
    acts.iter().map(|act| (act.spec.id, act.aim.title.clone(), act.healthy_for)).collect()
}

#[test]
fn a_round_has_every_drill_once_in_an_order_of_its_own() {
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let acts = drawn(&Choice::Count(2 * ALL.len()), Some(seed));
        assert_eq!(told(&acts), told(&drawn(&Choice::Count(2 * ALL.len()), Some(seed))));
        for round in acts.chunks(ALL.len()) {
            let different: BTreeSet<&str> = round.iter().map(|act| act.spec.id).collect();
            assert_eq!(different.len(), ALL.len());
            orders.insert(round.iter().map(|act| act.spec.id).collect::<Vec<_>>());
        }
        let healthy = acts.iter().map(|act| act.healthy_for.as_secs());
        assert!(healthy.into_iter().all(|seconds| (5..=15).contains(&seconds)));
    }
    assert!(orders.len() > 40, "{} orders", orders.len());
}

#[test]
fn victims_and_intensities_differ_from_seed_to_seed() {
    for spec in ALL {
        let named = Choice::Named(vec![spec.id.to_owned()]);
        let seen: BTreeSet<String> =
            (0..40).map(|seed| drawn(&named, Some(seed)).remove(0).aim.title).collect();
        assert!(seen.len() > 10, "{}: {seen:?}", spec.id);
    }
}

#[test]
fn without_a_seed_the_drills_come_as_they_are_listed_and_payment_dies_first() {
    let acts = drawn(&Choice::Count(3), None);
    let ids: Vec<&str> = acts.iter().map(|act| act.spec.id).collect();
    assert_eq!(ids, ALL[..3].iter().map(|spec| spec.id).collect::<Vec<_>>());
    assert_eq!(acts[0].aim.title, "payment-1 is killed");
}

#[test]
fn what_is_named_comes_as_it_is_given() {
    let names = ["surge", "crash", "surge"].map(str::to_owned).to_vec();
    let acts = drawn(&Choice::Named(names), Some(1));
    let ids: Vec<(usize, &str)> = acts.iter().map(|act| (act.number, act.spec.id)).collect();
    assert_eq!(ids, [(1, "surge"), (2, "crash"), (3, "surge")]);
}

#[test]
fn what_heals_names_a_cause_and_what_is_left_alone_names_none() {
    for act in drawn(&Choice::Count(ALL.len()), Some(1)) {
        assert_eq!(act.aim.cause.is_none(), act.spec.expect == Decision::LeaveAlone);
        let is_declared = matches!(act.aim.fault, Fault::Command(_));
        assert_eq!(act.aim.declares.is_some(), is_declared, "{}", act.spec.id);
    }
}
