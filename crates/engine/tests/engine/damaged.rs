//! A VM whose stored spec cannot be read: shown, left alone, ended and given up by word only.

use crate::support::{Bench, START, STOP, Setup, create};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, MachineState, TaskState, VmId, VmState};
use serde_json::json;

/// Changes a byte of a spec, and not its checksum.
fn damage(folder: &std::path::Path, vm: VmId) {
    let file = folder.join(format!("vms/{vm}.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("512MiB"), "{text}");
    std::fs::write(&file, text.replace("512MiB", "513MiB")).unwrap();
}

#[tokio::test]
async fn it_can_be_ended_and_given_up() {
    let bench = Bench::new().await;
    let (vm, other) = (bench.started("web").await, bench.create("other").await);
    let bench = bench.restart_with(|ended| damage(ended.path(), vm)).await;
    let file = bench.spec_file(vm);
    let record = bench.vm(vm);
    assert_eq!((record.state, record.name.as_str()), (VmState::Quarantined, "web"));
    assert_eq!(record.facts.machine, MachineState::Running, "its guest runs on");
    assert!(record.problem.unwrap().contains("checksum"));
    for verb in [START, STOP, PowerVerb::Pause, PowerVerb::Suspend, PowerVerb::Reset] {
        let refused = bench.refused(Request::Power { vm, verb }).await;
        assert_eq!(refused.code, Code::WrongState, "{verb:?}");
        assert!(refused.hint.unwrap().contains("inn delete --force"));
    }
    bench.powers(other, &[START, STOP]).await;

    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert_eq!(bench.machine(vm), MachineState::Absent);
    assert!(file.exists(), "a kill gives nothing up");
    let refused = bench.refused(Request::Delete { vm, force: false }).await;
    assert_eq!(refused.code, Code::WrongState);
    bench.must(Request::Delete { vm, force: true }).await;
    assert!(!file.exists());
    bench.must(Request::Delete { vm: other, force: false }).await;
    bench.is_empty().await;
}

#[tokio::test]
async fn it_keeps_its_name_and_its_user() {
    let uids = Some("2000000-2000002".parse().unwrap());
    let bench = Bench::with(Setup { uids, ..Setup::default() }).await;
    let vm = bench.started("web").await;
    let uid = bench.vm(vm).spec.unwrap().assigned.uid;
    assert!(uid.is_some());
    let bench = bench.restart_with(|ended| damage(ended.path(), vm)).await;
    assert_eq!(bench.state(vm), VmState::Quarantined);
    let refused = bench.refused(create(json!({ "name": "web" }))).await;
    assert_eq!(refused.code, Code::NameTaken);
    for name in ["second", "third"] {
        let other = bench.create(name).await;
        assert_ne!(bench.vm(other).spec.unwrap().assigned.uid, uid);
    }
    // Three users, and three VMs.
    let refused = bench.submit(create(json!({ "name": "fourth" }))).await;
    let refused = match refused {
        Ok(accepted) => bench.end_of(&accepted).await.error.unwrap(),
        Err(refusal) => refusal,
    };
    assert_eq!(refused.code, Code::OutOfCapacity);
}

#[tokio::test]
async fn mended_it_is_served_by_the_next_daemon() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    bench.idle().await;
    let whole = std::fs::read(bench.spec_file(vm)).unwrap();
    let bench = bench.restart_with(|ended| damage(ended.path(), vm)).await;
    let file = bench.spec_file(vm);
    let bench = bench.restart_with(|_| std::fs::write(file, whole).unwrap()).await;
    assert_eq!(bench.state(vm), VmState::Running);
    assert_eq!(bench.power(vm, STOP).await.state, TaskState::Done);
    bench.is_sound().await;
}
