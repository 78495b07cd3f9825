//! What can be asked of VMs and can happen to them, at random, and what is seen of them.

use crate::{
    model::{Life, Meanwhile, Op, after},
    support::{Bench, LONG, REBOOT, RESUME, START, START_AFRESH, STOP, SUSPEND, create, disk},
};
use innkeeper_engine::{PowerVerb, Request};
use innkeeper_model::{Code, Vm, VmConfig, VmId, VmName, VmState, Want};
use innkeeper_sim::Happening;
use proptest::prelude::{Just, Strategy, prop, prop_oneof};
use serde_json::json;

/// How many VMs there may be.
pub(crate) const SLOTS: usize = 2;

/// What is asked, chosen when it is: one of those that are legal then, or any.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    Legal(usize),
    Any(Op),
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Something is asked of a VM, and something happens this many microseconds later.
    Ask(usize, Choice, Meanwhile, u64),
    /// Things are asked one behind the other, so many microseconds after each other.
    Queue(usize, Vec<Choice>, u64),
    Copy(usize, usize),
    HypervisorDies(usize),
    Guest(usize, Happening),
    DaemonRestarts,
    DaemonIsKilled,
    HostRestarts,
}

pub(crate) const OPS: [Op; 14] = [
    Op::Create,
    Op::Start,
    Op::StartAfresh,
    Op::Stop,
    Op::Kill,
    Op::Reboot,
    Op::ForcedReboot,
    Op::Reset,
    Op::Pause,
    Op::Resume,
    Op::Suspend,
    Op::Edit,
    Op::Delete,
    Op::ForcedDelete,
];

impl Choice {
    /// What is asked of a VM that is this.
    pub(crate) fn of(self, life: Life, among: &[Op]) -> Option<Op> {
        match self {
            Self::Any(op) => among.contains(&op).then_some(op),
            Self::Legal(pick) => {
                let is_legal = |op: &Op| after(*op, life).is_some();
                let mut legal: Vec<Op> = among.iter().copied().filter(is_legal).collect();
                // A life that goes on is longer.
                if pick % DELETED_EVERY != 0 {
                    legal.retain(|op| !matches!(op, Op::Delete | Op::ForcedDelete));
                }
                legal.get(pick.checked_rem(legal.len())?).copied()
            }
        }
    }
}

/// A VM that could be deleted is, for one pick of so many at most.
const DELETED_EVERY: usize = 5;

/// What can be queued with others: what overtakes nothing, and leaves a VM.
pub(crate) fn queued() -> Vec<Op> {
    let alone = [Op::Create, Op::Kill, Op::Delete, Op::ForcedDelete, Op::ForcedReboot];
    OPS.into_iter().filter(|op| !alone.contains(op)).collect()
}

pub(crate) fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        7 => (0..usize::from(u8::MAX)).prop_map(Choice::Legal),
        1 => prop::sample::select(OPS.to_vec()).prop_map(Choice::Any),
    ]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let slot = || prop_oneof![3 => Just(0), 1 => 1..SLOTS];
    let meanwhile = prop_oneof![
        4 => Just(Meanwhile::Nothing),
        1 => Just(Meanwhile::Cancel),
        1 => Just(Meanwhile::HypervisorDies),
        1 => Just(Meanwhile::DaemonEnds),
    ];
    let happenings = [Happening::PowersOff, Happening::Reboots, Happening::Panics];
    prop_oneof![
        12 => (slot(), choice(), meanwhile, 0..8000u64)
            .prop_map(|(slot, choice, meanwhile, after)| Action::Ask(slot, choice, meanwhile, after)),
        3 => (slot(), prop::collection::vec(choice(), 2..4), 0..6000u64)
            .prop_map(|(slot, choices, pause)| Action::Queue(slot, choices, pause)),
        1 => (slot(), slot()).prop_map(|(from, to)| Action::Copy(from, to)),
        1 => slot().prop_map(Action::HypervisorDies),
        1 => (slot(), prop::sample::select(happenings.to_vec()))
            .prop_map(|(slot, happening)| Action::Guest(slot, happening)),
        1 => Just(Action::DaemonRestarts),
        1 => Just(Action::DaemonIsKilled),
        1 => Just(Action::HostRestarts),
    ]
}

pub(crate) fn why(op: Op, life: Life) -> Code {
    match (op, life) {
        (Op::Create, _) => Code::NameTaken,
        (_, Life::Gone) => Code::NotFound,
        _ => Code::WrongState,
    }
}

pub(crate) fn name(slot: usize) -> VmName {
    format!("vm-{slot}").parse().unwrap()
}

pub(crate) fn find(bench: &Bench, slot: usize) -> Option<Vm> {
    bench.vms().into_iter().find(|vm| vm.name == name(slot))
}

/// A VM's id; somebody else's where there is none.
pub(crate) fn id(bench: &Bench, slot: usize) -> VmId {
    find(bench, slot).map_or_else(VmId::new, |vm| vm.id)
}

pub(crate) fn seen(bench: &Bench, slot: usize) -> Life {
    let Some(vm) = find(bench, slot) else { return Life::Gone };
    match (vm.state, vm.want.unwrap()) {
        (VmState::Stopped, Want::Running) => Life::Crashed,
        (VmState::Stopped, _) => Life::Off,
        (VmState::Running, Want::Running) => Life::Running,
        (VmState::Paused, Want::Paused) => Life::Paused,
        (VmState::Suspended, Want::Suspended) => Life::Kept,
        other => panic!("{other:?}: {vm:?}"),
    }
}

pub(crate) fn request(bench: &Bench, slot: usize, op: Op) -> Request {
    let vm = id(bench, slot);
    let power = |verb| Request::Power { vm, verb };
    match op {
        Op::Create => {
            let is_there = !bench.snapshot().networks.is_empty();
            let on = if is_there { "lan" } else { "none" };
            create(json!({
                "name": name(slot),
                "disks": [{ "name": "root", "size": "1MiB" }, { "name": "data", "size": "1MiB" }],
                "nics": [{ "name": "lan", "network": on }],
            }))
        }
        Op::Edit => edit(bench, slot, vm),
        Op::Start => power(START),
        Op::StartAfresh => power(START_AFRESH),
        Op::Stop => power(STOP),
        Op::Kill => power(PowerVerb::Kill),
        Op::Reboot => power(REBOOT),
        Op::ForcedReboot => power(PowerVerb::Reboot { timeout: LONG, force: true }),
        Op::Reset => power(PowerVerb::Reset),
        Op::Pause => power(PowerVerb::Pause),
        Op::Resume => power(RESUME),
        Op::Suspend => power(SUSPEND),
        Op::Delete => Request::Delete { vm, force: false },
        Op::ForcedDelete => Request::Delete { vm, force: true },
    }
}

/// One CPU more or less, and a disk more, or one less where nobody has it open.
pub(crate) fn edit(bench: &Bench, slot: usize, vm: VmId) -> Request {
    let known = find(bench, slot);
    let config = known.as_ref().and_then(|vm| vm.spec.as_ref()).map(|spec| spec.config.clone());
    let mut config = config.unwrap_or_else(|| VmConfig::new(name(slot)));
    config.cpus = 3 - config.cpus;
    // What is queued may run by its turn, and then nothing goes.
    let is_off = known.is_some_and(|vm| vm.state == VmState::Stopped);
    if is_off && bench.engine.diagnose().tasks.is_empty() && config.disks.len() > 2 {
        config.disks.pop();
    } else if config.disks.len() < 4 {
        config.disks.push(disk(&format!("more-{}", config.disks.len())));
    }
    Request::Edit { vm, config: Box::new(config), expected: None }
}
