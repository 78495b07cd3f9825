//! Edit: what a VM is from its next start on.

use super::{
    AfterCrash, Plan,
    create::{create_volume, nvram, reserve_addresses, write_seed},
};
use crate::{networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_model::{ByteSize, Spec, config::CloudInit, config::Disk, host::Hypervisor};
use innkeeper_storage::needs_volume;
use std::sync::Arc;

/// Makes the volumes that are new, stores the spec, then removes the volumes that nothing names any
/// more: at no moment does a stored spec name a volume that is not there. `disk_sizes` is what its
/// disks may grow to, before and after.
pub(crate) fn edit(
    before: Arc<Spec>,
    spec: Arc<Spec>,
    seed: Option<CloudInit>,
    disk_sizes: (ByteSize, ByteSize),
    claims: Vec<NicClaim>,
    hypervisor: &Hypervisor,
) -> Plan {
    let vm = spec.id;
    let mut plan = Plan::new(AfterCrash::Back);
    let (size_before, size) = disk_sizes;
    if size != size_before || spec.config.project != before.config.project {
        let project = spec.config.project.clone();
        plan.own(OwnStep::ReserveDisk { vm, project, size, before: Some(size_before) });
    }
    reserve_addresses(&mut plan, vm, claims);
    let added = missing_from(&spec.config.disks, &before.config.disks);
    plan.together("volumes", added.map(|disk| create_volume(vm, disk)));
    if nvram(&before, hypervisor).is_none()
        && let Some(template) = nvram(&spec, hypervisor)
    {
        plan.own(OwnStep::CreateNvram { vm, template });
    }
    let renamed = spec.config.name != before.config.name;
    if let Some(documents) = seed
        && (renamed || spec.config.cloud_init != before.config.cloud_init)
    {
        plan.own(write_seed(&spec, documents, None));
    }
    let seed_is_gone = before.config.cloud_init.is_some() && spec.config.cloud_init.is_none();
    plan.own(OwnStep::SaveSpec { spec: spec.clone(), before: Some(before.clone()) });
    let removed: Vec<&Disk> = missing_from(&before.config.disks, &spec.config.disks).collect();
    if seed_is_gone || !removed.is_empty() {
        plan.no_way_back();
    }
    let remove = |disk: &Disk| OwnStep::RemoveVolume { vm, disk: disk.name.clone() };
    plan.together("removed-volumes", removed.into_iter().map(remove));
    if seed_is_gone {
        plan.own(OwnStep::RemoveSeed { vm });
    }
    plan
}

/// The disks with a volume of their own that the others lack.
pub(crate) fn missing_from<'a>(
    disks: &'a [Disk],
    others: &'a [Disk],
) -> impl Iterator<Item = &'a Disk> {
    let absent = |disk: &&Disk| others.iter().all(|other| other.name != disk.name);
    disks.iter().filter(absent).filter(|disk| needs_volume(disk))
}
