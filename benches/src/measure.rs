//! Reading clocks, `/proc` and the allocator, and what to make of many readings.

pub(crate) mod allocations;
pub(crate) mod process;
pub(crate) mod statistics;
