//! Selection and scroll position in a table.

/// Sort order, selection and position of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableState {
    /// Selected row, a position in the sorted rows.
    pub selected: usize,
    /// First row on screen, if the selected one is on it then.
    pub top: usize,
    /// Column that rows are sorted by.
    pub sort: usize,
    /// Highest first.
    pub descending: bool,
    /// The selection is shown.
    pub focused: bool,
}

impl Default for TableState {
    fn default() -> Self {
        Self { selected: 0, top: 0, sort: 0, descending: false, focused: true }
    }
}

impl TableState {
    /// Moves the selection; `page` rows are on screen.
    pub fn go(&mut self, by: isize, rows: usize, page: usize) {
        let last = rows.saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
        self.top = first_shown(self.selected, self.top, page, rows);
    }

    /// Moves the selection back to an existing row.
    pub fn bound(&mut self, rows: usize) {
        self.selected = self.selected.min(rows.saturating_sub(1));
    }
}

/// The first row on screen, so that the selected one is on it and as little as possible moves.
pub fn first_shown(selected: usize, top: usize, height: usize, rows: usize) -> usize {
    if height == 0 {
        return 0;
    }
    let top = top.min(rows.saturating_sub(height));
    if selected < top {
        selected
    } else if selected >= top + height {
        selected + 1 - height
    } else {
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_always_on_screen() {
        assert_eq!(first_shown(0, 5, 10, 100), 0);
        assert_eq!(first_shown(20, 5, 10, 100), 11);
        assert_eq!(first_shown(7, 5, 10, 100), 5);
        assert_eq!(first_shown(3, 90, 10, 12), 2);
        assert_eq!(first_shown(3, 9, 0, 12), 0);
    }
}
