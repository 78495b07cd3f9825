//! The points at which a plan can be cut short, as a test sees them.
//!
//! A daemon has no witness. The sweep has one that cancels, fails or ends what is done at a point of
//! its choice; that every point is reached is what it proves with. Which steps wait is said by the steps,
//! so that what there is to reach does not depend on what a run happened to pass.

use super::Performer;
use crate::{
    perform::deed::Deed,
    plan::steps::{OwnStep, PlanStep},
};
use async_trait::async_trait;
use innkeeper_driver::StepError;
use innkeeper_model::{Refusal, TaskId, VmId};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

/// More than a task of tokio's may do before it has to let others go on.
const MORE_THAN_ITS_BUDGET: usize = 1000;

/// Where in the doing of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// Nothing of it has been written down.
    BeforeJournal,
    /// It is written down, and not begun.
    AfterJournal,
    /// It has begun, and waits for something.
    InWait,
    /// It is done, and that is not written down.
    AfterAct,
}

impl Site {
    /// All of them, in their order.
    pub const ALL: [Self; 4] =
        [Self::BeforeJournal, Self::AfterJournal, Self::InWait, Self::AfterAct];

    /// The site's name in a point.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeJournal => "before-journal",
            Self::AfterJournal => "after-journal",
            Self::InWait => "in-wait",
            Self::AfterAct => "after-act",
        }
    }
}

/// A place in the doing of an operation. Its text, `operation/step path/site`, does not depend on the
/// order in which steps of a group happen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The operation.
    pub operation: String,
    /// The step's path.
    pub path: String,
    /// Where in the step.
    pub site: Site,
    /// Whether the step waits, and so passes [`Site::InWait`].
    pub waits: bool,
    /// The task.
    pub task: TaskId,
    /// The VM that it is done to.
    pub vm: Option<VmId>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.operation, self.path, self.site.name())
    }
}

/// Who is told of every point that is passed, and may have things go wrong there.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// A point is passed.
    ///
    /// # Errors
    /// What the step shall fail with.
    async fn passes(&self, point: &Point) -> Result<(), Refusal>;

    /// A step is about to be undone; the point's site is not meant.
    ///
    /// # Errors
    /// What its undo shall fail with.
    async fn undoes(&self, point: &Point) -> Result<(), Refusal>;
}

impl Performer {
    /// Acts; a witness, if there is one, is told when the step has begun to wait. Until it has heard of that,
    /// the step does not go on.
    pub(super) async fn act_before_witness(
        &self,
        deed: &Deed,
        index: usize,
        step: &PlanStep,
        cancelled: &CancellationToken,
    ) -> Result<(), StepError> {
        if self.witness.is_none() {
            return self.act(deed, step, cancelled).await;
        }
        let own = cancelled.child_token();
        let mut act = pin!(self.act(deed, step, &own));
        // What others do, a hypervisor or a hook, is hardly done before it is looked at once more.
        let is_short = !matches!(step, PlanStep::Driver(_) | PlanStep::Own(OwnStep::Hook { .. }));
        let begun = poll_fn(|context| Poll::Ready(begin(act.as_mut(), context, is_short))).await;
        if let Poll::Ready(outcome) = begun {
            return outcome;
        }
        if let Err(error) = self.pass(deed, index, Site::InWait).await {
            own.cancel();
            // However it ends by itself, it shall have failed.
            let _ = act.await;
            return Err(error);
        }
        act.await
    }

    /// Tells the witness, if there is one, that a point is passed.
    pub(super) async fn pass(
        &self,
        deed: &Deed,
        index: usize,
        site: Site,
    ) -> Result<(), StepError> {
        if let Some(witness) = &self.witness {
            witness.passes(&self.point(deed, index, site)).await?;
        }
        Ok(())
    }

    /// A point of a deed.
    pub(super) fn point(&self, deed: &Deed, index: usize, site: Site) -> Point {
        let step = deed.steps().nth(index);
        Point {
            operation: deed.task.kind().into(),
            path: deed.paths[index].to_string(),
            site,
            waits: step.is_some_and(|(_, placed)| self.waits(placed.step)),
            task: deed.task.id,
            vm: deed.task.vm,
        }
    }

    /// Whether doing a step waits for something. It depends on the step, and on whose it is, alone.
    fn waits(&self, step: &PlanStep) -> bool {
        match step {
            PlanStep::Own(OwnStep::Forget { vm }) => {
                self.forgetting(*vm).is_some_and(|driver| driver.waits_to_forget())
            }
            PlanStep::Own(step) => step.waits(),
            PlanStep::Driver(step) => self.drivers.of_step(step).waits(step),
            PlanStep::Unknown(_) => false,
        }
    }
}

/// Begins something. Where what it waits for may be there at once, the disk's answer or the view's, it is
/// held in its wait: with nothing left of its task's budget, all that tokio waits for is there at the next
/// look at the earliest.
fn begin<F: Future>(
    work: Pin<&mut F>,
    context: &mut Context<'_>,
    is_short: bool,
) -> Poll<F::Output> {
    if !is_short {
        return work.poll(context);
    }
    // Dropped, it gives the task back what it had: others of a group go on with that.
    let _budget = poll_proceed(context);
    for _ in 0..MORE_THAN_ITS_BUDGET {
        match poll_proceed(context) {
            Poll::Ready(some) => some.made_progress(),
            Poll::Pending => break,
        }
    }
    work.poll(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{sync::oneshot, task::spawn_blocking};

    /// Whether it is done as soon as it has begun.
    async fn is_done_at_once(work: impl Future<Output = ()>, is_short: bool) -> bool {
        let mut work = pin!(work);
        let begun = poll_fn(|context| Poll::Ready(begin(work.as_mut(), context, is_short))).await;
        if begun.is_pending() {
            work.await;
        }
        begun.is_ready()
    }

    #[tokio::test]
    async fn a_short_wait_is_met_although_it_is_over() {
        let answered = || {
            let (answer, answered) = oneshot::channel();
            answer.send(()).unwrap();
            async { answered.await.unwrap() }
        };
        assert!(is_done_at_once(answered(), false).await);
        assert!(!is_done_at_once(answered(), true).await);
        let done = spawn_blocking(|| ());
        while !done.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(!is_done_at_once(async { done.await.unwrap() }, true).await);
    }

    #[tokio::test]
    async fn what_does_not_wait_is_not_held_and_nobody_else_is() {
        assert!(is_done_at_once(async {}, true).await);
        assert!(tokio::task::coop::has_budget_remaining());
    }
}
