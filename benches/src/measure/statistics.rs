//! What to make of many readings.

use std::time::Duration;

/// The value below which this share of the readings is (nearest rank); zero where there are none.
pub(crate) fn quantile(readings: &mut [Duration], share: f64) -> Duration {
    readings.sort_unstable();
    let rank = (readings.len() as f64 * share).ceil() as usize;
    readings.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The reading in the middle.
pub(crate) fn median(readings: &mut [Duration]) -> Duration {
    quantile(readings, 0.5)
}

/// The number in the middle.
pub(crate) fn median_number(readings: &mut [f64]) -> f64 {
    readings.sort_unstable_by(f64::total_cmp);
    readings.get(readings.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// In milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The middle, and between what the middle half lies, in milliseconds: for people.
pub(crate) fn spread(readings: &mut [Duration]) -> String {
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| ms(quantile(readings, share)));
    format!("{middle:.3} ms ({low:.3} to {high:.3})")
}

/// The same of numbers.
pub(crate) fn spread_of(readings: &mut [f64]) -> String {
    let middle = median_number(readings);
    let quarter = readings.len() / 4;
    let at = |index: usize| readings.get(index).copied().unwrap_or_default();
    let (low, high) = (at(quarter), at(readings.len().saturating_sub(1 + quarter)));
    format!("{middle:.1} ({low:.1} to {high:.1})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_readings() {
        let mut readings: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(median(&mut readings), Duration::from_millis(50));
        assert_eq!(quantile(&mut readings, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&mut readings, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&mut [], 0.99), Duration::ZERO);
        assert_eq!(median_number(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(&mut readings), "50.000 ms (25.000 to 75.000)");
        assert_eq!(spread_of(&mut [5.0, 1.0, 2.0, 3.0, 4.0]), "3.0 (2.0 to 4.0)");
        assert_eq!(spread_of(&mut []), "0.0 (0.0 to 0.0)");
    }
}
