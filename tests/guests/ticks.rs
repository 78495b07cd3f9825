//! The ticks of a guest, which show whether it went on, and where it was held.

/// A tick: its number, and the guest's clock in milliseconds.
pub(super) type Tick = (u64, u64);

/// The ticks in a guest's log.
pub(super) fn ticks(log: &str) -> Vec<Tick> {
    let tick = |line: &str| {
        let (number, clock) = line.trim_end().strip_prefix("tick ")?.split_once(' ')?;
        Some((number.parse().ok()?, clock.parse().ok()?))
    };
    // The last line may be cut in the middle of a number.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(tick).collect()
}
