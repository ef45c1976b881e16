//! All keys in one table: it handles them, and makes the footer and the help (`?`).
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    action::Action,
    binding::{Binding, Key},
    scope::Scope,
};
use crate::tui::page::Page;

const fn char(c: char) -> Key {
    Key(KeyCode::Char(c), false)
}

const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), true)
}

const fn code(code: KeyCode) -> Key {
    Key(code, false)
}

const fn bind(
    keys: &'static [Key],
    action: Action,
    scope: Scope,
    footer: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, scope, footer, help }
}

/// All keys. Where a key stands twice, the first line whose scope holds is meant.
pub static BINDINGS: &[Binding] = {
    use Action as A;
    use KeyCode as K;
    use Scope as S;
    &[
        bind(&[char('?'), code(K::F(1))], A::Help, S::Everywhere, "help", "show or leave this help"),
        bind(&[char('q'), ctrl('c')], A::Quit, S::Everywhere, "quit", "quit"),
        bind(
            &[char(' '), char('p')],
            A::Pause,
            S::Everywhere,
            "pause",
            "stop the picture, or go on; what is watched is watched on",
        ),
        bind(&[char('1')], A::Go(Page::Inodes), S::Everywhere, "", "page Inodes: who holds what"),
        bind(
            &[char('2')],
            A::Go(Page::Pools),
            S::Everywhere,
            "",
            "page Pools: space_infos, block_rsvs, tickets",
        ),
        bind(&[char('3')], A::Go(Page::Findings), S::Everywhere, "", "page Findings: broken rules"),
        bind(
            &[char('4')],
            A::Go(Page::Tests),
            S::Everywhere,
            "",
            "page Tests: each run of a test, and the command",
        ),
        bind(
            &[char('5')],
            A::Go(Page::Health),
            S::Everywhere,
            "",
            "page Health: hooks, losses, our own cost",
        ),
        bind(
            &[char('6')],
            A::Go(Page::Failures),
            S::Everywhere,
            "",
            "page Failures: reservations that failed, and why",
        ),
        bind(&[code(K::Tab)], A::NextPage, S::Everywhere, "page", "next page"),
        bind(&[code(K::BackTab)], A::PreviousPage, S::Everywhere, "", "previous page"),
        bind(&[char('+')], A::RefreshFaster, S::Everywhere, "", "refresh more often"),
        bind(&[char('-')], A::RefreshSlower, S::Everywhere, "", "refresh less often"),
        bind(
            &[char('T')],
            A::Theme,
            S::Everywhere,
            "",
            "other colours: 16 colours, for the colour-blind, none",
        ),
        bind(&[ctrl('l')], A::Redraw, S::Everywhere, "", "draw everything anew"),
        bind(&[ctrl('z')], A::Suspend, S::Everywhere, "", "suspend; `fg` comes back"),
        bind(
            &[char('/')],
            A::Filter,
            S::Filtered,
            "filter",
            "type a filter, for example meta_rsv>1M subvol=256 path~log",
        ),
        bind(&[code(K::Enter)], A::Open, S::List, "open", "open the selected line"),
        bind(
            &[code(K::Esc), code(K::Backspace)],
            A::Back,
            S::List,
            "back",
            "leave what is open; then take the filter off",
        ),
        bind(&[code(K::Down), char('j')], A::Down, S::List, "", "one line down"),
        bind(&[code(K::Up), char('k')], A::Up, S::List, "", "one line up"),
        bind(&[code(K::PageDown), ctrl('f')], A::PageDown, S::List, "", "one screen down"),
        bind(&[code(K::PageUp), ctrl('b')], A::PageUp, S::List, "", "one screen up"),
        bind(&[ctrl('d')], A::HalfDown, S::List, "", "half a screen down"),
        bind(&[ctrl('u')], A::HalfUp, S::List, "", "half a screen up"),
        bind(&[code(K::Home), char('g')], A::First, S::List, "", "first line"),
        bind(&[code(K::End), char('G')], A::Last, S::List, "", "last line"),
        bind(&[code(K::Left), char('h')], A::SortLeft, S::Table, "", "sort by the column to the left"),
        bind(&[code(K::Right), char('l')], A::SortRight, S::Table, "sort", "sort by the column to the right"),
        bind(&[char('r')], A::Reverse, S::Table, "", "sort the other way round"),
        bind(&[char('a')], A::NextAccount, S::Inode, "account", "chart another account"),
        bind(&[char('d')], A::Draws, S::Pools, "draws", "who draws on which reserve, or back"),
        bind(
            &[char('d')],
            A::Draws,
            S::Failures,
            "draws",
            "page Pools: who draws on which reserve of this filesystem",
        ),
        bind(&[char('f')], A::NextFilesystem, S::Pools, "next fs", "next filesystem"),
        bind(&[char('F')], A::PreviousFilesystem, S::Pools, "", "previous filesystem"),
        bind(&[char('.')], A::Step, S::Replay, "step", "one record on"),
        bind(&[char(',')], A::StepBack, S::Replay, "", "one record back"),
        bind(&[char('>')], A::SpeedUp, S::Replay, "faster", "twice as fast"),
        bind(&[char('<')], A::SpeedDown, S::Replay, "", "half as fast"),
        bind(&[char('n')], A::NextFinding, S::Replay, "next finding", "go to the moment of the next finding"),
        bind(&[char('N')], A::PreviousFinding, S::Replay, "", "go back to the finding before"),
        bind(&[char(']')], A::Forward, S::Replay, "", "a twentieth of the recording on"),
        bind(&[char('[')], A::Backward, S::Replay, "", "a twentieth of the recording back"),
        bind(&[char('0')], A::Restart, S::Replay, "", "back to the begin"),
        bind(&[code(K::Enter)], A::Accept, S::Prompt, "keep", "keep the filter"),
        bind(&[code(K::Esc), ctrl('c')], A::Cancel, S::Prompt, "cancel", "go back to the filter before"),
        bind(&[code(K::Backspace), ctrl('h')], A::Erase, S::Prompt, "", "erase a character"),
        bind(&[ctrl('w')], A::EraseWord, S::Prompt, "", "erase a word"),
        bind(&[ctrl('u')], A::Clear, S::Prompt, "clear", "erase all"),
        bind(&[code(K::Left)], A::CursorLeft, S::Prompt, "", "one character to the left"),
        bind(&[code(K::Right)], A::CursorRight, S::Prompt, "", "one character to the right"),
        bind(&[code(K::Home), ctrl('a')], A::CursorFirst, S::Prompt, "", "to the begin"),
        bind(&[code(K::End), ctrl('e')], A::CursorLast, S::Prompt, "", "to the end"),
    ]
};

/// What a key does where these scopes hold.
#[must_use]
pub fn action(event: &KeyEvent, scopes: &[Scope]) -> Option<Action> {
    let held = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let meant = |binding: &&Binding| {
        scopes.contains(&binding.scope)
            && binding.keys.iter().any(|Key(code, ctrl)| *code == event.code && *ctrl == held)
    };
    BINDINGS.iter().find(meant).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scopes that can hold together: a key must not stand in two of them for different things.
    const TOGETHER: [&[Scope]; 5] = [
        &[Scope::Everywhere, Scope::Table, Scope::List, Scope::Filtered, Scope::Replay],
        &[Scope::Everywhere, Scope::List, Scope::Inode, Scope::Replay],
        &[Scope::Everywhere, Scope::Table, Scope::List, Scope::Pools, Scope::Replay],
        &[Scope::Everywhere, Scope::Table, Scope::List, Scope::Failures, Scope::Replay],
        &[Scope::Prompt],
    ];

    #[test]
    fn no_key_means_two_things() {
        for scopes in TOGETHER {
            let mut seen: Vec<(Key, Action)> = Vec::new();
            for binding in BINDINGS.iter().filter(|binding| scopes.contains(&binding.scope)) {
                for key in binding.keys {
                    assert!(!seen.iter().any(|(other, _)| other == key), "{key:?} in {scopes:?}");
                    seen.push((*key, binding.action));
                }
            }
        }
    }

    #[test]
    fn arrows_and_vi_keys_do_the_same() {
        let press = |code, modifiers| action(&KeyEvent::new(code, modifiers), TOGETHER[0]);
        for (arrow, letter) in [
            (KeyCode::Down, 'j'),
            (KeyCode::Up, 'k'),
            (KeyCode::Left, 'h'),
            (KeyCode::Right, 'l'),
            (KeyCode::Home, 'g'),
            (KeyCode::End, 'G'),
        ] {
            let with = press(arrow, KeyModifiers::NONE);
            assert!(with.is_some());
            assert_eq!(with, press(KeyCode::Char(letter), KeyModifiers::NONE), "{letter}");
        }
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Action::Last));
    }
}
