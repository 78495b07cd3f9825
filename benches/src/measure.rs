//! Reading clocks and `/proc`, and what to make of many readings.

pub(crate) mod process;
pub(crate) mod statistics;
