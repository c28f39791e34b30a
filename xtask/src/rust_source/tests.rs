//! Reading Rust: the cases in which a simpler reader would be fooled.

use super::*;

fn check(text: &str, expected_words: &[&str]) {
    let source = RustSource::read(text);
    let words: Vec<&str> = source.tokens().iter().map(|token| token.text.as_str()).collect();
    assert_eq!(words, expected_words, "in {text:?}");
}

#[test]
fn comments_are_no_code() {
    check("a // b\nc /* d /* e */ f */ g", &["a", "c", "g"]);
}

#[test]
fn strings_are_no_code() {
    check(r#"a("b \" c", b"d", 'e', '\'', b'f')"#, &["a", "(", ",", "b", ",", ",", ",", "b", ")"]);
    check("let a = r#\"b \" c\"#; d", &["let", "a", "=", ";", "d"]);
    check("let a = br\"b\\\"; d", &["let", "a", "=", "b", ";", "d"]);
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    check(
        "fn f<'a>(r#b: &'a c)",
        &["fn", "f", "<", "'", "a", ">", "(", "r", "#", "b", ":", "&", "'", "a", "c", ")"],
    );
}

#[test]
fn lines_are_kept() {
    let text = "/* one\ntwo */ a\n\"three\nfour\" b";
    let tokens = RustSource::read(text).tokens().to_vec();
    let lines: Vec<usize> = tokens.iter().map(|token| token.line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn test_items_are_left_out_of_the_product() {
    let text = "fn kept() {}\n#[cfg(test)]\nmod tests {\n    fn gone() {}\n}\nfn kept_too() {}\n";
    let source = RustSource::read(text);
    let product = source.product_tokens();
    assert!(product.iter().any(|token| token.text == "kept_too"));
    assert!(!product.iter().any(|token| token.text == "gone"));
    assert_eq!(source.test_lines(), 4);
}

#[test]
fn a_module_declared_for_tests_is_told_by_name() {
    let text =
        "#[cfg(test)]\n#[path = \"x.rs\"]\nmod properties;\n#[cfg(test)]\nmod tests {}\nmod a;";
    assert_eq!(RustSource::read(text).test_modules(), ["properties"]);
}

#[test]
fn functions_know_their_first_and_last_line() {
    let text = "trait A { fn declared(a: [u8; 4]); }\nfn two(b: fn(u8)) -> [u8; 2] {\n    {}\n}\n";
    let functions = RustSource::read(text).functions();
    let expected = Function { name: "two".into(), first_line: 2, last_line: 4 };
    assert_eq!(functions, [expected]);
}
