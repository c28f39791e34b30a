//! A description as a file that people read and change.

use std::fmt::Write as _;

use super::{Act, Service, Store, System, Traffic};

impl System {
    /// YAML; what it says is read back as the same system, up
    /// to rounding.
    pub fn to_yaml(&self) -> String {
        let mut yaml = String::from("users:\n");
        for (name, users) in &self.users {
            let rate = figure(users.requests_per_s);
            line(&mut yaml, format_args!("  {}: {{requests_per_s: {rate}}}", quoted(name)));
        }
        if self.traffic != Traffic::default() {
            let Traffic { daily_swing, weekend, peak_hour } = self.traffic;
            let (swing, weekend, peak) = (figure(daily_swing), figure(weekend), figure(peak_hour));
            let of = format!("daily_swing: {swing}, weekend: {weekend}, peak_hour: {peak}");
            line(&mut yaml, format_args!("traffic: {{{of}}}"));
        }
        if let Some(after) = self.dead_copies_leave_after {
            line(&mut yaml, format_args!("dead_copies_leave_after: {after}"));
        }
        if self.sampling < 1.0 {
            line(&mut yaml, format_args!("sampling: {}", figure(self.sampling)));
        }
        yaml.push_str("services:\n");
        for (name, service) in &self.services {
            write_service(&mut yaml, name, service);
        }
        let stores =
            [("databases", &self.databases), ("caches", &self.caches), ("queues", &self.queues)];
        for (kind, stores) in stores {
            if !stores.is_empty() {
                line(&mut yaml, format_args!("{kind}:"));
            }
            for (name, store) in stores {
                write_store(&mut yaml, name, store);
            }
        }
        yaml
    }
}

fn write_service(yaml: &mut String, name: &str, service: &Service) {
    line(yaml, format_args!("  {}:", quoted(name)));
    line(yaml, format_args!("    copies: {}", service.copies));
    line(yaml, format_args!("    takes_ms: {}", figure(service.takes_ms)));
    line(yaml, format_args!("    spread: {}", figure(service.spread)));
    for (field, value) in [("concurrency", service.concurrency), ("queue", service.queue)] {
        if let Some(value) = value {
            line(yaml, format_args!("    {field}: {}", figure(value)));
        }
    }
    if service.errors > 0.0 {
        line(yaml, format_args!("    errors: {}", figure(service.errors)));
    }
    if !service.telemetry {
        yaml.push_str("    telemetry: false\n");
    }
    if !service.allow.is_empty() {
        let allow: Vec<&str> = service.allow.iter().map(|act| act.as_str()).collect();
        line(yaml, format_args!("    allow: [{}]", allow.join(", ")));
    }
    if !service.calls.is_empty() {
        yaml.push_str("    calls:\n");
    }
    for call in &service.calls {
        let mut of = format!("to: {}, per_request: {}", quoted(&call.to), figure(call.per_request));
        if call.optional {
            of.push_str(", optional: true");
        }
        if let Some(timeout) = call.timeout {
            let _ = write!(of, ", timeout: {timeout}");
        }
        if call.retries > 0 {
            let _ = write!(of, ", retries: {}", call.retries);
        }
        if let Some(pool) = call.pool {
            let _ = write!(of, ", pool: {}", figure(pool));
        }
        line(yaml, format_args!("      - {{{of}}}"));
    }
}

fn write_store(yaml: &mut String, name: &str, store: &Store) {
    let (takes, spread) = (figure(store.takes_ms), figure(store.spread));
    let mut of = format!("takes_ms: {takes}, spread: {spread}");
    for (field, value) in [("concurrency", store.concurrency), ("queue", store.queue)] {
        if let Some(value) = value {
            let _ = write!(of, ", {field}: {}", figure(value));
        }
    }
    line(yaml, format_args!("  {}: {{{of}}}", quoted(name)));
}

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Restart => "restart",
            Act::Rollback => "rollback",
            Act::Eject => "eject",
        }
    }
}

fn line(yaml: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(yaml, "{line}");
}

/// Four digits that count.
fn figure(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let times = 10_f64.powi(digits.clamp(0, 9));
    (value * times).round() / times
}

/// A name as YAML takes it for one, whatever is in it.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_plain {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Telemetry may bring names that would move a terminal's cursor.
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
