//! One line of the table of keys.
use ratatui::crossterm::event::KeyCode;

use super::{action::Action, scope::Scope};

/// A key, with or without Ctrl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub KeyCode, pub bool);

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Keys that do the same; the first is the one that the footer shows.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// Where.
    pub scope: Scope,
    /// Word for the footer; empty if it is not shown there.
    pub footer: &'static str,
    /// Explanation for the help.
    pub help: &'static str,
}

impl Key {
    /// As it is shown.
    #[must_use]
    pub fn shown(self) -> String {
        let Self(code, ctrl) = self;
        let name = match code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) if ctrl => c.to_ascii_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(number) => format!("F{number}"),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        if ctrl { format!("^{name}") } else { name }
    }
}

impl Binding {
    /// All its keys.
    #[must_use]
    pub fn shown(&self) -> String {
        self.keys.iter().map(|key| key.shown()).collect::<Vec<_>>().join(" ")
    }
}
