//! Tables that keep their words whole on narrow terminals.

use comfy_table::{ColumnConstraint, Table, Width};

/// What a column is to a table that has not room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It has one name in each row, which somebody will want to copy: never wrapped.
    Name,
    /// Sentences: never left out, and never narrower than this many characters.
    Text(u16),
    /// Left out where its longest word has no room, those of the highest rank first.
    Spare(u8),
}

/// Leaves out what has no room in the table's width, and sets a least width for the rest, so that no
/// word is broken. One room for each column; a table without a width is not touched.
pub(super) fn fit(table: &mut Table, rooms: &[Room]) {
    let Some(width) = table.width() else { return };
    let least: Vec<u16> = (0..rooms.len())
        .map(|at| least(table, at, rooms[at]))
        .collect();
    let mut left_out = vec![false; rooms.len()];
    loop {
        let kept = (0..rooms.len()).filter(|&at| !left_out[at]);
        let needed: u16 = kept.clone().map(|at| least[at] + PADDING).sum();
        let spare = kept.filter_map(|at| match rooms[at] {
            Room::Spare(rank) => Some((rank, at)),
            Room::Name | Room::Text(_) => None,
        });
        match spare.max() {
            Some((_, at)) if needed > width => left_out[at] = true,
            _ => break,
        }
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_constraint(match rooms[at] {
            _ if left_out[at] => ColumnConstraint::Hidden,
            Room::Name => ColumnConstraint::ContentWidth,
            Room::Text(_) | Room::Spare(_) => {
                ColumnConstraint::LowerBoundary(Width::Fixed(least[at] + PADDING))
            }
        });
    }
}

/// Beside each column's content.
const PADDING: u16 = 2;

/// The least width of a column's content, in characters: its longest word, of names all.
fn least(table: &Table, at: usize, room: Room) -> u16 {
    let length = |word: &str| u16::try_from(word.chars().count()).unwrap_or(u16::MAX);
    let longest = |content: String| match room {
        Room::Name => length(&content),
        Room::Text(_) | Room::Spare(_) => content.split_whitespace().map(length).max().unwrap_or(0),
    };
    let cells = table.column_cells_with_header_iter(at).flatten();
    let longest = cells.map(|cell| longest(cell.content())).max().unwrap_or(0);
    match room {
        Room::Text(least) => least.max(longest),
        Room::Name | Room::Spare(_) => longest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(width: u16) -> String {
        let mut table = super::super::list::plain_table();
        table.set_header(["clause", "kind", "needs", "promise"]);
        let promise = "a line that is taken down gets no new connections";
        table.add_row([
            "dead.admin-down",
            "behaviour",
            "an applier that claims it",
            promise,
        ]);
        table.set_width(width);
        fit(
            &mut table,
            &[Room::Name, Room::Spare(0), Room::Spare(1), Room::Text(20)],
        );
        table.trim_fmt()
    }

    #[test]
    fn what_has_no_room_is_left_out_and_no_word_is_broken() {
        let header = |width| {
            let text = laid_out(width);
            let header = text.lines().next().unwrap().split_whitespace();
            header.map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(header(100), "clause kind needs promise");
        assert_eq!(header(52), "clause kind promise");
        assert_eq!(header(40), "clause promise");
        for width in 39..=120 {
            let text = laid_out(width);
            assert!(
                text.lines()
                    .all(|line| line.chars().count() <= width.into()),
                "{text}"
            );
            let words: Vec<&str> = text.split_whitespace().collect();
            for whole in ["dead.admin-down", "connections"] {
                assert!(words.contains(&whole), "{whole} at {width}:\n{text}");
            }
        }
    }

    #[test]
    fn a_name_is_whole_however_narrow_it_gets() {
        assert!(laid_out(10).contains("dead.admin-down"));
    }
}
