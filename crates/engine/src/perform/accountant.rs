//! What this host has to give, who has taken how much of it, and who may take how much.
//!
//! Memory and virtual CPUs are taken by a machine before it is made and given back when it is gone;
//! room on the disk is taken by a VM, by the size that its disks may grow to. All is taken under one
//! lock, so that two who would both fit alone cannot both be let in.

use crate::plan::steps::Share;
use innkeeper_model::{ByteSize, Code, Mebibytes, ProjectName, Refusal, VmId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a host, or a project on it, may take in all. `None` is without bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// VMs, running or not.
    pub vms: Option<u64>,
    /// Virtual CPUs of machines.
    pub cpus: Option<u64>,
    /// Memory of machines.
    pub memory: Option<Mebibytes>,
    /// What the disks of VMs may grow to.
    pub disk: Option<ByteSize>,
}

/// The bounds of a host, overcommit included, and of projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The host.
    pub host: Bounds,
    /// Projects that have a quota.
    pub quotas: BTreeMap<ProjectName, Bounds>,
}

/// What is taken in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// VMs.
    pub vms: u64,
    /// Virtual CPUs of machines.
    pub cpus: u64,
    /// Memory of machines.
    pub memory: Mebibytes,
    /// What the disks of VMs may grow to.
    pub disk: ByteSize,
}

/// The accountant.
#[derive(Debug, Default)]
pub(crate) struct Accountant {
    capacity: Capacity,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    machines: HashMap<VmId, (ProjectName, Share)>,
    disks: HashMap<VmId, (ProjectName, ByteSize)>,
    host: Usage,
    projects: HashMap<ProjectName, Usage>,
}

impl Accountant {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { capacity, accounts: Mutex::default() }
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Every change under the lock is whole before anything can panic.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a machine's share. Done twice, it is taken once.
    ///
    /// # Errors
    /// The host, or the project's quota, has not so much left.
    pub(crate) fn reserve(
        &self,
        vm: VmId,
        project: &ProjectName,
        share: Share,
    ) -> Result<(), Refusal> {
        let mut accounts = self.accounts();
        let before = accounts.take_machine(vm);
        let fits = self.each_bound(&accounts, project).try_for_each(|(whose, bounds, used)| {
            fits("cpus", &whose, share.cpus.into(), used.cpus, bounds.cpus)?;
            let bound = bounds.memory.map(|memory| memory.0);
            fits("memory", &whose, share.memory.0, used.memory.0, bound)
        });
        match (fits, before) {
            (Ok(()), _) => accounts.put_machine(vm, project.clone(), share),
            (Err(refusal), before) => {
                if let Some((project, share)) = before {
                    accounts.put_machine(vm, project, share);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Notes the share of a machine that is there, fit or not.
    pub(crate) fn found(&self, vm: VmId, project: &ProjectName, share: Share) {
        let mut accounts = self.accounts();
        accounts.take_machine(vm);
        accounts.put_machine(vm, project.clone(), share);
    }

    /// Whether a machine of this VM has taken anything.
    pub(crate) fn has_machine(&self, vm: VmId) -> bool {
        self.accounts().machines.contains_key(&vm)
    }

    /// Gives a machine's share back.
    pub(crate) fn release(&self, vm: VmId) {
        self.accounts().take_machine(vm);
    }

    /// Takes what a VM's disks may grow to, in place of what it had taken.
    ///
    /// # Errors
    /// The host, or the project's quota, has not so much left, or has its number of VMs.
    pub(crate) fn reserve_disk(
        &self,
        vm: VmId,
        project: &ProjectName,
        size: ByteSize,
    ) -> Result<(), Refusal> {
        let mut accounts = self.accounts();
        let before = accounts.take_disk(vm);
        let grows = before.as_ref().is_none_or(|(_, before)| size > *before);
        let fits = self.each_bound(&accounts, project).try_for_each(|(whose, bounds, used)| {
            if before.is_none() {
                fits("vms", &whose, 1, used.vms, bounds.vms)?;
            }
            match grows {
                true => fits("disk", &whose, size.0, used.disk.0, bounds.disk.map(|disk| disk.0)),
                false => Ok(()),
            }
        });
        match (fits, before) {
            (Ok(()), _) => accounts.put_disk(vm, project.clone(), size),
            (Err(refusal), before) => {
                if let Some((project, size)) = before {
                    accounts.put_disk(vm, project, size);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Notes what a stored VM's disks may grow to, fit or not.
    pub(crate) fn put_disk(&self, vm: VmId, project: &ProjectName, size: ByteSize) {
        let mut accounts = self.accounts();
        accounts.take_disk(vm);
        accounts.put_disk(vm, project.clone(), size);
    }

    /// What a stored VM's disks may grow to, as noted.
    pub(crate) fn disk_of(&self, vm: VmId) -> Option<ByteSize> {
        self.accounts().disks.get(&vm).map(|(_, size)| *size)
    }

    /// Forgets a VM that is no more.
    pub(crate) fn forget(&self, vm: VmId) {
        self.accounts().take_disk(vm);
    }

    /// What this host has given.
    pub(crate) fn usage(&self) -> Usage {
        self.accounts().host
    }

    /// Whose bounds there are, with what is taken of each.
    fn each_bound<'a>(
        &'a self,
        accounts: &'a Accounts,
        project: &'a ProjectName,
    ) -> impl Iterator<Item = (String, Bounds, Usage)> + 'a {
        let host = ("this host".to_owned(), self.capacity.host, accounts.host);
        let quota = self.capacity.quotas.get(project).map(|bounds| {
            let used = accounts.projects.get(project).copied().unwrap_or_default();
            (format!("the quota of project {project}"), *bounds, used)
        });
        std::iter::once(host).chain(quota)
    }
}

/// Whether so much more can be taken.
fn fits(what: &str, whose: &str, more: u64, used: u64, bound: Option<u64>) -> Result<(), Refusal> {
    let Some(bound) = bound.filter(|bound| used.saturating_add(more) > *bound) else {
        return Ok(());
    };
    let shown = |amount: u64| match what {
        "memory" => Mebibytes(amount).to_string(),
        "disk" => ByteSize(amount).to_string(),
        _ => amount.to_string(),
    };
    let message = format!(
        "{whose} has not enough {what}: {} more, {} of {} taken",
        shown(more),
        shown(used),
        shown(bound)
    );
    Err(Refusal::new(Code::OutOfCapacity, message)
        .at(what)
        .with_limit(shown(bound))
        .with_hint("stop or delete VMs, or let [capacity] in the configuration promise more"))
}

impl Accounts {
    fn of(&mut self, project: ProjectName) -> [&mut Usage; 2] {
        [&mut self.host, self.projects.entry(project).or_default()]
    }

    fn put_machine(&mut self, vm: VmId, project: ProjectName, share: Share) {
        for usage in self.of(project.clone()) {
            usage.cpus += u64::from(share.cpus);
            usage.memory.0 += share.memory.0;
        }
        self.machines.insert(vm, (project, share));
    }

    fn take_machine(&mut self, vm: VmId) -> Option<(ProjectName, Share)> {
        let (project, share) = self.machines.remove(&vm)?;
        for usage in self.of(project.clone()) {
            usage.cpus -= u64::from(share.cpus);
            usage.memory.0 -= share.memory.0;
        }
        self.drop_if_empty(&project);
        Some((project, share))
    }

    fn put_disk(&mut self, vm: VmId, project: ProjectName, size: ByteSize) {
        for usage in self.of(project.clone()) {
            usage.vms += 1;
            usage.disk.0 += size.0;
        }
        self.disks.insert(vm, (project, size));
    }

    fn take_disk(&mut self, vm: VmId) -> Option<(ProjectName, ByteSize)> {
        let (project, size) = self.disks.remove(&vm)?;
        for usage in self.of(project.clone()) {
            usage.vms -= 1;
            usage.disk.0 -= size.0;
        }
        self.drop_if_empty(&project);
        Some((project, size))
    }

    fn drop_if_empty(&mut self, project: &ProjectName) {
        if self.projects.get(project) == Some(&Usage::default()) {
            self.projects.remove(project);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectName {
        name.parse().unwrap()
    }

    fn share(cpus: u16, memory: u64) -> Share {
        Share { cpus, memory: Mebibytes(memory) }
    }

    fn accountant() -> Accountant {
        let host = Bounds {
            vms: None,
            cpus: Some(4),
            memory: Some(Mebibytes(1000)),
            disk: Some(ByteSize(100)),
        };
        let quota = Bounds { vms: Some(1), memory: Some(Mebibytes(300)), ..Bounds::default() };
        let quotas = [(project("small"), quota)].into();
        Accountant::new(Capacity { host, quotas })
    }

    #[test]
    fn what_is_taken_is_given_back_exactly() {
        let accountant = accountant();
        let (one, other) = (VmId::new(), VmId::new());
        let default = project("default");
        accountant.reserve(one, &default, share(2, 600)).unwrap();
        accountant.reserve(one, &default, share(2, 600)).unwrap();
        let refused = accountant.reserve(other, &default, share(1, 401)).unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), (Code::OutOfCapacity, Some("memory")));
        accountant.reserve(other, &default, share(2, 400)).unwrap();
        let refused = accountant.reserve(VmId::new(), &default, share(1, 0)).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("cpus"));
        accountant.release(one);
        accountant.release(one);
        accountant.release(other);
        assert_eq!(accountant.usage(), Usage::default());
        assert!(accountant.accounts().projects.is_empty());
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let accountant = accountant();
        let (vm, default) = (VmId::new(), project("default"));
        accountant.reserve(vm, &default, share(1, 500)).unwrap();
        let before = accountant.usage();
        accountant.reserve(vm, &default, share(1, 1001)).unwrap_err();
        assert_eq!(accountant.usage(), before);
        accountant.reserve_disk(vm, &default, ByteSize(60)).unwrap();
        accountant.reserve_disk(vm, &default, ByteSize(101)).unwrap_err();
        assert_eq!(accountant.disk_of(vm), Some(ByteSize(60)));
    }

    #[test]
    fn a_project_has_its_quota_and_others_have_not() {
        let accountant = accountant();
        let (small, vm) = (project("small"), VmId::new());
        accountant.reserve_disk(vm, &small, ByteSize(0)).unwrap();
        let refused = accountant.reserve_disk(VmId::new(), &small, ByteSize(0)).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("vms"));
        accountant.reserve(vm, &small, share(1, 301)).unwrap_err();
        accountant.reserve(vm, &project("default"), share(1, 301)).unwrap();
        accountant.forget(vm);
        accountant.reserve_disk(VmId::new(), &small, ByteSize(0)).unwrap();
    }

    #[test]
    fn disks_may_shrink_where_there_is_too_little() {
        let accountant = accountant();
        let (vm, default) = (VmId::new(), project("default"));
        accountant.put_disk(vm, &default, ByteSize(500));
        accountant.reserve_disk(vm, &default, ByteSize(400)).unwrap();
        accountant.reserve_disk(vm, &default, ByteSize(401)).unwrap_err();
        assert_eq!(accountant.usage().disk, ByteSize(400));
    }
}
