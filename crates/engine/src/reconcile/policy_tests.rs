use super::*;
use innkeeper_model::Spec;
use serde_json::json;
use std::{fmt::Write as _, sync::Arc};

/// Every end, under every policy, of a guest whose machine is kept or gone, that ran long or short.
const TABLE: &str = "
end              policy    machine  ran    what is done
shutdown         restart   kept     long   start
shutdown         restart   kept     short  leave
shutdown         restart   gone     long   start
shutdown         restart   gone     short  leave
shutdown         stop      kept     long   put away for good
shutdown         stop      kept     short  put away for good
shutdown         stop      gone     long   put away for good
shutdown         stop      gone     short  put away for good
shutdown         pause     kept     long   nothing
shutdown         pause     kept     short  nothing
shutdown         pause     gone     long   put away for good
shutdown         pause     gone     short  put away for good
shutdown         preserve  kept     long   preserve
shutdown         preserve  kept     short  preserve
shutdown         preserve  gone     long   put away for good
shutdown         preserve  gone     short  put away for good
reset            restart   kept     long   start
reset            restart   kept     short  start
reset            restart   gone     long   start
reset            restart   gone     short  start
reset            stop      kept     long   put away for good
reset            stop      kept     short  put away for good
reset            stop      gone     long   put away for good
reset            stop      gone     short  put away for good
reset            pause     kept     long   nothing
reset            pause     kept     short  nothing
reset            pause     gone     long   put away for good
reset            pause     gone     short  put away for good
reset            preserve  kept     long   preserve
reset            preserve  kept     short  preserve
reset            preserve  gone     long   put away for good
reset            preserve  gone     short  put away for good
panic            restart   kept     long   start
panic            restart   kept     short  leave
panic            restart   gone     long   start
panic            restart   gone     short  leave
panic            stop      kept     long   put away for good
panic            stop      kept     short  put away for good
panic            stop      gone     long   put away for good
panic            stop      gone     short  put away for good
panic            pause     kept     long   nothing
panic            pause     kept     short  nothing
panic            pause     gone     long   put away
panic            pause     gone     short  put away
panic            preserve  kept     long   preserve
panic            preserve  kept     short  preserve
panic            preserve  gone     long   put away
panic            preserve  gone     short  put away
hypervisor died  restart   kept     long   start
hypervisor died  restart   kept     short  leave
hypervisor died  restart   gone     long   start
hypervisor died  restart   gone     short  leave
hypervisor died  stop      kept     long   put away for good
hypervisor died  stop      kept     short  put away for good
hypervisor died  stop      gone     long   put away for good
hypervisor died  stop      gone     short  put away for good
hypervisor died  pause     kept     long   nothing
hypervisor died  pause     kept     short  nothing
hypervisor died  pause     gone     long   put away
hypervisor died  pause     gone     short  put away
hypervisor died  preserve  kept     long   preserve
hypervisor died  preserve  kept     short  preserve
hypervisor died  preserve  gone     long   put away
hypervisor died  preserve  gone     short  put away
killed           any       kept     long   put away
killed           any       kept     short  put away
killed           any       gone     long   put away
killed           any       gone     short  put away
never begun      any       kept     long   put away
never begun      any       kept     short  put away
never begun      any       gone     long   put away
never begun      any       gone     short  put away
";

const POLICIES: [Policy; 4] = [Policy::Restart, Policy::Stop, Policy::Pause, Policy::Preserve];
/// When the guest ended.
const ENDED: &str = "2026-01-01T12:00:00Z";

/// A VM whose guest has ended so, whose policies are all this one, and that was launched then.
fn ended(end: Option<EndReason>, policy: Policy, kept: bool, launched: &str) -> Vm {
    let id = innkeeper_model::VmId::new();
    let spec: Spec = serde_json::from_value(json!({
        "id": id, "revision": 1, "created": ENDED, "updated": ENDED, "want": "running",
        "config": { "name": "web", "on": { "crash": policy, "reboot": policy, "shutdown": policy } },
        "assigned": { "machine": "m", "cpu_model": "c", "devices": {}, "ports": 0 },
    }))
    .unwrap();
    let incarnation = serde_json::from_value(json!({
        "schema": 1, "id": id, "vm": id, "spec_revision": 1, "boot_id": "b", "created": launched,
        "driver": "sim", "hypervisor_version": "1", "machine": "m", "cpu_model": "c",
        "accelerator": "none", "cpus": 1, "memory": "64MiB", "run_folder": "/run", "argv": [],
        "block_nodes": {},
    }))
    .unwrap();
    let machine = if kept { MachineState::Ended } else { MachineState::Absent };
    Vm {
        id,
        name: spec.config.name.clone(),
        project: spec.config.project.clone(),
        state: machine.into(),
        want: Some(spec.want),
        revision: Default::default(),
        task: None,
        problem: None,
        facts: innkeeper_model::Facts {
            machine,
            last_end: end,
            since: Some(ENDED.parse().unwrap()),
            resets: 0,
        },
        spec: Some(Arc::new(spec)),
        incarnation: Some(incarnation),
        memory: None,
        managed: None,
        dumped: None,
        addresses: Vec::new(),
        guest: None,
        disks: Vec::new(),
        interrupted: None,
    }
}

/// Two minutes before the end, to the second, and one second less.
const LONG: &str = "2026-01-01T11:58:00Z";
const SHORT: &str = "2026-01-01T11:58:01Z";

fn said(action: Option<Action>) -> &'static str {
    match action {
        None => "nothing",
        Some(Action::PutAway) => "put away",
        Some(Action::PutAwayForGood) => "put away for good",
        Some(Action::Leave(problem)) => {
            assert!(problem.contains("within 120 s"), "{problem}");
            "leave"
        }
        Some(Action::Restart) => "start",
        Some(Action::Preserve) => "preserve",
    }
}

#[test]
fn every_end_under_every_policy() {
    let died = EndReason::HypervisorDied { status: Some("signal 9".into()) };
    let ends = [
        ("shutdown", Some(EndReason::GuestShutdown), true),
        ("reset", Some(EndReason::GuestReset), true),
        ("panic", Some(EndReason::GuestPanic), true),
        ("hypervisor died", Some(died), true),
        ("killed", Some(EndReason::Killed), false),
        ("never begun", None, false),
    ];
    let mut table = "\nend              policy    machine  ran    what is done\n".to_owned();
    for (end, reason, asks_policy) in ends {
        for policy in POLICIES {
            let mut lines = String::new();
            for (machine, kept) in [("kept", true), ("gone", false)] {
                for (ran, launched) in [("long", LONG), ("short", SHORT)] {
                    let vm = ended(reason.clone(), policy, kept, launched);
                    let done = said(action(&vm));
                    let name = serde_json::to_value(policy).unwrap();
                    let name = if asks_policy { name.as_str().unwrap() } else { "any" };
                    writeln!(lines, "{end:<15}  {name:<8}  {machine:<7}  {ran:<5}  {done}")
                        .unwrap();
                }
            }
            // An end that asks no policy has the same lines for all of them.
            if !table.ends_with(&lines) {
                table.push_str(&lines);
            }
        }
    }
    assert_eq!(table, TABLE);
}

#[test]
fn each_end_asks_the_policy_that_is_its_own() {
    for (end, field) in [
        (EndReason::GuestShutdown, "shutdown"),
        (EndReason::GuestReset, "reboot"),
        (EndReason::GuestPanic, "crash"),
        (EndReason::HypervisorDied { status: None }, "crash"),
    ] {
        let mut vm = ended(Some(end), Policy::Restart, true, LONG);
        let mut spec = Spec::clone(vm.spec.as_ref().unwrap());
        for other in ["shutdown", "reboot", "crash"] {
            let policy = if other == field { Policy::Stop } else { Policy::Restart };
            match other {
                "shutdown" => spec.config.on.shutdown = policy,
                "reboot" => spec.config.on.reboot = policy,
                _ => spec.config.on.crash = policy,
            }
        }
        vm.spec = Some(Arc::new(spec));
        assert_eq!(action(&vm), Some(Action::PutAwayForGood), "{field}");
    }
}

#[test]
fn nothing_is_done_about_what_has_not_ended() {
    use MachineState as Machine;
    for machine in [Machine::Created, Machine::Running, Machine::Paused, Machine::Unresponsive] {
        let mut vm = ended(Some(EndReason::GuestPanic), Policy::Restart, true, LONG);
        vm.facts.machine = machine;
        assert_eq!(action(&vm), None, "{machine:?}");
    }
    let mut off = ended(Some(EndReason::Killed), Policy::Restart, false, LONG);
    off.incarnation = None;
    assert_eq!(action(&off), None);
}

#[test]
fn an_interrupted_vm_is_left_alone_and_a_damaged_one_is_put_away() {
    let mut vm = ended(Some(EndReason::GuestPanic), Policy::Restart, true, LONG);
    vm.interrupted = Some(innkeeper_model::TaskId::new());
    assert_eq!(action(&vm), None);
    vm.interrupted = None;
    vm.spec = None;
    assert_eq!(action(&vm), Some(Action::PutAway));
}

#[test]
fn a_guest_is_preserved_once_an_end() {
    let mut vm = ended(Some(EndReason::GuestPanic), Policy::Preserve, true, LONG);
    vm.dumped = Some("2026-01-01T11:59:59Z".parse().unwrap());
    assert_eq!(action(&vm), Some(Action::Preserve), "that dump is of an earlier end");
    vm.dumped = Some(ENDED.parse().unwrap());
    assert_eq!(action(&vm), None);
    vm.facts.since = None;
    assert_eq!(action(&vm), None, "when it ended is not known, and a dump is there");
    vm.dumped = None;
    assert_eq!(action(&vm), Some(Action::Preserve));
}

#[test]
fn how_long_a_guest_ran_that_has_no_record_is_not_taken_for_long() {
    let mut vm = ended(Some(EndReason::GuestPanic), Policy::Restart, true, LONG);
    vm.incarnation = None;
    assert_eq!(said(action(&vm)), "leave");
    // A clock that was set back makes it no older.
    let vm = ended(Some(EndReason::GuestPanic), Policy::Restart, true, "2026-01-02T00:00:00Z");
    assert_eq!(said(action(&vm)), "leave");
}

#[test]
fn what_was_adopted_and_not_confirmed_is_not_made_again() {
    for end in [EndReason::GuestShutdown, EndReason::GuestReset, EndReason::GuestPanic] {
        let mut vm = ended(Some(end.clone()), Policy::Restart, false, LONG);
        assert_eq!(action(&vm), Some(Action::Restart));
        Arc::make_mut(vm.spec.as_mut().unwrap()).draft = true;
        let done = action(&vm);
        assert!(
            matches!(&done, Some(Action::Leave(why)) if why.contains("inn edit")),
            "{end:?}: {done:?}"
        );
    }
}
