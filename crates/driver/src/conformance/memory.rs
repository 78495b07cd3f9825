//! That a machine's memory can be kept in a file and gone on from.

use super::{Fixture, bench::Bench};
use crate::{Crash, Operation};
use innkeeper_model::{MachineState, config::Nic};
use std::sync::Arc;

pub(super) async fn a_suspended_machine_goes_on_where_it_was(fixture: &dyn Fixture) {
    let mut bench = Bench::new(fixture).await;
    let Some(memory) = fixture.memory_file(bench.spec.id).await else { return };
    bench.run(Operation::Start).await;
    let suspended = bench.incarnation();
    let suspend = Operation::Suspend { memory: memory.clone() };
    if bench.flow(&suspend).is_none() {
        return bench.run(Operation::Kill).await;
    }
    for step in bench.plan(&suspend) {
        bench.perform(&step).await.unwrap_or_else(|error| panic!("{}: {error}", step.name));
        if step.crash == Crash::Repeat {
            let again = bench.perform(&step).await;
            again.unwrap_or_else(|error| panic!("{} once more: {error}", step.name));
        }
    }
    assert_eq!(bench.machine(), MachineState::Paused, "held until its memory is known to be whole");
    let image = Arc::new(fixture.sealed(&suspended).await);
    bench.run(Operation::PutAway).await;
    bench.assert_nothing_is_left("a suspend");

    // Its memory knows nothing of a NIC that came to the spec since: that is the next machine's, and its cable.
    let late = "late".parse().expect("it is a name");
    bench.edit(|config| config.nics.push(Nic { connected: false, ..Nic::new(late) }));
    bench.run(Operation::Restore { image, memory }).await;
    assert_eq!(bench.machine(), MachineState::Running);
    let restored = bench.incarnation();
    assert_ne!(restored.id, suspended.id);
    assert_ne!(restored.process, suspended.process);
    assert_eq!(
        (&restored.machine, &restored.cpu_model, restored.memory, restored.spec_revision),
        (&suspended.machine, &suspended.cpu_model, suspended.memory, suspended.spec_revision)
    );
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill of what was restored");
}

pub(super) async fn a_suspend_can_be_taken_back(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let Some(memory) = fixture.memory_file(bench.spec.id).await else { return };
    bench.run(Operation::Start).await;
    let suspend = Operation::Suspend { memory };
    if bench.flow(&suspend).is_some() {
        let plan = bench.plan(&suspend);
        for done in 0..=plan.len() {
            bench.perform_all(&plan[..done]).await;
            // The step after those that were done may have begun as well.
            let begun = &plan[..plan.len().min(done + 1)];
            bench.undo_all(begun).await;
            bench.undo_all(begun).await;
            bench.told.until(bench.spec.id, MachineState::Running).await;
        }
    }
    bench.run(Operation::Kill).await;
}

pub(super) async fn a_dump_leaves_the_machine_as_it_is(fixture: &dyn Fixture) {
    let bench = Bench::new(fixture).await;
    let Some(file) = fixture.memory_file(bench.spec.id).await else { return };
    bench.run(Operation::Start).await;
    bench.run(Operation::Pause).await;
    let dump = Operation::Dump { file: file.clone() };
    if bench.flow(&dump).is_some() {
        bench.run(dump).await;
        let written = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
        let written = written.expect("reading does not panic").expect("the dump is there");
        assert_eq!(written.get(..4), Some(b"\x7fELF".as_slice()), "an ELF core");
        assert_eq!(bench.machine(), MachineState::Paused);
    }
    bench.run(Operation::Kill).await;
}
