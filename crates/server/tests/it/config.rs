//! `immune check-config`: every fixture says in its first lines what is to be said about it.
//!
//! `*.good.yaml` passes; `*.bad.yaml` begins with `# expect: LINE:COLUMN: MESSAGE`, one line for
//! each complaint. `BLESS=1` writes what is said now; read the difference before you commit it.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::lab::immune;

const EXPECT: &str = "# expect: ";

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        all.filter(|path| path.to_str().unwrap().ends_with(kind)).collect();
    found.sort();
    found
}

fn check(path: &Path) -> Output {
    let mut command = immune();
    command.arg("check-config").arg(path.file_name().unwrap());
    command.current_dir(path.parent().unwrap()).output().unwrap()
}

/// What is said about a file, without the file's name.
fn complaints(path: &Path) -> Vec<String> {
    let output = check(path);
    assert_eq!(output.status.code(), Some(1), "{}", path.display());
    assert!(output.stdout.is_empty());
    let name = format!("{}:", path.file_name().unwrap().to_str().unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    said.lines()
        .map(|line| match line.strip_prefix(&name) {
            Some(rest) => rest.trim_start().to_owned(),
            None => panic!("{}: {line}", path.display()),
        })
        .collect()
}

#[test]
fn good_files_pass() {
    let files = fixtures(".good.yaml");
    assert!(files.len() >= 5);
    for path in files {
        let output = check(&path);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with(": good\n"));
    }
}

#[test]
fn bad_files_are_complained_about_with_line_and_column() {
    let files = fixtures(".bad.yaml");
    assert!(files.len() >= 15);
    let mut wrong = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let expected: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix(EXPECT)).collect();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        let said = complaints(&path);
        if said == expected {
            continue;
        }
        wrong.push(format!("{}: expected {expected:#?}, said {said:#?}", path.display()));
        if std::env::var_os("BLESS").is_some() {
            bless(&path, &bytes, expected.len(), &said);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As many lines as there are complaints, else all line numbers would move.
fn bless(path: &Path, bytes: &[u8], lines: usize, said: &[String]) {
    let rest = bytes.splitn(lines + 1, |byte| *byte == b'\n').last().unwrap();
    let head: String = said.iter().map(|line| format!("{EXPECT}{line}\n")).collect();
    std::fs::write(path, [head.as_bytes(), rest].concat()).unwrap();
}

#[test]
fn files_that_are_no_text_or_far_too_large_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let refused = |path: &Path| {
        let output = immune().arg("check-config").arg(path).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&file("large.yaml", &"# much\n".repeat(700_000)));
    assert!(said.contains("larger than the 4 MiB allowed"), "{said}");
    assert!(refused(Path::new("/dev/zero")).contains("larger than the 4 MiB allowed"));
    assert!(refused(folder.path()).contains("cannot be read"), "a folder");
    assert!(refused(&folder.path().join("nothing")).contains("cannot be read"));
    // Three bytes of an alias for a megabyte of text.
    let aliases = vec!["*s"; 500_000].join(", ");
    let bomb = format!("api:\n  hosts: [&s \"{}\", {aliases}]\n", "x".repeat(1_000_000));
    let said = refused(&file("bomb.yaml", &bomb));
    assert!(said.contains("too large once its aliases are written out"), "{said}");
}

#[test]
fn a_printed_configuration_reads_back_and_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |file: Option<&Path>| {
        let mut command = immune();
        command.arg("print-config").args(file).env("IMMUNE_TEST_TOKEN", "token-from-outside");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let path = folder.path().join("immune.yaml");
    for fixture in fixtures(".good.yaml") {
        let first = printed(Some(&fixture));
        assert!(!first.contains("token-from-outside") && !first.contains("0123456789abcdef"));
        if first.contains("(hidden)") {
            continue;
        }
        std::fs::write(&path, &first).unwrap();
        assert_eq!(printed(Some(&path)), first, "{}", fixture.display());
    }
    let secret = "
notify: [{name: pager, webhook: {url: 'https://user:pass-word@a.example/key-key', token: tok-en}}]
targets:
  - {name: a, service: a, process: {listens_on: '127.0.0.1:1'}, restart: {start: {
      command: [/bin/a], environment: {PASSWORD: hush-hush}}}}
";
    std::fs::write(&path, secret).unwrap();
    let told = printed(Some(&path));
    for secret in ["pass-word", "key-key", "tok-en", "hush-hush"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(told.contains("https://a.example"), "{told}");
}
