//! Figures for people: at most three digits that tell something, each with its unit.
//!
//! Absent is `–`, never zero; a duration has at most two units. The web pages write figures the
//! same way.

use std::time::Duration;

/// For what is not known.
pub(super) const ABSENT: &str = "–";

/// `12.4/s`, `1,208/s`, `0/s`.
pub(super) fn per_second(rate: Option<f64>) -> String {
    rate.map_or_else(|| ABSENT.to_owned(), |rate| format!("{}/s", three_digits(rate)))
}

/// `9.6 %`, `0 %`; what is above zero is never written as zero.
pub(super) fn share(ratio: Option<f64>) -> String {
    let Some(ratio) = ratio else { return ABSENT.to_owned() };
    match ratio * 100.0 {
        percent if percent > 0.0 && percent < 0.01 => "< 0.01 %".to_owned(),
        percent => format!("{} %", three_digits(percent)),
    }
}

/// The share that went well: never rounded up to all of it.
pub(super) fn good_share(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio < 1.0 && ratio > 0.9999 => "> 99.99 %".to_owned(),
        Some(ratio) if (0.99..1.0).contains(&ratio) => format!("{:.2} %", ratio * 100.0),
        ratio => share(ratio),
    }
}

/// `688 ms`, `1.9 s`.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return ABSENT.to_owned() };
    match seconds {
        s if s >= 60.0 => span(Duration::from_secs_f64(s.min(1e9))),
        s if s >= 1.0 => format!("{} s", three_digits(s)),
        s if s >= 1e-3 => format!("{} ms", three_digits(s * 1e3)),
        s => format!("{} µs", three_digits(s * 1e6)),
    }
}

/// `41 s`, `6 min 10 s`, `9 d 4 h`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (large, small) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => ((60, "min"), (1, "s")),
        3_600..86_400 => ((3_600, "h"), (60, "min")),
        _ => ((86_400, "d"), (3_600, "h")),
    };
    let first = format!("{} {}", seconds / large.0, large.1);
    match seconds % large.0 / small.0 {
        0 => first,
        rest => format!("{first} {rest} {}", small.1),
    }
}

/// `34.2 MiB`.
pub(super) fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), units[unit])
}

/// `1,351`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 incident`, `2 incidents`.
pub(super) fn plural(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", count(number as u64)),
    }
}

fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    let text = match magnitude {
        m if m >= 99.95 => return count_signed(value),
        m if m >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.replace('-', "−")
}

fn count_signed(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", count(value.abs().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        for (rate, text) in [(0.0, "0/s"), (12.44, "12.4/s"), (204.4, "204/s"), (1208.0, "1,208/s")]
        {
            assert_eq!(per_second(Some(rate)), text);
        }
        for (ratio, text) in
            [(0.0, "0 %"), (0.0961, "9.61 %"), (0.00001, "< 0.01 %"), (1.0, "100 %")]
        {
            assert_eq!(share(Some(ratio)), text);
        }
        for (time, text) in
            [(0.0000071, "7.1 µs"), (0.688, "688 ms"), (1.9, "1.9 s"), (70.0, "1 min 10 s")]
        {
            assert_eq!(seconds(Some(time)), text);
        }
        assert_eq!(bytes(35.6 * 1024.0 * 1024.0), "35.6 MiB");
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        assert_eq!(per_second(None), "–");
        assert_eq!(share(None), "–");
        assert_eq!(seconds(None), "–");
    }

    #[test]
    fn a_span_of_time_has_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (41, "41 s"),
            (60, "1 min"),
            (370, "6 min 10 s"),
            (7_230, "2 h"),
            (792_000, "9 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(good_share(Some(0.99996)), "> 99.99 %");
        assert_eq!(good_share(Some(0.9954)), "99.54 %");
        assert_eq!(good_share(Some(1.0)), "100 %");
        assert_eq!(good_share(Some(0.904)), "90.4 %");
    }
}
