//! Commits that are cut short, copies that are damaged, and bytes that are no catalog.

use proptest::prelude::*;

use super::codec::Unreadable;
use super::*;

fn entry(id: u64) -> Entry {
    Entry {
        id,
        table: Table::ALL[id as usize % 3],
        day: Day(20_000 + id as u32 % 7),
        level: (id % 4) as u8,
        remote: id.is_multiple_of(2),
        rows: id * 10,
        points: id * 11,
        bytes: id * 1000,
        time_min: Timestamp(id),
        time_max: Timestamp(id + 5),
    }
}

fn adding(ids: impl IntoIterator<Item = u64>, flushed: u64) -> Edit {
    Edit { add: ids.into_iter().map(entry).collect(), flushed: Some(flushed), ..Edit::default() }
}

/// A catalog of three files, in a folder of its own.
fn filled() -> (tempfile::TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let (mut catalog, notes) = Catalog::open(folder.path()).unwrap();
    assert!(notes.is_empty());
    catalog.commit(adding([1, 2, 3], 70)).unwrap();
    (folder, catalog)
}

fn reopened(folder: &tempfile::TempDir) -> Result<(Content, Vec<String>), String> {
    let (catalog, notes) = Catalog::open(folder.path()).map_err(|error| error.to_string())?;
    Ok((catalog.content().clone(), notes))
}

fn copy(folder: &tempfile::TempDir, copy: usize) -> PathBuf {
    folder.path().join(NAMES[copy])
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let (folder, mut catalog) = filled();
    let edit = Edit { add: vec![entry(9)], remove: vec![1, 3], remote: vec![2], flushed: None };
    catalog.commit(edit).unwrap();
    let (content, notes) = reopened(&folder).unwrap();
    assert_eq!(&content, catalog.content());
    assert_eq!(content.files.keys().copied().collect::<Vec<_>>(), [2, 9]);
    assert!(content.files[&2].remote);
    assert_eq!((content.flushed, content.next_id, content.commit), (70, 10, 2));
    assert!(notes.is_empty());
}

#[test]
fn a_change_that_does_not_fit_changes_nothing() {
    let (folder, mut catalog) = filled();
    let wrong = [
        Edit { add: vec![entry(8), entry(2)], ..Edit::default() },
        Edit { remove: vec![1, 5], ..Edit::default() },
        Edit { remote: vec![5], ..Edit::default() },
    ];
    for edit in wrong {
        assert!(catalog.commit(edit).is_err());
        assert_eq!(catalog.content().files.len(), 3);
    }
    assert_eq!(reopened(&folder).unwrap().0.files.len(), 3);
}

#[test]
fn a_commit_cut_between_its_copies_counts_and_is_completed() {
    let (folder, mut catalog) = filled();
    let old = std::fs::read(copy(&folder, 1)).unwrap();
    catalog.commit(adding([4], 90)).unwrap();
    for cut in 0..2 {
        // Either rename may be the one that reached the disk.
        std::fs::write(copy(&folder, cut), &old).unwrap();
        assert_eq!(reopened(&folder).unwrap().0.flushed, 90);
        assert_eq!(
            std::fs::read(copy(&folder, 0)).unwrap(),
            std::fs::read(copy(&folder, 1)).unwrap()
        );
    }
}

#[test]
fn a_damaged_or_missing_copy_is_replaced_by_the_other() {
    for damaged in 0..2 {
        let (folder, catalog) = filled();
        std::fs::write(copy(&folder, damaged), b"IMCT rubbish that is long enough").unwrap();
        let (content, notes) = reopened(&folder).unwrap();
        assert_eq!(&content, catalog.content());
        assert_eq!(notes.len(), 1, "it is told: {notes:?}");
        std::fs::remove_file(copy(&folder, damaged)).unwrap();
        assert_eq!(&reopened(&folder).unwrap().0, catalog.content());
        assert!(copy(&folder, damaged).exists());
    }
}

#[test]
fn two_damaged_copies_are_an_error_that_deletes_nothing() {
    let (folder, _) = filled();
    for name in NAMES {
        let path = folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let error = reopened(&folder).unwrap_err();
    assert!(error.contains("checksum does not match"), "{error}");
}

#[test]
fn a_folder_with_files_and_no_catalog_is_an_error() {
    let (folder, _) = filled();
    let file = folder.path().join(entry(1).name());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"PAR1").unwrap();
    for name in NAMES {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let error = reopened(&folder).unwrap_err();
    assert!(error.contains("it is missing"), "{error}");
    assert!(file.exists());
}

#[test]
fn a_later_version_is_told_from_damage() {
    let (folder, catalog) = filled();
    let mut bytes = encode(catalog.content());
    bytes[4] = 2;
    assert_eq!(decode(&bytes), Err(Unreadable::Version(2)));
    std::fs::write(copy(&folder, 0), bytes).unwrap();
    let error = reopened(&folder).unwrap_err();
    assert!(error.contains("catalog version 2; this program reads version 1"), "{error}");
}

#[test]
fn a_commit_number_is_never_used_for_two_contents() {
    let (folder, mut catalog) = filled();
    // A folder in the place of the second copy: the first is written, the second cannot be.
    std::fs::remove_file(copy(&folder, 1)).unwrap();
    std::fs::create_dir_all(copy(&folder, 1).join("in the way")).unwrap();
    assert!(catalog.commit(adding([4], 80)).is_err());
    assert_eq!(catalog.content().files.len(), 3);
    std::fs::remove_dir_all(copy(&folder, 1)).unwrap();
    catalog.commit(adding([5], 80)).unwrap();
    let (content, _) = reopened(&folder).unwrap();
    assert_eq!(content.files.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 5]);
}

#[test]
fn names_are_read_back_and_others_are_not() {
    let entry = entry(0x2a);
    assert_eq!(parse_name(&entry.name()), Some((entry.table, entry.day, 0x2a)));
    for other in [
        "spans/2026-11-22/2a.parquet",
        "spans/2026-11-22/000000000000002A.parquet",
        "spans/2026-11-32/000000000000002a.parquet",
        "spans/2026-11-22/000000000000002a.parquet/x",
        "metrics/2026-11-22/000000000000002a.parquet",
        "spans/2026-11-22/000000000000002a.parquet.part",
    ] {
        assert_eq!(parse_name(other), None, "{other}");
    }
}

#[test]
fn every_day_that_a_time_can_be_of_has_a_name_that_is_read_back() {
    let last = Day::of(Timestamp(u64::MAX));
    let end_of_2500 = Day::parse("2500-12-31").unwrap().0;
    for day in [Day(0), Day(end_of_2500), Day(end_of_2500 + 1), Day(last.0 - 1), last] {
        let name = name(Table::Logs, day, 1);
        assert_eq!(parse_name(&name), Some((Table::Logs, day, 1)), "{name}");
    }
    assert_eq!(last.to_string(), "2554-07-21");
    assert_eq!(parse_name("logs/2554-07-22/0000000000000001.parquet"), None);
}

#[test]
fn a_day_that_no_time_can_be_of_is_damage() {
    let last = Day::of(Timestamp(u64::MAX));
    let with_day = |day| {
        let files = BTreeMap::from([(1, Entry { day, ..entry(1) })]);
        decode(&encode(&Content { next_id: 2, files, ..Content::default() }))
    };
    assert!(with_day(last).is_ok());
    assert!(matches!(with_day(Day(last.0 + 1)), Err(Unreadable::Damaged(_))));
}

proptest! {
    #[test]
    fn any_catalog_is_read_back(ids in prop::collection::btree_set(0u64..1 << 40, 0..50),
                                flushed: u64, store: u64, commit: u64) {
        let files: BTreeMap<_, _> = ids.iter().map(|id| (*id, entry(*id))).collect();
        let next_id = ids.last().map_or(1, |last| last + 1);
        let content = Content { commit, store, flushed, next_id, files };
        prop_assert_eq!(decode(&encode(&content)), Ok(content));
    }

    #[test]
    fn a_changed_or_cut_catalog_is_never_believed(
        at: prop::sample::Index, bit in 0u8..8, cut: bool,
    ) {
        let files: BTreeMap<_, _> = (1..9).map(|id| (id, entry(id))).collect();
        let mut bytes = encode(&Content { next_id: 9, files, ..Content::default() });
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400), valid: bool,
    ) {
        if valid && bytes.len() >= 12 {
            let checksum = crc32c::crc32c(&bytes[12..]);
            bytes[..4].copy_from_slice(b"IMCT");
            bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
            bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        }
        let _ = decode(&bytes);
    }
}
