//! Sums test results out of logs, so that continuous integration ends with one line to believe.
//!
//! Understood lines: the `test result:` lines of `cargo test`; `e2e: N passed, N failed, N skipped`
//! of the end-to-end scripts, `ui: …` of those in a browser and `ci: …` of the stages in `.ci/run`;
//! the line `Tests  1 failed | 12 passed (13)` of vitest; `skipped: why` of a test that could not
//! run. The test harness counts such a test as passed, so it is moved from passed to skipped; where
//! a script prints its own summary, its skipped tests are already in there.
//! The harness swallows `println!` of passing tests: a test that skips writes to `io::stderr()`.

use std::fmt;

/// Labels whose `label: N passed, N failed, N skipped` lines are believed.
const SUMMARY_LABELS: &[&str] = &["e2e: ", "ui: ", "ci: "];

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Count {
    pub fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Nothing passed means nothing ran: that is no success either.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The sum of all results in one log.
pub fn in_log(log: &str) -> Count {
    let mut total = Count::default();
    let mut skipped_by_themselves = 0;
    let mut has_summary = false;
    for line in log.lines() {
        let line = line.trim();
        if let Some(summary) = SUMMARY_LABELS.iter().find_map(|label| line.strip_prefix(label)) {
            if let Some(count) = summary_line(summary) {
                total.add(count);
                has_summary = true;
            }
        } else if let Some(result) = line.strip_prefix("test result: ") {
            total.add(harness_line(result));
        } else if let Some(result) = line.strip_prefix("Tests  ") {
            total.add(vitest_line(result));
        } else if line.starts_with("skipped: ") || line.contains("... skipped: ") {
            skipped_by_themselves += 1;
        }
    }
    if !has_summary {
        let moved = skipped_by_themselves.min(total.passed);
        total.passed -= moved;
        total.skipped += moved;
    }
    total
}

/// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn harness_line(result: &str) -> Count {
    let figures = result.split_once(". ").map_or("", |(_, figures)| figures);
    Count {
        passed: figure(figures, ';', "passed").unwrap_or(0),
        failed: figure(figures, ';', "failed").unwrap_or(0),
        skipped: figure(figures, ';', "ignored").unwrap_or(0),
    }
}

/// `1 failed | 12 passed | 1 skipped (14)`
fn vitest_line(result: &str) -> Count {
    let figures = result.split_once(" (").map_or("", |(figures, _)| figures);
    let of = |name| figure(figures, '|', name).unwrap_or(0);
    Count { passed: of("passed"), failed: of("failed"), skipped: of("skipped") }
}

fn summary_line(summary: &str) -> Option<Count> {
    Some(Count {
        passed: figure(summary, ',', "passed")?,
        failed: figure(summary, ',', "failed")?,
        skipped: figure(summary, ',', "skipped")?,
    })
}

fn figure(figures: &str, separator: char, name: &str) -> Option<u64> {
    let part = figures.split(separator).find(|part| part.trim().ends_with(name))?;
    part.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, expected: &str, success: bool) {
        let count = in_log(log);
        assert_eq!(count.to_string(), expected);
        assert_eq!(count.is_success(), success);
    }

    #[test]
    fn sums_the_result_lines_of_several_test_binaries() {
        let log = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; \
            finished in 0.01s\n\
            test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        check(log, "7 passed, 0 failed, 1 skipped", true);
    }

    #[test]
    fn one_failed_test_is_no_success() {
        let log = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured";
        check(log, "3 passed, 1 failed, 0 skipped", false);
    }

    #[test]
    fn results_of_the_web_pages_count_too() {
        let log = " Test Files  7 passed (7)\n      Tests  319 passed | 1 skipped (320)\n\
            ui: 20 passed, 0 failed, 2 skipped";
        check(log, "339 passed, 0 failed, 3 skipped", true);
        check("      Tests  1 failed | 319 passed (320)", "319 passed, 1 failed, 0 skipped", false);
    }

    #[test]
    fn a_log_in_which_nothing_ran_is_no_success() {
        check("error: could not compile", "0 passed, 0 failed, 0 skipped", false);
    }

    #[test]
    fn a_test_that_skipped_itself_is_not_counted_as_passed() {
        let log = "skipped: no PostgreSQL here\n\
            test reads_rows ... skipped: no PostgreSQL here\n\
            test result: ok. 5 passed; 0 failed; 0 ignored";
        check(log, "3 passed, 0 failed, 2 skipped", true);
    }

    #[test]
    fn a_script_with_its_own_summary_has_counted_its_skipped_tests_itself() {
        check(
            "skipped: slow\ne2e: 2 passed, 0 failed, 1 skipped",
            "2 passed, 0 failed, 1 skipped",
            true,
        );
    }

    #[test]
    fn a_failed_stage_counts_as_a_failure() {
        let log =
            "test result: ok. 5 passed; 0 failed; 0 ignored\nci: 0 passed, 1 failed, 0 skipped";
        check(log, "5 passed, 1 failed, 0 skipped", false);
    }

    #[test]
    fn a_mutilated_summary_is_not_believed() {
        check("e2e: all passed, 0 failed, 0 skipped", "0 passed, 0 failed, 0 skipped", false);
    }
}
