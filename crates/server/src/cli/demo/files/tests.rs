//! What the demo writes is accepted by those who read it, whatever a seed draws.

use std::path::{Path, PathBuf};

use super::*;
use crate::cli::demo::chances::Chances;
use crate::cli::demo::drills::{self, Choice};
use crate::config;

fn drawn(dir: &str, seed: Option<u64>) -> (Layout, Vec<Act>) {
    let mut chances = Chances::new(seed);
    let programs = (PathBuf::from("/opt/bin/immune"), PathBuf::from("/opt/bin/shop"));
    let ports = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let layout = Layout::draw(Path::new(dir), programs, ports, &mut chances);
    let acts = drills::draw(&Choice::Count(drills::ALL.len()), &layout, &mut chances);
    (layout, acts)
}

fn configured(layout: &Layout, acts: &[Act]) -> config::Config {
    let text = configuration::text(layout, acts).unwrap();
    config::parse(Path::new("immune.yaml"), &text, |_| None)
        .unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

#[test]
fn the_configuration_is_accepted_without_complaint() {
    for dir in ["/tmp/demo", "/tmp/with space", "/tmp/#odd: 'quoted' \"name\"", "/tmp/ümläut"] {
        for seed in [None, Some(1), Some(2)] {
            let (layout, acts) = drawn(dir, seed);
            let config = configured(&layout, &acts);
            assert_eq!(config.storage.path, Path::new(dir).join("immune"));
            assert_eq!(config.healing.mode, model::Mode::Auto);
            let policies = |target: &str| {
                config.healing.policies.iter().filter(|policy| policy.target == target).count()
            };
            for part in layout.parts() {
                assert_eq!(policies(&part.name) > 0, part.healed, "{}", part.name);
            }
        }
    }
}

#[test]
fn a_restart_runs_the_very_command_that_the_demo_started() {
    let (layout, acts) = drawn("/tmp/demo", Some(3));
    let parts = layout.parts();
    let mut restarted = 0;
    for target in &configured(&layout, &acts).targets {
        let Some(restart) = &target.restart else { continue };
        let part = parts.iter().find(|part| part.name == target.name).unwrap();
        assert_eq!(restart.start.command, part.command);
        assert_eq!(restart.start.environment, part.environment);
        assert_eq!(restart.start.log.as_deref(), Some(part.log.as_path()));
        restarted += 1;
    }
    assert_eq!(restarted, parts.len() - 1, "all but the gateway");
}

#[test]
fn every_drill_is_accepted_and_stays_within_the_targets() {
    for seed in [None, Some(1), Some(2), Some(3)] {
        let (layout, acts) = drawn("/tmp/demo", seed);
        let config = configured(&layout, &acts);
        assert_eq!(acts.len(), drills::ALL.len());
        for act in &acts {
            let text = experiment::text(&layout, act).unwrap();
            let experiment = chaos::parse(&text).unwrap();
            assert_eq!(Some(&act.aim.fault), experiment.fault.as_ref());
            assert_eq!(experiment.expect.decision, act.spec.expect);
            assert_eq!(experiment.client_log.as_deref(), Some("/tmp/demo/users.jsonl"));
            let target = config.targets.iter().find(|it| it.name == act.aim.target).unwrap();
            assert_eq!(experiment.blast_radius.environment, target.environment);
            assert!(experiment.blast_radius.services.contains(&target.service));
            let declared = target.faults.values().collect::<Vec<_>>();
            assert!(act.aim.declares.iter().all(|it| declared.contains(&it)));
            assert!(act.aim.declares.is_some() || target.restart.is_some());
        }
    }
}

#[test]
fn a_seed_with_its_names_leaves_no_part_recognisable_in_telemetry() {
    let (layout, _) = drawn("/tmp/demo", Some(4));
    for part in layout.parts() {
        for (name, value) in &part.environment {
            let told = name == "OTEL_SERVICE_NAME" || name == "OTEL_RESOURCE_ATTRIBUTES";
            assert!(!told || !value.contains(part.role.part()), "{name}={value}");
        }
    }
}
