//! The grammar of a JSON path, by recursive descent of bounded depth.

use super::lex::{Token, tokens};
use super::{Comparison, Expression, Function, Operand, Path, Segment, Subscript};
use crate::value::{Map, Value};

const DEPTH_MAX: usize = 40;
const TEXT_BYTES_MAX: usize = 10_000;

pub(super) fn path(text: &str) -> Result<Vec<Segment>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("a JSON path has at most {TEXT_BYTES_MAX} bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    parser.expect("$")?;
    let segments = parser.segments()?;
    match parser.peek() {
        None => Ok(segments),
        Some(token) => Err(format!("{token:?} is out of place in a JSON path")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("a JSON path ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Some(Token::Mark(found)) if *found == mark)
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.take(mark) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_owned(), |token| format!("{token:?}"));
        Err(format!("a JSON path needs `{mark}` in place of {found}"))
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("a JSON path is nested more than {DEPTH_MAX} times"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn segments(&mut self) -> Result<Vec<Segment>, String> {
        let mut segments = Vec::new();
        loop {
            let recursive = self.take("..");
            let subscripts = if self.is_mark("[") {
                self.subscripts()?
            } else if recursive || self.take(".") {
                vec![self.bareword()?]
            } else {
                return Ok(segments);
            };
            segments.push(Segment { recursive, subscripts });
        }
    }

    fn bareword(&mut self) -> Result<Subscript, String> {
        if self.take("*") {
            return Ok(Subscript::Wildcard);
        }
        match self.next()? {
            Token::Word(word) if !is_reserved(&word) => {
                if self.is_mark("(") {
                    self.call(&word)
                } else {
                    Ok(Subscript::Key(word))
                }
            }
            token => Err(format!("{token:?} cannot follow a dot in a JSON path")),
        }
    }

    fn subscripts(&mut self) -> Result<Vec<Subscript>, String> {
        self.expect("[")?;
        let mut subscripts = vec![self.nested(Parser::subscript)?];
        while self.take(",") {
            subscripts.push(self.nested(Parser::subscript)?);
        }
        self.expect("]")?;
        Ok(subscripts)
    }

    fn subscript(&mut self) -> Result<Subscript, String> {
        if self.is_mark(":") {
            return self.slice(None);
        }
        if self.is_mark("$") || self.is_mark("@") {
            return self.relative().map(Subscript::Path);
        }
        if self.take("*") {
            return Ok(Subscript::Wildcard);
        }
        if self.take("?") {
            self.expect("(")?;
            let expression = self.expression()?;
            self.expect(")")?;
            return Ok(Subscript::Filter(expression));
        }
        match self.next()? {
            Token::Text(key) => Ok(Subscript::Key(key)),
            Token::Number(number) => {
                let index = integer(&number)?;
                if self.is_mark(":") {
                    self.slice(Some(index))
                } else {
                    Ok(Subscript::Index(index))
                }
            }
            Token::Word(word) if !is_reserved(&word) => self.call(&word),
            token => Err(format!("{token:?} is no subscript of a JSON path")),
        }
    }

    fn slice(&mut self, start: Option<i64>) -> Result<Subscript, String> {
        self.expect(":")?;
        let end = self.optional_integer()?;
        let step = if self.take(":") { self.optional_integer()? } else { None };
        Ok(Subscript::Slice { start, end, step })
    }

    fn optional_integer(&mut self) -> Result<Option<i64>, String> {
        let Some(Token::Number(number)) = self.peek() else { return Ok(None) };
        let number = integer(number)?;
        self.at += 1;
        Ok(Some(number))
    }

    fn call(&mut self, name: &str) -> Result<Subscript, String> {
        let function = match name {
            "charAt" => Function::CharAt,
            "entries" => Function::Entries,
            "keys" => Function::Keys,
            "length" => Function::Length,
            "substring" => Function::Substring,
            "values" => Function::Values,
            _ => return Err(format!("callable subscript '{name}' not found")),
        };
        self.expect("(")?;
        let mut operands = Vec::new();
        if !self.is_mark(")") {
            operands.push(self.nested(Parser::operand)?);
            while self.take(",") {
                operands.push(self.nested(Parser::operand)?);
            }
        }
        self.expect(")")?;
        Ok(Subscript::Call(function, operands))
    }

    fn relative(&mut self) -> Result<Path, String> {
        let from_root = self.take("$");
        if !from_root {
            self.expect("@")?;
        }
        Ok(Path { from_root, segments: self.segments()? })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if self.is_mark("$") || self.is_mark("@") {
            return self.relative().map(Operand::Path);
        }
        self.value().map(Operand::Value)
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.take("[") {
            let mut list = Vec::new();
            while !self.take("]") {
                if !list.is_empty() {
                    self.expect(",")?;
                }
                list.push(self.nested(Parser::value)?);
            }
            return Ok(Value::List(list));
        }
        if self.take("{") {
            let mut map = Map::new();
            while !self.take("}") {
                if !map.is_empty() {
                    self.expect(",")?;
                }
                let Token::Text(key) = self.next()? else {
                    return Err("a key in a JSON path must be quoted".to_owned());
                };
                self.expect(":")?;
                let value = self.nested(Parser::value)?;
                map.insert(key, value);
            }
            return Ok(Value::Map(map));
        }
        match self.next()? {
            Token::Text(text) => Ok(Value::Text(text)),
            Token::Number(number) if number.contains(['.', 'e', 'E']) => {
                number.parse().map(Value::Float).map_err(|_| format!("`{number}` is no number"))
            }
            Token::Number(number) => {
                number.parse().map(Value::Int).map_err(|_| format!("`{number}` is too large"))
            }
            Token::Word(word) if word == "true" => Ok(Value::Bool(true)),
            Token::Word(word) if word == "false" => Ok(Value::Bool(false)),
            Token::Word(word) if word == "null" => Ok(Value::Null),
            token => Err(format!("{token:?} is no value in a JSON path")),
        }
    }

    /// In this grammar `or` binds more tightly than `and`.
    fn expression(&mut self) -> Result<Expression, String> {
        let mut all = vec![self.alternatives()?];
        while self.take_word("and") {
            all.push(self.alternatives()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::All(all) })
    }

    fn alternatives(&mut self) -> Result<Expression, String> {
        let mut any = vec![self.nested(Parser::condition)?];
        while self.take_word("or") {
            any.push(self.nested(Parser::condition)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expression::Any(any) })
    }

    fn condition(&mut self) -> Result<Expression, String> {
        if self.take_word("not") {
            let condition = self.nested(Parser::condition)?;
            return Ok(Expression::Not(Box::new(condition)));
        }
        if self.take("(") {
            let expression = self.expression()?;
            self.expect(")")?;
            return Ok(expression);
        }
        let left = self.operand()?;
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("=", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<", Comparison::Less),
            ("<=", Comparison::AtMost),
            (">", Comparison::Greater),
            (">=", Comparison::AtLeast),
        ];
        for (mark, comparison) in COMPARISONS {
            if self.take(mark) {
                return Ok(Expression::Compare(comparison, left, self.operand()?));
            }
        }
        Ok(Expression::Some(left))
    }
}

fn is_reserved(word: &str) -> bool {
    matches!(word, "and" | "or" | "not" | "true" | "false" | "null")
}

fn integer(number: &str) -> Result<i64, String> {
    number.parse().map_err(|_| format!("`{number}` is no index of a JSON path"))
}
