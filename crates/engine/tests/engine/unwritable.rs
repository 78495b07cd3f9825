//! A host on which nothing can be written: what ends or holds a guest is done all the same, and says so.

use crate::support::{Bench, REBOOT, START, STOP, create};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{MachineState, TaskState, VmState, Want};
use serde_json::json;

/// Has the journal and the folder of specs refuse everything: no new segment can be made, and no spec
/// written.
async fn seal(bench: &Bench, filler: innkeeper_model::VmId) {
    bench.idle().await;
    for folder in ["journal", "vms"] {
        let (there, away) =
            (bench.path().join(folder), bench.path().join(format!("{folder}-away")));
        std::fs::rename(&there, away).unwrap();
        // In the place of the folder is what is none: what is to be removed from it is not taken for gone.
        std::fs::write(there, "").unwrap();
    }
    let mut fillers = 0;
    while bench.power(filler, PowerVerb::Reset).await.state == TaskState::Done {
        fillers += 1;
        assert!(fillers < 1000, "the journal does not fill up");
    }
}

fn unseal(bench: &Bench) {
    for folder in ["journal", "vms"] {
        let (there, away) =
            (bench.path().join(folder), bench.path().join(format!("{folder}-away")));
        std::fs::remove_file(&there).unwrap();
        std::fs::rename(away, there).unwrap();
    }
}

#[tokio::test]
async fn a_guest_can_be_stopped_and_paused_when_nothing_can_be_written() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    let other = bench.started("other").await;
    seal(&bench, vm).await;
    let unrecorded = |task: &innkeeper_model::Task| {
        let of_it = |warning: &String| warning.contains("recorded: false");
        !task.warnings.is_empty() && task.warnings.iter().all(of_it)
    };
    for (vm, verb, state) in [
        (vm, PowerVerb::Pause, VmState::Paused),
        (vm, PowerVerb::Resume, VmState::Running),
        (vm, PowerVerb::Kill, VmState::Stopped),
        (other, STOP, VmState::Stopped),
    ] {
        let task = bench.power(vm, verb).await;
        assert_eq!((task.state, bench.state(vm)), (TaskState::Done, state), "{:?}", task.error);
        assert!(unrecorded(&task), "{:?}", task.warnings);
        assert_eq!(bench.machine(vm) == MachineState::Absent, state == VmState::Stopped);
    }
    // Whatever else fails before its first step, and can be read.
    for (verb, legal) in [(START, true), (REBOOT, false)] {
        match bench.submit(Request::Power { vm, verb }).await {
            Ok(accepted) => {
                let task = bench.end_of(&accepted).await;
                assert_eq!((task.state, bench.state(vm)), (TaskState::Failed, VmState::Stopped));
            }
            Err(refusal) => assert!(!legal, "{refusal}"),
        }
    }
    let task = bench.run(create(json!({ "name": "new" }))).await;
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(bench.vms().len(), 2);
    assert!(bench.engine.diagnose().journal.low);
    assert!(bench.engine.diagnose().journal.last_error.is_some());
}

#[tokio::test]
async fn when_there_is_room_again_everything_goes_on_and_what_is_wanted_is_stored() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    seal(&bench, vm).await;
    assert_eq!(bench.power(vm, PowerVerb::Kill).await.state, TaskState::Done);
    assert_eq!(bench.want(vm), Want::Stopped, "readers are told the truth");
    unseal(&bench);
    let room = async {
        while bench.power(vm, START).await.state != TaskState::Done {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::LONG, room).await.unwrap();
    bench.powers(vm, &[STOP]).await;
    bench.is_sound().await;
    let bench = bench.restart().await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
}

#[tokio::test]
async fn a_daemon_begins_though_a_spec_cannot_be_written_to_its_file() {
    let bench = Bench::new().await;
    let (vm, other) = (bench.create("web").await, bench.create("other").await);
    bench.idle().await;
    let file = bench.spec_file(vm);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    bench.must(bench.edited(vm, |config| config.cpus = 2)).await;
    let bench = bench.killed().await.begin().await;
    assert_eq!(bench.state(vm), VmState::Quarantined);
    assert_eq!(bench.engine.diagnose().specs.unwritten, 1);
    bench.powers(other, &[START, STOP]).await;
    let mut ended = bench.end().await;
    std::fs::remove_dir(&file).unwrap();
    ended.reboot_host();
    let bench = ended.begin().await;
    assert_eq!(bench.vm(vm).spec.unwrap().config.cpus, 2, "the journal has it");
    bench.is_sound().await;
}
