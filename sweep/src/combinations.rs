//! What can happen at which point: the rules that say what is not tried, and why.

use crate::{
    booted,
    host::Kind,
    scenarios::Scenario,
    witness::{Blow, Passed},
};
use std::collections::BTreeSet;

/// One thing that happens at one point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Trial {
    pub(crate) driver: Kind,
    pub(crate) scenario: Scenario,
    /// Whether the guest has a booted kernel.
    pub(crate) booted: bool,
    pub(crate) blow: Blow,
    pub(crate) point: String,
}

impl Trial {
    /// What is done, and to what.
    pub(crate) fn operation(&self) -> String {
        let more = if self.booted { "-booted" } else { "" };
        format!("{}{more}", self.scenario.name())
    }

    /// `driver operation kind point`.
    pub(crate) fn name(&self) -> String {
        format!("{} {} {} {}", self.driver, self.operation(), self.blow, self.point)
    }
}

/// Everything that can happen in a scenario that passed these points undisturbed.
pub(crate) fn of(driver: Kind, scenario: Scenario, passed: &[Passed]) -> Vec<Trial> {
    let mut trials = BTreeSet::new();
    for passed in passed {
        for blow in Blow::ALL.into_iter().filter(|blow| can_happen(*blow, passed)) {
            let point = passed.point.clone();
            trials.insert(Trial { driver, scenario, booted: false, blow, point });
        }
    }
    // Whatever was passed: one of these whose point is no more shall be missed.
    let chosen = booted::CASES.into_iter().filter(|case| case.scenario == scenario);
    trials.extend(chosen.filter(|_| driver == Kind::Qemu).map(|case| Trial {
        driver,
        scenario,
        booted: true,
        blow: case.blow,
        point: case.point.into(),
    }));
    trials.into_iter().collect()
}

/// Whether something can happen at a point at all.
fn can_happen(blow: Blow, passed: &Passed) -> bool {
    match blow {
        // Past the point of no return a cancel is refused, and nothing is undone.
        Blow::Cancel | Blow::UndoFail => passed.way_back,
        // Of a VM without a hypervisor none can die.
        Blow::KillHypervisor => passed.hypervisor,
        Blow::Fail | Blow::KillDaemon => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(way_back: bool, hypervisor: bool) -> Passed {
        Passed {
            point: "start/set-want/after-act".into(),
            site: "after-act".into(),
            way_back,
            hypervisor,
        }
    }

    fn blows(passed: Passed) -> Vec<Blow> {
        of(Kind::Sim, Scenario::Start, &[passed]).into_iter().map(|trial| trial.blow).collect()
    }

    #[test]
    fn everything_can_happen_to_a_running_vm_before_the_point_of_no_return() {
        assert_eq!(blows(passed(true, true)), Blow::ALL);
    }

    #[test]
    fn a_network_has_no_hypervisor_that_could_die() {
        let passed = [passed(true, false)];
        let trials = of(Kind::Sim, Scenario::NetworkCreate, &passed);
        let blows: Vec<Blow> = trials.into_iter().map(|trial| trial.blow).collect();
        assert_eq!(blows, [Blow::Cancel, Blow::Fail, Blow::UndoFail, Blow::KillDaemon]);
    }

    #[test]
    fn past_it_nothing_is_cancelled_or_undone() {
        assert_eq!(
            blows(passed(false, true)),
            [Blow::Fail, Blow::KillDaemon, Blow::KillHypervisor]
        );
    }

    #[test]
    fn without_a_hypervisor_none_dies() {
        assert!(!blows(passed(true, false)).contains(&Blow::KillHypervisor));
    }

    #[test]
    fn guests_are_booted_in_the_chosen_cases_on_qemu() {
        let booted = |driver| {
            let all = Scenario::ALL.into_iter().flat_map(move |scenario| of(driver, scenario, &[]));
            all.filter(|trial| trial.booted).count()
        };
        assert_eq!((booted(Kind::Qemu), booted(Kind::Sim)), (booted::CASES.len(), 0));
        let stop = of(Kind::Qemu, Scenario::Stop, &[]);
        assert!(stop.iter().all(|trial| trial.operation() == "stop-booted"));
    }

    #[test]
    fn a_point_that_is_passed_twice_is_tried_once() {
        let twice = [passed(true, false), passed(true, false)];
        assert_eq!(of(Kind::Sim, Scenario::Start, &twice).len(), 4);
    }
}
