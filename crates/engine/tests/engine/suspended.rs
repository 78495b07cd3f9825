//! A VM whose memory is kept: what it may, and what becomes of an image that cannot be used.

use crate::{
    held::Stop,
    support::{Bench, Ended, RESUME, START, START_AFRESH, STOP, SUSPEND, furnished},
};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, TaskState, VmId, VmState, Want, task::TaskStep};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

async fn suspended(bench: &Bench) -> (VmId, u64) {
    let vm = bench.create_of(furnished("web")).await;
    bench.powers(vm, &[START]).await;
    assert!(bench.world.guest_remembers(vm, "where it left off"));
    let memory = bench.world.machine(vm).unwrap().memory;
    bench.powers(vm, &[SUSPEND]).await;
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Suspended, Want::Suspended));
    (vm, memory)
}

fn image(bench: &Bench, vm: VmId) -> PathBuf {
    bench.volumes(vm).join("memory.img")
}

#[tokio::test]
async fn a_guest_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    bench.is_sound().await;
    assert!(image(&bench, vm).exists() && bench.vm(vm).memory.is_some());
    bench.powers(vm, &[RESUME]).await;
    let machine = bench.world.machine(vm).unwrap();
    assert_eq!((machine.memory, machine.boots), (memory, 1));
    assert_eq!(bench.want(vm), Want::Running);
    assert!(!image(&bench, vm).exists() && bench.vm(vm).memory.is_none());
    bench.is_sound().await;
    // Again, from paused.
    bench.powers(vm, &[PowerVerb::Pause, SUSPEND, RESUME, STOP, START]).await;
    assert_eq!(bench.world.machine(vm).unwrap().boots, 1, "a new machine's first");
    bench.is_sound().await;
}

#[tokio::test]
async fn the_memory_outlives_daemons_and_hosts() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    let bench = bench.restart().await;
    assert_eq!(bench.state(vm), VmState::Suspended);
    let bench = bench.restart_with(Ended::reboot_host).await;
    assert_eq!(bench.state(vm), VmState::Suspended);
    bench.is_sound().await;
    bench.powers(vm, &[RESUME]).await;
    assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_would_lose_or_damage_it_is_refused() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    let clone = Request::Clone { vm, name: "copy".parse().unwrap() };
    let power = |verb| Request::Power { vm, verb };
    for (request, hint) in [
        (power(START), "--discard-memory"),
        (clone, "inn resume"),
        (Request::Delete { vm, force: false }, "inn resume"),
        (power(STOP), ""),
        (power(PowerVerb::Kill), ""),
        (power(SUSPEND), ""),
        (power(PowerVerb::Pause), ""),
        (power(PowerVerb::Reset), ""),
    ] {
        let text = format!("{request:?}");
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::WrongState, "{text}");
        assert!(refused.message.contains("suspended"), "{refused}");
        assert!(refused.hint.unwrap_or_default().contains(hint), "{text}");
    }
    let mut edited = bench.vm(vm).spec.unwrap().config.clone();
    edited.disks.retain(|disk| disk.name.as_str() != "root");
    let edit = Request::Edit { vm, config: Box::new(edited), expected: None };
    assert_eq!(bench.refused(edit).await.code, Code::InUse);
    bench.is_sound().await;
    bench.powers(vm, &[RESUME]).await;
    assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
}

/// Two files of the host's, and other names for the first.
fn host_files(bench: &Bench) -> PathBuf {
    let folder = bench.path().join("allowed");
    fs::create_dir(&folder).unwrap();
    for file in ["data.raw", "other.raw"] {
        fs::write(folder.join(file), vec![0; 1 << 20]).unwrap();
    }
    symlink("data.raw", folder.join("link.raw")).unwrap();
    fs::hard_link(folder.join("data.raw"), folder.join("hard.raw")).unwrap();
    folder
}

async fn with_disk(bench: &Bench, name: &str, path: &Path, read_only: bool) -> VmId {
    let disk = json!({ "name": "data", "path": path, "format": "raw", "read_only": read_only });
    bench.create_of(json!({ "name": name, "memory": "32MiB", "disks": [disk] })).await
}

#[track_caller]
fn is_in_keepers_memory(task: &innkeeper_model::Task) {
    let refused = task.error.clone().unwrap();
    assert_eq!(refused.code, Code::InUse, "{refused}");
    assert_eq!(refused.field.as_deref(), Some("disks[data].path"));
    assert!(refused.message.contains("VM keeper"), "{refused}");
    let hint = refused.hint.unwrap();
    let ways = ["inn resume keeper", "inn start --discard-memory keeper"];
    assert!(ways.iter().all(|way| hint.contains(way)), "{hint}");
}

/// Its hypervisor's locks on them are gone with its machine.
#[tokio::test]
async fn nobody_is_started_with_a_host_file_of_its_memory() {
    let bench = Bench::new().await;
    let folder = host_files(&bench);
    let keeper = with_disk(&bench, "keeper", &folder.join("data.raw"), false).await;
    let mut others = Vec::new();
    for (name, file, read_only) in [
        ("writer", "data.raw", false),
        ("reader", "data.raw", true),
        ("linked", "link.raw", false),
        ("hard", "hard.raw", false),
    ] {
        others.push(with_disk(&bench, name, &folder.join(file), read_only).await);
    }
    let stranger = with_disk(&bench, "stranger", &folder.join("other.raw"), false).await;
    bench.powers(keeper, &[START, SUSPEND]).await;
    for vm in &others {
        is_in_keepers_memory(&bench.power(*vm, START).await);
        assert_eq!(bench.state(*vm), VmState::Stopped);
    }
    bench.powers(stranger, &[START]).await;
    // Memory whose record cannot be read has its disks, too.
    let record = bench.volumes(keeper).join("memory.json");
    let text = fs::read_to_string(&record).unwrap();
    let bench = bench.restart_with(|_| fs::write(&record, "{}").unwrap()).await;
    is_in_keepers_memory(&bench.power(others[0], START).await);
    let bench = bench.restart_with(|_| fs::write(&record, text).unwrap()).await;
    bench.powers(keeper, &[RESUME, STOP]).await;
    bench.powers(others[0], &[START, STOP]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn a_host_file_that_nobody_writes_to_may_be_in_many_memories() {
    let bench = Bench::new().await;
    let folder = host_files(&bench);
    let keeper = with_disk(&bench, "keeper", &folder.join("data.raw"), true).await;
    let reader = with_disk(&bench, "reader", &folder.join("data.raw"), true).await;
    let writer = with_disk(&bench, "writer", &folder.join("data.raw"), false).await;
    bench.powers(keeper, &[START, SUSPEND]).await;
    bench.powers(reader, &[START, SUSPEND, RESUME]).await;
    is_in_keepers_memory(&bench.power(writer, START).await);
    bench.powers(keeper, &[RESUME]).await;
    bench.is_sound().await;
}

/// Whether it is somebody's memory is asked when a machine is planned, and again when it is there: in between
/// hooks take as long as they do.
#[tokio::test]
async fn a_host_file_that_became_part_of_memory_after_a_start_was_planned_is_not_written_to() {
    let bench = Bench::new().await;
    let folder = host_files(&bench);
    let keeper = with_disk(&bench, "keeper", &folder.join("data.raw"), false).await;
    let writer = with_disk(&bench, "writer", &folder.join("link.raw"), false).await;
    bench.powers(keeper, &[START]).await;
    let go = bench.path().join("go");
    crate::hooks::hook(
        &bench,
        "pre-start",
        &format!("while [ ! -e {} ]; do sleep 0.02; done", go.display()),
    );
    let accepted = bench.submit(Request::Power { vm: writer, verb: START }).await.unwrap();
    bench
        .until("the hook runs", |snapshot| {
            let task = snapshot.tasks.get(&accepted.task);
            let begun =
                |step: &TaskStep| step.name.as_str() == "hook:pre-start" && step.started.is_some();
            task.is_some_and(|task| task.steps.iter().any(begun))
        })
        .await;
    bench.powers(keeper, &[SUSPEND]).await;
    fs::write(&go, "").unwrap();
    let task = bench.end_of(&accepted).await;
    assert_eq!(task.state, TaskState::Failed);
    is_in_keepers_memory(&task);
    assert_eq!((bench.state(writer), bench.want(writer)), (VmState::Stopped, Want::Stopped));
    bench.is_sound().await;
    bench.powers(keeper, &[RESUME, STOP]).await;
    bench.powers(writer, &[START]).await;
}

/// It is asked when the hypervisor has the file for the new machine, so that nobody can come in between; by
/// the next daemon, too.
#[tokio::test]
async fn a_machine_that_was_made_is_let_run_only_if_its_host_files_are_nobodys_memory() {
    let bench = Bench::new().await;
    let folder = host_files(&bench);
    let keeper = with_disk(&bench, "keeper", &folder.join("data.raw"), false).await;
    let writer = with_disk(&bench, "writer", &folder.join("data.raw"), false).await;
    bench.powers(keeper, &[START]).await;
    let stop = Stop::at("start/sim/launch/after-act");
    let bench = bench.end().await.begin_witnessed(Some(stop.clone())).await;
    let accepted = bench.submit(Request::Power { vm: writer, verb: START }).await.unwrap();
    stop.reached().await;
    bench.powers(keeper, &[SUSPEND]).await;
    let bench = bench.restart().await;
    let task = bench.end_of(&accepted).await;
    assert_eq!((task.state, task.taken_up), (TaskState::Failed, 1), "{task:?}");
    is_in_keepers_memory(&task);
    assert_eq!(bench.machine(writer), innkeeper_model::MachineState::Absent);
    bench.powers(keeper, &[RESUME]).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn it_can_be_given_up_by_word_only() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    bench.powers(vm, &[START_AFRESH]).await;
    assert_ne!(bench.world.machine(vm).unwrap().memory, memory);
    assert!(!image(&bench, vm).exists());
    bench.is_sound().await;
    bench.powers(vm, &[SUSPEND]).await;
    bench.must(Request::Delete { vm, force: true }).await;
    bench.is_empty().await;
}

#[tokio::test]
async fn a_suspend_that_fails_leaves_the_guest_running() {
    let bench = Bench::new().await;
    let vm = bench.create_of(furnished("web")).await;
    bench.powers(vm, &[START]).await;
    let memory = bench.world.machine(vm).unwrap().memory;
    for step in ["sim/pause", "sim/save-memory"] {
        let fault = bench.fails(step);
        let task = bench.power(vm, SUSPEND).await;
        bench.world.take_away(fault);
        assert_eq!(task.state, TaskState::Failed, "{step}");
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
        assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
        bench.is_sound().await;
    }
    // One that was paused is paused again.
    bench.powers(vm, &[PowerVerb::Pause]).await;
    let fault = bench.fails("sim/save-memory");
    assert_eq!(bench.power(vm, SUSPEND).await.state, TaskState::Failed);
    bench.world.take_away(fault);
    assert_eq!(bench.state(vm), VmState::Paused);
    bench.is_sound().await;
}

#[tokio::test]
async fn a_resume_that_fails_keeps_the_memory() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    for step in ["sim/launch", "sim/load-memory", "sim/continue"] {
        let fault = bench.fails(step);
        let task = bench.power(vm, RESUME).await;
        bench.world.take_away(fault);
        assert_eq!(task.state, TaskState::Failed, "{step}");
        assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Suspended, Want::Suspended));
        bench.is_sound().await;
    }
    bench.powers(vm, &[RESUME]).await;
    assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
}

/// A guest that has gone on must never be taken back to the memory that it went on from.
#[tokio::test]
async fn a_resume_that_says_it_failed_and_did_not_is_done() {
    use innkeeper_sim::{Fault, FaultRule};
    let bench = Bench::new().await;
    let (vm, _) = suspended(&bench).await;
    let lie = Fault::ClaimsFailed(crate::support::as_told());
    bench.world.inject(FaultRule::new("sim/continue", lie));
    bench.powers(vm, &[RESUME]).await;
    bench.world.take_away_all();
    assert!(!image(&bench, vm).exists());
    bench.is_sound().await;
}

#[tokio::test]
async fn an_image_that_is_not_whole_is_refused_before_anything_starts() {
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [(&str, Spoil); 2] =
        [("truncated", |image| image.truncate(1000)), ("damaged", |image| image[20_000] ^= 1)];
    for (how, spoil) in spoils {
        let bench = Bench::new().await;
        let (vm, _) = suspended(&bench).await;
        let whole = std::fs::read(image(&bench, vm)).unwrap();
        let mut spoiled = whole.clone();
        spoil(&mut spoiled);
        std::fs::write(image(&bench, vm), spoiled).unwrap();
        let task = bench.power(vm, RESUME).await;
        let refused = task.error.unwrap();
        assert_eq!(refused.code, Code::IncompatibleMemory, "{how}: {refused}");
        assert!(refused.hint.unwrap().contains("--discard-memory"));
        assert_eq!(bench.state(vm), VmState::Suspended, "{how}");
        bench.is_sound().await;
        // The right one is back.
        std::fs::write(image(&bench, vm), whole).unwrap();
        bench.powers(vm, &[RESUME]).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn an_image_of_another_hypervisor_is_refused_by_name() {
    let bench = Bench::new().await;
    let (vm, memory) = suspended(&bench).await;
    let record = bench.volumes(vm).join("memory.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let mut bench = bench;
    for (from, to, named) in [
        (r#""machine": "sim-1.0""#, r#""machine": "sim-9.9""#, "sim-9.9"),
        (r#""accelerator": "none""#, r#""accelerator": "kvm""#, "kvm"),
        (r#""driver": "sim""#, r#""driver": "qemu""#, "qemu"),
    ] {
        assert!(text.contains(from), "{text}");
        bench =
            bench.restart_with(|_| std::fs::write(&record, text.replace(from, to)).unwrap()).await;
        assert_eq!(bench.state(vm), VmState::Suspended, "{named}");
        let refused = bench.power(vm, RESUME).await.error.unwrap();
        assert_eq!(refused.code, Code::IncompatibleMemory, "{refused}");
        assert!(refused.value.unwrap().contains(named));
        let shown = refused.message;
        assert!(["sim", "machine", "CPU", "accelerator"].iter().all(|word| shown.contains(word)));
        assert_eq!(bench.machine(vm), innkeeper_model::MachineState::Absent);
    }
    let bench = bench.restart_with(|_| std::fs::write(&record, &text).unwrap()).await;
    bench.powers(vm, &[RESUME]).await;
    assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
    bench.is_sound().await;
}

/// Its disks belong to that memory, whoever can read it.
#[tokio::test]
async fn a_vm_with_memory_whose_record_cannot_be_read_is_not_started_from_its_disks() {
    let spoils = [r#""schema": 1"#, r#""checksum""#];
    for (spoil, by) in spoils.into_iter().zip([r#""schema": 99"#, r#""sum""#]) {
        let bench = Bench::new().await;
        let (vm, memory) = suspended(&bench).await;
        let record = bench.volumes(vm).join("memory.json");
        let text = std::fs::read_to_string(&record).unwrap();
        assert!(text.contains(spoil), "{text}");
        let spoiled = text.replacen(spoil, by, 1);
        let bench = bench.restart_with(|_| std::fs::write(&record, &spoiled).unwrap()).await;
        assert!(bench.vm(vm).problem.unwrap().contains("memory"));
        let start = bench.submit(Request::Power { vm, verb: START }).await;
        let ends = match &start {
            Ok(accepted) => bench.end_of(accepted).await.state,
            Err(_) => TaskState::Failed,
        };
        assert_eq!(ends, TaskState::Failed, "{by}: the guest would change the disks under it");
        assert_eq!(std::fs::read_to_string(&record).unwrap(), spoiled, "nothing is erased");
        // A version that can read it goes on from it.
        let bench = bench.restart_with(|_| std::fs::write(&record, &text).unwrap()).await;
        assert_eq!(bench.state(vm), VmState::Suspended);
        bench.powers(vm, &[RESUME]).await;
        assert_eq!(bench.world.machine(vm).unwrap().memory, memory);
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn how_far_it_is_can_be_watched() {
    let bench = Bench::new().await;
    let vm = bench.started("web").await;
    for verb in [SUSPEND, RESUME] {
        let task = bench.power(vm, verb).await;
        assert_eq!((task.state, task.percent), (TaskState::Done, Some(100)), "{verb:?}");
    }
    assert_eq!(bench.power(vm, STOP).await.percent, None);
}
