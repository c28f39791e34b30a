//! A small shop: what is made of its description, what is wrong with others, what hurts it.

use super::*;

const SHOP: &str = "
users: {web: {requests_per_s: 20}}
dead_copies_leave_after: 10s
services:
  web:
    copies: 2
    takes_ms: 8
    allow: [restart, rollback, eject]
    calls:
      - {to: cart, per_request: 0.5, timeout: 2s, retries: 1}
      - {to: mail.example:25, per_request: 0.1, optional: true}
  cart:
    allow: [restart]
    calls:
      - {to: postgresql/shop, per_request: 2, pool: 20}
      - {to: \"redis@cache:6379\"}
  mail.example:25: {telemetry: false, takes_ms: 50}
databases: {postgresql/shop: {}}
caches: {\"redis@cache:6379\": {takes_ms: 0.4}}
";

fn read(text: &str) -> System {
    serde_saphyr::from_str(text).unwrap()
}

fn problem(change: impl FnOnce(&mut System)) -> String {
    let mut system = read(SHOP);
    change(&mut system);
    let problems = system.problems();
    problems.iter().map(|it| format!("{}: {}", it.path, it.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_few_lines_are_a_system() {
    let system = read(SHOP);
    assert_eq!(system.problems(), []);
    let fleet = system.fleet();
    let names: Vec<&str> = fleet.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names.len(), 5);
    let at = |name| names.iter().position(|it| *it == name).unwrap();
    assert!(at("web") < at("cart") && at("cart") < at("postgresql/shop"));
    let web = &fleet.nodes[at("web")];
    assert!((web.usual_rate - 20.0).abs() < 1e-9);
    assert!((fleet.nodes[at("postgresql/shop")].usual_rate - 20.0).abs() < 1e-9);
    assert!(web.calls[0].must && !web.calls[1].must);
    assert!(fleet.allows(at("cart"), &model::ActionKind::Restart));
    assert!(!fleet.allows(at("cart"), &model::ActionKind::Rollback));
    assert!(!fleet.allows(at("postgresql/shop"), &model::ActionKind::Restart));
}

#[test]
fn what_cannot_be_is_said_with_its_place() {
    assert_eq!(problem(|_| {}), "");
    let nobody = problem(|it| it.users.clear());
    assert!(nobody.starts_with("users: nobody comes"), "{nobody}");
    let stranger = problem(|it| it.services.get_mut("web").unwrap().calls[0].to = "cort".into());
    assert!(stranger.starts_with("services.web.calls[0].to: there is no service"), "{stranger}");
    let circle = problem(|it| {
        let call = Call { to: "web".into(), ..it.services["web"].calls[0].clone() };
        it.services.get_mut("cart").unwrap().calls.push(call);
    });
    assert!(circle.contains("cart -> web -> cart is a circle"), "{circle}");
    let busy = problem(|it| it.services.get_mut("cart").unwrap().concurrency = Some(1.0));
    assert_eq!(busy, "");
    let busy = problem(|it| it.users.get_mut("web").unwrap().requests_per_s = 1_000.0);
    assert_eq!(busy, "", "what is not said grows with what is asked");
    let busy = problem(|it| {
        it.services.get_mut("web").unwrap().concurrency = Some(1.0);
        it.users.get_mut("web").unwrap().requests_per_s = 1_000.0;
    });
    assert!(busy.starts_with("services.web.concurrency: each copy works on"), "{busy}");
    let late = problem(|it| it.databases.get_mut("postgresql/shop").unwrap().takes_ms = 9_000.0);
    assert!(late.contains("services.web.calls: a call of `cart` usually takes"), "{late}");
    let nan = problem(|it| it.traffic.weekend = f64::NAN);
    assert_eq!(nan, "traffic.weekend: NaN is out of range; use 0.05 to 3");
}

#[test]
fn what_is_written_is_read_back() {
    let mut system = read(SHOP);
    system.traffic.weekend = 0.5;
    system.sampling = 0.25;
    system.services.get_mut("web").unwrap().errors = 0.001;
    system.caches.get_mut("redis@cache:6379").unwrap().concurrency = Some(12.0);
    system.databases.insert("a \"b\\\n\u{1b}[1m: c".into(), Store::default());
    assert_eq!(read(&system.to_yaml()), system);
}

#[test]
fn each_fault_of_a_described_system_is_tried() {
    let mut system = read(SHOP);
    system.users.get_mut("web").unwrap().requests_per_s = 12.0;
    let fleet = Some(std::sync::Arc::new(system.fleet()));
    let plan = crate::Plan { seed: 1, fleet, ..crate::Plan::default() };
    let found = crate::what_if(&plan, 1, |_| {});
    let case = |family, entity| {
        let is_it = |case: &&crate::Case| case.family == family && case.entity == entity;
        found.cases.iter().find(is_it).unwrap()
    };
    let crash = case("crash", "web");
    assert_eq!((crash.hurt, crash.noticed, crash.healed), (1, 1, 1), "{crash:?}");
    assert_eq!(crash.done.get("restart"), Some(&1), "{crash:?}");
    let deploy = case("bad_deploy", "cart");
    assert!(!deploy.done.contains_key("rollback"), "it may only be restarted: {deploy:?}");
    assert!(!found.cases.iter().any(|case| case.entity.starts_with("mail")), "few need it");
}
