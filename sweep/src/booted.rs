//! Trials of a guest with a booted kernel: those in which only a live guest can tell what became of it, and
//! what it tells. All other trials run [`crate::payload`], which has nothing to remember.
//!
//! The guest counts aloud on its serial line, from its boot on. So it can be read there whether it has gone
//! on, without a gap and without another boot, or begun anew; and its kernel says last that it powers off.

use crate::{
    daemon::{Daemon, LONG},
    scenarios::Scenario,
    witness::Blow,
};
use anyhow::{Context, ensure};
use innkeeper_model::{
    EndReason, MachineState, Mebibytes, Vm, VmConfig, VmId, VmState,
    config::{Boot, KernelBoot},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the sample guest is, which `make guest` makes.
const GUEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/guests/tiny");
/// What it says when its user space is up.
const UP: &str = "INNKEEPER-GUEST-UP";
/// What its kernel says last.
const OFF: &str = "reboot: Power down";
/// How often it counts, as its kernel's command line says it.
const COUNTS: &str = "inn.tick=100";
/// The file of a trial in which stands what the guest had said before anything happened.
const SAID: &str = "said";

/// A trial with a booted guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) blow: Blow,
    pub(crate) point: &'static str,
    /// What becomes of the guest.
    pub(crate) fate: Fate,
}

/// What becomes of a guest, as it tells itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on where it was, at once or when it is resumed.
    GoesOn,
    /// It powers itself off, as it was asked to, whatever became of who asked.
    PowersOff,
    /// It has gone, and another has booted.
    BootsAnew,
    /// It has gone without a word.
    Dies,
}

/// The ones that are tried.
pub(crate) const CASES: [Case; 10] = {
    use Blow::{Cancel, Fail, KillDaemon, KillHypervisor};
    use Fate::{BootsAnew, Dies, GoesOn, PowersOff};
    use Scenario::{Reboot, Restore, Stop, Suspend};
    const fn case(scenario: Scenario, blow: Blow, point: &'static str, fate: Fate) -> Case {
        Case { scenario, blow, point, fate }
    }
    [
        // It is asked to power itself off, and is left alone with that.
        case(Stop, Cancel, "stop/qemu/power-down/in-wait", PowersOff),
        case(Stop, KillDaemon, "stop/qemu/power-down/in-wait", PowersOff),
        case(Stop, KillHypervisor, "stop/qemu/power-down/in-wait", Dies),
        case(Reboot, KillDaemon, "reboot/qemu/power-down/in-wait", BootsAnew),
        case(Reboot, KillHypervisor, "reboot/qemu/power-down/in-wait", BootsAnew),
        // It is held, half or wholly written to a file, and let go on.
        case(Suspend, Cancel, "suspend/qemu/save-memory/in-wait", GoesOn),
        case(Suspend, Fail, "suspend/seal-memory/after-act", GoesOn),
        case(Suspend, KillDaemon, "suspend/qemu/save-memory/after-act", GoesOn),
        // It comes back from a file, and must neither be lost nor live twice.
        case(Restore, KillDaemon, "resume/qemu/continue/in-wait", GoesOn),
        case(Restore, KillHypervisor, "resume/qemu/load-memory/after-act", GoesOn),
    ]
};

impl Case {
    /// The one in which this happens there.
    pub(crate) fn of(scenario: Scenario, at: Option<(&str, Blow)>) -> Option<Self> {
        let at = at?;
        CASES.into_iter().find(|case| case.scenario == scenario && (case.point, case.blow) == at)
    }
}

/// The folder of the sample guest.
///
/// # Errors
/// There is none yet.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    fs::canonicalize(GUEST).with_context(|| format!("no sample guest in {GUEST}: `make guest`"))
}

/// Gives a machine the kernel in this folder.
pub(crate) fn furnish(config: &mut VmConfig, folder: &Path) {
    config.memory = Mebibytes(96);
    config.boot = Boot::Kernel(KernelBoot {
        image: None,
        path: Some(folder.join("vmlinuz")),
        initrd: Some(folder.join("initrd.img")),
        cmdline: format!("console=ttyS0 quiet {COUNTS}"),
    });
}

/// What a guest has said.
#[derive(Debug)]
struct Said(String);

impl Said {
    async fn by(daemon: &Daemon, vm: VmId) -> anyhow::Result<Self> {
        let log = daemon.engine.serial_log(vm).await?;
        Ok(Self(String::from_utf8_lossy(&log).into_owned()))
    }

    fn boots(&self) -> usize {
        self.0.matches(UP).count()
    }

    /// What it has counted, with its clock, in milliseconds.
    fn counted(&self) -> Vec<(u64, u64)> {
        let count = |line: &str| {
            // Something without an end of line may stand before it.
            let (number, clock) = line.trim_end().rsplit_once("tick ")?.1.split_once(' ')?;
            Some((number.parse().ok()?, clock.parse().ok()?))
        };
        // The last line may be cut in the middle of a number.
        let whole = self.0.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(count).collect()
    }

    /// What is not as one guest says it that was booted once.
    fn gaps(&self) -> Option<String> {
        let counted = self.counted();
        let numbers = (0..).zip(&counted).all(|(number, counted)| number == counted.0);
        let clock = counted.is_sorted_by_key(|(_, clock)| *clock);
        let one = self.boots() == 1 && numbers && clock && !counted.is_empty();
        (!one).then(|| format!("{} boots, counted {counted:?}", self.boots()))
    }
}

/// Waits until the guest's user space is up.
pub(crate) async fn is_up(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    says(daemon, vm, "that it is up", |said| said.boots() > 0).await.map(drop)
}

/// Notes what the guest has said until now.
pub(crate) async fn note(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    let said = Said::by(daemon, vm).await?;
    ensure!(said.gaps().is_none(), "before anything happened: {:?}", said.gaps());
    Ok(fs::write(daemon.folder.join(SAID), said.0)?)
}

/// Waits until it has come to what becomes of the guest, which nobody in the daemon waits for.
pub(crate) async fn fate_is_met(daemon: &Daemon, case: Case) -> anyhow::Result<()> {
    let ended = |vm: &Vm| {
        vm.facts.machine == MachineState::Absent
            && vm.facts.last_end == Some(EndReason::GuestShutdown)
    };
    let is_met = |daemon: &Daemon| case.fate != Fate::PowersOff || daemon.vms().iter().all(ended);
    daemon.until("powered off", is_met).await
}

/// What the guest tells that is not what became of it.
pub(crate) async fn contradictions(daemon: &Daemon, case: Case) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for vm in daemon.vms() {
        let told = contradiction(daemon, &vm, case.fate).await?;
        let tell = |told| format!("{} is {}, and its guest: {told}", vm.name, vm.state);
        wrong.extend(told.map(tell));
    }
    Ok(wrong)
}

async fn contradiction(daemon: &Daemon, vm: &Vm, fate: Fate) -> anyhow::Result<Option<String>> {
    let before = Said(fs::read_to_string(daemon.folder.join(SAID))?);
    let possible: &[VmState] = match fate {
        Fate::GoesOn => &[VmState::Running, VmState::Suspended],
        Fate::BootsAnew => &[VmState::Running],
        Fate::PowersOff | Fate::Dies => &[VmState::Stopped],
    };
    if !possible.contains(&vm.state) {
        return Ok(Some(format!("{fate:?} is not its fate")));
    }
    let mut said = Said::by(daemon, vm.id).await?;
    if vm.state == VmState::Running {
        is_up(daemon, vm.id).await?;
        said = counts_on(daemon, vm.id).await?;
    }
    let is_the_same = said.0.starts_with(&before.0);
    let fits = match fate {
        Fate::GoesOn => is_the_same,
        Fate::BootsAnew => !is_the_same,
        Fate::PowersOff => is_the_same && said.0.contains(OFF),
        Fate::Dies => is_the_same && !said.0.contains(OFF),
    };
    let other = (!fits).then(|| format!("{fate:?}: {before:?}, then {said:?}"));
    Ok(other.or(said.gaps()))
}

/// Resumes of a booted guest end with this: it counts on from where it was.
pub(crate) async fn has_gone_on(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    let before = fs::read_to_string(daemon.folder.join(SAID))?;
    let said = counts_on(daemon, vm).await?;
    ensure!(said.0.starts_with(&before), "it said {before:?}, and is resumed with {said:?}");
    said.gaps().map_or(Ok(()), |gaps| Err(anyhow::anyhow!(gaps)))
}

/// Looks at the last words of a guest that was stopped.
pub(crate) async fn has_powered_off(daemon: &Daemon, vm: VmId) -> anyhow::Result<()> {
    let said = Said::by(daemon, vm).await?;
    ensure!(said.0.contains(OFF), "it was stopped, and said {said:?}");
    Ok(())
}

/// Waits until it has counted one more.
async fn counts_on(daemon: &Daemon, vm: VmId) -> anyhow::Result<Said> {
    let until_now = Said::by(daemon, vm).await?.counted().len();
    says(daemon, vm, "a number more", |said| said.counted().len() > until_now).await
}

/// Waits until it has said something.
async fn says(
    daemon: &Daemon,
    vm: VmId,
    what: &str,
    is_said: impl Fn(&Said) -> bool,
) -> anyhow::Result<Said> {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let said = Said::by(daemon, vm).await?;
        if is_said(&said) {
            return Ok(said);
        }
        ensure!(tokio::time::Instant::now() < deadline, "never said {what}: {said:?}");
        // Each look empties the ring that QEMU keeps, so they need not be many.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_ten_cases_each_of_an_operation_and_a_point_of_its_own() {
        let names: BTreeSet<_> =
            CASES.iter().map(|case| (case.scenario, case.blow, case.point)).collect();
        assert_eq!(names.len(), 10);
        for case in CASES {
            assert!(case.scenario.is_swept_on(Kind::Qemu));
            let operation = format!("{}/", case.scenario.name());
            assert!(case.point.starts_with(&operation), "{case:?}");
            assert_eq!(Case::of(case.scenario, Some((case.point, case.blow))), Some(case));
        }
    }

    #[test]
    fn what_only_a_live_guest_shows_is_among_them() {
        let of = |scenario, blow| CASES.iter().any(|it| (it.scenario, it.blow) == (scenario, blow));
        for blow in [Blow::Cancel, Blow::KillDaemon, Blow::KillHypervisor] {
            assert!(of(Scenario::Stop, blow), "its own shutdown, and {blow}");
        }
        for scenario in [Scenario::Suspend, Scenario::Restore, Scenario::Reboot] {
            assert!(of(scenario, Blow::KillDaemon), "{}", scenario.name());
        }
    }

    #[test]
    fn one_guest_that_was_booted_once_counts_without_a_gap() {
        let gaps = |text: &str| Said(text.into()).gaps();
        let one = format!("tick 0 90\ntick 1 190\n{UP}\nlogin: tick 2 290\ntick 3 3");
        assert_eq!(gaps(&one), None);
        assert_eq!(Said(one.clone()).counted().last(), Some(&(2, 290)));
        for other in [
            one.replace("tick 1 190\n", ""),
            one.replace("190", "290").replace("login: tick 2 290", "tick 2 190"),
            format!("{one}\n{one}"),
            "tick 0 90\n".to_owned(),
        ] {
            assert!(gaps(&other).is_some(), "{other}");
        }
    }
}
