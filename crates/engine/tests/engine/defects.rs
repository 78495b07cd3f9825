//! Steps that panic, as a defect in them would have it: they have failed, and nothing waits for ever.

use crate::support::{Bench, START, STOP, furnished};
use async_trait::async_trait;
use innkeeper_engine::{Point, Witness};
use innkeeper_model::{Code, MachineState, Refusal, TaskState};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Has what is done at a point panic once, and what undoes it too if that is wanted.
struct Panics {
    at: &'static str,
    undo_too: bool,
    has: AtomicBool,
    has_undone: AtomicBool,
}

impl Panics {
    fn at(at: &'static str, undo_too: bool) -> Arc<Self> {
        Arc::new(Self { at, undo_too, has: false.into(), has_undone: false.into() })
    }
}

#[async_trait]
impl Witness for Panics {
    async fn passes(&self, point: &Point) -> Result<(), Refusal> {
        let panics = point.to_string() == self.at && !self.has.swap(true, Ordering::SeqCst);
        assert!(!panics, "a step panics, as it was told to");
        Ok(())
    }

    async fn undoes(&self, point: &Point) -> Result<(), Refusal> {
        let panics = self.undo_too
            && point.path == "sim/launch"
            && !self.has_undone.swap(true, Ordering::SeqCst);
        assert!(!panics, "an undo panics, as it was told to");
        Ok(())
    }
}

#[tokio::test]
async fn a_step_that_panics_has_failed_and_is_undone() {
    for at in ["start/sim/launch/before-journal", "start/sim/launch/after-act"] {
        let bench = Bench::witnessed(Default::default(), Some(Panics::at(at, false))).await;
        let vm = bench.create_of(furnished("web")).await;
        let task = bench.power(vm, START).await;
        let error = task.error.unwrap();
        assert_eq!((task.state, error.code), (TaskState::Failed, Code::Internal), "{at}");
        assert!(error.message.contains("a step panics"), "{error}");
        assert!(task.leftovers.is_empty() && bench.machine(vm) == MachineState::Absent);
        bench.is_sound().await;
        bench.powers(vm, &[START, STOP]).await;
    }
}

#[tokio::test]
async fn an_undo_that_panics_is_owed_and_done_later() {
    let at = "start/sim/launch/after-act";
    let bench = Bench::witnessed(Default::default(), Some(Panics::at(at, true))).await;
    let vm = bench.create_of(furnished("web")).await;
    let task = bench.power(vm, START).await;
    assert!(task.leftovers.iter().any(|left| left.contains("an undo panics")), "{task:?}");
    bench.idle().await;
    bench.is_sound().await;
    bench.powers(vm, &[START, STOP]).await;
}
