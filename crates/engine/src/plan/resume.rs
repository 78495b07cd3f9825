//! Resume of a paused machine: its CPUs are let go. (One that is suspended is restored.)

use super::{Context, Plan, pause::hold};
use innkeeper_driver::Operation;
use innkeeper_model::{Refusal, Want};

/// Lets the CPUs go on.
pub(crate) fn resume(context: &Context) -> Result<Plan, Refusal> {
    hold(context, Operation::Resume, Want::Running)
}
