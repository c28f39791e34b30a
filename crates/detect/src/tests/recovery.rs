//! A symptom ends when users' figures were well for long enough, and not otherwise.

use model::symptom::Health;

use super::{Lcg, Scene, at, warm};

fn failing() -> Scene {
    let mut scene = warm("orders", 10.0);
    scene.run(30, |scene| scene.serve("orders", 2, 8));
    assert_eq!(scene.began.len(), 1);
    scene
}

#[test]
fn it_ends_after_a_minute_of_good_requests() {
    let mut scene = failing();
    let healed = scene.second;
    scene.run(25, |scene| scene.serve("orders", 10, 0));
    let since = scene.observed.firing[0].recovering_since.unwrap();
    assert!(since >= at(healed) && since <= at(healed + 10), "{since}");
    assert_eq!(scene.health("default-availability"), Health::Well);
    scene.run(60, |scene| scene.serve("orders", 10, 0));
    assert_eq!(scene.ended.len(), 1);
    assert!((healed + 60..healed + 80).contains(&scene.ended[0].0), "{:?}", scene.ended);
    assert!(scene.observed.firing.is_empty());
    scene.run(2 * 3600, |scene| scene.serve("orders", 10, 0));
    assert_eq!(scene.began.len(), 1, "and is not raised again by what the windows still hold");
}

#[test]
fn silence_is_no_recovery() {
    let mut scene = failing();
    scene.run(600, |_| {});
    assert_eq!(scene.observed.firing.len(), 1);
    assert_eq!(scene.observed.firing[0].recovering_since, None);
    assert_eq!(scene.health("default-availability"), Health::NoData);
    scene.run(600, |scene| scene.heard("orders"));
    assert_eq!(scene.observed.firing.len(), 1);
    assert_eq!(scene.health("default-availability"), Health::NoTraffic);
}

#[test]
fn silence_after_the_first_good_requests_is_no_recovery_either() {
    let mut scene = failing();
    scene.run(20, |scene| scene.serve("orders", 10, 0));
    scene.run(600, |scene| scene.heard("orders"));
    assert_eq!(scene.observed.firing.len(), 1);
}

#[test]
fn a_relapse_begins_the_hold_anew() {
    let mut scene = failing();
    scene.run(40, |scene| scene.serve("orders", 10, 0));
    assert!(scene.observed.firing[0].recovering_since.is_some());
    scene.run(10, |scene| scene.serve("orders", 2, 8));
    scene.run(1, |scene| scene.serve("orders", 10, 0));
    assert_eq!(scene.observed.firing[0].recovering_since, None);
    let healed = scene.second;
    scene.run(120, |scene| scene.serve("orders", 10, 0));
    assert_eq!(scene.began.len(), 1);
    assert!((healed + 59..healed + 80).contains(&scene.ended[0].0), "{healed} {:?}", scene.ended);
}

#[test]
fn isolated_errors_do_not_hold_it_up() {
    let mut scene = failing();
    let healed = scene.second;
    scene.run(90, |scene| {
        let bad = u64::from(scene.second % 20 == 0);
        scene.serve("orders", 10 - bad, bad);
    });
    assert_eq!(scene.ended.len(), 1);
    assert!(scene.ended[0].0 < healed + 80, "{:?}", scene.ended);
}

#[test]
fn one_bad_instance_of_two_is_never_taken_for_recovering() {
    // Two instances export in turn: a good batch, a bad batch.
    let mut scene = failing();
    scene.export_every = 1;
    scene.run(300, |scene| {
        if scene.second % 5 == 0 {
            scene.serve("orders", 0, 25);
        }
        if scene.second % 5 == 2 {
            scene.serve("orders", 25, 0);
        }
    });
    assert_eq!(scene.began.len(), 1);
    assert_eq!(scene.observed.firing[0].recovering_since, None);
}

#[test]
fn what_always_failed_a_little_recovers_to_that() {
    for share in [0.02, 0.035] {
        let mut random = Lcg::new(2);
        let mut scene = super::scene(crate::Config::default());
        let mut usual = |scene: &mut Scene| {
            let bad = random.among(20, share);
            scene.serve("orders", 20 - bad, bad);
        };
        scene.run(1800, &mut usual);
        assert!(scene.began.is_empty(), "{:?}", scene.began);
        scene.run(40, |scene| scene.serve("orders", 0, 20));
        let healed = scene.second;
        scene.run(180, &mut usual);
        assert_eq!(scene.ended.len(), 1, "{share}");
        assert!(scene.ended[0].0 <= healed + 150, "{share}: {:?} {healed}", scene.ended);
        assert_eq!(scene.health("default-availability"), Health::Well);
    }
}

#[test]
fn twice_as_much_as_ever_failed_is_no_recovery() {
    let mut scene = super::scene(crate::Config::default());
    scene.run(1800, |scene| {
        let bad = u64::from(scene.second.is_multiple_of(5));
        scene.serve("orders", 10 - bad, bad);
    });
    scene.run(40, |scene| scene.serve("orders", 0, 10));
    scene.run(600, |scene| {
        let bad = u64::from(scene.second.is_multiple_of(2));
        scene.serve("orders", 10 - bad, bad);
    });
    assert_eq!((scene.began.len(), scene.ended.len()), (1, 0), "{:?}", scene.ended);
}

#[test]
fn low_traffic_ends_it_later_but_ends_it() {
    let mut scene = failing();
    let healed = scene.second;
    scene.run(300, |scene| {
        if scene.second % 20 == 0 {
            scene.serve("orders", 1, 0);
        }
    });
    assert_eq!(scene.ended.len(), 1);
    assert!(scene.ended[0].0 > healed + 80, "five good requests take longer: {:?}", scene.ended);
}

#[test]
fn what_comes_after_it_ended_is_a_new_symptom() {
    let mut scene = failing();
    scene.run(120, |scene| scene.serve("orders", 10, 0));
    let again = scene.second;
    scene.run(20, |scene| scene.serve("orders", 2, 8));
    assert_eq!(scene.began.len(), 2);
    assert_eq!(scene.began[1].1.onset, at(again));
}
