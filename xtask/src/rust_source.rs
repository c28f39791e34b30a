//! Just enough reading of Rust for the checks: what is code, which code is a test, where a function
//! begins and ends.
//!
//! No parser: comments and literals are blanked out, then words and brackets are counted. A syntax
//! tree would cost more build time than all other chores together. Known limits: attributes such as
//! `cfg(all(test, …))` do not mark a test, and a `{` in a const generic ends a signature early.

mod blank;

pub use blank::code_only;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub line: usize,
    pub text: String,
}

/// A function with its first and last line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    pub last_line: usize,
}

#[derive(Debug)]
pub struct RustSource {
    tokens: Vec<Token>,
    /// Token ranges (first, last) of items that exist in tests only.
    test_items: Vec<(usize, usize)>,
}

impl RustSource {
    pub fn read(text: &str) -> RustSource {
        let tokens = tokens(&code_only(text));
        let test_items = test_items(&tokens);
        RustSource { tokens, test_items }
    }

    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The tokens that are part of the product, tests left out.
    pub fn product_tokens(&self) -> Vec<Token> {
        let is_test = |index: usize| {
            self.test_items.iter().any(|(first, last)| (*first..=*last).contains(&index))
        };
        let kept = self.tokens.iter().enumerate().filter(|(index, _)| !is_test(*index));
        kept.map(|(_, token)| token.clone()).collect()
    }

    pub fn test_lines(&self) -> usize {
        let lines =
            |(first, last): &(usize, usize)| self.tokens[*last].line - self.tokens[*first].line + 1;
        self.test_items.iter().map(lines).sum()
    }

    /// Names of `#[cfg(test)] mod name;`: modules of which the whole file is a test.
    pub fn test_modules(&self) -> Vec<&str> {
        let words = |(first, last): &(usize, usize)| &self.tokens[*first..=*last];
        let name = |item: &'_ [Token]| -> Option<usize> {
            let position = item.iter().position(|token| token.text == "mod")?;
            (item.get(position + 2)?.text == ";").then_some(position + 1)
        };
        let items = self.test_items.iter();
        items.filter_map(|item| Some(words(item)[name(words(item))?].text.as_str())).collect()
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (index, pair) in self.tokens.windows(2).enumerate() {
            if pair[0].text != "fn" || !is_word(&pair[1].text) {
                continue;
            }
            let last = item_end(&self.tokens, index);
            if self.tokens[last].text == "}" {
                functions.push(Function {
                    name: pair[1].text.clone(),
                    first_line: pair[0].line,
                    last_line: self.tokens[last].line,
                });
            }
        }
        functions
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let length = if is_part(first) {
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { line: index + 1, text: rest[..length].to_string() });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut items = Vec::new();
    let mut index = 0;
    while index + MARK.len() < tokens.len() {
        let here = tokens[index..].iter().map(|token| token.text.as_str());
        if here.take(MARK.len()).eq(MARK) {
            let last = item_end(tokens, index + MARK.len());
            items.push((index, last));
            index = last;
        }
        index += 1;
    }
    items
}

/// The last token of the item that begins at `first`: its `;`, or the brace that closes its body.
fn item_end(tokens: &[Token], first: usize) -> usize {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(first) {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            "{" => braces += 1,
            "}" if braces == 0 => return index.saturating_sub(1).max(first),
            "}" => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return index;
                }
            }
            ";" if braces == 0 && brackets == 0 => return index,
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

#[cfg(test)]
mod tests;
