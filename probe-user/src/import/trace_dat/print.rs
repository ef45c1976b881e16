//! `print fmt` of an event: a format of printf and C expressions, as much of them as btrfs' events have.
//!
//! What is not understood makes the event one that is not understood; nothing is guessed. Both the depth and the number of the
//! expressions are bounded by the length of the text.
use super::{
    format::Field,
    token::{Token, Tokens},
};

/// Longest text that is looked at.
const LONGEST: usize = 1 << 16;
/// Most nested parentheses.
const DEEPEST: u32 = 64;
/// Most operators of an argument: a chain of them makes a tree as deep as it is long.
const MOST_OPERATORS: u32 = 512;

/// How an event is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The format of printf.
    pub format: Box<str>,
    /// What it prints.
    pub arguments: Vec<Expr>,
}

/// A C expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A number, and whether it is unsigned.
    Number(u64, bool),
    /// A string.
    Text(Box<str>),
    /// A field, by its place in the list.
    Field(usize),
    /// `(u32)`, `(int)`: a number of so many bits, and whether it is unsigned.
    Cast(u32, bool, Box<Expr>),
    /// `-`, `~`, `!`
    Unary(char, Box<Expr>),
    /// An operator with two sides.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `?:`
    Choice(Box<[Expr; 3]>),
    /// `__print_flags`: of what, between the names, the names.
    Flags(Box<Expr>, Box<str>, Vec<(Expr, Box<str>)>),
    /// `__print_symbolic`
    Symbol(Box<Expr>, Vec<(Expr, Box<str>)>),
    /// A name that the kernel did not replace by its number.
    Unknown,
}

/// Operators by how strongly they bind, the weakest first.
const OPERATORS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Reads what follows `print fmt:`.
#[must_use]
pub fn parse(text: &str, fields: &[Field]) -> Option<Print> {
    if text.len() > LONGEST {
        return None;
    }
    let mut parser = Parser { tokens: Tokens::of(text)?, fields, depth: 0, operators: 0 };
    let mut format = parser.text()?.into_string();
    while let Some(more) = parser.text() {
        format.push_str(&more);
    }
    let mut arguments = Vec::new();
    while parser.takes(",") {
        parser.operators = 0;
        arguments.push(parser.expression()?);
    }
    parser.tokens.is_at_end().then(|| Print { format: format.into(), arguments })
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    fields: &'a [Field],
    depth: u32,
    operators: u32,
}

impl Parser<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        let is = self.tokens.peek() == Some(&Token::Sign(sign));
        if is {
            self.tokens.next();
        }
        is
    }

    fn demand(&mut self, sign: &str) -> Option<()> {
        self.takes(sign).then_some(())
    }

    fn text(&mut self) -> Option<Box<str>> {
        let Some(Token::Text(text)) = self.tokens.peek() else { return None };
        let text = text.clone();
        self.tokens.next();
        Some(text)
    }

    fn word(&mut self) -> Option<&str> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEEPEST {
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn expression(&mut self) -> Option<Expr> {
        self.deeper(|parser| {
            let condition = parser.binary(0)?;
            if !parser.takes("?") {
                return Some(condition);
            }
            let yes = parser.expression()?;
            parser.demand(":")?;
            Some(Expr::Choice(Box::new([condition, yes, parser.expression()?])))
        })
    }

    fn binary(&mut self, level: usize) -> Option<Expr> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.takes(operator)) {
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                return None;
            }
            left = Expr::Binary(operator, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        for (sign, letter) in [("-", '-'), ("~", '~'), ("!", '!')] {
            if self.takes(sign) {
                return self.deeper(|parser| Some(Expr::Unary(letter, Box::new(parser.unary()?))));
            }
        }
        if let Some((bits, unsigned)) = self.tokens.cast() {
            return self.deeper(|parser| Some(Expr::Cast(bits, unsigned, Box::new(parser.unary()?))));
        }
        self.operand()
    }

    fn operand(&mut self) -> Option<Expr> {
        if let Some(text) = self.text() {
            return Some(Expr::Text(text));
        }
        if self.takes("(") {
            let inner = self.expression()?;
            self.demand(")")?;
            return Some(inner);
        }
        if let Some(&Token::Number(number, unsigned)) = self.tokens.peek() {
            self.tokens.next();
            return Some(Expr::Number(number, unsigned));
        }
        match self.word()? {
            "REC" => {
                self.demand("->")?;
                self.field()
            }
            "__get_str" | "__get_rel_str" => {
                self.demand("(")?;
                let field = self.field();
                self.demand(")")?;
                field
            }
            "__print_flags" => {
                self.demand("(")?;
                let of = self.expression()?;
                self.demand(",")?;
                let between = self.text()?;
                Some(Expr::Flags(Box::new(of), between, self.names()?))
            }
            "__print_symbolic" => {
                self.demand("(")?;
                let of = self.expression()?;
                Some(Expr::Symbol(Box::new(of), self.names()?))
            }
            // A function that is not known, or a name without its number.
            _ => (self.tokens.peek() != Some(&Token::Sign("("))).then_some(Expr::Unknown),
        }
    }

    fn field(&mut self) -> Option<Expr> {
        let fields = self.fields;
        let name = self.word()?;
        fields.iter().position(|field| &*field.name == name).map(Expr::Field)
    }

    /// `, { 1, "NAME" }, ...)`
    fn names(&mut self) -> Option<Vec<(Expr, Box<str>)>> {
        let mut names = Vec::new();
        while self.takes(",") {
            self.demand("{")?;
            let value = self.expression()?;
            self.demand(",")?;
            names.push((value, self.text()?));
            self.demand("}")?;
        }
        self.demand(")")?;
        Some(names)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_none() {
        for text in [
            "",
            "REC->x",
            "\"%d\", REC->nothing",
            "\"%d\", 1 +",
            "\"%d\", f(1)",
            "\"%d\", (1",
            "\"%d\" 1",
            "\"no end",
            "\"%d\", __print_flags(1, { 1, \"A\" })",
            "\"%d\", 1 ? 2",
        ] {
            assert_eq!(parse(text, &[]), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        for (open, close) in
            [("(", ")"), ("-", ""), ("~(", ")"), ("1 ? 2 : ", ""), ("(int)", ""), ("1 + ", "")]
        {
            let text = |depth: usize| format!("\"%d\", {}1{}", open.repeat(depth), close.repeat(depth));
            assert!(parse(&text(20), &[]).is_some(), "{open}");
            assert_eq!(parse(&text(5000), &[]), None, "{open}");
        }
    }

    #[test]
    fn strings_are_joined_and_operators_bind_as_in_c() {
        let print = parse(r#""a\t" "b", 1 + 2 * 3 == 7 && 0"#, &[]).unwrap();
        assert_eq!(&*print.format, "a\tb");
        let Expr::Binary("&&", left, _) = &print.arguments[0] else { panic!("{print:?}") };
        let Expr::Binary("==", sum, _) = &**left else { panic!("{left:?}") };
        assert!(matches!(&**sum, Expr::Binary("+", ..)), "{sum:?}");
    }
}
