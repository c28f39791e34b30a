//! Every committed input goes through its target, on any compiler: what fuzzing once found stays
//! found. One test, because memory is counted for the whole process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// All corpora together, so that they stay something one can read and clone.
const CORPORA_BYTES_MAX: u64 = 300 << 10;

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a listed file").path()).collect();
    files.sort();
    files
}

#[test]
fn every_target_holds_for_every_input_of_its_corpus() {
    // A panic on a thread of the runtime ends nothing by itself.
    for target in fuzz::ALL {
        std::panic::set_hook(Box::new(|panic| {
            if !panic.location().is_some_and(|place| target.is_caught(place.file())) {
                PANICS.fetch_add(1, Ordering::Relaxed);
                eprintln!("{panic}");
            }
        }));
        let files = files(&corpus().join(target.name));
        assert!(!files.is_empty(), "{} has no inputs", target.name);
        // Once without counting: what is made at first use belongs to no input.
        (target.run)(&[]);
        for file in files {
            let input = fs::read(&file).unwrap();
            assert!(input.len() <= fuzz::INPUT_BYTES_MAX, "{} is too long", file.display());
            println!("{}", file.display());
            target.check(&input);
            assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{}", file.display());
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target_and_all_are_small() {
    let targets: BTreeSet<&str> = fuzz::ALL.iter().map(|target| target.name).collect();
    assert_eq!(targets.len(), fuzz::ALL.len(), "two targets have the same name");
    let mut bytes = 0;
    for folder in files(&corpus()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(targets.contains(name), "no target is named {name}");
        bytes += files(&folder).iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>();
    }
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes, at most {CORPORA_BYTES_MAX}");
}
