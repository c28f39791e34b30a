//! Targets as people write them, right and wrong.

use super::*;

fn read(yaml: &str) -> Result<Vec<Target>, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

const FULL: &str = "
- name: orders
  service: orders
  instance: orders-1
  environment: production
  process: {listens_on: '127.0.0.1:5001'}
  restart:
    start:
      command: [/usr/bin/orders, --port, '5001']
      directory: /srv/orders
      environment: {LANG: C}
      log: /var/log/orders.log
    stop_timeout: 3s
    ready_within: 1m
  commands:
    flush: {command: [/usr/bin/flush], timeout: 5s}
";

/// Checks the paths of the problems that `yaml` has.
fn check(yaml: &str, expected: &[&str]) {
    let problems = validate(&read(yaml).unwrap());
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, expected, "{problems:?}");
}

#[test]
fn reads_a_full_target_and_names_its_entity() {
    let targets = read(FULL).unwrap();
    assert_eq!(validate(&targets), vec![]);
    assert_eq!(targets[0].entity().key(), "default/production/instance:orders/orders-1");
    assert!(targets[0].restart.as_ref().unwrap().start.detached);
    let json = serde_json::to_string(&targets).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Target>>(&json).unwrap(), targets);
}

#[test]
fn a_short_target_is_the_service_in_the_default_environment() {
    let targets = read("[{name: a, service: b, process: {pid_file: /run/b.pid}}]").unwrap();
    assert_eq!(validate(&targets), vec![]);
    assert_eq!(targets[0].entity().key(), "default/default/service:/b");
}

#[test]
fn says_where_something_is_wrong() {
    check(
        "[{name: 'a b', service: '', process: {pid_file: run/b.pid}}]",
        &["targets[0].name", "targets[0].service", "targets[0].process.pid_file"],
    );
    check(
        &FULL.replace("/usr/bin/orders, --port", "orders, --port"),
        &["targets[0].restart.start.command[0]"],
    );
    check(&FULL.replace("[/usr/bin/flush]", "[]"), &["targets[0].commands.flush.command"]);
    check(&FULL.replace("1m", "1h"), &["targets[0].restart.ready_within"]);
    check(&FULL.replace("LANG: C", "'A=B': C"), &["targets[0].restart.start.environment"]);
    check(&FULL.replace(":5001'", ":0'"), &["targets[0].process.listens_on"]);
    check(&format!("{FULL}{FULL}"), &["targets[1].name", "targets[1].process"]);
}

#[test]
fn refuses_fields_and_kinds_that_it_does_not_know() {
    assert!(read(&FULL.replace("directory", "dir")).is_err());
    assert!(read(&FULL.replace("listens_on", "matches")).is_err());
    assert!(read(&FULL.replace("127.0.0.1:5001", "localhost")).is_err());
}
