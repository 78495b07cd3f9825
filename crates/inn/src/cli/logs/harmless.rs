//! A guest's output for a terminal, as it comes and in whichever pieces.

use crate::output::plain;

/// Takes out of a text what colours it and moves the cursor, and shows the rest of what would steer
/// a terminal as its code: a guest could as well have written what retitles the window or types for
/// the reader.
#[derive(Debug, Default)]
pub(super) struct Harmless {
    /// The begin of a character whose end has not come yet.
    undecoded: Vec<u8>,
    place: Place,
    within_line: bool,
}

/// What the next character belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Something that begins with an escape.
    Escape,
    /// Parameters, and then one letter or sign that ends them.
    Sequence,
}

impl Harmless {
    /// What of these bytes can be shown now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> String {
        self.undecoded.extend_from_slice(bytes);
        let complete = self.undecoded.len() - incomplete(&self.undecoded);
        let rest = self.undecoded.split_off(complete);
        let bytes = std::mem::replace(&mut self.undecoded, rest);
        self.show(&String::from_utf8_lossy(&bytes))
    }

    /// What is left when nothing comes any more, and the end of the line.
    pub(super) fn end(mut self) -> String {
        let rest = std::mem::take(&mut self.undecoded);
        let mut shown = self.show(&String::from_utf8_lossy(&rest));
        if self.place == Place::Escape {
            shown.push_str(&plain("\x1b"));
            self.within_line = true;
        }
        if self.within_line {
            shown.push('\n');
        }
        shown
    }

    fn show(&mut self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        for c in text.chars() {
            self.place = match (self.place, c) {
                (Place::Escape, '[') | (Place::Sequence, '\x20'..='\x3f') => Place::Sequence,
                (Place::Sequence, '\x40'..='\x7e') => Place::Text,
                (place, c) => {
                    if place == Place::Escape {
                        kept.push('\x1b');
                    }
                    match c {
                        '\x1b' => Place::Escape,
                        '\r' => Place::Text,
                        c => {
                            kept.push(c);
                            Place::Text
                        }
                    }
                }
            };
        }
        if let Some(last) = kept.chars().next_back() {
            self.within_line = last != '\n';
        }
        plain(&kept).into_owned()
    }
}

/// How many bytes at the end are the begin of a character.
fn incomplete(bytes: &[u8]) -> usize {
    let begins = |back: &usize| bytes[bytes.len() - back] & 0xc0 != 0x80;
    let Some(back) = (1..=bytes.len().min(3)).find(begins) else { return 0 };
    let length = match bytes[bytes.len() - back] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if length > back { back } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut harmless = Harmless::default();
        let mut shown: String = pieces.iter().map(|piece| harmless.take(piece)).collect();
        shown.push_str(&harmless.end());
        shown
    }

    #[track_caller]
    fn check(text: &[u8], expected: &str) {
        assert_eq!(shown(&[text]), expected);
        let one_by_one: Vec<_> = text.chunks(1).collect();
        assert_eq!(shown(&one_by_one), expected, "byte by byte");
    }

    #[test]
    fn colours_are_left_out_and_the_rest_is_made_harmless() {
        check(b"\x1b[1;31mred\x1b[0m\x1b[2J\r\n", "red\n");
        check(b"\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}\n");
        check(b"\x1b\x1b[1mbold", "\\u{1b}bold\n");
        check(b"\x1b[", "");
        check(b"a\x1b", "a\\u{1b}\n");
    }

    #[test]
    fn the_last_line_is_ended_and_blank_ones_are_kept() {
        check(b"a\n\nlogin: ", "a\n\nlogin: \n");
        check(b"a\n", "a\n");
        check(b"", "");
    }

    #[test]
    fn characters_are_whole_whatever_the_pieces() {
        check("grüße 🏠 \u{9b}2J\n".as_bytes(), "grüße 🏠 \\u{9b}2J\n");
        check(b"\xff\xc3(\xf0\x9f", "\u{fffd}\u{fffd}(\u{fffd}\n");
    }

    #[test]
    fn a_prompt_is_shown_before_its_line_ends() {
        assert_eq!(Harmless::default().take(b"login: "), "login: ");
    }

    proptest! {
        #[test]
        fn nothing_steers_a_terminal(pieces: Vec<Vec<u8>>) {
            let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            let shown = shown(&pieces);
            let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            prop_assert!(!shown.contains(steers), "{shown:?}");
            prop_assert_eq!(shown, self::shown(&[&pieces.concat()]));
        }
    }
}
