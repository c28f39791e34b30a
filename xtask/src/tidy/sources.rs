//! The Rust files of the tree, each knowing whether it is a test.
//!
//! A file is a test when it lies in a `tests` folder, is called `tests.rs`, or belongs to a module
//! that its parent declares under `#[cfg(test)]`.

use crate::rust_source::RustSource;
use crate::tree::Tree;

pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
    pub rust: RustSource,
    pub is_test: bool,
}

pub fn read(tree: &Tree) -> Vec<Source<'_>> {
    let mut sources: Vec<Source<'_>> = tree
        .with_extension("rs")
        .map(|(path, text)| Source { path, text, rust: RustSource::read(text), is_test: false })
        .collect();
    let mut test_modules: Vec<String> = Vec::new();
    for source in &sources {
        let folder = module_folder(source.path);
        test_modules
            .extend(source.rust.test_modules().iter().map(|name| format!("{folder}/{name}")));
    }
    for source in &mut sources {
        let in_module = |module: &String| {
            let rest = source.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.is_test = has_test_name(source.path) || test_modules.iter().any(in_module);
    }
    sources
}

fn has_test_name(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// The folder in which the submodules of the file at `path` lie.
fn module_folder(path: &str) -> &str {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder,
        _ => path.trim_end_matches(".rs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_declared_for_tests_is_a_test_and_so_is_what_lies_below() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod b;\n"),
            ("crates/a/src/b.rs", "#[cfg(test)]\nmod properties;\nmod product;\n"),
            ("crates/a/src/b/properties.rs", ""),
            ("crates/a/src/b/properties/deep.rs", ""),
            ("crates/a/src/b/product.rs", ""),
            ("crates/a/tests/it/main.rs", ""),
        ]);
        let tests: Vec<&str> =
            read(&tree).iter().filter(|source| source.is_test).map(|source| source.path).collect();
        assert_eq!(
            tests,
            [
                "crates/a/src/b/properties.rs",
                "crates/a/src/b/properties/deep.rs",
                "crates/a/tests/it/main.rs",
            ]
        );
    }
}
