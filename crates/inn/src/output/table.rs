//! Tables without lines: columns as wide as their widest cell, two spaces between them, nothing at
//! the end of a line. They read well and `awk` and `cut` read them too.

use super::{Tint, plain};
use unicode_width::UnicodeWidthStr;

const GAP: &str = "  ";

/// Rows under headings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One cell, with its colour.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: one_line(&text.into()), tint: Tint::Plain }
    }
}

impl Cell {
    pub(crate) fn tinted(text: impl Into<String>, tint: Tint) -> Self {
        Self { tint, ..Self::from(text) }
    }

    /// What it says, without its colour.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A cell stays in its row whatever it says.
fn one_line(text: &str) -> String {
    plain(text).replace(['\n', '\t'], " ")
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(|text| Cell::tinted(text, Tint::Faint)).into()] }
    }

    /// A table of names and values.
    pub(crate) fn of_fields() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a name and its value.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Cell>) {
        self.row([Cell::tinted(format!("{name}:"), Tint::Faint), value.into()]);
    }

    /// The table as text.
    pub(crate) fn render(&self, colour: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
            for (index, cell) in row.iter().enumerate().take(last + 1) {
                let tint = if colour { cell.tint } else { Tint::Plain };
                text.push_str(&tint.paint(&cell.text));
                if index < last {
                    let fill = widths[index] - cell.text.width();
                    text.extend(std::iter::repeat_n(' ', fill));
                    text.push_str(GAP);
                }
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.text.width().max(*width);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["NAME", "STATE", "NOTE"]);
        table.row(["web".into(), Cell::tinted("running", Tint::Good), "".into()]);
        table.row(["überlang-1".into(), "off".into(), "two\nlines\x1b[2J".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_ends() {
        assert_eq!(
            sample().render(false),
            "NAME        STATE    NOTE\n\
             web         running\n\
             überlang-1  off      two lines\\u{1b}[2J\n"
        );
    }

    #[test]
    fn colour_moves_no_column() {
        let text = sample().render(true);
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row, "web         \x1b[32mrunning\x1b[0m");
    }
}
