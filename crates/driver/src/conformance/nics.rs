//! That a NIC can be plugged into a machine that is on, and out of it.

use super::{Fixture, bench::Bench};
use crate::{Flow, Operation};
use innkeeper_model::{Code, DeviceName, Incarnation, config::Nic};

/// A machine with room for one more NIC, and a spec that has it.
async fn with_room(fixture: &dyn Fixture) -> Bench {
    let mut bench = Bench::with(fixture, |config| config.spare_ports = 1).await;
    bench.run(Operation::Start).await;
    bench.edit(|config| config.nics.push(Nic::new(name("extra"))));
    bench
}

fn name(text: &str) -> DeviceName {
    text.parse().expect("it is a name")
}

fn plug(nic: &str) -> Operation {
    Operation::PlugNic { nic: name(nic) }
}

/// Takes its cable out.
fn cut(nic: &str) -> Operation {
    Operation::SetLink { nic: name(nic), up: false, before: true }
}

fn unplug(nic: &str) -> Operation {
    Operation::UnplugNic { nic: name(nic) }
}

/// What a record says of what its machine is made of, in whichever order it was added.
fn makings(machine: &Incarnation) -> (Vec<String>, Vec<String>) {
    let opens = machine.opens.as_array().cloned().unwrap_or_default();
    let mut opens: Vec<String> = opens.iter().map(ToString::to_string).collect();
    let mut argv = machine.argv.clone();
    opens.sort_unstable();
    argv.sort_unstable();
    (argv, opens)
}

pub(super) async fn a_nic_is_plugged_in_where_there_is_room(fixture: &dyn Fixture) {
    let mut bench = with_room(fixture).await;
    let before = bench.incarnation();
    assert_eq!(bench.spec.free_ports(Some(&before)), 0, "the port is the new NIC's");
    let Some(flow) = bench.flow(&plug("extra")) else {
        bench.run(Operation::Kill).await;
        return;
    };
    let steps: Vec<_> = flow.into_iter().flat_map(Flow::into_steps).collect();
    bench.perform_all(&steps).await;
    let with = bench.incarnation();
    assert_eq!((with.id, &with.process), (before.id, &before.process), "the machine is the same");
    assert_ne!(makings(&with), makings(&before), "the record says what there is");
    // A daemon that ended before it could note so does it again.
    bench.perform_all(&steps).await;
    assert_eq!(makings(&bench.incarnation()), makings(&with), "twice is as good as once");
    let cut_steps = bench.plan(&cut("extra"));
    assert!(!cut_steps.is_empty(), "it has the NIC");
    for _twice in 0..2 {
        bench.perform_all(&cut_steps).await;
        bench.undo_all(&cut_steps).await;
    }

    bench.edit(|config| config.nics.push(Nic::new(name("surplus"))));
    let refusal = bench.try_plan(&plug("surplus")).expect_err("there is no port left");
    assert_eq!(refusal.code, Code::OutOfCapacity, "{refusal}");
    for change in [cut("surplus"), Operation::ChangePlug { nic: name("surplus") }] {
        assert!(bench.plan(&change).is_empty(), "it is the next machine's");
    }
    assert_eq!(makings(&bench.incarnation()), makings(&with));
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill of a machine with one more NIC");
    // Late undo: there is nothing to take out any more.
    bench.undo_all(&cut_steps).await;
    bench.undo_all(&steps).await;
    bench.assert_nothing_is_left("a late undo");
}

pub(super) async fn a_nic_is_plugged_in_and_out(fixture: &dyn Fixture) {
    let bench = with_room(fixture).await;
    let before = makings(&bench.incarnation());
    if !fixture.lets_go_of_nics() || bench.flow(&plug("extra")).is_none() {
        bench.run(Operation::Kill).await;
        return;
    }
    let steps = bench.plan(&plug("extra"));
    for _again in 0..2 {
        bench.perform_all(&steps).await;
        for _twice in 0..2 {
            bench.undo_all(&steps).await;
            assert_eq!(makings(&bench.incarnation()), before, "after an undo");
        }
    }
    bench.perform_all(&steps).await;
    let with = makings(&bench.incarnation());

    let steps = bench.plan(&unplug("extra"));
    for _twice in 0..2 {
        bench.perform_all(&steps).await;
        assert_eq!(makings(&bench.incarnation()), before, "taken out");
    }
    for _twice in 0..2 {
        bench.undo_all(&steps).await;
        assert_eq!(makings(&bench.incarnation()), with, "given back");
    }
    bench.run(Operation::Kill).await;
    bench.assert_nothing_is_left("a kill");
}
