//! What may become of a VM, written down once more and otherwise than in the engine: a life, what is
//! asked of it, and where that can leave it when something happens meanwhile.

use std::collections::BTreeSet;

/// How a VM is, when nothing is being done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// There is none.
    Gone,
    Off,
    /// Off, and wanted running: it starts with the host.
    Crashed,
    Running,
    Paused,
    /// Off, with its memory kept.
    Kept,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Start,
    StartAfresh,
    Stop,
    Kill,
    Reboot,
    ForcedReboot,
    Reset,
    Pause,
    Resume,
    Suspend,
    Edit,
    Delete,
    ForcedDelete,
}

/// What happens while it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Nothing,
    Cancel,
    HypervisorDies,
    DaemonEnds,
}

/// What a life becomes by an operation that nothing comes between; `None` where it is refused.
pub(crate) fn after(op: Op, life: Life) -> Option<Life> {
    use Life::{Crashed, Gone, Kept, Off, Paused, Running};
    Some(match (op, life) {
        (Op::Create, Gone) => Off,
        (Op::Create, _) | (_, Gone) => return None,
        (Op::Edit, life) => life,
        (Op::Start, Off | Crashed) => Running,
        (Op::StartAfresh, Off | Crashed | Kept) => Running,
        (Op::Resume, Paused | Kept) => Running,
        (Op::Reboot | Op::Reset, Running) => Running,
        (Op::ForcedReboot, Running | Paused) => Running,
        (Op::Reset, Paused) => Paused,
        (Op::Pause, Running) => Paused,
        (Op::Suspend, Running | Paused) => Kept,
        (Op::Stop, Running) | (Op::Kill, Running | Paused) => Off,
        (Op::Delete, Off | Crashed) | (Op::ForcedDelete, _) => Gone,
        _ => return None,
    })
}

/// What is left of a life when its hypervisor dies. Nothing that has just been started is started again.
pub(crate) fn dead(life: Life) -> Life {
    match life {
        Life::Running => Life::Crashed,
        Life::Paused => Life::Off,
        other => other,
    }
}

/// What a life is when the host has been restarted.
pub(crate) fn next_boot(life: Life) -> Life {
    let life = dead(life);
    if life == Life::Crashed { Life::Running } else { life }
}

/// What a life may be after an operation that something came between.
pub(crate) fn between(op: Op, life: Life, meanwhile: Meanwhile) -> BTreeSet<Life> {
    let done = after(op, life).expect("what is refused is not come between");
    // What cannot be made again: a machine that was ended for a reboot, and memory that was given up.
    let halfway: &[Life] = match (op, life) {
        (Op::Reboot, _) => &[Life::Crashed, Life::Off],
        (Op::ForcedReboot, Life::Running) => &[Life::Crashed],
        (Op::ForcedReboot, _) | (Op::StartAfresh, Life::Kept) => &[Life::Off],
        _ => &[],
    };
    match meanwhile {
        Meanwhile::Nothing => [done].into(),
        Meanwhile::Cancel => [done, life].iter().chain(halfway).copied().collect(),
        Meanwhile::HypervisorDies => {
            // It is found dead, and another is made.
            let remade = matches!(op, Op::Reboot | Op::ForcedReboot).then_some(done);
            let ends = [dead(done), dead(life)].into_iter().chain(remade);
            ends.chain(halfway.iter().copied()).collect()
        }
        // What was ended for a reboot and not made again was left out, and is found to be.
        Meanwhile::DaemonEnds => [done, life].into(),
    }
}
