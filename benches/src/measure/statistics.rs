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
    }
}
