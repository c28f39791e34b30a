//! What Alertmanager posts, and what is made of it.
//!
//! Whatever is read stays within its bounds, is written into the input log and read back as it was,
//! and is judged by a loop that knows a service: twice told is as good as once.

use engine::{Config, Core, Entry};
use model::Timestamp;
use receivers::alertmanager::{self, ALERTS_MAX, LABEL_BYTES_MAX, LABELS_MAX, TEXT_BYTES_MAX};

use crate::{Answer, Form, Memory, Target};

pub const ALERTMANAGER: Target = Target {
    name: "alertmanager",
    feeds: "a message of Alertmanager's webhook",
    form: Form::Json { head: 0 },
    memory: Memory { base: 8 << 20, factor: 1024 },
    caught: &[],
    run,
};

const NOW: Timestamp = Timestamp::from_secs(1_767_571_200);

fn run(body: &[u8]) -> Answer {
    let Ok(read) = alertmanager::parse(body, NOW, "fuzz") else { return Answer::Refused };
    assert!(read.reports.len() <= ALERTS_MAX);
    for report in &read.reports {
        assert!(report.labels.len() <= LABELS_MAX && !report.fingerprint.is_empty());
        let texts = report.labels.iter().flat_map(|(name, value)| [name, value]);
        assert!(texts.into_iter().all(|text| text.len() <= LABEL_BYTES_MAX));
        assert!(report.summary.len() <= TEXT_BYTES_MAX);
        assert!(report.runbook_url.is_empty() || report.runbook_url.starts_with("http"));
    }
    let entry = Entry::Alerts { reports: read.reports, left_out: read.left_out };
    let (kind, payload) = server::entry::encode(&entry).expect("what was read can be written");
    let again = server::entry::decode(kind, &payload).expect("what was written can be read");
    assert_eq!(again, entry);
    let mut core = Core::new(Config::default(), "fuzz");
    let mut firing = Vec::new();
    for second in 1..=2 {
        core.apply(entry.clone());
        core.apply(Entry::Tick { now: NOW + std::time::Duration::from_secs(second) });
        let observed = core.engine.observed().firing.iter();
        firing.push(observed.map(|symptom| (symptom.key(), symptom.summary.clone())).collect());
    }
    let [once, twice]: [Vec<_>; 2] = firing.try_into().expect("two steps");
    assert_eq!(once, twice, "told twice is told once");
    Answer::Taken
}
