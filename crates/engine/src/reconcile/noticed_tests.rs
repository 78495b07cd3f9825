use super::*;
use innkeeper_model::EndReason;

fn at(second: i64) -> Option<Timestamp> {
    Some(Timestamp::from_second(second).unwrap())
}

fn facts(machine: MachineState, since: i64, resets: u32) -> Facts {
    Facts { machine, since: at(since), resets, last_end: None }
}

#[test]
fn a_machine_that_is_as_it_was_has_been_so_since_then() {
    let machine = IncarnationId::new();
    let before =
        Facts { last_end: Some(EndReason::GuestPanic), ..facts(MachineState::Running, 10, 2) };
    let (known, carried) = Carried::of(machine, &before, &facts(MachineState::Running, 90, 0));
    assert_eq!(known, before);
    // It is reset, held, and goes on.
    let reset = carried.onto(&facts(MachineState::Running, 90, 1));
    assert_eq!((reset.since, reset.resets), (at(10), 3));
    let held = carried.onto(&facts(MachineState::Paused, 95, 1));
    assert_eq!((held.machine, held.since, held.resets), (MachineState::Paused, at(95), 3));
    assert_eq!(held.last_end, before.last_end);
    let ended = Facts { last_end: Some(EndReason::Killed), ..facts(MachineState::Absent, 99, 1) };
    assert_eq!(carried.onto(&ended).last_end, Some(EndReason::Killed));
}

#[test]
fn what_changed_while_nobody_looked_has_changed_when_it_was_found() {
    let before = facts(MachineState::Running, 10, 1);
    let found =
        Facts { last_end: Some(EndReason::GuestShutdown), ..facts(MachineState::Ended, 90, 0) };
    let (known, _) = Carried::of(IncarnationId::new(), &before, &found);
    assert_eq!(known, Facts { resets: 1, ..found });
}

#[test]
fn a_hypervisor_that_remembers_by_itself_is_believed() {
    let before = facts(MachineState::Running, 10, 2);
    let (known, carried) =
        Carried::of(IncarnationId::new(), &before, &facts(MachineState::Running, 10, 3));
    assert_eq!((known.since, known.resets), (at(10), 3));
    assert_eq!(carried.onto(&facts(MachineState::Running, 10, 4)).resets, 4);
}

/// Of a process that died nobody can be asked why; who saw it knows.
#[test]
fn how_a_machine_died_stays_known() {
    let died = |status: Option<&str>| Facts {
        last_end: Some(EndReason::HypervisorDied { status: status.map(str::to_owned) }),
        ..Facts::default()
    };
    let before = Facts { since: at(10), ..died(Some("signal 9")) };
    let (known, _) = Carried::of(IncarnationId::new(), &before, &died(None));
    assert_eq!(known, before);
}
