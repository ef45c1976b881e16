//! Parses typed text into a [`Filter`].
use super::{
    term::{Filter, Op, Term},
    word::{Value, Word},
};

/// Why a filter cannot be understood; one short sentence for the line where it is typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No such word.
    #[error("there is no word {0}: ? lists them")]
    Word(String),
    /// A number was wanted.
    #[error("{0} wants a number, for example {0}>1M")]
    Number(&'static str),
    /// A comparison that texts do not have.
    #[error("{0} is a text: compare it with = != ~ or !~")]
    Text(&'static str),
    /// A quote was not closed.
    #[error("a closing \" is missing")]
    Quote,
    /// Nothing behind the comparison.
    #[error("something is missing behind {0}")]
    Value(String),
}

/// Longest first, so that `>=` is not read as `>` and `=`.
const OPS: [Op; 8] = [Op::AtLeast, Op::AtMost, Op::IsNot, Op::HasNot, Op::Is, Op::Above, Op::Below, Op::Has];

/// Reads a filter.
///
/// # Errors
/// See [`FilterError`].
pub fn parse(typed: &str) -> Result<Filter, FilterError> {
    let mut terms = Vec::new();
    for word in words(typed)? {
        terms.push(term(&word)?);
    }
    Ok(Filter { terms })
}

/// Reads a filter that is being typed: what stands there so far, without a last word that makes no sense yet or that may
/// become the name of something, so that the list does not flicker under every key.
#[must_use]
pub fn parse_typed(typed: &str) -> (Filter, Option<FilterError>) {
    let last = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let before = || parse(typed.get(..last).unwrap_or_default()).unwrap_or_default();
    let word = typed.get(last..).unwrap_or_default();
    match parse(typed) {
        Err(error) => (before(), Some(error)),
        Ok(_) if !word.is_empty() && Word::begins_with(word) => (before(), None),
        Ok(filter) => (filter, None),
    }
}

/// A piece between spaces, and which of its characters were quoted.
struct Token {
    text: String,
    /// Byte position behind which everything is text: a quote began there.
    quote: Option<usize>,
}

/// Splits at spaces outside quotes. In quotes, `\"` and `\\` are what they look like.
fn words(typed: &str) -> Result<Vec<Token>, FilterError> {
    let mut words = Vec::new();
    let mut word: Option<Token> = None;
    let mut quoted = false;
    let mut chars = typed.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let token = word.get_or_insert(Token { text: String::new(), quote: None });
                token.quote.get_or_insert(token.text.len());
                quoted = !quoted;
            }
            '\\' if quoted => {
                let token = word.get_or_insert(Token { text: String::new(), quote: None });
                token.text.push(chars.next().ok_or(FilterError::Quote)?);
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert(Token { text: String::new(), quote: None }).text.push(c),
        }
    }
    if quoted {
        return Err(FilterError::Quote);
    }
    words.extend(word);
    Ok(words)
}

fn term(token: &Token) -> Result<Term, FilterError> {
    let text = token.text.as_str();
    let head = text.get(..token.quote.unwrap_or(text.len())).unwrap_or(text);
    // The first place where a comparison stands; a longer one there goes first.
    let found = head.char_indices().find_map(|(at, _)| {
        OPS.into_iter().find(|op| head[at..].starts_with(op.symbol())).map(|op| (at, op))
    });
    match found {
        Some((at, op)) if at > 0 => {
            let (name, value) = (&text[..at], &text[at + op.symbol().len()..]);
            let word = Word::named(name).ok_or_else(|| FilterError::Word(name.to_owned()))?;
            if value.is_empty() && token.quote.is_none() {
                return Err(FilterError::Value(format!("{name}{}", op.symbol())));
            }
            compare(word, op, value)
        }
        _ => {
            let (wanted, rest) = match text.strip_prefix('!') {
                Some(rest) if token.quote != Some(0) => (false, rest),
                _ => (true, text),
            };
            Ok(Term::Any(wanted, rest.to_lowercase()))
        }
    }
}

fn compare(word: Word, op: Op, value: &str) -> Result<Term, FilterError> {
    match (word.value(), op) {
        (Value::Number, _) => {
            let number = number(value).ok_or_else(|| FilterError::Number(word.name()))?;
            // To contain a number is to be it.
            let op = match op {
                Op::Has => Op::Is,
                Op::HasNot => Op::IsNot,
                op => op,
            };
            Ok(Term::Number(word, op, number))
        }
        (Value::Text, Op::Has | Op::HasNot) => Ok(Term::Text(word, op, value.to_lowercase())),
        (Value::Text, Op::Is | Op::IsNot) => Ok(Term::Text(word, op, value.to_owned())),
        (Value::Text, _) => Err(FilterError::Text(word.name())),
    }
}

/// A whole number, negative ones too, with K, M, G or T behind (1024 each), or a part behind a point: `1.5M`.
fn number(typed: &str) -> Option<i128> {
    let (sign, rest) = match typed.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, typed),
    };
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (figures, unit) = rest.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let (whole, part) = figures.split_once('.').unwrap_or((figures, ""));
    if whole.is_empty() || whole.len() > 20 || part.len() > 6 || (shift == 0 && !part.is_empty()) {
        return None;
    }
    let scale = 10_i128.pow(part.len() as u32);
    let fraction: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let figure = whole.parse::<i128>().ok()? * scale + fraction;
    Some(sign * ((figure << shift) / scale))
}
