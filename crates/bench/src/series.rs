//! `bench nab`, `bench cloud-monitoring`, `bench detect-cost`: how well unusual values of a series
//! are told, on public data sets, and what that costs.
//!
//! The detector is that of `detect::series`, with the thresholds that ship, value after value;
//! nothing of a file is known before it came, and nothing is chosen by labels.

mod cloud_monitoring;

mod cost;

mod nab;

mod table;

pub use cloud_monitoring::CloudMonitoring;
pub use cost::DetectCost;
pub use nab::Nab;

use detect::series::Series;
use table::Row;

/// The rows at which an anomaly is told.
fn alerts(rows: &[Row]) -> Vec<usize> {
    let mut series = Series::default();
    let told = |(at, row): (usize, &Row)| {
        let value = row.value?;
        series.observe(row.at, value).map(|_| at)
    };
    rows.iter().enumerate().filter_map(told).collect()
}
