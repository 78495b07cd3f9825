//! Lines that are drawn over each time something changes in them, on a terminal.

use super::{Output, plain};
use crate::failure::Failure;
use std::io;
use unicode_width::UnicodeWidthChar;

/// What a terminal is taken for that does not say how large it is.
const USUAL: (usize, usize) = (80, 24);

/// The place on the terminal.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// How many lines were drawn last.
    drawn: usize,
}

impl Live {
    /// Draws a title, a table under its headings, of which the row `current` is always seen, and a
    /// note.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn draw(
        &mut self,
        output: &Output,
        title: String,
        table: Vec<String>,
        current: usize,
        note: Option<&str>,
    ) -> Result<(), Failure> {
        let (columns, rows) = size();
        let mut lines = vec![plain(&title).into_owned()];
        // The title, the note, and the line that the cursor is left in.
        let room = rows.saturating_sub(3);
        lines.extend(window(table, current, room));
        lines.extend(note.map(|note| plain(note).into_owned()));
        let mut text = self.back();
        for line in &lines {
            text.push_str(&clip(line, columns));
            text.push('\n');
        }
        self.drawn = lines.len();
        output.data(text)
    }

    /// Takes what was drawn away.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(crate) fn clear(self, output: &Output) -> Result<(), Failure> {
        output.data(self.back())
    }

    /// To the beginning of what was drawn, and everything after that taken away.
    fn back(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}

/// How many columns and rows the terminal has.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL,
    }
}

/// The headings of a table, and as many of its rows as there is room for, with the current one.
fn window(mut table: Vec<String>, current: usize, room: usize) -> Vec<String> {
    if table.len() <= room || table.is_empty() {
        return table;
    }
    let headings = table.remove(0);
    let rows = room.saturating_sub(1).max(1);
    // A few that come are more than a few that are past.
    let first = current.saturating_sub(rows / 3).min(table.len() - rows.min(table.len()));
    std::iter::once(headings).chain(table.into_iter().skip(first).take(rows)).collect()
}

/// As much of a line as a row of the terminal takes, with its colours.
fn clip(line: &str, columns: usize) -> String {
    let (mut shown, mut width, mut in_colour) = (String::new(), 0, false);
    for c in line.chars() {
        in_colour |= c == '\x1b';
        if !in_colour {
            width += c.width().unwrap_or(0);
            if width > columns {
                continue;
            }
        }
        shown.push(c);
        in_colour &= c != 'm';
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_the_row_ends_and_its_colours_are_ended() {
        assert_eq!(clip("abcdef", 4), "abcd");
        assert_eq!(clip("a\x1b[31mbcd\x1b[0me", 3), "a\x1b[31mbc\x1b[0m");
        assert_eq!(clip("äöü", 2), "äö");
        assert_eq!(clip("漢字", 3), "漢");
    }

    #[test]
    fn the_current_row_is_always_seen() {
        let table = |count: usize| (0..=count).map(|row| row.to_string()).collect::<Vec<_>>();
        assert_eq!(window(table(3), 0, 10), table(3));
        for current in 0..30 {
            let shown = window(table(30), current, 7);
            assert_eq!((shown.len(), shown[0].as_str()), (7, "0"));
            // Row 0 is the headings, so step 0 is row 1.
            assert!(shown.contains(&(current + 1).to_string()), "{current}: {shown:?}");
        }
        assert_eq!(window(table(30), 30, 7).last().unwrap(), "30");
    }
}
