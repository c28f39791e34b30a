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
    flush: {command: [/usr/bin/flush], timeout: 5s, undo: fill}
    fill: {command: [/usr/bin/fill]}
  signals: [hup, usr1]
  rollback: {command: [/usr/bin/deploy, orders, --previous], undo: fill}
  requests:
    dark: {url: 'http://localhost:8080/flags/new?key=k', method: DELETE, undo: bright}
    bright: {url: 'https://flags.example/new', remote: true, headers: {authorization: Bearer x}}
  load_balancer:
    server: orders-1
    haproxy: {socket: /run/haproxy.sock, backend: orders}
  postgres: {address: '127.0.0.1:5432', user: immune, password: pg-secret, database: shop}
  paths:
    cache: {path: /var/cache/shop, size_max: 1GiB, patterns: ['*.tmp']}
  container:
    name: shop-orders-1
    operations: [restart, scale_out]
    compose: {project: shop, service: orders, copies_max: 3}
    limits: {roomy: {memory: 1GiB, cpus: 1.5, undo: usual}, usual: {memory: 512MiB}}
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
fn a_database_is_a_target_without_a_process() {
    let yaml = "[{name: db, database: postgresql/shop, environment: production}]";
    let targets = read(yaml).unwrap();
    assert_eq!(validate(&targets), vec![]);
    assert_eq!(targets[0].entity().key(), "default/production/database:/postgresql/shop");
    check("[{name: db, database: a/b, service: c}]", &["targets[0].database"]);
    check("[{name: db}]", &["targets[0].service"]);
    check(
        &FULL.replace("process: {listens_on: '127.0.0.1:5001'}", ""),
        &["targets[0].restart", "targets[0].signals"],
    );
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
    let request = |from: &str, to: &str, field: &str| {
        check(&FULL.replace(from, to), &[&format!("targets[0].requests.bright.{field}")]);
    };
    request("remote: true", "remote: false", "url");
    request("https:", "ftp:", "url");
    request("https://", "https://ann:pw@", "url");
    request("authorization:", "'two words':", "headers");
    request("headers", "status: [99], headers", "status");
    check(&FULL.replace("undo: bright", "undo: b"), &["targets[0].requests.dark.undo"]);
    check(
        &FULL.replace("address: '127.0.0.1:5432'", "address: '10.0.0.1:5432'"),
        &["targets[0].postgres.address"],
    );
    check(&FULL.replace("address: '127.0.0.1:5432', ", ""), &["targets[0].postgres"]);
    for path in ["/", "/var", "/etc/shop", "/var/cache/../../etc", "/usr/share/x", "/proc/1"] {
        check(&FULL.replace("/var/cache/shop", path), &["targets[0].paths.cache.path"]);
    }
    check(&FULL.replace("*.tmp", "a/*"), &["targets[0].paths.cache.patterns"]);
    let container = |from: &str, to: &str, field: &str| {
        check(&FULL.replace(from, to), &[&format!("targets[0].container.{field}")]);
    };
    container("shop-orders-1", "'../images'", "name");
    container("copies_max: 3", "copies_max: 0", "compose");
    container("cpus: 1.5", "cpus: 0", "limits.roomy.cpus");
    container("memory: 512MiB", "memory: 1MiB", "limits.usual.memory");
    container("undo: usual", "undo: none", "limits.roomy.undo");
    container("compose: {project: shop, service: orders, copies_max: 3}", "", "operations");
    let balancer = |from: &str, to: &str, field: &str| {
        check(&FULL.replace(from, to), &[&format!("targets[0].load_balancer{field}")]);
    };
    balancer("server: orders-1", "server: 'orders-1;'", ".server");
    balancer("server: orders-1", "server: orders-1\n    keep_min: 0", ".keep_min");
    balancer("socket: /run/haproxy.sock, ", "", ".haproxy");
    balancer("backend: orders", "backend: 'a b'", ".haproxy.backend");
    balancer("    haproxy: {socket: /run/haproxy.sock, backend: orders}\n", "", "");
    check(
        &FULL.replace("undo: fill", "undo: full"),
        &["targets[0].commands.flush.undo", "targets[0].rollback.undo"],
    );
    check(&FULL.replace("1m", "1h"), &["targets[0].restart.ready_within"]);
    check(&FULL.replace("LANG: C", "'A=B': C"), &["targets[0].restart.start.environment"]);
    check(&FULL.replace(":5001'", ":0'"), &["targets[0].process.listens_on"]);
    check(&format!("{FULL}{FULL}"), &["targets[1].name", "targets[1].process"]);
}

#[test]
fn refuses_fields_and_kinds_that_it_does_not_know() {
    assert!(read(&FULL.replace("directory", "dir")).is_err());
    assert!(read(&FULL.replace("listens_on", "matches")).is_err());
    assert!(read(&FULL.replace("usr1", "kill")).is_err());
    assert!(read(&FULL.replace("127.0.0.1:5001", "localhost")).is_err());
}

#[test]
fn what_may_be_secret_is_covered_when_it_is_shown() {
    let mut targets = read(FULL).unwrap();
    targets[0].cover_secrets("(hidden)");
    let shown = serde_json::to_string(&targets).unwrap();
    assert!(!shown.contains("Bearer x") && !shown.contains("key=k"), "{shown}");
    assert!(!shown.contains("pg-secret"), "{shown}");
    assert!(shown.contains("http://localhost:8080/flags/new?(hidden)"), "{shown}");
    assert!(shown.contains(r#""LANG":"(hidden)""#), "{shown}");
}

#[test]
fn a_unit_is_a_whole_service_and_that_of_the_process() {
    let unit = |unit: &str| {
        format!(
            "[{{name: a, service: a, process: {{systemd: {{unit: a.service}}}}, \
             systemd: {{unit: '{unit}', operations: [restart]}}}}]"
        )
    };
    assert_eq!(validate(&read(&unit("a.service")).unwrap()), vec![]);
    check(&unit("b.service"), &["targets[0].systemd"]);
    for name in ["a", ".service", "a@.service", "@a.service", "a.timer", "a b.service"] {
        check(&unit(name), &["targets[0].systemd.unit", "targets[0].systemd"]);
    }
    let instance = unit("a@1.service").replace("unit: a.service", "unit: a@1.service");
    assert_eq!(validate(&read(&instance).unwrap()), vec![]);
    check(&unit("a.service").replace("[restart]", "[]"), &["targets[0].systemd.operations"]);
    let restart = "restart: {start: {command: [/bin/a]}}, systemd";
    let both =
        unit("a.service").replacen("systemd: {unit: 'a", &format!("{restart}: {{unit: 'a"), 1);
    check(&both, &["targets[0].restart"]);
}
