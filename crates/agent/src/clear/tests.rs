//! Folders as they are met: with links out of them, mounts in them, and files that must stay.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use model::ByteSize;
use model::human::HumanDuration;

use super::*;

const KIB: u64 = 1024;

/// A file of that many KiB, changed so many seconds after 1970.
fn file(path: &Path, kibibytes: usize, second: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; kibibytes * 1024]).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).unwrap();
}

fn declare(path: &Path, kibibytes: u64) -> ClearPath {
    ClearPath {
        path: path.to_owned(),
        size_max: ByteSize(kibibytes * KIB),
        patterns: vec!["*".to_owned()],
        older_than: HumanDuration::from_secs(60),
        timeout: HumanDuration::from_secs(10),
    }
}

fn refused(declared: &ClearPath) -> String {
    match clear(declared) {
        Err(Trouble::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_oldest_files_go_until_the_rest_fits() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    for (name, second) in [("c", 300), ("sub/a", 100), ("b", 200), ("sub/deep/d", 400)] {
        file(&root.join(name), 40, second);
    }
    let said = clear(&declare(&root, 100)).unwrap();
    assert_eq!(
        said,
        format!("removed 2 of 4 files in {}, 80.0 KiB freed, 80.0 KiB left", root.display())
    );
    assert!(!root.join("sub/a").exists() && !root.join("b").exists());
    assert!(root.join("c").exists() && root.join("sub/deep/d").exists());
    assert!(refused(&declare(&root, 100)).contains("holds 80.0 KiB, no more than 100.0 KiB"));
}

#[test]
fn what_does_not_match_is_young_or_has_another_name_stays() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    file(&root.join("keep.db"), 40, 100);
    file(&root.join("old.tmp"), 40, 200);
    file(&root.join("linked.tmp"), 40, 100);
    fs::hard_link(root.join("linked.tmp"), dir.path().join("elsewhere")).unwrap();
    fs::write(root.join("new.tmp"), vec![b'x'; 40 * 1024]).unwrap();
    let declared = ClearPath { patterns: vec!["*.tmp".to_owned()], ..declare(&root, 0) };
    let Err(Trouble::Failed(said)) = clear(&declared) else { panic!() };
    assert!(said.contains("removed 1 of 2 files"), "{said}");
    assert!(said.ends_with("40.0 KiB left: the rest changed a moment ago"), "{said}");
    let mut left: Vec<_> = fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["keep.db", "linked.tmp", "new.tmp"]);
}

#[test]
fn links_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("cache"), dir.path().join("precious"));
    file(&outside.join("a"), 40, 100);
    file(&root.join("b"), 40, 200);
    symlink(&outside, root.join("folder")).unwrap();
    symlink(outside.join("a"), root.join("file")).unwrap();
    clear(&declare(&root, 0)).unwrap();
    assert!(outside.join("a").exists() && !root.join("b").exists());
    assert!(root.join("file").is_symlink() && root.join("folder").is_symlink());
    // Nor may the declared path be one, or lie behind one.
    let link = dir.path().join("link");
    symlink(&root, &link).unwrap();
    assert!(refused(&declare(&link, 0)).contains("neither a folder nor a plain file"));
    let behind = dir.path().join("to");
    symlink(dir.path(), &behind).unwrap();
    assert!(refused(&declare(&behind.join("cache"), 0)).contains("a symbolic link is on the way"));
}

#[test]
fn a_folder_that_was_swapped_for_a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, outside) = (dir.path().join("cache"), dir.path().join("precious"));
    file(&path.join("sub/a"), 40, 100);
    file(&outside.join("a"), 40, 100);
    let root = open(CWD, &path, OFlags::PATH, ResolveFlags::empty()).unwrap();
    let until = clock::monotonic() + Duration::from_secs(10);
    let found = search(&root, &["*".to_owned()], until).unwrap();
    fs::rename(path.join("sub"), path.join("was")).unwrap();
    symlink(&outside, path.join("sub")).unwrap();
    assert_eq!(remove(&root, &found.files[0]), Ok(false));
    assert!(outside.join("a").exists() && path.join("was/a").exists());
}

#[test]
fn a_mount_point_is_refused_and_what_is_mounted_beneath_stays() {
    assert!(refused(&declare(Path::new("/"), 0)).contains("is a mount point"));
    assert!(refused(&declare(Path::new("/proc"), 0)).contains("is a mount point"));
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("cache");
    fs::create_dir_all(root.join("disk")).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "tmpfs"]).arg(root.join("disk"));
    let output = mount.output();
    if !output.as_ref().is_ok_and(|output| output.status.success()) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: nothing can be mounted: {output:?}");
        return;
    }
    file(&root.join("disk/a"), 40, 100);
    file(&root.join("b"), 40, 200);
    let said = clear(&declare(&root, 0));
    let stays = root.join("disk/a").exists();
    let _ = std::process::Command::new("umount").arg(root.join("disk")).status();
    assert!(said.unwrap().contains("removed 1 of 1 files"));
    assert!(stays);
}

#[test]
fn one_file_is_emptied_and_who_appends_goes_on() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    file(&path, 40, 100);
    let mut writer = fs::File::options().append(true).open(&path).unwrap();
    assert!(refused(&declare(&path, 41)).contains("holds 40.0 KiB"));
    let said = clear(&declare(&path, 10)).unwrap();
    assert!(said.ends_with("40.0 KiB freed"), "{said}");
    writer.write_all(b"more").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"more");
    fs::hard_link(&path, dir.path().join("other")).unwrap();
    assert!(refused(&declare(&path, 0)).contains("several names"));
}

#[test]
fn names_are_matched_as_people_mean_them() {
    for (pattern, name, like) in [
        ("*", "", true),
        ("*.tmp", "a.tmp", true),
        ("*.tmp", "a.tmp.gz", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b", "ab ba", false),
        ("", "a", false),
    ] {
        assert_eq!(is_like(pattern.as_bytes(), name.as_bytes()), like, "{pattern} {name}");
    }
    let (pattern, name) = ("*a".repeat(200), "a".repeat(100_000));
    assert!(!is_like(format!("{pattern}b").as_bytes(), name.as_bytes()), "in bounded time");
}
