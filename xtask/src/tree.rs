//! The tree of the repository as the checks see it: paths and text, read once.
//!
//! A value, so that a check can be shown an invented tree. Folders that are built, downloaded or
//! hidden are left out; of the hidden ones `.ci` and `.cargo` are ours. Links are not followed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const SKIPPED_FOLDERS: &[&str] = &["target", "node_modules", "__pycache__", "dist"];
const HIDDEN_FOLDERS_OF_OURS: &[&str] = &[".ci", ".cargo"];
/// Cargo marks its target folders with this file, wherever they are.
const CACHE_MARK: &str = "CACHEDIR.TAG";
/// Larger files are data, not sources: only their path is known.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Text by path, relative to the root, with `/` between the parts.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// The root of this repository, from the place of this crate.
pub fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the repository").to_path_buf()
}

impl Tree {
    pub fn read(root: &Path) -> Result<Tree> {
        let mut tree = Tree::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    pub fn of(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| (path.to_string(), text.to_string()));
        Tree { files: files.collect() }
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| {
            path.rsplit_once('.')
                .is_some_and(|(stem, ending)| !stem.is_empty() && ending == extension)
        })
    }

    /// Files somewhere below `folder`, which ends with `/`.
    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.starts_with(folder))
    }

    /// Is there a file at this path, or a folder with a file in it?
    pub fn contains(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains_key(path) || self.under(&format!("{path}/")).next().is_some()
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list {}", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().with_context(|| format!("look at {path}"))?;
            if kind.is_dir() {
                if is_ours(&entry.path(), &name) {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                let text = read_text(&entry.path()).with_context(|| format!("read {path}"))?;
                self.files.insert(path, text);
            }
        }
        Ok(())
    }
}

fn is_ours(folder: &Path, name: &str) -> bool {
    let hidden = name.starts_with('.') && !HIDDEN_FOLDERS_OF_OURS.contains(&name);
    !hidden && !SKIPPED_FOLDERS.contains(&name) && !folder.join(CACHE_MARK).exists()
}

/// The text of a file; nothing of one that is not text.
fn read_text(path: &Path) -> Result<String> {
    if fs::metadata(path)?.len() > TEXT_BYTES_MAX {
        return Ok(String::new());
    }
    Ok(String::from_utf8(fs::read(path)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_ours_and_leaves_out_what_is_built_downloaded_or_hidden() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let built = "elsewhere";
        for path in [
            "a/b.rs",
            ".ci/run",
            ".git/config",
            "target/x.rs",
            "ui/node_modules/y.js",
            "elsewhere/z.rs",
        ] {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("create");
            fs::write(file, "text").expect("write");
        }
        fs::write(root.path().join(built).join(CACHE_MARK), "").expect("write");
        fs::write(root.path().join("a/picture.png"), [0xff, 0xfe]).expect("write");

        let tree = Tree::read(root.path()).expect("readable");
        let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(paths, [".ci/run", "a/b.rs", "a/picture.png"]);
        assert_eq!(tree.text("a/b.rs"), Some("text"));
        assert_eq!(tree.text("a/picture.png"), Some(""));
    }

    #[test]
    fn a_folder_is_there_when_a_file_is_in_it() {
        let tree = Tree::of(&[("docs/decisions/0001-a.md", "")]);
        assert!(tree.contains("docs/decisions/"));
        assert!(tree.contains("docs/decisions/0001-a.md"));
        assert!(!tree.contains("docs/dec"));
    }
}
