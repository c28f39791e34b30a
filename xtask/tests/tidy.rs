//! The house rules over this repository, one test for each check.
//!
//! A failure lists every finding as `path:line: message`. That the checks can find anything at all
//! is shown in `xtask/tests/planted.rs`.

use xtask::tidy::{self, Finding, packages};
use xtask::tree::{self, Tree};

fn check(id: &str) {
    let tree = Tree::read(&tree::repository_root()).expect("the repository is readable");
    let check = tidy::ALL.iter().find(|check| check.id == id).expect("a check of this name");
    assert_clean(&(check.run)(&tree));
}

fn assert_clean(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), lines.join("\n"));
}

#[test]
fn files_functions_and_lines_are_short() {
    check("sizes");
}

#[test]
fn every_file_says_at_its_top_what_it_is() {
    check("openings");
}

#[test]
fn no_crate_knows_one_that_it_may_not_know() {
    check("arrows");
}

#[test]
fn pure_crates_reach_no_clock_no_chance_and_no_world_outside() {
    check("purity");
}

#[test]
fn who_detects_diagnoses_and_heals_is_blind_to_drills() {
    check("blind");
}

#[test]
fn no_name_is_one_under_which_everything_fits() {
    check("names");
}

#[test]
fn what_the_documents_name_is_there() {
    check("documents");
}

#[test]
fn no_banned_package_and_no_strange_source_is_in_the_build() {
    check("packages");
}

#[test]
fn every_package_has_a_licence_that_we_allow() {
    let root = tree::repository_root();
    let tree = Tree::read(&root).expect("the repository is readable");
    let packages = packages::of_the_build(&root).expect("cargo metadata answers");
    assert!(packages.len() > 20, "cargo metadata tells of {} packages only", packages.len());
    assert_clean(&packages::licences(&tree, &packages));
}

#[test]
fn nothing_half_done_and_nothing_of_one_machine_is_committed() {
    check("leftovers");
}

#[test]
fn every_check_of_the_list_has_a_test_here() {
    let here = include_str!("tidy.rs");
    for check in tidy::ALL {
        assert!(here.contains(&format!("check(\"{}\")", check.id)), "no test for {}", check.id);
    }
}
