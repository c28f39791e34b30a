//! Each check finds the offence that is planted for it, and nothing in a clean tree.

use xtask::tidy::{self, Finding, packages};
use xtask::tree::Tree;

/// Runs one check over an invented tree and compares `path:line` of its findings.
fn check(id: &str, files: &[(&str, &str)], expected: &[&str]) {
    let check = tidy::ALL.iter().find(|check| check.id == id).expect("a check of this name");
    let findings = (check.run)(&Tree::of(files));
    let places = |finding: &Finding| format!("{}:{}", finding.path, finding.line);
    let found: Vec<String> = findings.iter().map(places).collect();
    assert_eq!(found, expected, "{findings:#?}");
}

#[test]
fn sizes_finds_a_long_file_but_does_not_count_its_tests() {
    let product = "const A: u8 = 1;\n".repeat(500);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(300));
    let home = format!("{product}{tests}");
    let long = format!("const B: u8 = 1;\n{home}");
    check("sizes", &[("a/src/home.rs", &home), ("a/src/tests.rs", &long)], &[]);
    check("sizes", &[("a/src/long.rs", &long)], &["a/src/long.rs:1"]);
}

#[test]
fn sizes_finds_a_long_function() {
    let body = "    step();\n".repeat(68);
    let home = format!("fn home() {{\n{body}}}\n");
    let long = format!("\n{}", home.replace("home() {", "long() {\n"));
    check("sizes", &[("a.rs", &home)], &[]);
    check("sizes", &[("a.rs", &long)], &["a.rs:2"]);
}

#[test]
fn sizes_finds_a_long_line_and_counts_characters_not_bytes() {
    let home = format!("// {}", "ü".repeat(97));
    let long = format!("// {}", "ü".repeat(98));
    check("sizes", &[("a.rs", &home)], &[]);
    check("sizes", &[("a.rs", &long)], &["a.rs:1"]);
}

#[test]
fn openings_finds_a_file_and_a_scenario_that_say_nothing() {
    check("openings", &[("a.rs", "//! What.\n"), ("scenarios/x/a.test", "# What.\n")], &[]);
    let silent = [("a.rs", "// What.\n"), ("scenarios/x/a.test", "topology a -> b\n")];
    check("openings", &silent, &["a.rs:1", "scenarios/x/a.test:1"]);
}

#[test]
fn arrows_allows_what_the_architecture_allows() {
    let detect = "[package]\nname = \"detect\"\n[dependencies]\nmodel.workspace = true\n";
    let storage = "[dev-dependencies]\ntonic.workspace = true\n";
    check(
        "arrows",
        &[
            ("crates/detect/Cargo.toml", detect),
            ("crates/storage/Cargo.toml", storage),
            ("demo/shop/Cargo.toml", "[dependencies]\nrusqlite = \"1\"\n"),
        ],
        &[],
    );
}

#[test]
fn arrows_finds_a_forbidden_one_however_it_is_written() {
    let plain = "[dependencies]\nmodel.workspace = true\nchaos.workspace = true\n";
    let table = "[dependencies.chaos]\nworkspace = true\n";
    let for_tests = "[dev-dependencies]\nchaos = { workspace = true }\n";
    let for_platform = "[target.'cfg(unix)'.dependencies]\nchaos = { path = \"../chaos\" }\n";
    check("arrows", &[("crates/remediate/Cargo.toml", plain)], &["crates/remediate/Cargo.toml:3"]);
    for manifest in [table, for_tests, for_platform] {
        let found = if manifest == table { 1 } else { 2 };
        let place = format!("crates/remediate/Cargo.toml:{found}");
        check("arrows", &[("crates/remediate/Cargo.toml", manifest)], &[&place]);
    }
}

#[test]
fn arrows_finds_a_heavy_package_outside_its_home_and_a_renamed_one() {
    let heavy = "[dependencies]\ntonic.workspace = true\nrusqlite.workspace = true\n";
    let renamed = "[dependencies]\nwire = { package = \"tonic\", version = \"1\" }\n";
    let renamed_table = "[dependencies.wire]\npackage = \"tonic\"\n";
    let agent = "crates/agent/Cargo.toml";
    check("arrows", &[(agent, heavy)], &["crates/agent/Cargo.toml:2", "crates/agent/Cargo.toml:3"]);
    check("arrows", &[(agent, renamed)], &["crates/agent/Cargo.toml:2"]);
    check("arrows", &[(agent, renamed_table)], &["crates/agent/Cargo.toml:1"]);
}

#[test]
fn arrows_finds_a_crate_of_which_nothing_is_written_down() {
    check("arrows", &[("crates/novelty/Cargo.toml", "")], &["crates/novelty/Cargo.toml:1"]);
}

#[test]
fn purity_finds_each_way_out_of_a_pure_crate() {
    for offence in [
        "use std::time::{Duration, Instant};",
        "let now = SystemTime::now();",
        "use std::fs;",
        "use std::{fmt, net::IpAddr};",
        "std::thread::spawn(work);",
        "use std::{collections::{BTreeMap, BTreeSet}, env};",
        "use tokio::sync::mpsc;",
        "let coin = rand::random();",
        "use rand;",
        "tracing::info!(\"here\");",
        "println!(\"here\");",
        "async fn later() {}",
    ] {
        let text = format!("//! What.\n{offence}\n");
        check("purity", &[("crates/detect/src/a.rs", &text)], &["crates/detect/src/a.rs:2"]);
    }
}

#[test]
fn purity_lets_tests_comments_and_other_crates_be() {
    let clean = "//! Never std::fs.\nuse std::time::Duration;\nuse std::{fmt, sync::Arc};\n\
        fn f(rand: u64) -> &'static str { \"std::net\" }\n\
        #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    let clock = "use std::time::SystemTime;\n";
    check(
        "purity",
        &[
            ("crates/detect/src/a.rs", clean),
            ("crates/detect/src/a/tests.rs", "use std::fs;\n"),
            ("crates/detect/tests/it/main.rs", "use std::fs;\n"),
            ("crates/server/src/clock.rs", clock),
        ],
        &[],
    );
}

#[test]
fn blind_finds_a_reasoner_that_looks_at_experiments() {
    let peeking = "//! What.\nuse model::Experiment;\n";
    let testing = "//! What.\n#[cfg(test)]\nuse model::Experiment;\n";
    check("blind", &[("crates/remediate/src/a.rs", peeking)], &["crates/remediate/src/a.rs:2"]);
    check("blind", &[("crates/remediate/src/a.rs", testing)], &[]);
    check("blind", &[("crates/chaos/src/a.rs", peeking)], &[]);
}

#[test]
fn names_finds_files_folders_and_modules_that_say_nothing() {
    let inline = "//! What.\nmod helpers {}\n";
    check(
        "names",
        &[("crates/a/src/utils.rs", ""), ("crates/common/Cargo.toml", ""), ("b.rs", inline)],
        &["crates/a/src/utils.rs:1", "crates/common/Cargo.toml:1", "b.rs:2"],
    );
    check("names", &[("crates/a/src/commonplace.rs", "mod manager_of_nothing {}")], &[]);
}

const HOUSE: &[(&str, &str)] = &[
    ("ARCHITECTURE.md", "`crates/model`\n```\nxtask/  the chores\n```\n"),
    ("CHANGELOG.md", ""),
    ("LICENSE", ""),
    ("README.md", ""),
    ("crates/model/Cargo.toml", ""),
    ("crates/model/src/lib.rs", ""),
    ("scenarios/crash.test", ""),
    ("xtask/Cargo.toml", ""),
];

fn house_with(extra: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    HOUSE.iter().chain(extra).copied().collect()
}

#[test]
fn documents_accepts_what_is_there_and_what_is_no_path() {
    let text = "`crates/model/src/lib.rs:12`, `scenarios/*.test`, `crates/model/`, `/api/v1`, \
        `application/json`, `../data/x.json`, `a b/c.rs`, `https://example.org/a.html`,\n\
        [the map](../ARCHITECTURE.md#picture), [it](https://example.org/), `docs/<name>.md`\n\
        ```\nimmune test scenarios/crash.test\n```\n";
    check("documents", &house_with(&[("docs/a.md", text)]), &[]);
}

#[test]
fn documents_finds_each_path_that_is_not_there() {
    let text = "`crates/model/src/gone.rs`\n`crates/gone`\n`gone/gone.yaml`\n[x](gone.md)\n\
        ```\nimmune test scenarios/gone.test\n```\n";
    let places: Vec<String> = [1, 2, 3, 4, 6].map(|line| format!("docs/a.md:{line}")).into();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    check("documents", &house_with(&[("docs/a.md", text)]), &places);
}

#[test]
fn documents_finds_a_crate_that_is_not_on_the_map_and_a_missing_map() {
    let house = house_with(&[("crates/novelty/Cargo.toml", "")]);
    check("documents", &house, &["ARCHITECTURE.md:1"]);
    check("documents", &HOUSE[1..], &["ARCHITECTURE.md:1"]);
}

#[test]
fn documents_finds_a_page_that_is_not_in_the_book() {
    let summary = ("docs/SUMMARY.md", "- [A](a.md)\n- [C](b/c.md)\n");
    let pages = [summary, ("docs/a.md", ""), ("docs/b/c.md", "")];
    check("documents", &house_with(&pages), &[]);
    let pages = [summary, ("docs/a.md", ""), ("docs/b/c.md", ""), ("docs/d.md", "")];
    check("documents", &house_with(&pages), &["docs/d.md:1"]);
}

const RULES: &str = "[licenses]\nallow = [\n    \"MIT\",\n    \"ISC\",\n]\n\
    [bans]\ndeny = [\n    { crate = \"openssl\", reason = \"why\" },\n]\n\
    [sources]\nallow-registry = [\"https://example.org/index\"]\n";

#[test]
fn packages_finds_a_banned_package_and_a_strange_source() {
    let clean = "name = \"serde\"\nsource = \"registry+https://example.org/index\"\n";
    let dirty = "name = \"openssl\"\nsource = \"git+https://example.org/openssl\"\n";
    check("packages", &[("deny.toml", RULES), ("Cargo.lock", clean)], &[]);
    let places = ["Cargo.lock:1", "Cargo.lock:2"];
    check("packages", &[("deny.toml", RULES), ("Cargo.lock", dirty)], &places);
}

#[test]
fn packages_finds_that_its_own_rules_are_missing_or_empty() {
    check("packages", &[("Cargo.lock", "")], &["deny.toml:1"]);
    let empty = [("deny.toml", ""), ("Cargo.lock", "")];
    check("packages", &empty, &["deny.toml:1", "deny.toml:1"]);
}

#[test]
fn packages_finds_licences_that_are_not_allowed_or_not_there() {
    let package = |name: &str, licence: Option<&str>| packages::Package {
        name: name.to_string(),
        licence: licence.map(str::to_string),
    };
    let tree = Tree::of(&[("deny.toml", RULES)]);
    assert_eq!(packages::licences(&tree, &[package("good", Some("GPL-3.0 OR MIT"))]), []);
    let bad = [package("bad", Some("GPL-3.0")), package("silent", None)];
    let messages: Vec<String> =
        packages::licences(&tree, &bad).into_iter().map(|finding| finding.message).collect();
    assert_eq!(
        messages,
        ["bad is licensed \"GPL-3.0\", which is not allowed", "silent names no licence",]
    );
}

#[test]
fn leftovers_finds_what_is_half_done() {
    for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!")] {
        let text = format!("fine\n# {word} later\n");
        check("leftovers", &[("tests/run", &text)], &["tests/run:2"]);
        check("leftovers", &[("docs/plan.md", &text)], &[]);
    }
    check("leftovers", &[("a.rs", concat!("let METHOTO", "DOLOGY = masto", "do!"))], &[]);
}

#[test]
fn leftovers_finds_paths_of_one_machine() {
    let place = concat!("/wo", "rk/");
    check("leftovers", &[("a.md", &format!("see {place}main\n"))], &["a.md:1"]);
    check("leftovers", &[("a.rs", &format!("let url = \"{{base}}{place}x\";\n"))], &[]);
    check("leftovers", &[("a.md", &format!("docs{place}x\n"))], &[]);
}
