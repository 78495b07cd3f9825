//! The end of what a program says, however much it says.

/// How much of it is kept, in bytes.
pub(crate) const KEPT: usize = 64 << 10;
/// The longest line that is shown, in characters.
const SHOWN_LINE: usize = 500;

/// What a program has said: the last [`KEPT`] bytes, and how many came before.
#[derive(Debug, Default)]
pub(crate) struct Output {
    kept: Vec<u8>,
    dropped: u64,
}

impl Output {
    /// Takes note of some more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        // Not at every push: moving 64 KiB for each byte that comes would take the daemon's time.
        if self.kept.len() >= 2 * KEPT {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let excess = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..excess);
        self.dropped += excess as u64;
    }

    /// The last lines that are not blank, at most so many, fit to be shown on a terminal. Before them
    /// stands how much is left out, if anything is.
    pub(crate) fn tail(&mut self, most: usize) -> Vec<String> {
        self.trim();
        let mut lines = Vec::new();
        let mut unseen = self.kept.len();
        for line in self.kept.rsplit(|byte| *byte == b'\n') {
            let shown = shown(line);
            if lines.len() == most && !shown.is_empty() {
                break;
            }
            unseen = unseen.saturating_sub(line.len() + 1);
            if !shown.is_empty() {
                lines.push(shown);
            }
        }
        let left_out = self.dropped + unseen as u64;
        if left_out > 0 {
            lines.push(format!("({left_out} bytes of output before this are left out)"));
        }
        lines.reverse();
        lines
    }
}

/// A line without what could move a terminal's cursor or colour its text.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let mut shown: String = text
        .chars()
        .take(SHOWN_LINE)
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect();
    if text.chars().nth(SHOWN_LINE).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        let mut output = Output::default();
        output.push(text.as_bytes());
        output
    }

    #[test]
    fn the_last_lines_are_shown_and_the_rest_is_counted() {
        assert_eq!(output("").tail(2), [""; 0]);
        assert_eq!(output("a\n\nb\n\n").tail(2), ["a", "b"]);
        let shown = output("one\ntwo\nthree\n").tail(2);
        assert_eq!(shown, ["(3 bytes of output before this are left out)", "two", "three"]);
    }

    #[test]
    fn it_takes_no_more_memory_for_a_program_that_says_more() {
        let mut output = Output::default();
        for _ in 0..1000 {
            output.push(&[b'x'; 4096]);
            assert!(output.kept.len() < 2 * KEPT);
        }
        output.push(b"\nthe end");
        let tail = output.tail(1);
        assert_eq!(tail[1], "the end");
        assert_eq!(tail[0], "(4096000 bytes of output before this are left out)");
    }

    #[test]
    fn a_line_cannot_play_with_the_terminal() {
        assert_eq!(output("\x1b[2Jred\tx\x07\r\n").tail(1), ["\u{fffd}[2Jred x\u{fffd}"]);
        assert_eq!(output("\u{ff}\n").tail(1), ["ÿ"]);
        let long = output(&"y".repeat(600)).tail(1);
        assert_eq!(long[0].chars().count(), SHOWN_LINE + 1);
    }
}
