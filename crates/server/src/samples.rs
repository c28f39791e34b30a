//! What the loop counted, in the store's words.

use engine::{Sample, SampleKind};
use storage::columns::{EngineKind, EngineSample};

/// The same samples as the store takes them.
pub fn to_store(samples: Vec<Sample>) -> Vec<EngineSample> {
    let one = |sample: Sample| EngineSample {
        metric: sample.metric,
        unit: sample.unit,
        kind: match sample.kind {
            SampleKind::Gauge => EngineKind::Gauge,
            SampleKind::DeltaSum => EngineKind::DeltaSum,
        },
        service: sample.service,
        attributes: sample.attributes,
        at: sample.at,
        value: sample.value,
    };
    samples.into_iter().map(one).collect()
}
