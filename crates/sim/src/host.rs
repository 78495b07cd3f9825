//! The simulated host, as its changes make it. Pure.

use crate::{
    belongings::Belongings,
    change::{Change, Entry},
    clock::Moment,
};
use innkeeper_model::{Facts, Foreign, ProcessIdentity, VmId};
use std::collections::{BTreeMap, HashMap};

/// The id of the first process. Above what Linux ever gives (2^22), so that no real process can be
/// meant, and below 2^31: as a signed number it must not turn negative, which `kill` would take for a
/// process group.
const FIRST_PID: u32 = 1 << 30;
/// After this one the ids begin anew.
const LAST_PID: u32 = (1 << 31) - 1;
/// Clock ticks a second, which processes' start times are counted in; Linux's usual number.
const TICKS: i64 = 100;

/// A host with machines in it.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) boot_id: String,
    next_pid: u32,
    /// Machines of somebody else's, by their process.
    pub(crate) foreign: BTreeMap<u32, Foreign>,
    pub(crate) vms: HashMap<VmId, Belongings>,
}

impl Host {
    /// The entry that makes a host out of nothing, or boots it.
    pub(crate) fn boot(&self, boot_id: String) -> Entry {
        Entry::Boot { boot_id, next_pid: self.next_pid.max(FIRST_PID) }
    }

    /// The identity of the next process.
    pub(crate) fn next_process(&self, at: Moment) -> ProcessIdentity {
        let start_ticks = u64::try_from(at / (1_000_000 / TICKS)).unwrap_or_default();
        ProcessIdentity { pid: self.next_pid, start_ticks }
    }

    /// Whether a process is a machine of somebody else's.
    pub(crate) fn is_foreign(&self, process: ProcessIdentity) -> bool {
        self.foreign.get(&process.pid).is_some_and(|foreign| foreign.process == process)
    }

    pub(crate) fn facts(&self, vm: VmId) -> Facts {
        self.vms.get(&vm).map(Belongings::facts).unwrap_or_default()
    }

    /// Takes in what happened, and returns what a guest wrote in it.
    pub(crate) fn apply(&mut self, at: Moment, entry: Entry) -> String {
        match entry {
            Entry::Boot { boot_id, next_pid } => {
                (self.boot_id, self.next_pid) = (boot_id, next_pid);
                self.foreign.clear();
                self.vms.retain(|_, belongings| {
                    belongings.apply(at, Change::PutAway);
                    !belongings.is_nothing()
                });
            }
            Entry::Vm(vm, change) => return self.apply_to(vm, at, change),
            Entry::Foreign(foreign) => {
                self.uses(foreign.process);
                self.foreign.insert(foreign.process.pid, *foreign);
            }
            Entry::ForeignGone(process) => {
                self.foreign.remove(&process.pid);
            }
            Entry::Whole(vm, belongings) => {
                self.vms.insert(vm, *belongings);
            }
        }
        String::new()
    }

    fn apply_to(&mut self, vm: VmId, at: Moment, change: Change) -> String {
        if let Change::Launched { incarnation, .. } = &change
            && let Some(process) = incarnation.process
        {
            self.uses(process);
        }
        let belongings = self.vms.entry(vm).or_default();
        match &change {
            Change::Adopted { foreign, .. } => {
                self.foreign.remove(&foreign.process.pid);
            }
            Change::GivenBack => {
                let adopted =
                    belongings.machine.as_mut().and_then(|machine| machine.adopted.take());
                if let Some(foreign) = adopted {
                    self.foreign.insert(foreign.process.pid, *foreign);
                }
            }
            _ => {}
        }
        let wrote = belongings.apply(at, change);
        if belongings.is_nothing() {
            self.vms.remove(&vm);
        }
        wrote
    }

    /// Notes that an id is in use, if it is the one that would be next.
    fn uses(&mut self, process: ProcessIdentity) {
        if process.pid == self.next_pid {
            self.next_pid = if process.pid == LAST_PID { FIRST_PID } else { process.pid + 1 };
        }
    }

    /// All there is, as entries that make it again.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let boot = Entry::Boot { boot_id: self.boot_id.clone(), next_pid: self.next_pid };
        let foreign =
            self.foreign.values().map(|foreign| Entry::Foreign(Box::new(foreign.clone())));
        let vms = self.vms.iter();
        let vms = vms.map(|(vm, belongings)| Entry::Whole(*vm, Box::new(belongings.clone())));
        std::iter::once(boot).chain(foreign).chain(vms)
    }
}
