//! Create, and clone, which is a create with copies of another VM's disks.

use crate::steps::{OwnStep, PlanStep};
use innkeeper_model::{
    Spec, VmId,
    config::{Boot, CloudInit, Firmware},
    host::Hypervisor,
};
use std::{path::PathBuf, sync::Arc};

/// Makes a VM's volumes, then stores its spec: the VM is there when all of it is.
pub(crate) fn create(
    spec: Arc<Spec>,
    seed: Option<CloudInit>,
    hypervisor: &Hypervisor,
) -> Vec<PlanStep> {
    let vm = spec.id;
    let volume = |disk: &innkeeper_model::config::Disk| OwnStep::CreateVolume {
        vm,
        disk: Box::new(disk.clone()),
    };
    let mut plan = vec![OwnStep::ClaimVolumes { vm }];
    plan.extend(spec.config.disks.iter().map(volume));
    plan.extend(nvram(&spec, hypervisor).map(|template| OwnStep::CreateNvram { vm, template }));
    plan.extend(seed.map(|documents| write_seed(&spec, documents, None)));
    plan.push(OwnStep::SaveSpec { spec, before: None });
    plan.push(OwnStep::FinishVolumes { vm });
    plan.into_iter().map(PlanStep::Own).collect()
}

/// Copies a stopped VM's volumes, then stores the new one's spec.
pub(crate) fn clone(from: VmId, spec: Arc<Spec>) -> Vec<PlanStep> {
    let vm = spec.id;
    let mut plan = vec![OwnStep::CloneVolumes { from, to: vm }];
    let seed = spec.config.cloud_init.clone();
    plan.extend(seed.map(|documents| write_seed(&spec, documents, Some(from))));
    plan.push(OwnStep::SaveSpec { spec, before: None });
    plan.push(OwnStep::FinishVolumes { vm });
    plan.into_iter().map(PlanStep::Own).collect()
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
