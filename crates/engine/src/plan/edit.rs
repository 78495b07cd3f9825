//! Edit: what a VM is from its next start on.

use super::create::{nvram, write_seed};
use crate::steps::{OwnStep, PlanStep};
use innkeeper_model::{Spec, config::CloudInit, config::Disk, host::Hypervisor};
use std::sync::Arc;

/// Makes the volumes that are new, stores the spec, then removes the volumes that nothing names any
/// more: at no moment does a stored spec name a volume that is not there.
pub(crate) fn edit(
    before: Arc<Spec>,
    spec: Arc<Spec>,
    seed: Option<CloudInit>,
    hypervisor: &Hypervisor,
) -> Vec<PlanStep> {
    let vm = spec.id;
    let added = missing_from(&spec.config.disks, &before.config.disks);
    let removed = missing_from(&before.config.disks, &spec.config.disks);
    let mut plan: Vec<OwnStep> =
        added.map(|disk| OwnStep::CreateVolume { vm, disk: Box::new(disk.clone()) }).collect();
    if nvram(&before, hypervisor).is_none() {
        plan.extend(nvram(&spec, hypervisor).map(|template| OwnStep::CreateNvram { vm, template }));
    }
    if spec.config.cloud_init != before.config.cloud_init || spec.config.name != before.config.name
    {
        plan.extend(seed.map(|documents| write_seed(&spec, documents, None)));
    }
    let seed_is_gone = before.config.cloud_init.is_some() && spec.config.cloud_init.is_none();
    plan.push(OwnStep::SaveSpec { spec: spec.clone(), before: Some(before.clone()) });
    plan.extend(removed.map(|disk| OwnStep::RemoveVolume { vm, disk: disk.name.clone() }));
    if seed_is_gone {
        plan.push(OwnStep::RemoveSeed { vm });
    }
    plan.into_iter().map(PlanStep::Own).collect()
}

fn missing_from<'a>(disks: &'a [Disk], others: &'a [Disk]) -> impl Iterator<Item = &'a Disk> {
    disks.iter().filter(|disk| others.iter().all(|other| other.name != disk.name))
}
