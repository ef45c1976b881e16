//! The words and signs of a `print fmt`.

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A name.
    Word(&'a str),
    /// A number, and whether it is unsigned.
    Number(u64, bool),
    /// A string, without quotes and backslashes.
    Text(Box<str>),
    /// Anything else.
    Sign(&'a str),
}

const SIGNS: [&str; 29] = [
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "?", ":", ",", "(", ")", "{", "}", "[", "]", "<",
    ">", "&", "|", "^", "+", "-", "*", "/", "%", "~",
];

/// The pieces one after the other.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    all: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// Cuts a text. None if it has something that is no piece.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let mut all = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, behind) = match first {
                '"' => string(rest)?,
                '0'..='9' => number(rest)?,
                'a'..='z' | 'A'..='Z' | '_' => {
                    let end =
                        rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                    (Token::Word(&rest[..end]), &rest[end..])
                }
                _ if rest.starts_with('!') && !rest.starts_with("!=") => (Token::Sign("!"), &rest[1..]),
                _ => {
                    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
                    (Token::Sign(sign), &rest[sign.len()..])
                }
            };
            all.push(token);
            rest = behind.trim_start();
        }
        Some(Self { all, at: 0 })
    }

    /// The next one.
    #[must_use]
    pub fn peek(&self) -> Option<&Token<'a>> {
        self.all.get(self.at)
    }

    /// Takes the next one.
    #[allow(clippy::should_implement_trait, reason = "an iterator would not lend")]
    pub fn next(&mut self) -> Option<&Token<'a>> {
        self.at += 1;
        self.all.get(self.at - 1)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.all.len()
    }

    /// Takes `(type)` in front of an operand; its bits, and whether it is unsigned.
    pub fn cast(&mut self) -> Option<(u32, bool)> {
        let rest = self.all.get(self.at..)?;
        if rest.first() != Some(&Token::Sign("(")) {
            return None;
        }
        let mut words = Vec::new();
        let mut pointer = false;
        let mut end = None;
        for (at, token) in rest.iter().enumerate().skip(1) {
            match token {
                Token::Word(word) if !pointer => words.push(*word),
                Token::Sign("*") if !words.is_empty() => pointer = true,
                Token::Sign(")") => {
                    end = Some(at);
                    break;
                }
                _ => return None,
            }
        }
        let is_operand = |token: Option<&Token<'_>>| {
            matches!(
                token,
                Some(Token::Word(_) | Token::Number(..) | Token::Text(_) | Token::Sign("(" | "-" | "~"))
            )
        };
        let end = end.filter(|end| !words.is_empty() && is_operand(rest.get(end + 1)))?;
        self.at += end + 1;
        Some(if pointer { (64, true) } else { type_of(&words) })
    }
}

fn type_of(words: &[&str]) -> (u32, bool) {
    let has = |word: &str| words.contains(&word);
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    let bits = if any(&["u8", "s8", "__u8", "__s8", "char"]) {
        8
    } else if any(&["u16", "s16", "__u16", "__s16", "short"]) {
        16
    } else if any(&["u32", "s32", "__u32", "__s32"]) || (any(&["int", "unsigned"]) && !has("long")) {
        32
    } else {
        64
    };
    let signed = any(&["s8", "s16", "s32", "s64", "__s8", "__s16", "__s32", "__s64"])
        || (any(&["int", "long", "short", "char"]) && !has("unsigned"));
    (bits, !signed)
}

fn number(text: &str) -> Option<(Token<'_>, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let unsigned = word[digits.len()..].contains(['u', 'U']);
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok()?,
        None => digits.parse().ok()?,
    };
    Some((Token::Number(number, unsigned || number > i64::MAX as u64), rest))
}

fn string(text: &str) -> Option<(Token<'_>, &str)> {
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((Token::Text(out.into()), &text[at + 1..])),
            '\\' => out.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            _ => out.push(letter),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_kinds() {
        let all = Tokens::of(r#"REC->x >= -9ULL ? "a\"b" : 0x1f<<010!=!y"#).unwrap().all;
        let expected = [
            Token::Word("REC"),
            Token::Sign("->"),
            Token::Word("x"),
            Token::Sign(">="),
            Token::Sign("-"),
            Token::Number(9, true),
            Token::Sign("?"),
            Token::Text("a\"b".into()),
            Token::Sign(":"),
            Token::Number(31, false),
            Token::Sign("<<"),
            Token::Number(8, false),
            Token::Sign("!="),
            Token::Sign("!"),
            Token::Word("y"),
        ];
        assert_eq!(all, expected);
        for text in ["\"", "1x", "99999999999999999999", "@", "§", "'a'"] {
            assert!(Tokens::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn casts_are_told_from_parentheses() {
        let of = |text: &str| Tokens::of(text).unwrap().cast();
        assert_eq!(of("(unsigned long)REC->x"), Some((64, true)));
        assert_eq!(of("(int)REC->x"), Some((32, false)));
        assert_eq!(of("(u32)(1)"), Some((32, true)));
        assert_eq!(of("(void *)REC->x"), Some((64, true)));
        for text in ["(REC->x)", "(x)", "(x) + 1", "(1)2", "()1", "int 1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
