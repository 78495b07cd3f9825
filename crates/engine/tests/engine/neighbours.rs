//! Another manager's machines: seen, left alone, adopted, driven, given back.

use crate::{
    hooks::hook,
    support::{Bench, Ended, LONG, START, STOP, Setup, caller},
};
use innkeeper_driver::conformance::{OwnersDeed, PaperManager, check_neighbour};
use innkeeper_engine::{NicChange, PowerVerb, Request};
use innkeeper_model::{
    Code, Facts, MachineState, Mebibytes, TaskState, VmConfig, VmId, VmState, Want,
};
use innkeeper_session::Role;
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn beside(manager: &Arc<PaperManager>) -> Bench {
    let setup = Setup { neighbour: Some(manager.clone()), ..Setup::default() };
    Bench::with(setup).await
}

/// A daemon beside a manager, and a machine of that manager's which it sees.
async fn seen(name: &str) -> (Bench, Arc<PaperManager>, VmId) {
    let manager = Arc::new(PaperManager::default());
    let vm = manager.define(name);
    let bench = beside(&manager).await;
    bench.until("seen", |snapshot| snapshot.vms.contains_key(&vm)).await;
    (bench, manager, vm)
}

async fn adopted(name: &str) -> (Bench, Arc<PaperManager>, VmId) {
    let (bench, manager, vm) = seen(name).await;
    bench.must(adopt(vm)).await;
    (bench, manager, vm)
}

fn adopt(vm: VmId) -> Request {
    Request::AdoptManaged { vm, name: None }
}

fn machine(manager: &PaperManager, vm: VmId) -> MachineState {
    manager.machine(vm).expect("it is still defined").machine
}

#[tokio::test]
async fn the_manager_on_paper_is_one_as_others_are() {
    let manager = Arc::new(PaperManager::default());
    check_neighbour(&manager).await;
    manager.make_guests_deaf(true);
    check_neighbour(&manager).await;
}

#[tokio::test]
async fn its_machines_are_vms_and_what_their_owner_does_is_seen() {
    let (bench, manager, vm) = seen("web").await;
    let shown = bench.vm(vm);
    assert_eq!((shown.name.as_str(), shown.project.as_str()), ("web", "paper"));
    assert_eq!((shown.state, shown.want, shown.is_foreign()), (VmState::Stopped, None, true));
    let managed = shown.managed.unwrap();
    assert_eq!((managed.by.as_str(), managed.as_of), ("paper", None));
    assert_eq!((managed.machine.cpus, managed.machine.memory), (1, Mebibytes(64)));
    for (deed, state) in [
        (OwnersDeed::Start, VmState::Running),
        (OwnersDeed::Pause, VmState::Paused),
        (OwnersDeed::Resume, VmState::Running),
        (OwnersDeed::End, VmState::Stopped),
    ] {
        manager.owner(vm, deed);
        bench.until_state(vm, state).await;
        assert!(bench.vm(vm).facts.since.is_some(), "it was seen to change");
    }
    let other = manager.define("another one, with spaces");
    bench.until("seen", |snapshot| snapshot.vms.contains_key(&other)).await;
    let name = bench.vm(other).name;
    assert!(name.as_str().starts_with("another-one--with-spaces-"), "{name}");
    manager.owner(vm, OwnersDeed::Undefine);
    bench.until("gone", |snapshot| !snapshot.vms.contains_key(&vm)).await;
    bench.is_sound().await;
}

#[tokio::test]
async fn what_no_word_came_of_is_found_by_a_survey() {
    let (bench, manager, vm) = seen("web").await;
    manager.change_silently(vm, MachineState::Running);
    assert_eq!(bench.state(vm), VmState::Stopped);
    bench.engine.survey().await;
    assert_eq!(bench.state(vm), VmState::Running);
    // An operator who doubts what is shown of one has its manager asked.
    manager.change_silently(vm, MachineState::Paused);
    bench.engine.reconcile(&caller(), vm);
    bench.until_state(vm, VmState::Paused).await;
}

#[tokio::test]
async fn nothing_is_done_to_what_was_not_adopted() {
    let (bench, manager, vm) = seen("web").await;
    manager.owner(vm, OwnersDeed::Start);
    bench.until_state(vm, VmState::Running).await;
    let before = manager.machine(vm);
    let config = Box::new(VmConfig::new("web".parse().unwrap()));
    let nic = NicChange::Remove("lan".parse().unwrap());
    let mut requests = vec![
        Request::Edit { vm, config, expected: None },
        Request::Clone { vm, name: "copy".parse().unwrap() },
        Request::Nic { vm, change: nic },
        Request::Delete { vm, force: false },
        Request::Delete { vm, force: true },
    ];
    let verbs = [
        START,
        STOP,
        PowerVerb::Kill,
        PowerVerb::Reboot { timeout: LONG, force: true },
        PowerVerb::Reset,
        PowerVerb::Pause,
        PowerVerb::Resume,
        PowerVerb::Suspend,
    ];
    requests.extend(verbs.map(|verb| Request::Power { vm, verb }));
    for request in requests {
        let text = format!("{request:?}");
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::ManagedElsewhere, "{text}");
        assert!(refused.message.contains("paper's"), "{refused}");
        assert!(refused.hint.unwrap().contains(&format!("inn adopt {vm}")));
    }
    let refused = bench.engine.dry_run(Request::Power { vm, verb: START }).await.unwrap_err();
    assert_eq!(refused.code, Code::ManagedElsewhere);
    let refused = bench.engine.open_console(&caller(), vm, Role::ReadOnly).await.err().unwrap();
    assert_eq!(refused.code, Code::ManagedElsewhere);
    let refused = bench.engine.agent(&caller(), vm, "exec").unwrap_err();
    assert_eq!(refused.code, Code::ManagedElsewhere);
    let refused = bench.engine.disk_file(&caller(), vm, "root").await.err().unwrap();
    assert_eq!(refused.code, Code::ManagedElsewhere);
    // Who only looks is told what there is, or that there is nothing to look at.
    let refused = bench.engine.statistics(vm).await.unwrap_err();
    assert_eq!(refused.code, Code::Unsupported);
    assert_eq!(manager.machine(vm), before);
    bench.is_sound().await;
}

#[tokio::test]
async fn an_own_vm_of_the_same_name_is_another() {
    let (bench, manager, theirs) = seen("web").await;
    let own = bench.started("web").await;
    assert_ne!(own, theirs);
    let snapshot = bench.snapshot();
    assert!(matches!(
        snapshot.find_vm("web", None),
        innkeeper_view::Lookup::Ambiguous(candidates) if candidates.len() == 2
    ));
    manager.owner(theirs, OwnersDeed::Undefine);
    bench.until("gone", |snapshot| !snapshot.vms.contains_key(&theirs)).await;
    assert_eq!(bench.state(own), VmState::Running);
    // Nor does a machine become a VM's own by its id.
    manager.put(innkeeper_model::NeighbourMachine {
        id: own,
        machine: MachineState::Absent,
        last_end: None,
        is: innkeeper_model::ManagedMachine { name: "impostor".into(), ..Default::default() },
    });
    let marker = manager.define("marker");
    bench.until("told", |snapshot| snapshot.vms.contains_key(&marker)).await;
    let still = bench.vm(own);
    assert_eq!((still.name.as_str(), still.state), ("web", VmState::Running));
    assert!(still.managed.is_none());
    manager.owner(own, OwnersDeed::Undefine);
    manager.owner(marker, OwnersDeed::Undefine);
    bench.until("gone", |snapshot| !snapshot.vms.contains_key(&marker)).await;
    assert_eq!(bench.state(own), VmState::Running);
    bench.is_sound().await;
}

#[tokio::test]
async fn while_the_manager_is_away_its_vms_are_shown_with_their_age() {
    let (bench, manager, vm) = seen("web").await;
    manager.owner(vm, OwnersDeed::Start);
    bench.until_state(vm, VmState::Running).await;
    manager.cut("the socket is gone");
    let is_old = |snapshot: &innkeeper_view::Snapshot| {
        snapshot.vms[&vm].managed.as_ref().is_some_and(|managed| managed.as_of.is_some())
    };
    bench.until("old", is_old).await;
    let shown = bench.vm(vm);
    assert_eq!(shown.state, VmState::Running, "as far as is known");
    assert_eq!(shown.managed.unwrap().lost.as_deref(), Some("the socket is gone"));
    let snapshot = bench.engine.view().snapshot();
    let [manager_of_it] = &snapshot.host.managers[..] else { panic!("{:?}", snapshot.host) };
    let loss = manager_of_it.lost.as_ref().unwrap();
    assert_eq!((&*manager_of_it.name, &*loss.reason), ("paper", "the socket is gone"));
    assert_eq!(loss.hint.as_deref(), Some("mend it"));
    let refused = bench.refused(adopt(vm)).await;
    assert_eq!(refused.code, Code::WrongState);
    // What happened meanwhile is seen when it is back.
    manager.owner(vm, OwnersDeed::Undefine);
    let other = manager.define("other");
    bench.engine.survey().await;
    assert!(bench.find(vm).is_some() && bench.find(other).is_none());
    manager.mend();
    bench.until("seen", |snapshot| snapshot.vms.contains_key(&other)).await;
    bench.until("gone", |snapshot| !snapshot.vms.contains_key(&vm)).await;
    assert_eq!(bench.vm(other).managed.unwrap().as_of, None);
    assert_eq!(bench.engine.view().snapshot().host.managers[0].lost, None);
}

#[tokio::test]
async fn a_daemon_begins_without_the_manager() {
    let manager = Arc::new(PaperManager::default());
    let vm = manager.define("web");
    manager.cut("nobody listens");
    let bench = beside(&manager).await;
    let own = bench.started("own").await;
    assert!(bench.find(vm).is_none());
    // Nothing of it is known yet but this.
    let is_told = |snapshot: &innkeeper_view::Snapshot| {
        let lost = snapshot.host.managers.first().and_then(|manager| manager.lost.as_ref());
        lost.is_some_and(|loss| loss.reason == "nobody listens")
    };
    bench.until("told", is_told).await;
    manager.mend();
    bench.until("seen", |snapshot| snapshot.vms.contains_key(&vm)).await;
    bench.powers(own, &[STOP]).await;
}

#[tokio::test]
async fn one_that_was_adopted_is_driven_through_its_manager() {
    let (bench, manager, vm) = adopted("web").await;
    let shown = bench.vm(vm);
    assert_eq!((shown.state, shown.want), (VmState::Stopped, Some(Want::Stopped)));
    assert!(!shown.is_foreign());
    assert_eq!(shown.spec.unwrap().driver.as_deref(), Some("paper"));
    for (verb, state, want) in [
        (START, VmState::Running, Want::Running),
        (PowerVerb::Pause, VmState::Paused, Want::Paused),
        (PowerVerb::Resume, VmState::Running, Want::Running),
        (STOP, VmState::Stopped, Want::Stopped),
        (START, VmState::Running, Want::Running),
        (PowerVerb::Kill, VmState::Stopped, Want::Stopped),
    ] {
        let task = bench.power(vm, verb).await;
        assert_eq!(task.state, TaskState::Done, "{verb:?}: {:?}", task.error);
        assert_eq!((bench.state(vm), bench.want(vm)), (state, want), "{verb:?}");
        assert!(task.steps.iter().any(|step| step.name.starts_with("paper/")), "{task:?}");
    }
    assert!(manager.machine(vm).is_some_and(|machine| machine.is.persistent));
    bench.is_sound().await;
}

#[tokio::test]
async fn an_adopted_one_can_do_nothing_else() {
    let (bench, manager, vm) = adopted("web").await;
    bench.powers(vm, &[START]).await;
    let config = Box::new(bench.vm(vm).spec.unwrap().config.clone());
    let nic = NicChange::Remove("lan".parse().unwrap());
    let requests = [
        Request::Edit { vm, config, expected: None },
        Request::Clone { vm, name: "copy".parse().unwrap() },
        Request::Nic { vm, change: nic },
        Request::Power { vm, verb: PowerVerb::Reboot { timeout: LONG, force: false } },
        Request::Power { vm, verb: PowerVerb::Reset },
        Request::Power { vm, verb: PowerVerb::Suspend },
    ];
    for request in requests {
        let text = format!("{request:?}");
        let refused = bench.refused(request).await;
        assert_eq!(refused.code, Code::Unsupported, "{text}");
        assert!(refused.message.contains("unsupported by driver paper"), "{refused}");
    }
    let refused = bench.refused(adopt(vm)).await;
    assert_eq!(refused.code, Code::WrongState);
    let own = bench.create("own").await;
    assert_eq!(bench.refused(adopt(own)).await.code, Code::WrongState);
    assert_eq!(bench.refused(adopt(VmId::new())).await.code, Code::NotFound);
    assert_eq!(machine(&manager, vm), MachineState::Running);
    bench.is_sound().await;
}

#[tokio::test]
async fn deleting_one_gives_it_back_as_it_is() {
    for force in [false, true] {
        let (bench, manager, vm) = adopted("web").await;
        bench.powers(vm, &[START]).await;
        let before = manager.machine(vm);
        bench.must(Request::Delete { vm, force }).await;
        assert_eq!(manager.machine(vm), before, "force: {force}");
        let shown = bench.vm(vm);
        assert_eq!((shown.state, shown.is_foreign()), (VmState::Running, true));
        bench.until_so("forgotten", || !bench.spec_file(vm).exists()).await;
        assert_eq!(
            bench.refused(Request::Power { vm, verb: STOP }).await.code,
            Code::ManagedElsewhere
        );
        let bench = bench.restart().await;
        bench.until("seen", |snapshot| snapshot.vms.contains_key(&vm)).await;
        assert!(bench.vm(vm).is_foreign());
        bench.must(adopt(vm)).await;
        bench.powers(vm, &[STOP]).await;
        bench.is_sound().await;
    }
}

#[tokio::test]
async fn an_adopted_one_outlives_the_daemon() {
    let (bench, manager, vm) = adopted("web").await;
    bench.powers(vm, &[START]).await;
    let ended = bench.killed().await;
    manager.cut("not yet");
    let bench = ended.begin().await;
    // Until its manager says, nobody knows how it is.
    let shown = bench.vm(vm);
    assert_eq!(shown.state, VmState::Unresponsive);
    assert!(shown.problem.is_some());
    manager.mend();
    bench.until_state(vm, VmState::Running).await;
    assert_eq!(bench.vm(vm).problem, None);
    bench.powers(vm, &[STOP]).await;
    // It is its manager that starts it with the host.
    bench.powers(vm, &[START]).await;
    manager.owner(vm, OwnersDeed::End);
    bench.until_state(vm, VmState::Stopped).await;
    let bench = bench.restart_with(Ended::reboot_host).await;
    bench.until_state(vm, VmState::Stopped).await;
    assert_eq!(machine(&manager, vm), MachineState::Absent);
    bench.is_sound().await;
}

#[tokio::test]
async fn one_that_its_owner_undefined_is_kept_until_it_is_deleted() {
    let (bench, manager, vm) = adopted("web").await;
    bench.powers(vm, &[START]).await;
    manager.owner(vm, OwnersDeed::Undefine);
    bench.until("gone", |snapshot| snapshot.vms[&vm].managed.is_none()).await;
    let shown = bench.vm(vm);
    assert_eq!((shown.state, shown.facts.machine), (VmState::Stopped, MachineState::Absent));
    assert!(shown.problem.unwrap().contains("inn delete"));
    let task = bench.power(vm, START).await;
    assert_eq!(task.error.unwrap().code, Code::NotFound);
    let bench = bench.restart().await;
    bench.until_state(vm, VmState::Stopped).await;
    assert!(bench.vm(vm).problem.unwrap().contains("inn delete"));
    bench.must(Request::Delete { vm, force: false }).await;
    assert!(bench.find(vm).is_none());
    bench.is_sound().await;
}

#[tokio::test]
async fn a_stop_is_cancelled_and_overtaken_by_a_kill() {
    let (bench, manager, vm) = adopted("web").await;
    manager.make_guests_deaf(true);
    bench.powers(vm, &[START]).await;
    let waits = |task| {
        move |snapshot: &innkeeper_view::Snapshot| {
            let steps = snapshot.tasks.get(&task).map(|task| task.steps.as_slice());
            steps.is_some_and(|steps| {
                let running = innkeeper_model::task::StepState::Running;
                steps.iter().any(|step| step.name == "paper/shutdown" && step.state == running)
            })
        }
    };
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.until("waits", waits(stop.task)).await;
    bench.cancel(&stop).await.unwrap();
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Running, Want::Running));
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    bench.until("waits", waits(stop.task)).await;
    bench.powers(vm, &[PowerVerb::Kill]).await;
    assert_eq!(bench.end_of(&stop).await.state, TaskState::Cancelled);
    assert_eq!(bench.state(vm), VmState::Stopped);
    let late = PowerVerb::Stop { timeout: Duration::from_millis(20) };
    bench.powers(vm, &[START]).await;
    assert_eq!(bench.power(vm, late).await.error.unwrap().code, Code::Timeout);
    assert_eq!(bench.state(vm), VmState::Running);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_a_daemon_was_in_the_middle_of_is_gone_on_with_by_its_driver() {
    let (bench, manager, vm) = adopted("web").await;
    manager.make_guests_deaf(true);
    bench.powers(vm, &[START]).await;
    let stop = bench.submit(Request::Power { vm, verb: STOP }).await.unwrap();
    let running = innkeeper_model::task::StepState::Running;
    bench
        .until("waits", |snapshot| {
            let steps = snapshot.tasks.get(&stop.task).map(|task| task.steps.as_slice());
            steps.is_some_and(|steps| {
                steps.iter().any(|step| step.name == "paper/shutdown" && step.state == running)
            })
        })
        .await;
    let ended = bench.killed().await;
    manager.make_guests_deaf(false);
    let bench = ended.begin().await;
    let task = bench.engine.wait(stop.task, LONG).await.unwrap();
    assert_eq!(task.state, TaskState::Done, "{task:?}");
    bench.until_state(vm, VmState::Stopped).await;
    assert_eq!(machine(&manager, vm), MachineState::Absent);
    bench.is_sound().await;
}

#[tokio::test]
async fn what_its_owner_does_to_an_adopted_one_is_no_crash_and_counts() {
    let (bench, manager, vm) = adopted("web").await;
    let used = |bench: &Bench| bench.engine.diagnose().usage.memory;
    assert_eq!(used(&bench), Mebibytes(0));
    manager.owner(vm, OwnersDeed::Start);
    bench.until_so("counted", || used(&bench) == Mebibytes(64)).await;
    manager.owner(vm, OwnersDeed::End);
    bench.until_so("given back", || used(&bench) == Mebibytes(0)).await;
    assert_eq!(bench.state(vm), VmState::Stopped, "nobody started it again");
    bench.powers(vm, &[START]).await;
    assert_eq!(used(&bench), Mebibytes(64));
    bench.must(Request::Delete { vm, force: false }).await;
    assert_eq!(used(&bench), Mebibytes(0));
}

#[tokio::test]
async fn a_name_may_be_given_and_must_be_free() {
    let (bench, manager, vm) = seen("a b").await;
    let other = manager.define("other");
    bench.until("seen", |snapshot| snapshot.vms.contains_key(&other)).await;
    let named = |vm, name: &str| Request::AdoptManaged { vm, name: Some(name.parse().unwrap()) };
    assert_eq!(bench.refused(named(vm, "other")).await.code, Code::NameTaken);
    bench.must(named(vm, "a-b")).await;
    let shown = bench.vm(vm);
    assert_eq!((shown.name.as_str(), shown.managed.unwrap().machine.name.as_str()), ("a-b", "a b"));
    bench.must(Request::Delete { vm, force: false }).await;
    assert_ne!(bench.vm(vm).name.as_str(), "a-b", "that name was Innkeeper's");
}

#[tokio::test]
async fn its_process_is_shown_once() {
    let (bench, manager, vm) = seen("web").await;
    manager.owner(vm, OwnersDeed::Start);
    bench.until_state(vm, VmState::Running).await;
    let pid = bench.vm(vm).managed.unwrap().machine.pid.unwrap();
    let foreign = bench.world.add_foreign(crate::support::stranger());
    bench.engine.survey().await;
    assert_eq!(bench.snapshot().host.foreign.len(), 1, "pid {pid} is no stranger");
    // The manager says only later that the stranger is one of its machines.
    let mut told = manager.machine(vm).unwrap();
    told.is.pid = Some(foreign.process.pid);
    manager.put(told);
    bench.until("shown once", |snapshot| snapshot.host.foreign.is_empty()).await;
    bench.engine.survey().await;
    assert!(bench.snapshot().host.foreign.is_empty());
}

#[tokio::test]
async fn one_whose_manager_was_taken_out_of_the_configuration_is_left_alone() {
    let (bench, manager, vm) = adopted("web").await;
    bench.powers(vm, &[START]).await;
    let bench = bench.restart_with(|ended| ended.setup.neighbour = None).await;
    let shown = bench.vm(vm);
    assert_eq!(shown.state, VmState::Unresponsive);
    assert_eq!(shown.facts, Facts { machine: MachineState::Unresponsive, ..Facts::default() });
    let task = bench.power(vm, PowerVerb::Kill).await;
    let refused = task.error.unwrap();
    assert_eq!(refused.code, Code::Unsupported);
    assert!(refused.hint.unwrap().contains("[paper] socket"));
    bench.create_of(json!({ "name": "own" })).await;
    bench.must(Request::Delete { vm, force: false }).await;
    assert!(bench.find(vm).is_none());
    assert_eq!(machine(&manager, vm), MachineState::Running);
}

#[tokio::test]
async fn a_start_that_a_hook_refuses_is_undone_and_one_of_its_owners_is_not() {
    let (bench, manager, vm) = adopted("web").await;
    hook(&bench, "post-start", "exit 2");
    assert_eq!(bench.power(vm, START).await.error.unwrap().code, Code::HookFailed);
    assert_eq!((bench.state(vm), bench.want(vm)), (VmState::Stopped, Want::Stopped));
    assert_eq!(machine(&manager, vm), MachineState::Absent);
    bench.is_sound().await;
    // Between the asking and its turn, its owner has started it: that run is not ended.
    manager.change_silently(vm, MachineState::Running);
    assert_eq!(bench.power(vm, START).await.error.unwrap().code, Code::HookFailed);
    assert_eq!(machine(&manager, vm), MachineState::Running);
}

#[tokio::test]
async fn what_would_be_done_is_shown_and_takes_nothing_away() {
    let (bench, _manager, vm) = seen("web").await;
    let paths = |request: Request| {
        let bench = &bench;
        async move {
            let planned = bench.engine.dry_run(request).await.unwrap();
            planned.steps.into_iter().map(|step| step.path).collect::<Vec<_>>()
        }
    };
    assert_eq!(paths(adopt(vm)).await, ["reserve-disk", "save-spec"]);
    assert!(bench.vm(vm).is_foreign());
    bench.must(adopt(vm)).await;
    let start = paths(Request::Power { vm, verb: START }).await;
    assert_eq!(start, ["set-want", "reserve", "paper/start"]);
    bench.powers(vm, &[START]).await;
    for force in [false, true] {
        let delete = paths(Request::Delete { vm, force }).await;
        assert_eq!(delete, ["release", "forget", "remove-spec"], "force: {force}");
    }
}
