//! What keys and words mean: made from the tables that handle them.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::tui::{
    drawing::{Hits, Piece, scrolled, wrap},
    filter::Word,
    keys::{BINDINGS, Scope},
    palette::Role,
    state::App,
};

const SCOPES: [Scope; 9] = [
    Scope::Everywhere,
    Scope::List,
    Scope::Table,
    Scope::Filtered,
    Scope::Inode,
    Scope::Pools,
    Scope::Failures,
    Scope::Replay,
    Scope::Prompt,
];

/// Draws it over the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, from: usize, hits: &mut Hits) {
    scrolled(buffer, area, &lines(usize::from(area.width)), from, app.palette, hits);
}

/// All of it.
pub fn lines(width: usize) -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    for scope in SCOPES {
        head(&mut lines, scope.title());
        for binding in BINDINGS.iter().filter(|binding| binding.scope == scope) {
            entry(&mut lines, &binding.shown(), binding.help, width);
        }
    }
    head(&mut lines, "Mouse");
    entry(&mut lines, "wheel", "move", width);
    let click = "select a line, click again to open it; a tab, the head of a column, a key of the last line";
    entry(&mut lines, "click", click, width);
    head(&mut lines, "Words of a filter");
    let syntax = "All words must hold: meta_rsv>1M subvol=256 path~log. Numbers compare with = != > >= < <= and take K, \
                  M, G or T; texts with = != ~ (contains) !~. A word alone is looked for in all texts, with ! \
                  before it in none. Put \" around what has spaces.";
    for line in wrap(syntax, width.saturating_sub(2)) {
        lines.push(vec![(format!("  {line}"), Role::Text)]);
    }
    for word in Word::ALL {
        entry(&mut lines, word.name(), word.meaning(), width);
    }
    head(&mut lines, "Marks");
    entry(
        &mut lines,
        "~",
        "before an amount: not exact, because not all records of the inode were seen; the kernel's last figure, if \
         there is one",
        width,
    );
    entry(&mut lines, "-", "the kernel's counter was not seen yet", width);
    entry(&mut lines, "+", "behind a task, a subvolume or an inode: the first of several", width);
    lines
}

/// Columns of what is explained.
const NAMES: usize = 20;

fn head(lines: &mut Vec<Vec<Piece>>, title: &str) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![(title.to_owned(), Role::Head)]);
}

fn entry(lines: &mut Vec<Vec<Piece>>, what: &str, means: &str, width: usize) {
    for (at, part) in wrap(means, width.saturating_sub(NAMES + 3).max(10)).into_iter().enumerate() {
        let what = if at == 0 { what } else { "" };
        lines.push(vec![(format!("  {what:<NAMES$} "), Role::Key), (part, Role::Text)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(width: usize) -> Vec<String> {
        lines(width).iter().map(|line| line.iter().map(|(text, _)| text.as_str()).collect()).collect()
    }

    #[test]
    fn every_key_and_word_is_explained() {
        let wide = text(300);
        for binding in BINDINGS {
            let explained = |line: &&String| line.contains(binding.help) && line.contains(&binding.shown());
            assert!(wide.iter().any(|line| explained(&line)), "{binding:?}");
        }
        for word in Word::ALL {
            let explained = |line: &&String| line.contains(word.meaning()) && line.contains(word.name());
            assert!(wide.iter().any(|line| explained(&line)), "{word:?}");
        }
    }

    #[test]
    fn the_help_fits_a_small_screen() {
        for line in text(80) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
