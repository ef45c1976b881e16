//! The columns that fit: when there is no room, those of the lowest rank are left out first.
use super::column::Column;

/// Widths of the columns that are shown, in the table's order: `(column, width)`.
pub(super) fn widths<R>(columns: &[Column<R>], room: u16) -> Vec<(usize, u16)> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|at| columns[*at].rank);
    let mut shown = Vec::new();
    let mut used = 0_u16;
    for at in by_rank {
        let wanted = columns[at].width.max(title_width(&columns[at])) + u16::from(!shown.is_empty());
        if columns[at].rank > 0 && used + wanted > room {
            break;
        }
        used += wanted;
        shown.push(at);
    }
    shown.sort_unstable();
    let mut widths: Vec<(usize, u16)> =
        shown.into_iter().map(|at| (at, columns[at].width.max(title_width(&columns[at])))).collect();
    let mut rest = room.saturating_sub(used);
    // Room that is left goes round, to all that profit from it alike.
    while rest > 0 {
        let before = rest;
        for (at, width) in &mut widths {
            if rest > 0 && *width < columns[*at].most {
                *width += 1;
                rest -= 1;
            }
        }
        if rest == before {
            break;
        }
    }
    widths
}

/// The title and, for columns with an order, room for its mark.
fn title_width<R>(column: &Column<R>) -> u16 {
    let mark = u16::from(column.order.is_some());
    u16::try_from(column.title.len()).unwrap_or(u16::MAX).saturating_add(mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::drawing::Cell;

    fn column(title: &'static str, width: u16, most: u16, rank: u8) -> Column<u32> {
        Column {
            title,
            width,
            most,
            rank,
            right: true,
            cell: |row, _| Cell::text(row.to_string()),
            order: None,
        }
    }

    #[test]
    fn columns_of_low_rank_give_way_and_room_is_shared() {
        let columns = [column("A", 4, 4, 0), column("PATH", 6, 40, 1), column("B", 4, 4, 2)];
        assert_eq!(widths(&columns, 10), [(0, 4)]);
        assert_eq!(widths(&columns, 11), [(0, 4), (1, 6)]);
        assert_eq!(widths(&columns, 16), [(0, 4), (1, 6), (2, 4)]);
        assert_eq!(widths(&columns, 30), [(0, 4), (1, 20), (2, 4)]);
        assert_eq!(widths(&columns, 99), [(0, 4), (1, 40), (2, 4)]);
    }
}
