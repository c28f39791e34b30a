//! What unit tests share.

use std::sync::Arc;

use storage::reserve::{DiskConfig, DiskWatch};
use storage::store::Store;

use crate::clock;
use crate::state::DataFolder;

/// The store of a data folder, with hardly any demands on the disk.
pub fn store(folder: &DataFolder) -> Arc<Store> {
    let disk = DiskWatch::open(folder.path(), DiskConfig { reserve: 0, free_min: 0 }).unwrap();
    let config = storage::store::Config::default();
    let now = Arc::new(clock::now);
    let (store, _) = Store::open(&folder.telemetry(), config, now, Arc::new(disk)).unwrap();
    Arc::new(store)
}
