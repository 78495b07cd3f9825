//! Reset: the machine's reset button.

use super::{AfterCrash, Context, Plan};
use innkeeper_driver::Operation;
use innkeeper_model::Refusal;

/// Presses the reset button. Nobody can tell afterwards whether it was pressed, so after a crash it
/// is not pressed again.
pub(crate) fn reset(context: &Context) -> Result<Plan, Refusal> {
    let mut plan = Plan::new(AfterCrash::Forward);
    plan.driver(context.driver_flow(Operation::Reset)?);
    Ok(plan)
}
