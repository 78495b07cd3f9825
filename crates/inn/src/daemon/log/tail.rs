//! The last of what was logged, in memory: for whoever asks the daemon, and for the bundle of a diagnosis.
//!
//! It needs no disk and has a bound, and it goes with the daemon: what an earlier one logged is wherever its
//! standard error went.

use std::{
    collections::VecDeque,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much is kept, in bytes: thousands of lines, and little beside what else the daemon has in memory.
const KEPT: usize = 1 << 20;
/// How much of one line, in bytes: so that one cannot take the place of all others.
const MAX_LINE: usize = 16 << 10;
/// What stands where a line was cut.
const CUT: &[u8] = b" ...\n";

/// Whole lines, oldest first. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// Keeps a line, which ends with its line feed, and lets go of the oldest for it.
    pub(super) fn keep(&self, line: &[u8]) {
        let (line, cut) = match line.get(..MAX_LINE) {
            Some(beginning) if line.len() > MAX_LINE => (beginning, CUT),
            _ => (line, &[][..]),
        };
        let mut lines = self.lines();
        let room = KEPT - line.len() - cut.len();
        if lines.len() > room {
            // So many, and the rest of the line that they end in.
            let least = lines.len() - room;
            let end = lines.iter().skip(least - 1).position(|byte| *byte == b'\n');
            let end = end.map_or(lines.len(), |end| least + end);
            lines.drain(..end);
        }
        lines.extend(line);
        lines.extend(cut);
    }

    /// Keeps what is told past the log: the end of a thread.
    pub(super) fn keep_told(&self, what: &impl Display) {
        let at = innkeeper_model::Timestamp::now();
        self.keep(&super::line::one_line(format!("{at} {what}\n").as_bytes()));
    }

    /// All that is kept.
    pub(super) fn read(&self) -> Vec<u8> {
        let lines = self.lines();
        let (first, second) = lines.as_slices();
        [first, second].concat()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<u8>> {
        // Bytes are added at the one end and taken away at the other: that is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_lines_are_kept_in_bounded_memory() {
        let tail = Tail::default();
        assert!(tail.read().is_empty());
        for number in 0..200_000 {
            tail.keep(format!("line {number} of very many\n").as_bytes());
        }
        let text = String::from_utf8(tail.read()).unwrap();
        assert!(text.len() <= KEPT && text.len() > KEPT - 100, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 199999 of very many\n"));
        let lines: Vec<&str> = text.lines().collect();
        let first = format!("line {} of very many", 200_000 - lines.len());
        assert_eq!(lines[0], first, "none is missing in between");
        assert!(tail.lines().capacity() <= 2 * KEPT, "{}", tail.lines().capacity());
    }

    #[test]
    fn one_line_does_not_push_all_others_out() {
        let tail = Tail::default();
        tail.keep(b"before\n");
        let mut long = vec![b'x'; 3 * KEPT];
        long.push(b'\n');
        tail.keep(&long);
        tail.keep(b"after\n");
        let text = String::from_utf8(tail.read()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2]), (3, "before", "after"));
        assert_eq!(lines[1].len(), MAX_LINE + CUT.len() - 1);
    }
}
