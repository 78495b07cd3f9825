//! What this host has to give, who has taken how much of it, and who may take how much.
//!
//! Memory and virtual CPUs are taken by a machine before it is made and given back when it is gone;
//! room on the disk is taken by a VM, by the size that its disks may grow to; how many addresses a VM
//! has is told by whoever gives them out. All is taken under one lock, so that two who would both fit
//! alone cannot both be let in.
//!
//! What a VM has taken is one entry, and every change replaces it: what a project has in all is the sum of
//! its VMs' entries at any time, and is never counted otherwise. Nothing here is stored. A new daemon makes
//! the entries anew, of what is stored, what runs, and what an earlier one was in the middle of.
//!
//! Whatever does not take more than it had is let be, fit or not: bounds that were made narrower stop
//! nothing, and keep nobody from taking less.

use crate::{perform::bounds::Bounds, plan::steps::Share};
use innkeeper_model::{
    ByteSize, Code, Counted, Project, ProjectName, Quota, Refusal, StoredQuota, Usage, VmId,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The bounds of a host, overcommit included, and those of projects that the operator configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The host.
    pub host: Quota,
    /// Projects with a quota in the configuration.
    pub quotas: BTreeMap<ProjectName, Quota>,
    /// All projects that nobody said anything of.
    pub default_quota: Quota,
}

/// The accountant.
#[derive(Debug, Default)]
pub(crate) struct Accountant {
    host: Quota,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    bounds: Bounds,
    holdings: HashMap<VmId, Holding>,
    host: Usage,
    projects: HashMap<ProjectName, Usage>,
}

/// Room that is held for a VM that is on its way here.
#[derive(Debug)]
pub(crate) struct Held {
    accountant: Arc<Accountant>,
    vm: VmId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.accountant.forget(self.vm);
    }
}

/// What one VM has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Holding {
    /// Whose it is; nobody's, where a machine was found of which nothing else is known.
    project: Option<ProjectName>,
    /// What the disks of a VM that is stored, or will be, may grow to.
    disk: Option<ByteSize>,
    /// Its machine.
    machine: Option<Share>,
    /// How many addresses its NICs have.
    addresses: u64,
}

impl Holding {
    fn usage(&self) -> Usage {
        let Share { cpus, memory } = self.machine.unwrap_or_default();
        Usage {
            vms: self.disk.is_some().into(),
            cpus: cpus.into(),
            memory,
            disk: self.disk.unwrap_or_default(),
            addresses: self.addresses,
        }
    }

    fn is_nothing(&self) -> bool {
        self.disk.is_none() && self.machine.is_none() && self.addresses == 0
    }
}

impl Accountant {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let Capacity { host, quotas, default_quota } = capacity;
        let bounds = Bounds::configured(quotas, default_quota);
        Self { host, accounts: Mutex::new(Accounts { bounds, ..Accounts::default() }) }
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
        self.accounts().admit(&self.host, vm, |holding| {
            holding.project = Some(project.clone());
            holding.machine = Some(share);
        })
    }

    /// Notes the share of a machine that is there, fit or not.
    pub(crate) fn found(&self, vm: VmId, project: &ProjectName, share: Share) {
        self.accounts().note(vm, |holding| {
            holding.project = Some(project.clone());
            holding.machine = Some(share);
        });
    }

    /// Whether a machine of this VM has taken anything.
    pub(crate) fn has_machine(&self, vm: VmId) -> bool {
        self.accounts().holdings.get(&vm).is_some_and(|holding| holding.machine.is_some())
    }

    /// Gives a machine's share back.
    pub(crate) fn release(&self, vm: VmId) {
        self.accounts().note(vm, |holding| holding.machine = None);
    }

    /// Takes what a VM's disks may grow to, in place of what it had taken. Where its project becomes
    /// another, all that it has goes with it.
    ///
    /// # Errors
    /// The host, or the project's quota, has not so much left, or has its number of VMs.
    pub(crate) fn reserve_disk(
        &self,
        vm: VmId,
        project: &ProjectName,
        size: ByteSize,
    ) -> Result<(), Refusal> {
        self.accounts().admit(&self.host, vm, |holding| {
            holding.project = Some(project.clone());
            holding.disk = Some(size);
        })
    }

    /// Refuses a new VM for which there is no room now. Nothing is taken: this is for who asks, to be told at
    /// once.
    ///
    /// # Errors
    /// As [`Self::reserve_disk`].
    pub(crate) fn has_room(&self, project: &ProjectName, size: ByteSize) -> Result<(), Refusal> {
        let new =
            Holding { project: Some(project.clone()), disk: Some(size), ..Holding::default() };
        self.accounts().check(&self.host, &Holding::default(), &new)
    }

    /// Takes room for a VM that is on its way here, and of which nothing is known yet but how large it will be. It is
    /// given back when what is handed back is dropped.
    ///
    /// # Errors
    /// As [`Self::reserve_disk`].
    pub(crate) fn hold(
        self: &Arc<Self>,
        project: &ProjectName,
        size: ByteSize,
    ) -> Result<Held, Refusal> {
        // It is nobody's but this one's: the VM gets its own when it is made.
        let vm = VmId::new();
        self.reserve_disk(vm, project, size)?;
        Ok(Held { accountant: Arc::clone(self), vm })
    }

    /// Notes what a stored VM's disks may grow to, and whose it is, fit or not.
    pub(crate) fn put_disk(&self, vm: VmId, project: &ProjectName, size: ByteSize) {
        self.accounts().note(vm, |holding| {
            holding.project = Some(project.clone());
            holding.disk = Some(size);
        });
    }

    /// What a stored VM's disks may grow to, as noted.
    pub(crate) fn disk_of(&self, vm: VmId) -> Option<ByteSize> {
        self.accounts().holdings.get(&vm)?.disk
    }

    /// Forgets a VM that is no more. What its machine and its NICs have is given back by who ends them.
    pub(crate) fn forget(&self, vm: VmId) {
        self.accounts().note(vm, |holding| holding.disk = None);
    }

    /// Takes so many addresses in all for a VM that is this project's, or is to be.
    ///
    /// # Errors
    /// The project's quota has not so many left; or, where the VM is to become this project's, has no room
    /// for it.
    pub(crate) fn reserve_addresses(
        &self,
        vm: VmId,
        project: &ProjectName,
        count: u64,
    ) -> Result<(), Refusal> {
        let mut accounts = self.accounts();
        let before = accounts.holding(vm);
        if before.addresses == count && before.project.as_ref() == Some(project) {
            return Ok(());
        }
        let after = Holding { project: Some(project.clone()), addresses: count, ..before.clone() };
        accounts.check(&self.host, &before, &after)?;
        // It becomes the other project's when that is stored.
        let project = before.project.or(after.project.clone());
        accounts.put(vm, Holding { project, ..after });
        Ok(())
    }

    /// Notes how many addresses a VM has, fit or not.
    pub(crate) fn put_addresses(&self, vm: VmId, count: u64) {
        self.accounts().note(vm, |holding| holding.addresses = count);
    }

    /// What this host may give.
    pub(crate) const fn bounds(&self) -> &Quota {
        &self.host
    }

    /// What this host has given.
    pub(crate) fn usage(&self) -> Usage {
        self.accounts().host
    }

    /// What is known of the quota that a project has of its own, if it has one.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn own_quota(&self, project: &ProjectName) -> Result<Option<StoredQuota>, Refusal> {
        self.accounts().bounds.own(project)
    }

    /// Changes the bounds; for what is taken from now on.
    pub(crate) fn bound<T>(&self, change: impl FnOnce(&mut Bounds) -> T) -> T {
        change(&mut self.accounts().bounds)
    }

    /// A project, with what it has taken; whether there is anything of it is not asked.
    pub(crate) fn project(&self, name: &ProjectName) -> Project {
        self.accounts().project(name)
    }

    /// Whether there is anything of a project: a quota that is its own, or something it has taken.
    pub(crate) fn knows(&self, name: &ProjectName) -> bool {
        let accounts = self.accounts();
        accounts.projects.contains_key(name) || accounts.bounds.names(name)
    }

    /// All projects that there is anything of, by name.
    pub(crate) fn projects(&self) -> Vec<Project> {
        let accounts = self.accounts();
        let names: BTreeSet<&ProjectName> =
            accounts.projects.keys().chain(accounts.bounds.named()).collect();
        names.into_iter().map(|name| accounts.project(name)).collect()
    }
}

impl Accounts {
    fn holding(&self, vm: VmId) -> Holding {
        self.holdings.get(&vm).cloned().unwrap_or_default()
    }

    /// Changes what a VM has taken, if that fits.
    fn admit(
        &mut self,
        host: &Quota,
        vm: VmId,
        change: impl FnOnce(&mut Holding),
    ) -> Result<(), Refusal> {
        let before = self.holding(vm);
        let mut after = before.clone();
        change(&mut after);
        self.check(host, &before, &after)?;
        self.put(vm, after);
        Ok(())
    }

    /// Changes what a VM has taken, fit or not.
    fn note(&mut self, vm: VmId, change: impl FnOnce(&mut Holding)) {
        let before = self.holding(vm);
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            self.put(vm, after);
        }
    }

    /// Whether a VM may have this instead of that.
    fn check(&self, host: &Quota, before: &Holding, after: &Holding) -> Result<(), Refusal> {
        let (had, has) = (before.usage(), after.usage());
        if let Some(project) = &after.project {
            let had = if before.project == after.project { had } else { Usage::default() };
            if Counted::ALL.iter().any(|counted| has.of(*counted) > had.of(*counted)) {
                let quota = self.bounds.of(project)?;
                let used = self.projects.get(project).copied().unwrap_or_default();
                fits(Whose::Project(project), quota, &used, &had, &has)?;
            }
        }
        fits(Whose::Host, host, &self.host, &had, &has)
    }

    /// Replaces what a VM has taken.
    fn put(&mut self, vm: VmId, holding: Holding) {
        if let Some(before) = self.holdings.remove(&vm) {
            self.count(&before, |sum, part| *sum -= part);
        }
        if !holding.is_nothing() {
            self.count(&holding, |sum, part| *sum += part);
            self.holdings.insert(vm, holding);
        }
    }

    fn count(&mut self, holding: &Holding, add: impl Fn(&mut u64, u64)) {
        let part = holding.usage();
        if part == Usage::default() {
            // A project that has nothing has no sum.
            return;
        }
        let to = |sum: &mut Usage| {
            add(&mut sum.vms, part.vms);
            add(&mut sum.cpus, part.cpus);
            add(&mut sum.memory.0, part.memory.0);
            add(&mut sum.disk.0, part.disk.0);
            add(&mut sum.addresses, part.addresses);
        };
        to(&mut self.host);
        let Some(project) = &holding.project else { return };
        match self.projects.get_mut(project) {
            Some(sum) => {
                to(sum);
                if *sum == Usage::default() {
                    self.projects.remove(project);
                }
            }
            None => to(self.projects.entry(project.clone()).or_default()),
        }
    }

    fn project(&self, name: &ProjectName) -> Project {
        let used = self.projects.get(name).copied().unwrap_or_default();
        self.bounds.shown(name, used)
    }
}

/// Whose bound it is.
#[derive(Clone, Copy)]
enum Whose<'a> {
    Host,
    Project(&'a ProjectName),
}

/// Whether what is more in this than in that can be taken besides what is.
fn fits(
    whose: Whose<'_>,
    quota: &Quota,
    used: &Usage,
    had: &Usage,
    has: &Usage,
) -> Result<(), Refusal> {
    for counted in Counted::ALL {
        let (more, used) = (has.of(counted).saturating_sub(had.of(counted)), used.of(counted));
        let Some(bound) = quota.of(counted).filter(|_| more > 0) else { continue };
        if used.saturating_add(more) > bound {
            return Err(refusal(whose, counted, more, used, bound));
        }
    }
    Ok(())
}

/// What a project has taken is for its people to know. What the host has, and what all have taken of it, is not:
/// whoever may see that is told where.
fn refusal(whose: Whose<'_>, counted: Counted, more: u64, used: u64, bound: u64) -> Refusal {
    let (what, shown) = (counted.name(), |amount| counted.shown(amount));
    let (message, limit, hint) = match whose {
        Whose::Host => (
            format!("this host has not enough {what}: {} more cannot be had", shown(more)),
            None,
            "stop or delete VMs, or let [capacity] in the configuration promise more; `inn diagnose` says what there \
             is and what is taken"
                .to_owned(),
        ),
        Whose::Project(project) => (
            format!(
                "the quota of project {project} has not enough {what}: {} more, {} of {} taken",
                shown(more),
                shown(used),
                shown(bound)
            ),
            Some(shown(bound)),
            format!(
                "stop or delete VMs of the project, or have an administrator raise its quota: \
                 inn project set {project} --{what} …"
            ),
        ),
    };
    let mut refusal = Refusal::new(Code::OutOfCapacity, message).at(what).with_hint(hint);
    refusal.limit = limit;
    refusal.value = Some(shown(more));
    refusal
}

#[cfg(test)]
#[path = "accountant_tests.rs"]
mod tests;
