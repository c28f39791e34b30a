//! How many requests one kept span stands for.
//!
//! Sources: OpenTelemetry specification, "TraceState: Probability Sampling" (`ot=th:HEX`, a
//! rejection threshold of up to 14 hexadecimal digits padded with zeros on the right: adjusted
//! count = 2^56 / (2^56 − T)); attributes that known samplers leave on the spans they keep. A
//! span that says nothing stands for itself. Telemetry may be forged or broken, so no span may
//! stand for more than `WEIGHT_MAX`.

use crate::normalise::{Facts, Field};

pub(crate) const WEIGHT_MAX: f64 = 1e6;

/// The adjusted count of a span, at least 1.
pub(crate) fn weight(trace_state: &str, facts: &Facts<'_>) -> f64 {
    let weight = threshold_weight(trace_state)
        .or_else(|| facts.number(Field::SampledOneIn).map(one_in))
        .or_else(|| facts.number(Field::SampledShare).map(|share| 1.0 / share))
        .or_else(|| facts.number(Field::SampledPercent).map(|percent| 100.0 / percent))
        .unwrap_or(1.0);
    if weight.is_finite() && weight >= 1.0 { weight.min(WEIGHT_MAX) } else { 1.0 }
}

/// Samplers write either "one in N" or the share that was kept.
fn one_in(rate: f64) -> f64 {
    if rate > 0.0 && rate < 1.0 { 1.0 / rate } else { rate }
}

fn threshold_weight(trace_state: &str) -> Option<f64> {
    if trace_state.is_empty() {
        return None;
    }
    let ot = trace_state.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let digits = ot.split(';').find_map(|pair| pair.strip_prefix("th:"))?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if digits.is_empty() || digits.len() > 14 || !is_hex {
        return None;
    }
    let threshold = u64::from_str_radix(digits, 16).ok()? << (4 * (14 - digits.len()));
    let all = 1_u64 << 56;
    Some(all as f64 / (all - threshold) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::{AnyValue, Attributes};

    fn check(trace_state: &str, attribute: Option<(&str, AnyValue)>, expected: f64) {
        let mut attributes = Attributes::default();
        if let Some((name, value)) = attribute {
            attributes.push(name, value);
        }
        let weight = weight(trace_state, &Facts::read(&attributes));
        assert!((weight - expected).abs() < 1e-6, "{trace_state}: {weight}");
    }

    #[test]
    fn a_consistent_sampler_tells_its_threshold() {
        check("ot=th:0", None, 1.0);
        check("ot=th:8", None, 2.0);
        check("vendor=x, ot=rv:0123456789abcd;th:c", None, 4.0);
        check("ot=th:fd70a3d70a3d71", None, 100.0);
    }

    #[test]
    fn known_samplers_leave_their_rate_on_the_span() {
        check("", Some(("SampleRate", AnyValue::Int(20))), 20.0);
        check("", Some(("sampling.rate", AnyValue::Double(0.25))), 4.0);
        check("", Some(("microsoft.sample_rate", AnyValue::Double(10.0))), 10.0);
    }

    #[test]
    fn nonsense_counts_as_one() {
        check("", None, 1.0);
        check("ot=th:", None, 1.0);
        check("ot=th:+f", None, 1.0);
        check("ot=th:XYZ", None, 1.0);
        check("ot=th:000000000000000", None, 1.0);
        check("", Some(("SampleRate", AnyValue::Int(-3))), 1.0);
        check("", Some(("sampling.probability", AnyValue::Double(0.0))), 1.0);
        check("ot=th:ffffffffffffff", None, WEIGHT_MAX);
    }
}
