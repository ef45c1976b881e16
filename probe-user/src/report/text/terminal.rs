//! What standard output can do: colours, columns, characters.
use std::{env, ffi::OsStr, io::IsTerminal as _};

use super::Look;

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colours on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    #[default]
    Auto,
    /// Colours, wherever it goes
    Always,
    /// No colours
    Never,
}

/// How text for standard output (or for a file, if `to_file`) should look.
#[must_use]
pub fn look_for(choice: ColorChoice, to_file: bool) -> Look {
    let terminal = !to_file && std::io::stdout().is_terminal();
    let color =
        use_color(choice, terminal, env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref());
    let width = match terminal_size::terminal_size() {
        Some((terminal_size::Width(columns), _)) if terminal => usize::from(columns),
        _ => columns(env::var("COLUMNS").ok().as_deref()).unwrap_or(Look::PLAIN.width),
    };
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env::var(name).ok().filter(|v| !v.is_empty()));
    Look { width, color, unicode: is_utf8(locale.as_deref()), cut: terminal }
}

/// `NO_COLOR` counts when it is set and not empty (no-color.org); what was typed wins over the environment.
fn use_color(choice: ColorChoice, terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            terminal && no_color.is_none_or(OsStr::is_empty) && term.is_some_and(|term| term != "dumb")
        }
    }
}

/// Lines longer than 200 columns are hard to follow, whatever the screen.
fn columns(told: Option<&str>) -> Option<usize> {
    told?.parse().ok().filter(|columns| (60..=200).contains(columns))
}

fn is_utf8(locale: Option<&str>) -> bool {
    let charset =
        locale.and_then(|locale| locale.split_once('.')).map(|(_, charset)| charset.to_ascii_lowercase());
    charset.is_some_and(|charset| charset.starts_with("utf-8") || charset.starts_with("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        let xterm = Some(OsStr::new("xterm"));
        assert!(use_color(ColorChoice::Auto, true, None, xterm));
        assert!(use_color(ColorChoice::Auto, true, Some(OsStr::new("")), xterm));
        assert!(!use_color(ColorChoice::Auto, true, Some(OsStr::new("1")), xterm));
        assert!(!use_color(ColorChoice::Auto, true, None, Some(OsStr::new("dumb"))));
        assert!(!use_color(ColorChoice::Auto, true, None, None));
        assert!(!use_color(ColorChoice::Auto, false, None, xterm));
        assert!(use_color(ColorChoice::Always, false, Some(OsStr::new("1")), None));
        assert!(!use_color(ColorChoice::Never, true, None, xterm));
    }

    #[test]
    fn unicode_needs_a_utf8_locale() {
        assert!(is_utf8(Some("de_DE.UTF-8")) && is_utf8(Some("C.utf8")) && is_utf8(Some("de_DE.UTF-8@euro")));
        assert!(!is_utf8(Some("C")) && !is_utf8(Some("de_DE.ISO-8859-1")) && !is_utf8(None));
    }

    #[test]
    fn columns_are_believed_within_reason() {
        assert_eq!(columns(Some("120")), Some(120));
        assert_eq!((columns(Some("7")), columns(Some("x")), columns(None)), (None, None, None));
    }
}
