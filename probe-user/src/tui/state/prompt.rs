//! A line of text that is being typed.
use crate::tui::{
    filter::{self, Filter, FilterError},
    keys::Action,
};

/// A filter that is being typed. What was typed last and makes sense is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What was typed.
    pub text: String,
    /// Position of the cursor, a byte position between two characters.
    pub cursor: usize,
    /// Why it makes no sense yet.
    pub error: Option<FilterError>,
    /// The filter before, to restore it if typing is cancelled.
    pub before: (String, Filter),
}

impl Prompt {
    /// Begins with the filter in force.
    #[must_use]
    pub fn new(text: &str, filter: &Filter) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
            error: None,
            before: (text.to_owned(), filter.clone()),
        }
    }

    /// A character is typed.
    pub fn insert(&mut self, c: char) {
        self.text.insert(self.cursor, c);
        self.cursor += c.len_utf8();
    }

    /// A key of the table.
    pub fn edit(&mut self, action: Action) {
        match action {
            Action::Erase => {
                let before = self.left();
                self.text.replace_range(before..self.cursor, "");
                self.cursor = before;
            }
            Action::EraseWord => {
                let kept = self.text[..self.cursor].trim_end();
                let start = kept.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            Action::Clear => {
                self.text.clear();
                self.cursor = 0;
            }
            Action::CursorLeft => self.cursor = self.left(),
            Action::CursorRight => {
                self.cursor += self.text[self.cursor..].chars().next().map_or(0, char::len_utf8);
            }
            Action::CursorFirst => self.cursor = 0,
            Action::CursorLast => self.cursor = self.text.len(),
            _ => {}
        }
    }

    fn left(&self) -> usize {
        self.text[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    /// The filter that stands there so far.
    pub fn read(&mut self) -> Filter {
        let (filter, error) = filter::parse_typed(&self.text);
        self.error = error;
        filter
    }

    /// The filter to keep: all of it, or its valid part.
    #[must_use]
    pub fn keep(&self) -> (String, Filter) {
        match filter::parse(&self.text) {
            Ok(filter) => (self.text.trim().to_owned(), filter),
            Err(_) => {
                let filter = filter::parse_typed(&self.text).0;
                (filter.to_string(), filter)
            }
        }
    }
}
