//! How requests fare by the doing of a service, of one of its instances, or of a version.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;

/// What a request takes where nothing is slow.
const USUAL: Duration = Duration::from_millis(5);
const USUAL_STATEMENT: Duration = Duration::from_millis(1);
/// What a leak leaves behind is looked through each time.
const LOOK_THROUGH: Duration = Duration::from_millis(1);
const LOOK_THROUGH_BYTES: u64 = 1 << 20;

/// By the name of a service or an instance, or by `service@version`.
#[derive(Default)]
pub(super) struct Conducts(BTreeMap<String, Conduct>);

#[derive(Default)]
struct Conduct {
    errors: Share,
    status: u16,
    /// What a database calls its error.
    kind: String,
    slow: Share,
    duration: Duration,
}

/// Deals out a share evenly: of 10 at 30 %, exactly three.
#[derive(Default)]
pub(super) struct Share {
    share: f64,
    owed: f64,
}

impl Share {
    pub(super) fn of(share: f64) -> Share {
        Share { share, owed: 0.0 }
    }

    pub(super) fn next(&mut self) -> bool {
        self.owed += self.share;
        let hit = self.owed >= 1.0 - 1e-9;
        if hit {
            self.owed -= 1.0;
        }
        hit
    }
}

impl Conducts {
    pub(super) fn fail(&mut self, who: &str, share: f64, status: u16) {
        let conduct = self.0.entry(who.to_owned()).or_default();
        (conduct.errors.share, conduct.status) = (share, status);
    }

    pub(super) fn slow(&mut self, who: &str, duration: Duration, share: f64) {
        let conduct = self.0.entry(who.to_owned()).or_default();
        (conduct.slow.share, conduct.duration) = (share, duration);
    }

    /// A share of the statements of a database ends with this error.
    pub(super) fn refuse(&mut self, database: &str, share: f64, kind: &str) {
        let conduct = self.0.entry(database.to_owned()).or_default();
        (conduct.errors.share, conduct.kind) = (share, kind.to_owned());
    }

    /// The next statement of a database: its error, and how long it takes.
    pub(super) fn statement(&mut self, database: &str) -> (Option<String>, Duration) {
        let Some(conduct) = self.0.get_mut(database) else { return (None, USUAL_STATEMENT) };
        let error = conduct.errors.next().then(|| conduct.kind.clone());
        let is_slow = conduct.slow.next();
        (error, if is_slow { conduct.duration } else { USUAL_STATEMENT })
    }

    /// What was wrong with a service as a whole is over.
    pub(super) fn end(&mut self, service: &str) {
        self.0.remove(service);
    }
}

impl World {
    /// The next request of an instance: its own error, and how long its own part takes.
    pub(super) fn conduct(&mut self, service: &str, name: &str) -> (Option<u16>, Duration) {
        let Some(instance) = self.instances.get_mut(name) else { return (None, USUAL) };
        instance.leaked += instance.leak;
        let mut duration =
            USUAL + LOOK_THROUGH.mul_f64((instance.leaked / LOOK_THROUGH_BYTES) as f64);
        let version = format!("{service}@{}", instance.version);
        let mut error = None;
        for who in [service, name, version.as_str()] {
            let Some(conduct) = self.conducts.0.get_mut(who) else { continue };
            if conduct.errors.next() {
                error = Some(conduct.status);
            }
            if conduct.slow.next() {
                duration = duration.max(conduct.duration);
            }
        }
        (error, duration)
    }
}
