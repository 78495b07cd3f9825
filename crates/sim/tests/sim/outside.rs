//! What happens behind the daemon's back is noticed, and what is not Innkeeper's is left alone.

use crate::support::{failed, spec, standing, stop};
use innkeeper_driver::{Driver, Operation, Probed, StepContext, StepError};
use innkeeper_model::{Code, EndReason, Foreign, MachineState, Mebibytes, ProcessIdentity};
use std::time::Duration;

#[tokio::test]
async fn a_hypervisor_that_dies_is_told_of_and_its_record_stays() {
    let (bench, spec) = (standing(), spec());
    assert!(!bench.world.kill_hypervisor(spec.id));
    bench.run(&spec, Operation::Start).await;
    assert!(bench.world.kill_hypervisor(spec.id));
    assert_eq!(bench.state(&spec), MachineState::Absent);
    let heard = bench.told.of(spec.id);
    let status = Some("signal 9".into());
    assert_eq!(heard.facts.last_end, Some(EndReason::HypervisorDied { status }));
    assert!(heard.incarnation.is_some());
    assert_eq!(bench.world.leftovers(spec.id), ["run folder", "record", "tap lan", "logs"]);

    let pause = bench.attempt(&spec, Operation::Pause).await.unwrap_err();
    assert_eq!(pause.1.code, Code::HypervisorFailed);
    bench.run(&spec, Operation::PutAway).await;
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
    bench.driver.forget(spec.id).await.unwrap();
    assert_eq!(bench.world.leftovers(spec.id), [""; 0]);
    assert_eq!(bench.world.vms(), []);
}

#[tokio::test]
async fn a_driver_that_comes_later_does_not_know_how_it_died() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    bench.world.kill_hypervisor(spec.id);
    let later = bench.another();
    let found = later.driver.recover().await.remove(0);
    assert_eq!((found.vm, found.ran), (spec.id, true));
    assert_eq!(found.facts.last_end, Some(EndReason::HypervisorDied { status: None }));
    assert_eq!(later.told.of(spec.id).facts, found.facts);
    later.run(&spec, Operation::PutAway).await;
    assert_eq!(later.driver.recover().await.len(), 0);
}

#[tokio::test]
async fn a_driver_hears_nothing_of_what_it_does_not_know() {
    let (bench, spec) = (standing(), spec());
    let other = bench.another();
    bench.run(&spec, Operation::Start).await;
    assert_eq!(other.told.of(spec.id).states, []);
    other.driver.recover().await;
    assert_eq!(other.told.of(spec.id).states, [MachineState::Running]);
    bench.world.pause_behind(spec.id);
    for driver in [&bench, &other] {
        assert_eq!(driver.state(&spec), MachineState::Paused);
    }
    drop(other.driver);
    bench.world.resume_behind(spec.id);
    assert_eq!(other.told.of(spec.id).facts.machine, MachineState::Paused, "it is gone");
}

#[tokio::test]
async fn a_process_that_does_not_answer_is_noticed_and_can_be_killed() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    assert!(bench.world.stop_answering(spec.id));
    assert_eq!(bench.state(&spec), MachineState::Running, "nobody has noticed yet");
    bench.world.advance(Duration::from_secs(1));
    assert_eq!(bench.state(&spec), MachineState::Unresponsive);

    let pause = bench.step(&spec, &Operation::Pause, "sim/pause").await;
    let context = StepContext::default();
    let cancel = async {
        tokio::task::yield_now().await;
        context.cancelled.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.driver.perform(spec.id, &pause, &context), cancel);
    assert!(matches!(outcome, Err(StepError::Cancelled)));

    assert!(bench.world.resume_answering(spec.id));
    assert_eq!(bench.state(&spec), MachineState::Running);
    bench.world.stop_answering(spec.id);
    bench.run(&spec, Operation::Kill).await;
    assert_eq!(bench.state(&spec), MachineState::Absent);
    assert_eq!(bench.told.of(spec.id).facts.last_end, Some(EndReason::Killed));
    bench.world.advance(Duration::from_secs(10));
    assert_eq!(bench.state(&spec), MachineState::Absent);
}

#[tokio::test]
async fn a_step_that_waits_for_an_answer_goes_on_when_it_comes() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    bench.world.stop_answering(spec.id);
    let answer = async {
        tokio::task::yield_now().await;
        assert_eq!(bench.state(&spec), MachineState::Running);
        bench.world.resume_answering(spec.id);
    };
    tokio::join!(bench.run(&spec, Operation::Pause), answer);
    assert_eq!(bench.state(&spec), MachineState::Paused);
}

#[tokio::test]
async fn one_that_does_not_quit_in_time_is_killed() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    bench.world.stop_answering(spec.id);
    let time = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
            bench.world.advance(Duration::from_secs(1));
        }
    };
    tokio::join!(bench.run(&spec, Operation::PutAway), time);
    assert_eq!(bench.state(&spec), MachineState::Absent);
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
}

#[tokio::test]
async fn one_that_does_not_answer_is_found_as_that() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    bench.world.stop_answering(spec.id);
    let found = bench.another().driver.recover().await.remove(0);
    assert_eq!(found.facts.machine, MachineState::Unresponsive);
}

#[tokio::test]
async fn a_machine_that_is_there_is_not_prepared_or_launched_over() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    let before = bench.world.machine(spec.id);
    let plan = bench.plan(&spec, &Operation::Start).await;
    for step in &plan {
        let refused = failed(bench.perform(&spec, step).await.unwrap_err());
        assert_eq!(refused.code, Code::WrongState, "{}", step.name);
    }
    // Their undo finds a machine that is not theirs.
    for step in plan.iter().rev().filter(|step| step.name != "sim/prepare") {
        bench.driver.undo(spec.id, step).await.unwrap();
    }
    assert_eq!(bench.world.machine(spec.id), before);
    assert!(bench.driver.forget(spec.id).await.is_err());
}

fn foreign(name: &str) -> Foreign {
    Foreign {
        driver: String::new(),
        process: ProcessIdentity { pid: 0, start_ticks: 0 },
        name: Some(name.into()),
        uid: 1000,
        manager: None,
        cpus: Some(2),
        memory: Some(Mebibytes(256)),
        socket: None,
        not_adoptable: None,
    }
}

#[tokio::test]
async fn what_is_foreign_is_shown_and_survives_everything() {
    let (bench, spec) = (standing(), spec());
    let theirs = bench.world.add_foreign(foreign("web"));
    bench.run(&spec, Operation::Start).await;
    bench.run(&spec, Operation::Kill).await;
    bench.driver.forget(spec.id).await.unwrap();
    assert_eq!(bench.driver.foreign().await, std::slice::from_ref(&theirs));
    assert_eq!(bench.driver.recover().await.len(), 0);
    assert!(bench.world.end_foreign(theirs.process));
    assert!(!bench.world.end_foreign(theirs.process));
    assert_eq!(bench.driver.foreign().await, []);
}

#[tokio::test]
async fn a_foreign_machine_is_taken_over_and_given_back_untouched() {
    let (bench, spec) = (standing(), spec());
    let theirs = bench.world.add_foreign(foreign("web"));
    let mut reused = theirs.clone();
    reused.process.start_ticks += 1;
    let adopt = Operation::Adopt { machine: Box::new(reused) };
    let (_, refused) = bench.attempt(&spec, adopt).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound, "another process has that id by now");
    let draft = bench.driver.draft(&theirs).unwrap();
    assert_eq!((draft.name.as_str(), draft.cpus, draft.memory), ("web", 2, Mebibytes(256)));

    let adopt = Operation::Adopt { machine: Box::new(theirs.clone()) };
    let plan = bench.plan(&spec, &adopt).await;
    let probe = async || bench.driver.probe(spec.id, &plan[0]).await.unwrap();
    assert_eq!(probe().await, Probed::DidNot);
    bench.perform(&spec, &plan[0]).await.unwrap();
    assert_eq!(probe().await, Probed::Happened);
    assert_eq!(bench.state(&spec), MachineState::Running);
    let incarnation = bench.told.of(spec.id).incarnation.unwrap();
    assert_eq!((incarnation.process, incarnation.adopted), (Some(theirs.process), true));
    assert_eq!(bench.driver.foreign().await, []);
    let memory = "/nowhere".into();
    let suspend = bench.flow(&spec, &Operation::Suspend { memory }).await.unwrap_err();
    assert_eq!(suspend.code, Code::Unsupported);

    for _ in 0..2 {
        bench.undo(&spec, &plan).await;
        assert_eq!(bench.driver.foreign().await, std::slice::from_ref(&theirs));
        assert_eq!(bench.state(&spec), MachineState::Absent);
        assert_eq!(bench.told.of(spec.id).incarnation, None);
        assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
    }

    bench.run(&spec, adopt.clone()).await;
    bench.world.set_guest(
        spec.id,
        innkeeper_sim::Guest {
            power_button: innkeeper_sim::PowerButton::PowersOff { after: Duration::ZERO },
            by_itself: None,
        },
    );
    bench.run(&spec, stop()).await;
    assert_eq!(bench.driver.foreign().await, []);
    let gone = bench.attempt(&spec, adopt).await.unwrap_err();
    assert_eq!(gone.1.code, Code::NotFound);
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_refused_with_the_reason() {
    let (bench, spec) = (standing(), spec());
    let libvirts = Foreign { not_adoptable: Some("libvirt manages it".into()), ..foreign("db") };
    let libvirts = bench.world.add_foreign(libvirts);
    let adopt = Operation::Adopt { machine: Box::new(libvirts) };
    let refused = bench.flow(&spec, &adopt).await.unwrap_err();
    assert_eq!(refused.code, Code::Unsupported);
    assert!(refused.message.contains("libvirt manages it"));
}

#[tokio::test]
async fn a_boot_of_the_host_leaves_logs_only() {
    let (bench, spec) = (standing(), spec());
    bench.run(&spec, Operation::Start).await;
    bench.world.add_foreign(foreign("web"));
    bench.world.reboot_host();
    let after = bench.another();
    assert_eq!(after.driver.recover().await.len(), 0);
    assert_eq!(after.driver.foreign().await, []);
    assert_eq!(bench.world.leftovers(spec.id), ["logs"]);
    after.run(&spec, Operation::Start).await;
    assert_eq!(after.state(&spec), MachineState::Running);
}

#[tokio::test]
async fn processes_are_such_as_no_real_host_has() {
    let (bench, one, other) = (standing(), spec(), spec());
    bench.run(&one, Operation::Start).await;
    bench.run(&other, Operation::Start).await;
    let process = |spec: &innkeeper_model::Spec| {
        bench.world.machine(spec.id).unwrap().incarnation.process.unwrap()
    };
    assert_ne!(process(&one).pid, process(&other).pid);
    // The kernel's own limit, whatever pid_max says.
    assert!(process(&one).pid > 4 << 20);
    assert!(i32::try_from(process(&one).pid).is_ok());
}
