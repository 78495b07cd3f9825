//! What can happen at which point: the rules that say what is not tried, and why.
//!
//! That a step was begun is seen by a run that nothing happens in. Whether it then waits is not, since a wait
//! may be over before it was looked at: that the step says itself, by what it is and whose, and each that says
//! so is cut short in its wait. A run that meets a wait of which no step says anything is told of.

use crate::{
    booted,
    host::Kind,
    scenarios::Scenario,
    witness::{Blow, Passed},
};
use innkeeper_engine::Site;
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
    let others = passed.iter().filter(|passed| passed.site != Site::InWait).cloned();
    for passed in others.chain(waits(passed)) {
        for blow in Blow::ALL.into_iter().filter(|blow| can_happen(*blow, &passed)) {
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

/// The points in the waits of the steps that were begun. What could happen when a step began can in its wait; and
/// a hypervisor that is there after it, and was not before, can die while it comes up.
fn waits(passed: &[Passed]) -> impl Iterator<Item = Passed> {
    let begun = passed.iter().filter(|passed| passed.site == Site::AfterJournal && passed.waits);
    begun.filter_map(|begun| {
        let step = begun.point.strip_suffix(Site::AfterJournal.name())?;
        let done = format!("{step}{}", Site::AfterAct.name());
        let comes_up = passed.iter().any(|passed| passed.point == done && passed.hypervisor);
        let point = format!("{step}{}", Site::InWait.name());
        let hypervisor = begun.hypervisor || comes_up;
        Some(Passed { point, site: Site::InWait, hypervisor, ..begun.clone() })
    })
}

/// The waits that were met, and that no step says anything of.
pub(crate) fn unsaid(passed: &[Passed]) -> Vec<String> {
    let said: BTreeSet<String> = waits(passed).map(|wait| wait.point).collect();
    let met = passed.iter().filter(|passed| passed.site == Site::InWait);
    let unsaid = met.filter(|met| !said.contains(&met.point));
    unsaid
        .map(|met| format!("{} was passed, and its step says that it never waits", met.point))
        .collect()
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
        Passed { way_back, hypervisor, ..at(Site::AfterAct, false) }
    }

    fn at(site: Site, waits: bool) -> Passed {
        let point = format!("start/set-want/{}", site.name());
        Passed { point, site, waits, way_back: true, hypervisor: true }
    }

    fn points(passed: &[Passed]) -> BTreeSet<String> {
        of(Kind::Sim, Scenario::Start, passed).into_iter().map(|trial| trial.point).collect()
    }

    #[test]
    fn what_says_that_it_waits_is_cut_short_there_whether_or_not_it_was_met() {
        let wait = "start/set-want/in-wait";
        let begun = [at(Site::BeforeJournal, true), at(Site::AfterJournal, true)];
        assert!(points(&begun).contains(wait));
        let met = [begun.to_vec(), vec![at(Site::InWait, true)]].concat();
        assert_eq!(points(&met), points(&begun));
        let never = begun.map(|passed| Passed { waits: false, ..passed });
        assert!(!points(&never).contains(wait));
        assert_eq!((unsaid(&met), unsaid(&never)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_wait_that_no_step_says_anything_of_is_told() {
        let passed = [at(Site::AfterJournal, false), at(Site::InWait, false)];
        let told = unsaid(&passed);
        assert!(told.len() == 1 && told[0].starts_with("start/set-want/in-wait "), "{told:?}");
        assert!(!points(&passed).contains("start/set-want/in-wait"));
    }

    #[test]
    fn in_a_wait_happens_what_could_when_the_step_began() {
        let begun = Passed { hypervisor: false, ..at(Site::AfterJournal, true) };
        let of_wait = |passed: &[Passed]| -> Vec<Blow> {
            let trials = of(Kind::Sim, Scenario::Start, passed).into_iter();
            let blows = trials.filter(|trial| trial.point.ends_with("/in-wait"));
            blows.map(|trial| trial.blow).collect()
        };
        let without = [Blow::Cancel, Blow::Fail, Blow::UndoFail, Blow::KillDaemon];
        assert_eq!(of_wait(std::slice::from_ref(&begun)), without);
        let ended = Passed { hypervisor: false, ..at(Site::AfterAct, true) };
        assert_eq!(of_wait(&[begun.clone(), ended]), without);
        assert_eq!(of_wait(&[begun, at(Site::AfterAct, true)]), Blow::ALL, "it comes up in it");
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
