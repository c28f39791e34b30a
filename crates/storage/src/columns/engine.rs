//! Figures that the engine makes itself, as samples beside those of the services.

use model::Timestamp;

/// One figure of one series at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSample {
    pub metric: &'static str,
    pub unit: &'static str,
    pub kind: EngineKind,
    /// Whom it is about; empty for the engine itself.
    pub service: String,
    pub attributes: Vec<(String, String)>,
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Gauge,
    /// What was added since the sample before.
    DeltaSum,
}
