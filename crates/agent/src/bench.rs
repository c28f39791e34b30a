//! The workbench: what every action and fault works with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::Target;
use crate::keepers::Keepers;
use crate::launch::Children;
use crate::process::Host;
use crate::watch::Watch;

/// A point after which the agent may die and must still do right. Crash tests end it exactly there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    ActionAccepted,
    TargetStopped,
    TargetStarted,
    FaultRecorded,
    KeeperStarted,
    FaultInjected,
    UndoBegun,
}

pub type Targets = BTreeMap<String, Arc<Target>>;

#[derive(Debug)]
pub struct Bench {
    pub host: Host,
    pub watch: Watch,
    pub children: Children,
    /// The agent's folder.
    pub dir: PathBuf,
    /// A keeper has none of its own.
    pub keepers: Option<Keepers>,
    /// Held while a server is taken out of rotation or put back: one at a time.
    pub balancers: Mutex<()>,
    targets: RwLock<Arc<Targets>>,
    frozen: AtomicBool,
    on_step: Option<fn(Step)>,
}

impl Bench {
    pub fn new(
        host: Host,
        watch: Watch,
        dir: PathBuf,
        keepers: Option<Keepers>,
        on_step: Option<fn(Step)>,
    ) -> Self {
        Bench {
            host,
            watch,
            children: Children::default(),
            dir,
            keepers,
            balancers: Mutex::default(),
            targets: RwLock::default(),
            frozen: AtomicBool::new(false),
            on_step,
        }
    }

    pub fn targets(&self) -> Arc<Targets> {
        self.targets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_targets(&self, targets: Vec<Target>) {
        let targets =
            targets.into_iter().map(|target| (target.name.clone(), Arc::new(target))).collect();
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(targets);
    }

    pub fn frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    pub fn reached(&self, step: Step) {
        if let Some(on_step) = self.on_step {
            on_step(step);
        }
    }
}
