//! A disk that takes nothing more: said once, seen from outside, and over when there is room again.

use crate::http;
use crate::lab::Lab;
use crate::wait::until;

#[test]
fn a_log_that_cannot_be_written_makes_the_server_not_ready_until_it_can() {
    let mut lab = Lab::new();
    lab.start();
    let ready = || http::request(lab.api(), "GET", "/readyz", &[], None).unwrap();
    let metric = |name: &str| {
        let all = http::request(lab.api(), "GET", "/metrics", &[], None).unwrap().body;
        let value = all.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("no {name} in {all}")).trim().parse::<f64>().unwrap()
    };
    until("it is ready", || (ready().status == 200).then_some(()));
    assert_eq!(metric("immune_log_failed_commits_total"), 0.0);
    lab.limit_files(Some(0));
    until("it is not ready", || (ready().status == 503).then_some(()));
    assert!(ready().body.contains("the input log cannot be written: "), "{}", ready().body);
    let failed = || metric("immune_log_failed_commits_total");
    until("steps go on failing", || (failed() >= 3.0).then_some(()));
    lab.limit_files(None);
    until("it is ready again", || (ready().status == 200).then_some(()));
    // The first line of the two met the same fate as the log's.
    let log = lab.log();
    assert_eq!(log.matches("the input log can be written again").count(), 1, "{log}");
}
