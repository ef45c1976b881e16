//! Colours and characters: which of them the terminal can show and the user can tell apart.
//!
//! Colour alone never carries a meaning: every state has its word or mark, and every bar its own character.
use std::borrow::Cow;

use ratatui::style::{Color, Modifier, Style};

use crate::format::escape::ascii;

/// `--theme`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    /// The terminal's 16 colours
    #[default]
    Standard,
    /// 16 colours that do not ask to tell red from green
    ColorBlind,
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
            Role::Faint => plain.add_modifier(Modifier::DIM),
            Role::Strong | Role::Warn | Role::Key => plain.add_modifier(Modifier::BOLD),
            Role::Head => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Bad => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        };
        match self.color(role) {
            // A colour of its own stands out enough; dim colours are unreadable on some terminals.
            Some(color) if matches!(role, Role::Faint) => plain.fg(color),
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
                Role::Faint => Some(Color::DarkGray),
                Role::Good => Some(Color::Green),
                Role::Warn | Role::Reserved => Some(Color::Yellow),
                Role::Bad => Some(Color::LightRed),
                Role::Key | Role::MayUse => Some(Color::Cyan),
                Role::Used => Some(Color::Blue),
                Role::Pinned => Some(Color::Magenta),
            },
            // Blue against yellow is told apart with every kind of colour blindness; brightness does the rest.
            Theme::ColorBlind => match role {
                Role::Text | Role::Strong | Role::Selected | Role::Head => None,
                Role::Faint => Some(Color::DarkGray),
                Role::Good | Role::Key => Some(Color::LightBlue),
                Role::Warn | Role::Reserved => Some(Color::White),
                Role::Bad | Role::Pinned => Some(Color::LightYellow),
                Role::Used => Some(Color::Blue),
                Role::MayUse => Some(Color::LightCyan),
            },
        }
    }

    /// The next theme, for the key that changes it.
    #[must_use]
    pub const fn next(self) -> Self {
        let theme = match self.theme {
            Theme::Standard => Theme::ColorBlind,
            Theme::ColorBlind => Theme::Plain,
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
mod tests {
    use super::*;

    #[test]
    fn without_colours_states_still_differ() {
        let palette = Palette { theme: Theme::Plain, unicode: false };
        for role in [Role::Text, Role::Bad, Role::Selected, Role::Head, Role::Pinned] {
            assert_eq!((palette.style(role).fg, palette.style(role).bg), (None, None), "{role:?}");
        }
        assert_ne!(palette.style(Role::Bad), palette.style(Role::Text));
        assert_ne!(palette.style(Role::Selected), palette.style(Role::Text));
    }

    #[test]
    fn no_theme_for_the_colour_blind_uses_red_or_green() {
        let palette = Palette { theme: Theme::ColorBlind, unicode: true };
        for role in [
            Role::Text,
            Role::Faint,
            Role::Strong,
            Role::Head,
            Role::Selected,
            Role::Good,
            Role::Warn,
            Role::Bad,
            Role::Key,
            Role::Used,
            Role::Pinned,
            Role::Reserved,
            Role::MayUse,
        ] {
            let color = palette.style(role).fg;
            assert!(
                !matches!(
                    color,
                    Some(
                        Color::Red
                            | Color::Green
                            | Color::LightRed
                            | Color::LightGreen
                            | Color::Indexed(_)
                            | Color::Rgb(..)
                    )
                ),
                "{role:?}"
            );
        }
        assert_ne!(palette.style(Role::Bad).fg, palette.style(Role::Good).fg);
    }

    #[test]
    fn the_key_goes_round_all_themes() {
        let first = Palette { theme: Theme::Standard, unicode: true };
        assert_ne!(first.next(), first);
        assert_eq!(first.next().next().next(), first);
    }
}
