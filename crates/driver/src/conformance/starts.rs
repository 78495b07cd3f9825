//! That a start can be cut short anywhere, and leaves nothing when it is.

use super::{DEADLINE, Fixture, Told, bench::Bench};
use crate::{Operation, StepContext, StepError};
use innkeeper_model::MachineState;
use std::{sync::Arc, time::Duration};

pub(super) async fn any_beginning_of_a_start_can_be_taken_back(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let steps = bench.plan(&Operation::Start).len();
    for done in 0..=steps {
        let plan = bench.plan(&Operation::Start);
        for step in &plan[..done] {
            bench.perform(step).await.expect("a start succeeds");
        }
        // The step after those that were done may have begun as well.
        let begun = &plan[..steps.min(done + 1)];
        for step in begun.iter().rev() {
            bench.undo(step).await;
        }
        for step in begun.iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("{done} steps and their undo"));
    }
    bench.run(Operation::Start).await;
    bench.run(Operation::Kill).await;
}

pub(super) async fn a_cancelled_start_can_be_taken_back(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let plan = bench.plan(&Operation::Start);
    for cancelled in 0..plan.len() {
        for step in &plan[..cancelled] {
            bench.perform(step).await.expect("a start succeeds");
        }
        let context = StepContext::default();
        context.cancelled.cancel();
        let work = bench.driver.perform(bench.spec.id, &plan[cancelled], &context);
        let outcome = tokio::time::timeout(DEADLINE, work).await.expect("a cancelled step ends");
        assert!(matches!(outcome, Err(StepError::Cancelled)), "{outcome:?}");
        for step in plan[..=cancelled].iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("a cancelled {}", plan[cancelled].name));
    }
}

/// Cancels a start at many moments: where it then stands is different each time, and whatever it was
/// doing must not go on behind the undo.
pub(super) async fn a_start_cancelled_under_way_leaves_nothing(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    for microseconds in (0..100_000).step_by(4_000) {
        let context = StepContext::default();
        let plan = bench.plan(&Operation::Start);
        let mut begun = 0;
        let start = async {
            for step in &plan {
                begun += 1;
                if bench.driver.perform(bench.spec.id, step, &context).await.is_err() {
                    return;
                }
            }
        };
        let cancel = async {
            tokio::time::sleep(Duration::from_micros(microseconds)).await;
            context.cancelled.cancel();
        };
        tokio::join!(start, cancel);
        for step in plan[..begun].iter().rev() {
            bench.undo(step).await;
        }
        bench.assert_nothing_is_left(&format!("a start cancelled after {microseconds} us"));
        let others = fixture.driver(Arc::new(Told::default())).await;
        assert!(others.recover().await.iter().all(|found| found.vm != bench.spec.id));
    }
}

pub(super) async fn a_step_of_another_version_is_refused(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let mut step = bench.plan(&Operation::Start).remove(0);
    step.arguments = serde_json::json!({ "from_the_future": true });
    assert!(matches!(bench.perform(&step).await, Err(StepError::Failed(_))));
    bench.assert_nothing_is_left("a step that is not known");
}

pub(super) async fn the_order_in_a_group_does_not_matter(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    for part in bench.flow(&Operation::Start).expect("every driver can start") {
        let mut steps = part.into_steps();
        steps.reverse();
        bench.perform_all(&steps).await;
    }
    assert_eq!(bench.machine(), MachineState::Running);
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill");
}
