//! A world outlives the process that has it.

use crate::support::{Bench, LONG, spec};
use innkeeper_driver::{Driver, Operation};
use innkeeper_model::{EndReason, MachineState, Spec, VmId};
use innkeeper_sim::{Clock, Guest, Happening, PowerButton, World, WorldOptions};
use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// Where the child that is killed has its world.
const CHILDS_WORLD: &str = "INNKEEPER_SIM_CHILDS_WORLD";

fn standing() -> WorldOptions {
    WorldOptions { clock: Clock::Virtual, ..WorldOptions::default() }
}

fn open(folder: &Path) -> Arc<World> {
    World::open(folder, standing()).unwrap()
}

/// All that can be seen of a VM.
fn seen(world: &World, spec: &Spec) -> String {
    format!("{:?} {:?}", world.machine(spec.id), world.leftovers(spec.id))
}

#[tokio::test]
async fn everything_is_there_again_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let specs: Vec<Spec> = (0..6).map(|_| spec()).collect();
    let bench = Bench::new(open(folder.path()));
    for spec in &specs[..5] {
        bench.run(spec, Operation::Start).await;
    }
    let memory = folder.path().join("memory");
    fs::write(&memory, b"").unwrap();
    bench.world.guest_remembers(specs[0].id, "a note");
    bench.world.guest_writes(specs[0].id, "a line\r\n");
    bench.run(&specs[0], Operation::Suspend { memory }).await;
    bench.world.stop_answering(specs[1].id);
    bench.world.guest(specs[2].id, Happening::Panics);
    bench.world.kill_hypervisor(specs[3].id);
    bench.run(&specs[4], Operation::Kill).await;
    let plan = bench.plan(&specs[5], &Operation::Start).await;
    bench.perform(&specs[5], &plan[0]).await.unwrap();
    let before: Vec<_> = specs.iter().map(|spec| seen(&bench.world, spec)).collect();
    let serial = bench.driver.serial_log(specs[0].id).await.unwrap();
    drop(bench);

    let bench = Bench::new(open(folder.path()));
    let after: Vec<_> = specs.iter().map(|spec| seen(&bench.world, spec)).collect();
    assert_eq!(after, before);
    assert_eq!(bench.driver.serial_log(specs[0].id).await.unwrap(), serial);
    let found: Vec<VmId> = bench.driver.recover().await.iter().map(|found| found.vm).collect();
    assert_eq!(found, specs[..4].iter().map(|spec| spec.id).collect::<Vec<_>>());
    // A process' id is not given twice.
    bench.run(&specs[4], Operation::Start).await;
    let pids: std::collections::BTreeSet<u32> = specs[..5]
        .iter()
        .map(|spec| bench.world.machine(spec.id).unwrap().incarnation.process.unwrap().pid)
        .collect();
    assert_eq!(pids.len(), 5);
}

#[tokio::test]
async fn what_a_guest_was_about_to_do_it_does_while_nobody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec();
    let after = Duration::from_millis(30);
    let guest = Guest { by_itself: Some((after, Happening::PowersOff)), ..Guest::default() };
    let real = WorldOptions { guest, ..WorldOptions::default() };
    let bench = Bench::new(World::open(folder.path(), real.clone()).unwrap());
    bench.run(&spec, Operation::Start).await;
    drop(bench);
    tokio::time::sleep(after).await;
    let world = World::open(folder.path(), real).unwrap();
    let ended = tokio::time::timeout(LONG, world.until(spec.id, MachineState::Ended)).await;
    ended.unwrap();

    // A clock that stands goes on from where it stood.
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(folder.path()));
    bench.world.set_guest(spec.id, guest);
    bench.world.advance(Duration::from_secs(3600));
    bench.run(&spec, Operation::Start).await;
    drop(bench);
    let world = open(folder.path());
    world.advance(after - Duration::from_micros(1));
    assert_eq!(world.machine(spec.id).unwrap().facts.machine, MachineState::Running);
    world.advance(Duration::from_micros(1));
    assert_eq!(world.machine(spec.id).unwrap().facts.last_end, Some(EndReason::GuestShutdown));
}

/// Starts and kills VMs until it is killed itself, saying what it has done when it is done. Does
/// nothing unless it is told where.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILDS_WORLD) else { return };
    let bench = Bench::new(World::open(folder, WorldOptions::default()).unwrap());
    let mut out = std::io::stdout();
    loop {
        let (stays, goes) = (spec(), spec());
        bench.run(&stays, Operation::Start).await;
        writeln!(out, "\nstarted {}", stays.id).unwrap();
        bench.run(&goes, Operation::Start).await;
        bench.run(&goes, Operation::Kill).await;
        writeln!(out, "\nkilled {}", goes.id).unwrap();
    }
}

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_that_it_had_done() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "outlives::child_that_is_killed", "--nocapture"])
            .env(CHILDS_WORLD, folder.path())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Killed(child.unwrap());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let told = lines
            .map(Result::unwrap)
            .filter(|line| line.starts_with("started ") || line.starts_with("killed "));
        let mut told = told.take(200 * round).collect::<Vec<_>>();
        drop(child);
        // What it still said is in the pipe and not looked at; all of that is true as well.
        let world = World::open(folder.path(), WorldOptions::default()).unwrap();
        assert_eq!(told.len(), 200 * round);
        for line in told.drain(..) {
            let (what, vm) = line.split_once(' ').unwrap();
            let vm: VmId = vm.parse().unwrap();
            let machine = world.machine(vm).map(|seen| seen.facts.machine);
            let wanted = (what == "started").then_some(MachineState::Running);
            assert_eq!(machine, wanted, "{line}");
        }
        // What it was in the middle of can be gone on with, or taken back.
        let bench = Bench::new(world);
        for found in bench.driver.recover().await {
            let known = matches!(
                found.facts.machine,
                MachineState::Running | MachineState::Created | MachineState::Absent
            );
            assert!(known, "{found:?}");
        }
    }
}

#[tokio::test]
async fn half_a_line_at_the_end_is_one_that_was_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (spec(), spec());
    let bench = Bench::new(open(folder.path()));
    bench.run(&one, Operation::Start).await;
    let before = seen(&bench.world, &one);
    drop(bench);
    let log = folder.path().join("world.log");
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(br#"[1735689600000000,{"vm":["0198"#).unwrap();
    let bench = Bench::new(open(folder.path()));
    assert_eq!(seen(&bench.world, &one), before);
    bench.run(&other, Operation::Start).await;
    drop(bench);
    let world = open(folder.path());
    assert_eq!(world.machine(other.id).unwrap().facts.machine, MachineState::Running);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_its_line_and_nothing_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(folder.path()));
    bench.run(&spec(), Operation::Start).await;
    drop(bench);
    let log = folder.path().join("world.log");
    let damaged = fs::read_to_string(&log).unwrap().replacen("launched", "lunched", 1);
    fs::write(&log, &damaged).unwrap();
    let refused = World::open(folder.path(), standing()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    assert!(refused.to_string().contains("line 3"), "{refused}");
    assert_eq!(fs::read_to_string(&log).unwrap(), damaged);
}

#[tokio::test]
async fn one_process_has_a_world_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let world = open(folder.path());
    let refused = World::open(folder.path(), standing()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    drop(world);
    open(folder.path());
}

#[tokio::test]
async fn the_file_stays_in_proportion_to_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(folder.path()));
    let (stays, spec) = (spec(), spec());
    bench.run(&stays, Operation::Start).await;
    let log = folder.path().join("world.log");
    let mut longest = 0;
    let mut shrank = 0;
    for _ in 0..3000 {
        bench.run(&spec, Operation::Start).await;
        bench.run(&spec, Operation::Kill).await;
        let length = log.metadata().unwrap().len();
        shrank += u32::from(length < longest / 2);
        longest = if length < longest / 2 { length } else { longest.max(length) };
        assert!(length < 5 << 20, "{length}");
    }
    assert!(shrank > 0, "it was written anew");
    let before = seen(&bench.world, &stays);
    drop(bench);
    assert_eq!(seen(&open(folder.path()), &stays), before);
}

/// A disk that takes no more, as far as one can have one without being root: the file may not grow.
/// In a process of its own, since the limit is the process'.
#[tokio::test]
async fn child_whose_disk_is_full() {
    let Some(folder) = std::env::var_os(CHILDS_WORLD) else { return };
    let bench = Bench::new(World::open(&folder, standing()).unwrap());
    let specs: Vec<Spec> = (0..5).map(|_| spec()).collect();
    bench.run(&specs[0], Operation::Start).await;
    assert!(bench.world.is_written_down());
    limit_files_to(3000);
    for spec in &specs[1..] {
        bench.run(spec, Operation::Start).await;
    }
    bench.run(&specs[0], Operation::Kill).await;
    assert_eq!(bench.state(&specs[0]), MachineState::Absent);
    assert!(!bench.world.is_written_down());
    limit_files_to(u64::MAX);
    let again = async {
        while !bench.world.is_written_down() {
            bench.run(&specs[1], Operation::Reset).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
    let before: Vec<_> = specs.iter().map(|spec| seen(&bench.world, spec)).collect();
    drop(bench);
    let world = World::open(&folder, standing()).unwrap();
    assert_eq!(specs.iter().map(|spec| seen(&world, spec)).collect::<Vec<_>>(), before);
}

fn limit_files_to(bytes: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    let current = (bytes != u64::MAX).then_some(bytes).or(maximum);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

#[test]
fn a_full_disk_stops_no_machine_and_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    // Ignored, so that a write beyond the limit fails instead of ending the process.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact outlives::child_whose_disk_is_full"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILDS_WORLD, folder.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
}

#[tokio::test]
async fn a_guest_asked_to_power_off_does_so_behind_a_dead_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec();
    let bench = Bench::new(open(folder.path()));
    let power_button = PowerButton::PowersOff { after: Duration::from_secs(9) };
    bench.world.set_guest(spec.id, Guest { power_button, by_itself: None });
    bench.run(&spec, Operation::Start).await;
    let press = bench.step(&spec, &crate::support::stop(), "sim/power-down").await;
    let pressed = async {
        while !bench.told.of(spec.id).events.contains(&"POWERDOWN".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = bench.perform(&spec, &press) => panic!("it ended at once"),
        () = pressed => {}
    }
    drop(bench);
    let bench = Bench::new(open(folder.path()));
    bench.driver.recover().await;
    bench.world.advance(Duration::from_secs(9));
    assert_eq!(bench.state(&spec), MachineState::Ended);
    bench.run(&spec, crate::support::stop()).await;
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
}
