//! Import: a create with disks that have arrived from a file.

use super::{
    AfterCrash, Plan,
    create::{nvram, reserve_addresses, reserve_disk},
};
use crate::{networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_model::{ByteSize, Spec, host::Hypervisor};
use std::sync::Arc;

/// Takes the volumes that have arrived under a name, then stores the spec.
pub(crate) fn import(
    from: String,
    spec: Arc<Spec>,
    disk_size: ByteSize,
    claims: Vec<NicClaim>,
    hypervisor: &Hypervisor,
) -> Plan {
    let vm = spec.id;
    let mut plan = Plan::new(AfterCrash::Back);
    reserve_disk(&mut plan, &spec, disk_size);
    reserve_addresses(&mut plan, vm, claims);
    plan.own(OwnStep::BringVolumes { vm, from });
    // Where none came with it; those that are there are kept.
    if let Some(template) = nvram(&spec, hypervisor) {
        plan.own(OwnStep::CreateNvram { vm, template });
    }
    plan.own(OwnStep::SaveSpec { spec, before: None });
    plan.no_way_back();
    plan.own(OwnStep::FinishVolumes { vm });
    plan
}
