//! Create; and what clone, import and edit have in common with it.

use super::{AfterCrash, Plan};
use crate::{networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_model::{
    ByteSize, Spec, VmId,
    config::{Boot, CloudInit, Disk, Firmware},
    host::Hypervisor,
};
use innkeeper_storage::needs_volume;
use std::{path::PathBuf, sync::Arc};

/// Makes a VM's volumes, then stores its spec: the VM is there when all of it is.
pub(crate) fn create(
    spec: Arc<Spec>,
    seed: Option<CloudInit>,
    disk_size: ByteSize,
    claims: Vec<NicClaim>,
    hypervisor: &Hypervisor,
) -> Plan {
    let vm = spec.id;
    let mut plan = Plan::new(AfterCrash::Back);
    reserve_disk(&mut plan, &spec, disk_size);
    reserve_addresses(&mut plan, vm, claims);
    let nvram = nvram(&spec, hypervisor);
    let has_files = seed.is_some() || nvram.is_some() || spec.config.disks.iter().any(needs_volume);
    if has_files {
        plan.own(OwnStep::ClaimVolumes { vm });
    }
    let volumes = spec.config.disks.iter().filter(|disk| needs_volume(disk));
    plan.together("volumes", volumes.map(|disk| create_volume(vm, disk)));
    if let Some(template) = nvram {
        plan.own(OwnStep::CreateNvram { vm, template });
    }
    if let Some(documents) = seed {
        plan.own(write_seed(&spec, documents, None));
    }
    plan.own(OwnStep::SaveSpec { spec, before: None });
    if has_files {
        plan.no_way_back();
        plan.own(OwnStep::FinishVolumes { vm });
    }
    plan
}

/// Takes room on the disk. Every VM does, since their number can be bounded too.
pub(super) fn reserve_disk(plan: &mut Plan, spec: &Spec, size: ByteSize) {
    let project = spec.config.project.clone();
    plan.own(OwnStep::ReserveDisk { vm: spec.id, project, size, before: None });
}

/// Takes what the NICs need of the host's networks, if anything.
pub(super) fn reserve_addresses(plan: &mut Plan, vm: VmId, claims: Vec<NicClaim>) {
    if !claims.is_empty() {
        plan.own(OwnStep::ReserveAddresses { vm, claims });
    }
}

pub(super) fn create_volume(vm: VmId, disk: &Disk) -> OwnStep {
    OwnStep::CreateVolume { vm, disk: Box::new(disk.clone()) }
}

/// The template of a VM's UEFI variables, if it has any.
pub(super) fn nvram(spec: &Spec, hypervisor: &Hypervisor) -> Option<PathBuf> {
    let uefi = hypervisor.uefi.as_ref()?;
    (spec.config.boot == Boot::Firmware(Firmware::Uefi)).then(|| uefi.variables.clone())
}

pub(super) fn write_seed(spec: &Spec, documents: CloudInit, inherit: Option<VmId>) -> OwnStep {
    OwnStep::WriteSeed {
        vm: spec.id,
        hostname: spec.config.name.clone(),
        documents: Box::new(documents),
        inherit,
    }
}
