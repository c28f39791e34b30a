//! What must survive a power cut does, and what need not does not always.

use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn new_file(volume: &mut Volume, folder: u64, called: &str, data: &[u8]) -> u64 {
    let kind = Kind::File(Content::default());
    let inode = volume.create(folder, name(called), kind, 0o600, (0, 0)).unwrap();
    volume.write(inode, 0, data).unwrap();
    inode
}

/// How often `is` holds after a power cut, of 100 seeds.
fn share(prepare: impl Fn(&mut Volume), is: impl Fn(&Volume) -> bool) -> usize {
    (0..100)
        .filter(|seed| {
            let mut volume = Volume::new(*seed);
            prepare(&mut volume);
            volume.cut();
            is(&volume)
        })
        .count()
}

fn content(volume: &Volume, called: &str) -> Option<Vec<u8>> {
    let inode = volume.lookup(ROOT, name(called)).ok()?;
    match &volume.inode(inode).unwrap().kind {
        Kind::File(content) => Some(content.read(0, usize::MAX).to_vec()),
        _ => None,
    }
}

#[test]
fn a_synced_file_in_a_synced_folder_is_always_there() {
    let prepare = |volume: &mut Volume| {
        let inode = new_file(volume, ROOT, "a", b"kept");
        volume.sync(inode).unwrap();
        volume.sync(ROOT).unwrap();
    };
    assert_eq!(share(prepare, |volume| content(volume, "a").unwrap() == b"kept"), 100);
}

#[test]
fn a_synced_file_may_be_gone_when_its_folder_was_not_synced() {
    let prepare = |volume: &mut Volume| {
        let inode = new_file(volume, ROOT, "a", b"kept");
        volume.sync(inode).unwrap();
    };
    let there = share(prepare, |volume| content(volume, "a").is_some());
    assert!((10..90).contains(&there), "{there}");
}

#[test]
fn a_name_may_survive_without_what_it_names() {
    let prepare = |volume: &mut Volume| {
        new_file(volume, ROOT, "part", b"data");
        volume.rename((ROOT, name("part")), (ROOT, name("whole"))).unwrap();
        volume.sync(ROOT).unwrap();
    };
    assert_eq!(share(prepare, |volume| content(volume, "whole").is_some()), 100);
    let empty = share(prepare, |volume| content(volume, "whole").unwrap().is_empty());
    assert!((10..90).contains(&empty), "{empty}");
}

#[test]
fn after_an_unsynced_rename_over_a_file_either_of_both_is_there() {
    let prepare = |volume: &mut Volume| {
        let old = new_file(volume, ROOT, "state", b"old");
        let new = new_file(volume, ROOT, "state.part", b"new");
        volume.sync(old).unwrap();
        volume.sync(new).unwrap();
        volume.sync(ROOT).unwrap();
        volume.rename((ROOT, name("state.part")), (ROOT, name("state"))).unwrap();
    };
    let old = share(prepare, |volume| content(volume, "state").unwrap() == b"old");
    let new = share(prepare, |volume| content(volume, "state").unwrap() == b"new");
    assert_eq!(old + new, 100);
    assert!(old > 10 && new > 10, "{old} {new}");
}

#[test]
fn a_removed_file_may_be_back_until_its_folder_is_synced() {
    let prepare = |synced: bool| {
        move |volume: &mut Volume| {
            let inode = new_file(volume, ROOT, "a", b"kept");
            volume.sync(inode).unwrap();
            volume.sync(ROOT).unwrap();
            volume.unlink(ROOT, name("a")).unwrap();
            if synced {
                volume.sync(ROOT).unwrap();
            }
        }
    };
    let back = share(prepare(false), |volume| content(volume, "a").as_deref() == Some(b"kept"));
    assert!((10..90).contains(&back), "{back}");
    assert_eq!(share(prepare(true), |volume| content(volume, "a").is_some()), 0);
}

#[test]
fn a_folder_that_is_lost_takes_what_is_in_it() {
    let prepare = |volume: &mut Volume| {
        let kind = Kind::Folder(Folder::default());
        let folder = volume.create(ROOT, name("log"), kind, 0o700, (0, 0)).unwrap();
        let inode = new_file(volume, folder, "a", b"kept");
        volume.sync(inode).unwrap();
        volume.sync(folder).unwrap();
        assert_eq!(volume.path(inode), "log/a");
    };
    let there = share(prepare, |volume| volume.lookup(ROOT, name("log")).is_ok());
    assert!((10..90).contains(&there), "{there}");
}

#[test]
fn a_full_disk_refuses_growth_and_takes_what_was_reserved() {
    let mut volume = Volume::new(1);
    let (reserve, file) =
        (new_file(&mut volume, ROOT, "reserve", b""), new_file(&mut volume, ROOT, "a", b""));
    volume.capacity = Some(1_000);
    volume.reserve(reserve, 600, true).unwrap();
    volume.write(file, 0, &[1; 400]).unwrap();
    assert_eq!(volume.write(file, 400, &[1]), Err(Refused::NoSpace));
    volume.write(file, 0, &[2; 400]).unwrap();
    volume.write(reserve, 0, &[3; 600]).unwrap();
    volume.unlink(ROOT, name("reserve")).unwrap();
    volume.write(file, 400, &[1; 600]).unwrap();
    assert_eq!(volume.used(), 1_000);
}

#[test]
fn removed_files_do_not_stay_in_memory() {
    let mut volume = Volume::new(1);
    for number in 0..2 * SWEEP_EVERY {
        let called = number.to_string();
        new_file(&mut volume, ROOT, &called, b"data");
        volume.unlink(ROOT, name(&called)).unwrap();
        volume.sync(ROOT).unwrap();
    }
    assert!(volume.inodes.len() <= SWEEP_EVERY as usize + 1, "{}", volume.inodes.len());
}
