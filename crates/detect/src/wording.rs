//! How figures are worded in one-sentence summaries.

/// `21 %`, `2.1 %`, `0.21 %`.
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    let text = if value >= 9.95 {
        format!("{value:.0}")
    } else if value >= 0.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    format!("{} %", trim_zeros(text))
}

/// `99.9 %` as it was written in configuration.
pub fn objective(ratio: f64) -> String {
    format!("{} %", trim_zeros(format!("{:.4}", ratio * 100.0)))
}

/// `340 ms`, `1.2 s`.
pub fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{:.0} ms", value * 1000.0)
    } else {
        format!("{} s", trim_zeros(format!("{value:.1}")))
    }
}

/// A time in minutes, below two of them in seconds: `7 min`, `90 s`.
pub fn minutes(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// A time in its largest unit: `90 s`, `7 min`, `5 hours`, `3 days`.
pub fn span(seconds: f64) -> String {
    if seconds < 7_200.0 { minutes(seconds) } else { coarse(seconds) }
}

/// A long time in its largest unit: `6 days`, `14 hours`.
pub fn coarse(seconds: f64) -> String {
    let (value, unit) = if seconds >= 172_800.0 {
        (seconds / 86_400.0, "days")
    } else {
        (seconds / 3_600.0, "hours")
    };
    format!("{value:.0} {unit}")
}

fn trim_zeros(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_read_as_people_write_them() {
        let percents = [0.21, 0.021, 0.0021, 1.0, 0.1].map(super::percent);
        assert_eq!(percents, ["21 %", "2.1 %", "0.21 %", "100 %", "10 %"]);
        assert_eq!([0.99, 0.999].map(super::objective), ["99 %", "99.9 %"]);
        assert_eq!([0.34, 1.25, 3.0].map(super::seconds), ["340 ms", "1.2 s", "3 s"]);
    }
}
