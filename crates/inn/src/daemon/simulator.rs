//! `--driver sim`: the simulated host, which outlives the daemon as a real one would.

use super::DaemonOptions;
use anyhow::Context;
use innkeeper_driver::{Driver, Observer};
use innkeeper_sim::{SimDriver, World, WorldOptions};
use std::{sync::Arc, time::Duration};

/// The driver of the simulated host in the runtime folder.
///
/// # Errors
/// Its file cannot be used.
pub(super) fn driver(
    options: &DaemonOptions,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Arc<dyn Driver>> {
    let step = Duration::from_millis(options.sim.step_ms);
    let fault_rate = match options.sim.one_fails_in {
        0 => 0.0,
        steps => 1.0 / f64::from(steps),
    };
    let world_options = WorldOptions {
        seed: options.sim.seed,
        fault_rate,
        step_time: step..=step,
        ..WorldOptions::default()
    };
    let folder = options.runtime_dir.join("sim");
    let world = World::open(&folder, world_options)
        .with_context(|| format!("cannot use the simulated host in {}", folder.display()))?;
    Ok(Arc::new(SimDriver::new(world, observer)))
}
