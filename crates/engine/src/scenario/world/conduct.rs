//! How requests fare by the doing of a service, of one of its instances, or of a version.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;

/// What a request takes where nothing is slow.
const USUAL: Duration = Duration::from_millis(5);
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
    slow: Share,
    duration: Duration,
}

/// Deals out a share evenly: of 10 at 30 %, exactly three.
#[derive(Default)]
struct Share {
    share: f64,
    owed: f64,
}

impl Share {
    fn next(&mut self) -> bool {
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
