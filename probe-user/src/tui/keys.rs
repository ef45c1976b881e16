//! All keys in one table: what is handled, what the footer shows and what `?` explains are the same lines.
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::Page;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described in `BINDINGS`, which the help shows")]
pub enum Action {
    Quit,
    Suspend,
    Redraw,
    Help,
    Back,
    Go(Page),
    NextPage,
    PreviousPage,
    Pause,
    RefreshFaster,
    RefreshSlower,
    Theme,
    Down,
    Up,
    PageDown,
    PageUp,
    HalfDown,
    HalfUp,
    First,
    Last,
    SortLeft,
    SortRight,
    Reverse,
    Open,
    Filter,
    NextAccount,
    NextFilesystem,
    PreviousFilesystem,
    Step,
    StepBack,
    SpeedUp,
    SpeedDown,
    NextFinding,
    PreviousFinding,
    Forward,
    Backward,
    Restart,
    Accept,
    Cancel,
    Clear,
    EraseWord,
    Erase,
    CursorLeft,
    CursorRight,
    CursorFirst,
    CursorLast,
}

/// Where a key means something. Several may hold at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everywhere but in the line where a filter is typed.
    Everywhere,
    /// Lists that can be sorted.
    Table,
    /// Lists and texts that can be opened or left.
    List,
    /// Lists with a filter.
    Filtered,
    /// One inode.
    Inode,
    /// The page Pools.
    Pools,
    /// While a recording is played.
    Replay,
    /// The line where a filter is typed.
    Prompt,
}

impl Place {
    /// Head of its part of the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Table => "Tables",
            Self::List => "Lists and texts",
            Self::Filtered => "Inodes and Findings",
            Self::Inode => "One inode",
            Self::Pools => "Pools",
            Self::Replay => "Replay",
            Self::Prompt => "While a filter is typed",
        }
    }
}

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
    pub place: Place,
    /// Word for the footer; empty if it is not shown there.
    pub footer: &'static str,
    /// Explanation for the help.
    pub help: &'static str,
}

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
    place: Place,
    footer: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, place, footer, help }
}

/// All keys. Where a key stands twice, the first line whose place holds is meant.
pub static BINDINGS: &[Binding] = {
    use Action as A;
    use KeyCode as K;
    use Place as P;
    &[
        bind(&[char('?'), code(K::F(1))], A::Help, P::Everywhere, "help", "show or leave this help"),
        bind(&[char('q'), ctrl('c')], A::Quit, P::Everywhere, "quit", "quit"),
        bind(
            &[char(' '), char('p')],
            A::Pause,
            P::Everywhere,
            "pause",
            "stop the picture, or go on; what is watched is watched on",
        ),
        bind(&[char('1')], A::Go(Page::Inodes), P::Everywhere, "", "page Inodes: who holds what"),
        bind(
            &[char('2')],
            A::Go(Page::Pools),
            P::Everywhere,
            "",
            "page Pools: space_infos, block_rsvs, tickets",
        ),
        bind(&[char('3')], A::Go(Page::Findings), P::Everywhere, "", "page Findings: broken rules"),
        bind(
            &[char('4')],
            A::Go(Page::Tests),
            P::Everywhere,
            "",
            "page Tests: each run of a test, and the command",
        ),
        bind(
            &[char('5')],
            A::Go(Page::Health),
            P::Everywhere,
            "",
            "page Health: hooks, losses, our own cost",
        ),
        bind(&[code(K::Tab)], A::NextPage, P::Everywhere, "page", "next page"),
        bind(&[code(K::BackTab)], A::PreviousPage, P::Everywhere, "", "previous page"),
        bind(&[char('+')], A::RefreshFaster, P::Everywhere, "", "refresh more often"),
        bind(&[char('-')], A::RefreshSlower, P::Everywhere, "", "refresh less often"),
        bind(
            &[char('T')],
            A::Theme,
            P::Everywhere,
            "",
            "other colours: 16 colours, for the colour-blind, none",
        ),
        bind(&[ctrl('l')], A::Redraw, P::Everywhere, "", "draw everything anew"),
        bind(&[ctrl('z')], A::Suspend, P::Everywhere, "", "suspend; `fg` comes back"),
        bind(
            &[char('/')],
            A::Filter,
            P::Filtered,
            "filter",
            "type a filter, for example meta_rsv>1M subvol=256 path~log",
        ),
        bind(&[code(K::Enter)], A::Open, P::List, "open", "open the selected line"),
        bind(
            &[code(K::Esc), code(K::Backspace)],
            A::Back,
            P::List,
            "back",
            "leave what is open; then take the filter off",
        ),
        bind(&[code(K::Down), char('j')], A::Down, P::List, "", "one line down"),
        bind(&[code(K::Up), char('k')], A::Up, P::List, "", "one line up"),
        bind(&[code(K::PageDown), ctrl('f')], A::PageDown, P::List, "", "one screen down"),
        bind(&[code(K::PageUp), ctrl('b')], A::PageUp, P::List, "", "one screen up"),
        bind(&[ctrl('d')], A::HalfDown, P::List, "", "half a screen down"),
        bind(&[ctrl('u')], A::HalfUp, P::List, "", "half a screen up"),
        bind(&[code(K::Home), char('g')], A::First, P::List, "", "first line"),
        bind(&[code(K::End), char('G')], A::Last, P::List, "", "last line"),
        bind(&[code(K::Left), char('h')], A::SortLeft, P::Table, "", "sort by the column to the left"),
        bind(&[code(K::Right), char('l')], A::SortRight, P::Table, "sort", "sort by the column to the right"),
        bind(&[char('r')], A::Reverse, P::Table, "", "sort the other way round"),
        bind(&[char('a')], A::NextAccount, P::Inode, "account", "chart another account"),
        bind(&[char('f')], A::NextFilesystem, P::Pools, "next fs", "next filesystem"),
        bind(&[char('F')], A::PreviousFilesystem, P::Pools, "", "previous filesystem"),
        bind(&[char('.')], A::Step, P::Replay, "step", "one record on"),
        bind(&[char(',')], A::StepBack, P::Replay, "", "one record back"),
        bind(&[char('>')], A::SpeedUp, P::Replay, "faster", "twice as fast"),
        bind(&[char('<')], A::SpeedDown, P::Replay, "", "half as fast"),
        bind(&[char('n')], A::NextFinding, P::Replay, "next finding", "go to the moment of the next finding"),
        bind(&[char('N')], A::PreviousFinding, P::Replay, "", "go back to the finding before"),
        bind(&[char(']')], A::Forward, P::Replay, "", "a twentieth of the recording on"),
        bind(&[char('[')], A::Backward, P::Replay, "", "a twentieth of the recording back"),
        bind(&[char('0')], A::Restart, P::Replay, "", "back to the begin"),
        bind(&[code(K::Enter)], A::Accept, P::Prompt, "keep", "keep the filter"),
        bind(&[code(K::Esc), ctrl('c')], A::Cancel, P::Prompt, "cancel", "go back to the filter before"),
        bind(&[code(K::Backspace), ctrl('h')], A::Erase, P::Prompt, "", "erase a character"),
        bind(&[ctrl('w')], A::EraseWord, P::Prompt, "", "erase a word"),
        bind(&[ctrl('u')], A::Clear, P::Prompt, "clear", "erase all"),
        bind(&[code(K::Left)], A::CursorLeft, P::Prompt, "", "one character to the left"),
        bind(&[code(K::Right)], A::CursorRight, P::Prompt, "", "one character to the right"),
        bind(&[code(K::Home), ctrl('a')], A::CursorFirst, P::Prompt, "", "to the begin"),
        bind(&[code(K::End), ctrl('e')], A::CursorLast, P::Prompt, "", "to the end"),
    ]
};

/// What a key does where these places hold.
#[must_use]
pub fn action(event: &KeyEvent, places: &[Place]) -> Option<Action> {
    let held = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let meant = |binding: &&Binding| {
        places.contains(&binding.place)
            && binding.keys.iter().any(|Key(code, ctrl)| *code == event.code && *ctrl == held)
    };
    BINDINGS.iter().find(meant).map(|binding| binding.action)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Places that can hold together: a key must not stand in two of them for different things.
    const TOGETHER: [&[Place]; 4] = [
        &[Place::Everywhere, Place::Table, Place::List, Place::Filtered, Place::Replay],
        &[Place::Everywhere, Place::List, Place::Inode, Place::Replay],
        &[Place::Everywhere, Place::Table, Place::List, Place::Pools, Place::Replay],
        &[Place::Prompt],
    ];

    #[test]
    fn no_key_means_two_things() {
        for places in TOGETHER {
            let mut seen: Vec<(Key, Action)> = Vec::new();
            for binding in BINDINGS.iter().filter(|binding| places.contains(&binding.place)) {
                for key in binding.keys {
                    assert!(!seen.iter().any(|(other, _)| other == key), "{key:?} in {places:?}");
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
