//! The disk as a mounted file system. Where FUSE is not to be had the tests say so and pass: the
//! volume's own tests need none.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use super::*;

fn disk(seed: u64) -> Option<(tempfile::TempDir, Disk)> {
    let folder = tempfile::tempdir().unwrap();
    if !Path::new("/dev/fuse").exists() {
        eprintln!("left out: no /dev/fuse here");
        return None;
    }
    match Disk::mount(&folder.path().join("disk"), seed) {
        Ok(disk) => Some((folder, disk)),
        Err(error) => {
            eprintln!("left out: {error:#}");
            None
        }
    }
}

#[test]
fn a_file_synced_with_its_folder_survives_and_another_does_not_always() {
    let Some((_folder, mut disk)) = disk(3) else { return };
    let at = disk.at().to_owned();
    let mut lost = 0;
    for round in 0..20 {
        let (kept, loose) = (at.join(format!("kept-{round}")), at.join(format!("loose-{round}")));
        let mut file = File::create(&kept).unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        file.sync_all().unwrap();
        File::open(&at).unwrap().sync_all().unwrap();
        fs::write(&loose, [8; 100_000]).unwrap();
        drop(file);
        cut(&mut disk);
        assert_eq!(fs::read(&kept).unwrap(), [7; 100_000]);
        lost += usize::from(fs::read(&loose).ok().is_none_or(|bytes| bytes != [8; 100_000]));
    }
    assert!(lost > 5, "{lost}");
    assert_eq!(disk.syncs()["kept-*"], 20);
    assert_eq!(disk.syncs()["/"], 20);
}

/// Set for the process that uses SQLite on the disk: a process that serves a file system must not
/// map its files into its own memory, or it waits for itself.
const SQLITE_ROUND: &str = "BENCH_DISK_SQLITE_ROUND";
const SQLITE_FOLDER: &str = "BENCH_DISK_SQLITE_FOLDER";

#[test]
fn sqlite_in_wal_mode_works_on_it_and_keeps_what_it_committed() {
    if let (Ok(round), Ok(folder)) = (std::env::var(SQLITE_ROUND), std::env::var(SQLITE_FOLDER)) {
        return use_sqlite(round.parse().unwrap(), Path::new(&folder));
    }
    let Some((_folder, mut disk)) = disk(5) else { return };
    let at = disk.at().join("data");
    fs::create_dir(&at).unwrap();
    File::open(disk.at()).unwrap().sync_all().unwrap();
    for round in 1..=6 {
        let other = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "disk::tests::sqlite_in_wal_mode_works_on_it_and_keeps_what_it_committed",
            ])
            .env(SQLITE_ROUND, round.to_string())
            .env(SQLITE_FOLDER, &at)
            .output()
            .unwrap();
        assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stdout));
        cut(&mut disk);
    }
}

/// Looks for what the round before committed, and commits something more.
fn use_sqlite(round: usize, folder: &Path) {
    let journal = server::journal::Journal::open(&folder.join("journal.db")).unwrap();
    let found = journal.meta(&format!("key-{}", round - 1), "lost").unwrap();
    assert!(round == 1 || found == (round - 1).to_string(), "round {round}: {found}");
    journal.meta(&format!("key-{round}"), &round.to_string()).unwrap();
    // No last checkpoint: what is in the write-ahead log has to do.
    std::mem::forget(journal);
}

/// Waits for children of other tests: between fork and exec they have this disk's files open, too.
fn cut(disk: &mut Disk) -> Taken {
    loop {
        match disk.power_cut().unwrap() {
            Some(taken) => return taken,
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn ignored_fsyncs_are_answered_and_not_done() {
    let Some((_folder, mut disk)) = disk(4) else { return };
    disk.ignore(Some(Pattern::new("log/*.log")));
    let folder = disk.at().join("log");
    fs::create_dir(&folder).unwrap();
    File::open(disk.at()).unwrap().sync_all().unwrap();
    let mut lost = false;
    for round in 0..20 {
        let path = folder.join(format!("{round}.log"));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"acknowledged").unwrap();
        file.sync_data().unwrap();
        File::open(&folder).unwrap().sync_all().unwrap();
        drop(file);
        cut(&mut disk);
        lost |= fs::read(&path).unwrap() != b"acknowledged";
    }
    assert!(lost);
    assert_eq!(disk.syncs_ignored(), 20);
}

#[test]
fn a_full_disk_says_so_and_takes_writes_again_once_there_is_space() {
    let Some((_folder, disk)) = disk(1) else { return };
    let path = disk.at().join("a");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    disk.leave_free(Some(10_000));
    file.write_all(&[1; 8_000]).unwrap();
    let error = file.write_all(&[1; 8_000]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(28));
    disk.leave_free(None);
    file.write_all(&[1; 8_000]).unwrap();
    // The part that fitted was written.
    assert!((16_000..24_000).contains(&disk.used()), "{}", disk.used());
}

#[test]
fn renamed_removed_and_cut_files_look_as_they_should() {
    let Some((_folder, disk)) = disk(1) else { return };
    let (part, whole) = (disk.at().join("a.part"), disk.at().join("a"));
    fs::write(&part, b"0123456789").unwrap();
    fs::rename(&part, &whole).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&whole).unwrap();
    file.set_len(4).unwrap();
    file.write_all_at(b"X", 6).unwrap();
    assert_eq!(fs::read(&whole).unwrap(), b"0123\0\0X");
    let names: Vec<_> =
        fs::read_dir(disk.at()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a"]);
    fs::remove_file(&whole).unwrap();
    // Open files outlive their names.
    let mut left = [0; 4];
    file.read_exact_at(&mut left, 0).unwrap();
    assert_eq!(&left, b"0123");
    assert!(!whole.exists());
    assert!(fs::remove_dir(disk.at().join("none")).is_err());
    let _ = std::os::unix::net::UnixListener::bind(disk.at().join("socket")).unwrap();
}
