//! The ledger after crashes, damage and growth.

use super::*;
use model::plan::{Expectation, OutcomeResult};
use model::{ActionId, ActionKind, Entity, Scope};

fn action(id: &str) -> Action {
    Action {
        id: ActionId(id.to_owned()),
        target: "orders".to_owned(),
        entity: Entity::service(&Scope::default(), "orders"),
        kind: ActionKind::Restart,
        expect: Expectation::NoProcess,
        not_after: Timestamp::from_secs(9),
    }
}

fn accepted(id: &str) -> Entry {
    Entry::ActionAccepted { at: Timestamp::from_secs(1), action: Box::new(action(id)) }
}

fn ended(id: &str, detail: &str) -> Entry {
    let outcome = Outcome {
        action: ActionId(id.to_owned()),
        at: Timestamp::from_secs(2),
        result: OutcomeResult::Done,
        detail: detail.to_owned(),
    };
    Entry::ActionEnded { outcome, fingerprint: book::fingerprint(&action(id)) }
}

fn in_progress(ledger: &Ledger) -> Vec<String> {
    ledger.book().actions_in_progress().map(|action| action.id.0.clone()).collect()
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_all_before_it_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.append(&accepted("a")).unwrap();
    let before_last = ledger.bytes as usize;
    ledger.append(&accepted("b")).unwrap();
    let text = fs::read(&path).unwrap();
    for cut in before_last..text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(in_progress(&ledger), ["a"], "cut at {cut}");
        assert_eq!(ledger.messages.len(), usize::from(cut > before_last));
        ledger.append(&accepted("c")).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(in_progress(&ledger), ["a", "c"]);
        assert_eq!(ledger.messages, Vec::<String>::new());
    }
}

#[test]
fn a_damaged_line_in_the_middle_is_left_out_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let mut ledger = Ledger::open(&path).unwrap();
    let at = ledger.bytes as usize + 40;
    ledger.append(&accepted("a")).unwrap();
    ledger.append(&accepted("b")).unwrap();
    let mut text = fs::read(&path).unwrap();
    text[at] ^= 1;
    fs::write(&path, &text).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(in_progress(&ledger), ["b"]);
    assert!(ledger.messages[0].contains("1 damaged lines"), "{:?}", ledger.messages);
    assert_eq!(fs::read(&path).unwrap(), text);
}

#[test]
fn a_ledger_of_another_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let header = Entry::Header { format: FORMAT.to_owned(), version: 9, created: Timestamp::ZERO };
    fs::write(&path, lines::encode(&header)).unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Version { version: 9, .. })));
    assert_eq!(fs::read(&path).unwrap(), lines::encode(&header));
}

#[test]
fn compaction_keeps_what_is_open_and_the_latest_ten_thousand_ids() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let mut ledger = Ledger::open(&path).unwrap();
    ledger.append(&accepted("open")).unwrap();
    // The book without the disk: ten thousand fsyncs prove nothing more.
    for number in 0..ACTIONS + 5 {
        ledger.book.take(&ended(&format!("{number:06}"), "done"));
    }
    ledger.compact().unwrap();
    let compacted = ledger.bytes;
    ledger.append(&accepted("later")).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(in_progress(&ledger), ["later", "open"]);
    let known = |number: usize| ledger.book().action(&ActionId(format!("{number:06}")));
    assert!(known(4).is_none());
    assert!(known(5).is_some() && known(ACTIONS + 4).is_some());
    assert!(compacted < COMPACT_BYTES && ledger.bytes > compacted);
}

const ACTIONS: usize = book::ACTIONS_KEPT;
