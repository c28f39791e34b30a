//! Whose alerts are, how they begin, go on and end.

use model::{EntityKind, Scope};

use super::*;

const CLEAR_AFTER: Duration = Duration::from_secs(60);

fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + second)
}

/// An alert in words: `HighErrorRate service=orders severity=critical`, told in this second.
fn report(text: &str, second: u64, state: AlertState) -> AlertReport {
    let mut words = text.split(' ');
    let name = words.next().unwrap_or_default();
    let pairs = words.map(|word| word.split_once('=').unwrap());
    let labels: BTreeMap<String, String> =
        pairs.chain([("alertname", name)]).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    AlertReport {
        at: at(second),
        told_by: "prometheus".to_owned(),
        fingerprint: model::alert::fingerprint(&labels),
        state,
        starts_at: at(second),
        labels,
        summary: "7 % of requests fail".to_owned(),
        runbook_url: String::new(),
        generator_url: String::new(),
    }
}

fn known(names: &[(&str, &str)]) -> BTreeMap<Entity, ()> {
    let of = |(environment, name): &(&str, &str)| {
        (Entity::service(&Scope::new("default", environment), name), ())
    };
    names.iter().map(of).collect()
}

struct Case {
    config: Config,
    alerts: Alerts,
}

impl Case {
    fn new() -> Case {
        Case { config: Config::default(), alerts: Alerts::default() }
    }

    fn take(&mut self, report: &AlertReport) {
        self.alerts.take(report, &self.config, &known(&[("default", "orders")]));
    }

    fn fires(&mut self, text: &str, second: u64) {
        self.take(&report(text, second, AlertState::Firing));
    }

    fn ends(&mut self, text: &str, second: u64) {
        self.take(&report(text, second, AlertState::Resolved(at(second))));
    }

    /// Symptoms that stand, as (source, measured), and how many ended.
    fn step(&mut self, second: u64) -> (Vec<(String, f64)>, usize) {
        let ended = self.alerts.conclude(&self.config, CLEAR_AFTER, at(second));
        let firing = self.alerts.firing().map(|it| (it.source.clone(), it.measured));
        (firing.collect(), ended.len())
    }
}

const ORDERS: &str = "HighErrorRate service=orders severity=critical";

/// Which entity and severity an alert means; `-`: none.
fn check(config: &str, alert: &str, expect: &str) {
    let config: Config = serde_saphyr::from_str(config).unwrap();
    let services = known(&[
        ("default", "orders"),
        ("staging", "cart"),
        ("prod", "shop/pay"),
        ("prod", "mail"),
        ("staging", "mail"),
    ]);
    let found = meaning(&report(alert, 0, AlertState::Firing), &config, &services);
    let words = found.map_or("-".to_owned(), |meaning| {
        let Meaning { entity, severity, is_mapped, .. } = meaning;
        let mark = if is_mapped { "" } else { "?" };
        format!("{}:{entity}{mark} {severity:?}", entity.scope.environment)
    });
    assert_eq!(words, expect, "{alert}");
}

#[test]
fn labels_say_whose_an_alert_is() {
    check("{}", "A service=orders severity=critical", "default:orders Page");
    check("{}", "A job=shop/pay severity=warning", "prod:shop/pay Ticket");
    check("{}", "A job=metrics/orders", "default:orders Ticket");
    // The exporter's own name is no service, the one that is known counts.
    check("{}", "A service=kube-state-metrics deployment=cart", "staging:cart Ticket");
    check("{}", "A service=mail", "default:mail? Ticket");
    check("{}", "A service=mail namespace=prod", "prod:mail Ticket");
    check("{}", "A service=mail env=staging namespace=prod", "staging:mail Ticket");
    check("{}", "A job=node node=db-1:9100 severity=PAGE", "default:host db-1? Page");
    check("{}", "A job=strange", "default:strange? Ticket");
    check("{}", "A severity=critical", "default:the system? Page");
    check("{}", "Watchdog service=orders severity=critical", "-");
    check("{}", "A service=orders severity=info", "-");
}

#[test]
fn a_rule_says_more_than_labels() {
    let rules = "rules: [{match: {alertname: DbDown}, service: orders, severity: page}, \
        {match: {team: other}, ignore: true}, {match: {alertname: Watchdog}, severity: ticket}]";
    check(rules, "DbDown job=postgres severity=warning", "default:orders Page");
    check(rules, "A service=orders team=other severity=critical", "-");
    check(rules, "Watchdog service=orders", "default:orders Ticket");
    check(
        "{labels: {service: [owner]}, page: []}",
        "A owner=orders severity=critical",
        "default:orders Ticket",
    );
}

#[test]
fn alerts_of_one_name_are_one_symptom() {
    let mut case = Case::new();
    case.fires(&format!("{ORDERS} pod=orders-1"), 0);
    case.fires(&format!("{ORDERS} pod=orders-2"), 5);
    case.fires(&format!("{ORDERS} pod=orders-2"), 6);
    assert_eq!(case.step(6), (vec![("HighErrorRate".to_owned(), 2.0)], 0));
    let symptom = case.alerts.firing().next().unwrap();
    assert_eq!(
        symptom.summary,
        "alert HighErrorRate of orders: 7 % of requests fail (orders-1, orders-2), told by \
         prometheus"
    );
    assert_eq!((symptom.onset, symptom.severity), (at(0), Severity::Page));
    case.ends(&format!("{ORDERS} pod=orders-1"), 10);
    assert_eq!(case.step(80).0.len(), 1, "one still fires");
}

#[test]
fn it_ends_when_it_was_over_for_long_enough_and_flapping_is_no_news() {
    let mut case = Case::new();
    case.fires(ORDERS, 0);
    case.step(0);
    case.ends(ORDERS, 100);
    assert_eq!(case.step(130).0.len(), 1);
    assert_eq!(case.alerts.firing().next().unwrap().recovering_since, Some(at(100)));
    case.fires(ORDERS, 140);
    assert_eq!(case.step(200), (vec![("HighErrorRate".to_owned(), 1.0)], 0));
    let symptom = case.alerts.firing().next().unwrap();
    assert_eq!((symptom.recovering_since, symptom.onset), (None, at(0)));
    case.ends(ORDERS, 300);
    assert_eq!(case.step(360), (vec![], 1));
}

#[test]
fn a_message_of_before_does_not_bring_back_what_is_over() {
    let mut case = Case::new();
    case.fires(ORDERS, 0);
    case.ends(ORDERS, 100);
    let late = AlertReport { at: at(170), ..report(ORDERS, 0, AlertState::Firing) };
    case.take(&late);
    assert_eq!(case.step(170).0, vec![]);
    // Of a peer that knows of no end yet, hours later, it is news again.
    case.fires(ORDERS, 200);
    assert_eq!(case.step(200).0.len(), 1);
}

#[test]
fn what_is_not_told_of_again_has_ended_unless_nobody_listened() {
    let mut case = Case::new();
    case.fires(ORDERS, 0);
    assert_eq!(case.step(5 * 3_600).0.len(), 1);
    case.alerts.resume(at(6 * 3_600));
    assert_eq!(case.step(10 * 3_600).0.len(), 1);
    assert_eq!(case.step(11 * 3_600 + 1), (vec![], 1));
}

#[test]
fn a_ticket_that_becomes_a_page_is_raised_anew() {
    let mut case = Case::new();
    case.fires("A service=orders severity=warning", 0);
    case.step(0);
    case.fires("A service=orders severity=critical", 50);
    case.step(50);
    let symptom = case.alerts.firing().next().unwrap();
    assert_eq!((symptom.severity, symptom.detected), (Severity::Page, at(50)));
    case.ends("A service=orders severity=critical", 60);
    case.step(60);
    assert_eq!(case.alerts.firing().next().unwrap().severity, Severity::Ticket);
}

#[test]
fn what_is_over_gives_way_and_what_does_not_fit_is_counted() {
    let mut case = Case::new();
    for index in 0..ALERTS_MAX {
        case.fires(&format!("A service=orders n={index}"), 0);
    }
    case.fires("B service=orders", 1);
    assert_eq!((case.alerts.all().count(), case.alerts.left_out()), (ALERTS_MAX, 1));
    case.ends("A service=orders n=7", 2);
    case.fires("B service=orders", 3);
    assert_eq!((case.alerts.all().count(), case.alerts.left_out()), (ALERTS_MAX, 1));
    assert_eq!(
        case.alerts.all().filter(|(_, told)| told.entity.kind == EntityKind::Service).count(),
        ALERTS_MAX
    );
}
