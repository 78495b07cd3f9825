//! One figure: what was measured, what it stands beside, and what it should be.

use serde::{Deserialize, Serialize};

/// One entry of `target/bench.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) area: String,
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The floor or peer, in the same unit.
    pub(crate) against: Option<f64>,
    /// `value / against`.
    pub(crate) ratio: Option<f64>,
    /// What it should be, for people.
    pub(crate) target: String,
    /// Whether it is.
    pub(crate) met: bool,
}

/// Something measured, before it is held against a target.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    name: String,
    value: f64,
    unit: &'static str,
    against: Option<f64>,
}

impl Measured {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, against: None }
    }

    /// Beside its floor or peer.
    pub(crate) fn beside(self, against: f64) -> Self {
        Self { against: Some(against), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.against.map(|against| self.value / against)
    }

    /// The value is at most this.
    pub(crate) fn at_most(self, limit: f64) -> Figure {
        let (met, target) = (self.value <= limit, format!("<= {limit} {}", self.unit));
        self.figure(met, target)
    }

    /// The value is at least this.
    pub(crate) fn at_least(self, limit: f64) -> Figure {
        let (met, target) = (self.value >= limit, format!(">= {limit} {}", self.unit));
        self.figure(met, target)
    }

    /// The value is at most so many times what it stands beside.
    pub(crate) fn at_most_times(self, limit: f64) -> Figure {
        let met = self.ratio().is_some_and(|ratio| ratio <= limit);
        self.figure(met, format!("<= {limit} x"))
    }

    /// The value is at least so many times what it stands beside.
    pub(crate) fn at_least_times(self, limit: f64) -> Figure {
        let met = self.ratio().is_some_and(|ratio| ratio >= limit);
        self.figure(met, format!(">= {limit} x"))
    }

    /// The value is at most so much more than what it stands beside.
    pub(crate) fn at_most_more(self, limit: f64) -> Figure {
        let met = self.against.is_some_and(|against| self.value - against <= limit);
        let target = format!("<= {limit} {} more", self.unit);
        self.figure(met, target)
    }

    /// Shown, with nothing promised.
    pub(crate) fn for_information(self) -> Figure {
        self.figure(true, "-".into())
    }

    fn figure(self, met: bool, target: String) -> Figure {
        Figure {
            // The area fills it in.
            area: String::new(),
            ratio: self.ratio().map(rounded),
            name: self.name,
            value: rounded(self.value),
            unit: self.unit.into(),
            against: self.against.map(rounded),
            target,
            met,
        }
    }
}

/// To four digits that count: more would be noise.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 6.0);
    let scale = 10_f64.powf(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_its_target() {
        let measured = || Measured::new("x", 103.0, "ms").beside(100.0);
        assert!(measured().at_most_times(1.03).met);
        assert!(!measured().at_most_times(1.02).met);
        assert!(!measured().at_least_times(2.0).met);
        assert!(measured().at_most(103.0).met);
        assert!(!measured().at_most(102.0).met);
        assert!(measured().at_least(103.0).met);
        assert!(!measured().at_least(104.0).met);
        assert!(measured().at_most_more(3.0).met);
        assert!(!measured().at_most_more(2.0).met);
        // Without anything beside it, nothing that compares is met.
        assert!(!Measured::new("x", 0.0, "ms").at_most_times(1.0).met);
    }

    #[test]
    fn digits_that_are_noise_are_left_out() {
        assert_eq!(rounded(1.234_567), 1.235);
        assert_eq!(rounded(73_912.4), 73_912.0);
        assert_eq!(rounded(0.000_123_4), 0.000_123);
        assert_eq!(rounded(0.0), 0.0);
    }
}
