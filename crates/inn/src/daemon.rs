//! The daemon's wiring.

pub use crate::options::DaemonOptions;

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// Always: nothing is wired yet.
pub fn run(_options: DaemonOptions) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
