//! What an operator asks of a daemon when something is stuck.

use innkeeper_engine::Caller;
use innkeeper_model::{Diagnosis, Refusal, VmId};
use serde_json::Value;

/// The daemon, as its operator sees it from outside. Nothing of it waits, so that it can be asked from
/// any thread while all others are stuck.
pub trait Diagnostics: Send + Sync + 'static {
    /// Everything that is going on, and everything that is wrong.
    fn diagnose(&self) -> Diagnosis;

    /// The configuration that the daemon runs with, as an object, without secrets.
    fn configuration(&self) -> Value;

    /// The last of what the daemon has logged, at most 1 MiB: whole lines, oldest first.
    fn log(&self) -> Vec<u8>;

    /// Has a VM looked at, and whatever follows done.
    fn reconcile(&self, caller: &Caller, vm: VmId);

    /// Lets nothing new begin on a VM, or lets it again. What has begun goes on.
    fn pause_queue(&self, caller: &Caller, vm: VmId, paused: bool);

    /// Sets how much is logged, until the daemon's end, and returns how much it was.
    ///
    /// # Errors
    /// It is no level, nor directives for parts of the program.
    fn set_log_level(&self, caller: &Caller, level: &str) -> Result<String, Refusal>;
}
