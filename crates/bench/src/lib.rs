//! Placeholder removed by the first real code.
