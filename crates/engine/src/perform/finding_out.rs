//! What can be known of the steps that an earlier daemon ended in. Of some nobody can know anything, and
//! that is said of them for good: neither that they were done, nor that they were undone.

use super::{Performer, unknown, vm_of};
use crate::{
    journal::{Mark, Way},
    perform::deed::Deed,
    plan::steps::PlanStep,
};
use innkeeper_driver::{Crash, Probed, StepError};
use innkeeper_model::{Code, Refusal, task::StepState};

impl Performer {
    /// Asks about the steps that a daemon was in when it ended, and notes what is known of them then.
    ///
    /// # Errors
    /// A step is not known here, or nothing tells whether it happened.
    pub(crate) async fn find_out(&self, deed: &Deed) -> Result<(), Refusal> {
        for (index, placed) in deed.steps() {
            match (placed.step, deed.mark(index)) {
                (PlanStep::Unknown(step), _) => return Err(unknown(step)),
                (step, Mark::Begun) if step.crash() == Crash::Once => {
                    let message = name_unknown(deed, index);
                    match deed.way() {
                        Way::Forward => return Err(Refusal::new(Code::OutcomeUnknown, message)),
                        Way::OnlyForward => {
                            deed.task.warn_once(message);
                            deed.note(index, Mark::Done);
                        }
                        Way::Back => deed.task.warn_once(message),
                    }
                }
                (PlanStep::Driver(step), Mark::Waiting | Mark::Begun)
                    if step.crash == Crash::Probe && deed.way() != Way::Back =>
                {
                    match self.drivers.of_step(step).probe(vm_of(deed)?, step).await {
                        Ok(Probed::Happened) => {
                            deed.record_step(index, Mark::Done).await;
                            deed.task.step(index, StepState::Done, None);
                        }
                        Ok(Probed::DidNot) => {}
                        Err(StepError::Failed(refusal)) => return Err(*refusal),
                        Err(StepError::Cancelled) => {
                            return Err(Refusal::new(Code::Cancelled, "cancelled"));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Says of which steps nobody knows whether they were done, where a person has the plan undone who knows
    /// that.
    pub(crate) fn name_all_unknown(&self, deed: &Deed) {
        for (index, placed) in deed.steps() {
            if placed.step.crash() == Crash::Once && deed.mark(index) == Mark::Begun {
                deed.task.warn_once(name_unknown(deed, index));
            }
        }
    }
}

/// Notes that nothing tells whether a step was done, which an earlier daemon ended in.
fn name_unknown(deed: &Deed, index: usize) -> String {
    deed.task.step(index, StepState::Unknown, None);
    format!("nothing tells whether {} was done", deed.paths[index])
}
