//! The last of what a line wrote, by position. Pure.
//!
//! Every byte has a position, counted from the line's opening. Each viewer reads from its own, so that
//! what a hub keeps is one buffer, whoever looks and however slowly.

use std::collections::VecDeque;

/// How much of what was written before is shown to a new viewer, in bytes.
pub const HISTORY: usize = 64 << 10;
/// How far a viewer may fall behind before it is skipped forward, in bytes.
pub const LAG: usize = 256 << 10;
/// How far is looked for the beginning of a line to go on from, in bytes.
const LINE: usize = 4 << 10;
/// The most bytes that a beginning must have in common with an end to be taken for the same, less
/// one: of fewer, to show them twice is better than to lose them.
const TOO_FEW: usize = 3;

/// The last [`LAG`] bytes of a line.
#[derive(Debug, Default)]
pub(super) struct Scrollback {
    kept: VecDeque<u8>,
    /// The position after the last byte.
    end: u64,
}

impl Scrollback {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(LAG)..];
        let too_many = (self.kept.len() + kept.len()).saturating_sub(LAG);
        self.kept.drain(..too_many);
        self.kept.extend(kept);
        self.end += bytes.len() as u64;
    }

    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    fn start(&self) -> u64 {
        self.end - self.kept.len() as u64
    }

    /// Where a viewer begins that wants so much history.
    pub(super) fn place_of_last(&self, bytes: usize) -> u64 {
        self.start().max(self.end.saturating_sub(bytes as u64))
    }

    /// Copies what is at a position, as much as there is room for, and says how much that was.
    pub(super) fn read(&self, position: u64, into: &mut [u8]) -> usize {
        let from = position.saturating_sub(self.start()) as usize;
        let (front, back) = self.kept.as_slices();
        let mut copied = 0;
        for part in [front.get(from..), back.get(from.saturating_sub(front.len())..)] {
            let part = part.unwrap_or_default();
            let length = part.len().min(into.len() - copied);
            into[copied..copied + length].copy_from_slice(&part[..length]);
            copied += length;
        }
        copied
    }

    /// Where a viewer goes on whose position is not kept any more: near enough to the end to keep up for
    /// a while, at the beginning of a line where there is one. `None` for one who has lost nothing.
    pub(super) fn skip(&self, position: u64) -> Option<u64> {
        if position >= self.start() {
            return None;
        }
        let to = self.place_of_last(HISTORY);
        let from = (to - self.start()) as usize;
        let line = self.kept.range(from..).take(LINE).position(|byte| *byte == b'\n');
        Some(to + line.map_or(0, |line| line as u64 + 1))
    }

    /// How many of the first bytes of `next` are what was pushed last: what came from elsewhere while
    /// it was also on its way here.
    pub(super) fn overlap(&self, next: &[u8]) -> usize {
        let most = next.len().min(self.kept.len());
        let is_last = |length: &usize| {
            let from = self.kept.len() - length;
            self.kept.range(from..).eq(&next[..*length])
        };
        (TOO_FEW + 1..=most).rev().find(is_last).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_who_is_too_far_behind_goes_on_at_a_line() {
        let mut line = Scrollback::default();
        let text = "0123456789abcde\n";
        for _ in 0..2 * LAG / text.len() {
            line.push(text.as_bytes());
        }
        assert_eq!(line.skip(line.end - LAG as u64), None);
        let to = line.skip(5).unwrap();
        assert!(line.end - to <= HISTORY as u64 && line.end - to > HISTORY as u64 - 32);
        let mut seen = [0; 16];
        assert_eq!(line.read(to, &mut seen), 16);
        assert_eq!(seen, text.as_bytes());
    }

    #[test]
    fn what_came_twice_is_known() {
        let mut line = Scrollback::default();
        line.push(b"login: root\r\nPassword: ");
        assert_eq!(line.overlap(b"Password: \r\nWelcome"), 10);
        assert_eq!(line.overlap(b" \r\n"), 0, "too little to tell");
        assert_eq!(line.overlap(b"Welcome"), 0);
        assert_eq!(line.overlap(b""), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_read_is_what_was_pushed(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..12),
            back in 0..LAG,
            room in 1..5000_usize,
        ) {
            let mut line = Scrollback::default();
            let mut all = Vec::new();
            for piece in &pieces {
                line.push(piece);
                all.extend_from_slice(piece);
            }
            prop_assert_eq!(line.end, all.len() as u64);
            let position = line.place_of_last(back);
            prop_assert!(position as usize >= all.len().saturating_sub(back));
            let mut into = vec![0; room];
            let read = line.read(position, &mut into);
            let expected = &all[position as usize..];
            prop_assert_eq!(read, expected.len().min(room));
            prop_assert_eq!(&into[..read], &expected[..read]);
        }
    }
}
