//! The conditions of a filter.
use std::{borrow::Cow, fmt};

use super::word::Word;

/// How a word is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Is,
    /// `!=`
    IsNot,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `~`: contains, whatever the case
    Has,
    /// `!~`
    HasNot,
}

impl Op {
    /// As it is typed.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Has => "~",
            Self::HasNot => "!~",
        }
    }

    /// Whether a number compares so; `None` for comparisons of texts.
    const fn numbers(self, left: i128, right: i128) -> bool {
        match self {
            Self::Is | Self::Has => left == right,
            Self::IsNot | Self::HasNot => left != right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A number compares.
    Number(Word, Op, i128),
    /// A text compares.
    Text(Word, Op, String),
    /// Something that has a name contains this, or does not.
    Any(bool, String),
}

/// All conditions; none lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The conditions.
    pub terms: Vec<Term>,
}

/// What a filter can be asked about.
pub trait Fields {
    /// The number behind a word; `None` if it is not known here, which no comparison accepts.
    fn number(&self, word: Word) -> Option<i128>;
    /// The text behind a word.
    fn text(&self, word: Word) -> Option<Cow<'_, str>>;
}

impl Filter {
    /// True if every condition holds.
    #[must_use]
    pub fn accepts(&self, row: &impl Fields) -> bool {
        self.terms.iter().all(|term| term.accepts(row))
    }
}

impl Term {
    fn accepts(&self, row: &impl Fields) -> bool {
        match self {
            Self::Number(word, op, value) => {
                row.number(*word).is_some_and(|number| op.numbers(number, *value))
            }
            Self::Text(word, op, value) => {
                let text = row.text(*word);
                let text = text.as_deref().unwrap_or("");
                match op {
                    Op::Has => has(text, value),
                    Op::HasNot => !has(text, value),
                    Op::IsNot => text != value,
                    _ => text == value,
                }
            }
            Self::Any(wanted, value) => {
                let named = Word::TEXTS.iter().filter_map(|word| row.text(*word));
                named.into_iter().any(|text| has(&text, value)) == *wanted
            }
        }
    }
}

/// Contains, whatever the case. `needle` is in lower case already.
fn has(text: &str, needle: &str) -> bool {
    if text.is_ascii() && needle.is_ascii() {
        // Without an allocation: this is asked for every inode of a filesystem.
        return needle.is_empty()
            || text
                .as_bytes()
                .windows(needle.len())
                .any(|part| part.eq_ignore_ascii_case(needle.as_bytes()));
    }
    text.to_lowercase().contains(needle)
}

impl fmt::Display for Filter {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            if at > 0 {
                to.write_str(" ")?;
            }
            match term {
                Term::Number(word, op, value) => write!(to, "{}{}{value}", word.name(), op.symbol())?,
                Term::Text(word, op, value) => {
                    write!(to, "{}{}{}", word.name(), op.symbol(), quoted(value))?;
                }
                Term::Any(wanted, value) => {
                    write!(to, "{}{}", if *wanted { "" } else { "!" }, quoted(value))?;
                }
            }
        }
        Ok(())
    }
}

/// A text as it can be typed back.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.starts_with('!')
        && !text.chars().any(|c| c.is_whitespace() || matches!(c, '"' | '\\' | '=' | '<' | '>' | '~' | '!'));
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
