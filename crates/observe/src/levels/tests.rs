//! Levels as collectors and SDKs tell them.

use std::sync::Arc;

use model::signal::{
    Attributes, Batch, Group, InstrumentationScope, Metric, MetricData, Number, NumberPoint,
    PointHeader, Resource as Origin,
};
use model::{Scope, Timestamp};

use super::*;
use crate::config::Config;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn metric(name: &str, points: &[(&[(&str, &str)], f64)]) -> Metric {
    let point = |(attributes, value): &(&[(&str, &str)], f64)| {
        let all = attributes.iter();
        let attributes =
            all.fold(Attributes::default(), |all, (name, value)| match value.parse::<i64>() {
                Ok(number) => all.with_i64(name, number),
                Err(_) => all.with_str(name, value),
            });
        let header = PointHeader { attributes, ..PointHeader::default() };
        NumberPoint { header, value: Some(Number::Double(*value)) }
    };
    let data = MetricData::Gauge(points.iter().map(point).collect());
    Metric { name: name.into(), data, ..Metric::default() }
}

/// Levels as `instance pool NAME 18/20`.
fn check(service: Option<&str>, metrics: Vec<Metric>, expected: &[&str]) {
    let mut observer = Observer::new(Config::default());
    let mut attributes = Attributes::default().with_str("host.name", "db-1");
    if let Some(service) = service {
        let id = format!("{service}-1");
        attributes = attributes.with_str("service.name", service);
        attributes = attributes.with_str("service.instance.id", &id);
    }
    let resource = Arc::new(Origin { attributes });
    let scope = InstrumentationScope::default();
    let batch = Batch::Metrics(vec![Group { resource, scope, items: metrics }]);
    observer.take(&batch, NOW);
    let levels = observer.tick(1, NOW).levels;
    let words = levels.iter().map(|level| {
        let (of, what) = (&level.key.entity, level.key.what());
        assert_eq!(of.scope, Scope::default());
        let waiting = level.waiting.map_or(String::new(), |waiting| format!(" +{waiting}"));
        format!("{of} {what} {:.2}/{}{waiting}", level.used, level.limit)
    });
    assert_eq!(words.collect::<Vec<_>>(), expected);
    assert_eq!(observer.tick(2, NOW).levels, [], "told once");
}

#[test]
fn a_pool_is_told_of_by_several_metrics() {
    let pool = ("db.client.connection.pool.name", "orders-db");
    let used = [pool, ("db.client.connection.state", "used")];
    let idle = [pool, ("db.client.connection.state", "idle")];
    let count = metric("db.client.connection.count", &[(&used, 18.0), (&idle, 2.0)]);
    let max = metric("db.client.connection.max", &[(&[pool], 20.0)]);
    let pending = metric("db.client.connection.pending_requests", &[(&[pool], 4.0)]);
    let expected = ["orders-1 pool orders-db 18.00/20 +4"];
    check(Some("orders"), vec![max, pending, count.clone()], &expected);
    check(Some("orders"), vec![count], &[]);
    let old = [("pool.name", "p"), ("state", "used")];
    let usage = metric("db.client.connections.usage", &[(&old, 5.0)]);
    let max = metric("db.client.connections.max", &[(&[("pool.name", "p")], 10.0)]);
    check(Some("orders"), vec![usage, max], &["orders-1 pool p 5.00/10"]);
}

#[test]
fn a_host_tells_of_processors_memory_and_file_systems() {
    let point =
        |cpu: &'static str, mode: &'static str| [("cpu.logical_number", cpu), ("cpu.mode", mode)];
    let (a, b) = (point("0", "user"), point("0", "idle"));
    let (c, d) = (point("1", "system"), point("1", "iowait"));
    let points: [(&[(&str, &str)], f64); 4] = [(&a, 0.5), (&b, 0.5), (&c, 0.9), (&d, 0.1)];
    let cpu = metric("system.cpu.utilization", &points);
    let used = [("system.filesystem.mountpoint", "/data"), ("system.filesystem.state", "used")];
    let free = [("system.filesystem.mountpoint", "/data"), ("system.filesystem.state", "free")];
    let disk = metric("system.filesystem.utilization", &[(&used, 0.8), (&free, 0.2)]);
    check(None, vec![cpu, disk], &["host db-1 cpu 1.40/2", "host db-1 disk /data 0.80/1"]);
}

#[test]
fn what_is_no_number_or_has_no_limit_tells_nothing() {
    let nothing = metric("process.cpu.utilization", &[(&[], f64::NAN), (&[], -1.0)]);
    check(Some("orders"), vec![nothing], &[]);
    let none = metric("db.client.connection.max", &[(&[], 0.0)]);
    let used = metric("db.client.connection.count", &[(&[], 3.0)]);
    check(Some("orders"), vec![none, used], &[]);
}
