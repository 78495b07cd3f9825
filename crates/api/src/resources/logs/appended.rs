//! What came to a log between two looks at its last bytes.
//!
//! Drivers show the end of a log and no positions in it, so the two ends are laid over each other.

/// How much of a log a driver shows, in bytes: where it shows less, that is all of it.
pub(super) const SHOWN: usize = 64 << 10;

/// The shortest piece that two ends of a log have in common by more than chance, in bytes.
const NO_CHANCE: usize = 64;

/// What came to a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended<'a> {
    /// This, and nothing else.
    All(&'a [u8]),
    /// This, and before it something that nobody knows any more.
    End(&'a [u8]),
}

/// What came to a log whose end was `before` and is `now`.
///
/// A log that is new (a machine's begins with the machine) came as a whole. One that repeats itself
/// for [`SHOWN`] bytes looks as if nothing came.
pub(super) fn appended<'a>(before: &[u8], now: &'a [u8]) -> Appended<'a> {
    if let Some(rest) = now.strip_prefix(before) {
        return Appended::All(rest);
    }
    if now.len() < SHOWN {
        // All of it is here, and it does not begin as it did.
        return Appended::All(now);
    }
    match overlap(before, now) {
        common if common >= NO_CHANCE => Appended::All(&now[common..]),
        _ => Appended::End(now),
    }
}

/// The length of the longest piece that `before` ends with and `now` begins with: Knuth, Morris and
/// Pratt's search, whose time does not depend on what a guest wrote.
fn overlap(before: &[u8], now: &[u8]) -> usize {
    let mut borders = vec![0; now.len()];
    let mut matched = 0;
    for at in 1..now.len() {
        matched = longer(now, &borders, matched, now[at]);
        borders[at] = matched;
    }
    before.iter().fold(0, |matched, byte| {
        let matched = if matched == now.len() { borders[matched - 1] } else { matched };
        longer(now, &borders, matched, *byte)
    })
}

/// How much of `now` matches with `byte` after a match of `matched` bytes, fewer than all.
fn longer(now: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && now[matched] != byte {
        matched = borders[matched - 1];
    }
    matched + usize::from(now[matched] == byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Appended::{All, End};
    use proptest::prelude::*;

    /// Lines like a guest's, no two of them alike.
    fn lines(from: usize, length: usize) -> Vec<u8> {
        let text: String =
            (from..).map(|n| format!("[{n:>12}] tick\n")).take(length / 20 + 1).collect();
        text.into_bytes()[..length].to_vec()
    }

    fn end(log: &[u8]) -> &[u8] {
        &log[log.len().saturating_sub(SHOWN)..]
    }

    #[test]
    fn a_short_log_grows_at_its_end() {
        assert_eq!(appended(b"", b""), All(b""));
        assert_eq!(appended(b"", b"boot\n"), All(b"boot\n"));
        assert_eq!(appended(b"boot\n", b"boot\nlogin: "), All(b"login: "));
        assert_eq!(appended(b"boot\n", b"boot\n"), All(b""));
    }

    #[test]
    fn the_log_of_a_new_machine_comes_whole() {
        assert_eq!(appended(b"boot\nlogin: ", b"boot\npanic"), All(b"boot\npanic"));
        assert_eq!(appended(b"boot\nlogin: ", b""), All(b""));
        // It begins as the other ended, by chance.
        assert_eq!(appended(b"power down\n", b"\nboot"), All(b"\nboot"));
        assert_eq!(appended(&lines(0, SHOWN), b"boot\n"), All(b"boot\n"));
    }

    #[test]
    fn a_log_that_is_longer_than_what_is_shown_moves_on() {
        let log = lines(0, SHOWN + 100);
        assert_eq!(appended(&log[..SHOWN], end(&log)), All(&log[SHOWN..]));
        // It grew past what is shown in one step.
        assert_eq!(appended(&log[..SHOWN - 50], end(&log)), All(&log[SHOWN - 50..]));
    }

    #[test]
    fn what_nobody_knows_any_more_is_told() {
        let log = lines(0, 3 * SHOWN);
        assert_eq!(appended(&log[..SHOWN], end(&log)), End(end(&log)));
        // One byte in common is chance.
        let (mut before, now) = (lines(0, SHOWN), end(&log));
        before[SHOWN - 1] = now[0];
        assert_eq!(appended(&before, now), End(now));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// However a log comes, its pieces are the log, unless one look missed something.
        #[test]
        fn the_pieces_are_the_log(pieces in prop::collection::vec(0..SHOWN - NO_CHANCE, 1..8)) {
            let log = lines(0, pieces.iter().sum());
            let (mut there, mut before, mut told) = (0, Vec::new(), Vec::new());
            for piece in pieces {
                there += piece;
                let now = end(&log[..there]);
                match appended(&before, now) {
                    All(new) => told.extend_from_slice(new),
                    End(_) => prop_assert!(false, "nothing was missed"),
                }
                before = now.to_vec();
            }
            prop_assert!(told == log, "{} of {} bytes", told.len(), log.len());
        }

        /// The overlap is what a search without any thought finds, for texts that repeat themselves.
        #[test]
        fn the_longest_overlap_is_found(before in "[ab]{0,40}", now in "[ab]{1,40}") {
            let (before, now) = (before.as_bytes(), now.as_bytes());
            let slow = (0..=before.len().min(now.len())).rev();
            let slow = slow.into_iter().find(|n| before.ends_with(&now[..*n])).unwrap();
            prop_assert_eq!(overlap(before, now), slow);
        }
    }
}
