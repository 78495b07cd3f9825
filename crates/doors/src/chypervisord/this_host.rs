//! The host that this daemon runs on, as one of the hosts.

use super::failure::Failure;
use http::StatusCode;
use innkeeper_model::{
    ByteSize, HostId, Mebibytes, Refusal, Revision, Vm,
    config::{Disk, DiskKind},
};
use innkeeper_store::registry::{HardwareAddress, HostRecord, Hosts, HostsFailed, Resources};
use innkeeper_view::Snapshot;
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// What the daemon knows of its own host.
#[derive(Debug, Clone)]
pub struct ThisHost {
    /// Its id; the same after each start.
    pub id: HostId,
    /// Its address, if it has one.
    pub ip: Option<IpAddr>,
    /// The hardware address of the interface that has it.
    pub mac: Option<HardwareAddress>,
    /// What may be promised to VMs, overcommit included.
    pub total: Resources,
}

impl ThisHost {
    /// Registers it, or has its registration say what is known now.
    pub(super) async fn register(&self, hosts: &Hosts) -> Result<(), Refusal> {
        let mut new = HostRecord::new(self.id);
        self.describe(&mut new);
        match hosts.create(new).await {
            Err(HostsFailed::Taken(_)) => {}
            other => return Ok(other?),
        }
        let described = hosts.edit(self.id, |host| {
            self.describe(host);
            Ok::<(), HostsFailed>(())
        });
        described.await?;
        Ok(())
    }

    fn describe(&self, host: &mut HostRecord) {
        host.ip = self.ip;
        host.mac.clone_from(&self.mac);
        host.total = self.total;
        // What is free is asked at each read; this is what is at most.
        host.available = self.total;
    }

    /// Its registration with what is so now.
    pub(super) fn shown(&self, registered: &HostRecord, promised: Promised) -> HostRecord {
        let mut host = registered.clone();
        self.describe(&mut host);
        host.available = self.free(promised);
        host
    }

    /// What is not promised to VMs; never less than nothing.
    fn free(&self, promised: Promised) -> Resources {
        let cpus = u32::try_from(promised.cpus).unwrap_or(u32::MAX);
        Resources {
            memory: Mebibytes(self.total.memory.0.saturating_sub(promised.memory.0)),
            disk: Mebibytes(self.total.disk.0.saturating_sub(whole_mebibytes(promised.disk))),
            cpu: self.total.cpu.saturating_sub(cpus),
        }
    }

    /// Why a client may not say otherwise of one of its fields.
    pub(super) fn is_own(field: &str) -> Failure {
        let message = format!("{field} of this hypervisor is its daemon's to write");
        Failure::long(StatusCode::CONFLICT, message)
    }
}

/// What VMs take: machines their memory and CPUs, be they another manager's; VMs, running or not, what
/// their disks may grow to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Promised {
    memory: Mebibytes,
    cpus: u64,
    disk: ByteSize,
}

/// What is promised, added up once for each revision of the view.
#[derive(Debug, Default)]
pub(super) struct Account(Mutex<Option<(Revision, Promised)>>);

impl Account {
    /// What VMs take in this snapshot.
    pub(super) fn of(&self, now: &Snapshot) -> Promised {
        // A pair of plain values is whole after any panic.
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *last() {
            Some((revision, promised)) if revision == now.revision => return promised,
            _ => {}
        }
        // Added up outside the lock: two who come at once do it twice, and nobody waits.
        let promised = Promised::of(now);
        *last() = Some((now.revision, promised));
        promised
    }
}

impl Promised {
    fn of(now: &Snapshot) -> Self {
        let mut promised = Self::default();
        for vm in now.vms.values() {
            let (cpus, memory) = machine(vm);
            promised.cpus += u64::from(cpus);
            promised.memory.0 = promised.memory.0.saturating_add(memory.0);
            promised.disk.0 = promised.disk.0.saturating_add(disks(vm, now));
        }
        promised
    }
}

/// The share of a VM's machine, if it has one.
fn machine(vm: &Vm) -> (u16, Mebibytes) {
    match (&vm.incarnation, &vm.managed) {
        (Some(machine), _) => (machine.cpus, machine.memory),
        (None, Some(managed)) if vm.is_on() => (managed.machine.cpus, managed.machine.memory),
        _ => (0, Mebibytes(0)),
    }
}

fn disks(vm: &Vm, now: &Snapshot) -> u64 {
    let Some(spec) = &vm.spec else { return 0 };
    let own = |disk: &&Disk| disk.path.is_none() && disk.kind == DiskKind::Disk;
    let of_image = |disk: &Disk| Some(now.images.get(disk.image.as_ref()?)?.virtual_size);
    let size = |disk: &Disk| disk.size.or_else(|| of_image(disk)).unwrap_or_default().0;
    spec.config.disks.iter().filter(own).map(size).fold(0, u64::saturating_add)
}

/// Rounded up: a part of a mebibyte that is promised is not free.
fn whole_mebibytes(size: ByteSize) -> u64 {
    size.0.div_ceil(1 << 20)
}
