//! Colours and characters: which of them the terminal can show and the user can tell apart.
//!
//! Colour alone never carries a meaning: every state has its word or mark, and every bar its own character. What a terminal
//! makes of the 16 colours is its own affair; the tests hold each theme against a few that are common.
use std::borrow::Cow;

use ratatui::style::{Color, Modifier, Style};

use crate::format::escape::ascii;

/// `--theme`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    /// The terminal's 16 colours, for a dark background
    #[default]
    Standard,
    /// The same without having to tell red from green
    ColorBlind,
    /// For a light background
    Light,
    /// Bold, underlined and reversed text, no colours
    Plain,
}

/// What a piece of text is, whatever it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Ordinary.
    Text,
    /// Less important.
    Faint,
    /// More important.
    Strong,
    /// Head of a table or a part.
    Head,
    /// The row or page that is chosen.
    Selected,
    /// As it should be.
    Good,
    /// To look at.
    Warn,
    /// A finding, or a loss.
    Bad,
    /// A key, or what can be clicked.
    Key,
    /// Space in use, and lines of charts.
    Used,
    /// `bytes_pinned`
    Pinned,
    /// `bytes_reserved`
    Reserved,
    /// `bytes_may_use`
    MayUse,
    /// The rest of a bar: nothing to read.
    Free,
}

impl Role {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 14] = [
        Self::Text,
        Self::Faint,
        Self::Strong,
        Self::Head,
        Self::Selected,
        Self::Good,
        Self::Warn,
        Self::Bad,
        Self::Key,
        Self::Used,
        Self::Pinned,
        Self::Reserved,
        Self::MayUse,
        Self::Free,
    ];
}

/// The colours and characters that the screen is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Colours.
    pub theme: Theme,
    /// More than ASCII may be drawn.
    pub unicode: bool,
}

impl Palette {
    /// Style of a role.
    #[must_use]
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        let modifier = match role {
            Role::Text | Role::Good | Role::Used | Role::Pinned | Role::Reserved | Role::MayUse => plain,
            Role::Faint | Role::Free => plain.add_modifier(Modifier::DIM),
            Role::Strong | Role::Warn | Role::Key => plain.add_modifier(Modifier::BOLD),
            Role::Head => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Bad => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        };
        match self.color(role) {
            // Many terminals show bold colours brighter, which a light background does not bear.
            Some(color) if matches!(self.theme, Theme::Light) => match role {
                Role::Warn => plain.fg(color).add_modifier(Modifier::UNDERLINED),
                Role::Bad => plain.fg(color).add_modifier(Modifier::REVERSED),
                _ => plain.fg(color),
            },
            None if matches!(self.theme, Theme::Light) && matches!(role, Role::Faint) => plain,
            // A colour of its own stands out enough; dim colours are unreadable on some terminals.
            Some(color) if matches!(role, Role::Faint | Role::Free) => plain.fg(color),
            Some(color) if matches!(role, Role::Bad) => plain.fg(color).add_modifier(Modifier::BOLD),
            Some(color) => modifier.fg(color),
            None => modifier,
        }
    }

    const fn color(&self, role: Role) -> Option<Color> {
        match self.theme {
            Theme::Plain => None,
            Theme::Standard => match role {
                Role::Text | Role::Strong | Role::Selected | Role::Head => None,
                // Figures and names stand in it, so it is not the dark gray that a bar's rest may have.
                Role::Faint => Some(Color::Gray),
                Role::Free => Some(Color::DarkGray),
                Role::Good => Some(Color::Green),
                // Not yellow, which is brown on the kernel's console.
                Role::Warn | Role::Reserved => Some(Color::LightYellow),
                Role::Bad => Some(Color::LightRed),
                Role::Key | Role::MayUse => Some(Color::Cyan),
                Role::Used => Some(Color::LightBlue),
                Role::Pinned => Some(Color::Magenta),
            },
            // Blue against yellow is told apart with every kind of colour blindness; brightness does the rest.
            Theme::ColorBlind => match role {
                Role::Text | Role::Strong | Role::Selected | Role::Head => None,
                Role::Faint => Some(Color::Gray),
                Role::Free => Some(Color::DarkGray),
                Role::Good | Role::Key => Some(Color::Cyan),
                Role::Warn | Role::Reserved => Some(Color::White),
                Role::Bad | Role::Pinned => Some(Color::LightYellow),
                Role::Used => Some(Color::LightBlue),
                Role::MayUse => Some(Color::LightCyan),
            },
            // Of the 16, few are dark enough everywhere.
            Theme::Light => match role {
                Role::Text | Role::Strong | Role::Selected | Role::Head | Role::Faint | Role::Reserved => {
                    None
                }
                Role::Good | Role::Key | Role::Used => Some(Color::Blue),
                Role::Warn | Role::Pinned => Some(Color::Magenta),
                Role::Bad => Some(Color::Red),
                Role::MayUse | Role::Free => Some(Color::DarkGray),
            },
        }
    }

    /// The next theme, for the key that changes it.
    #[must_use]
    pub const fn next(self) -> Self {
        let theme = match self.theme {
            Theme::Standard => Theme::ColorBlind,
            Theme::ColorBlind => Theme::Light,
            Theme::Light => Theme::Plain,
            Theme::Plain => Theme::Standard,
        };
        Self { theme, ..self }
    }

    /// Text that was made safe, as the terminal can show it.
    #[must_use]
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.unicode { Cow::Borrowed(text) } else { ascii(text) }
    }

    /// `unicode` if the terminal can show it, else `ascii`.
    #[must_use]
    pub const fn glyph(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }
}

#[cfg(test)]
mod tests;
