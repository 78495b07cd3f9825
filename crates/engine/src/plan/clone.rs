//! Clone: a create with another VM's disks.

use super::{
    AfterCrash, Plan,
    create::{reserve_addresses, reserve_disk, write_seed},
};
use crate::{networks::claims::NicClaim, plan::steps::OwnStep};
use innkeeper_model::{ByteSize, Spec, VmId};
use std::sync::Arc;

/// Copies a stopped VM's volumes, then stores the new one's spec.
pub(crate) fn clone(
    from: VmId,
    spec: Arc<Spec>,
    disk_size: ByteSize,
    claims: Vec<NicClaim>,
) -> Plan {
    let vm = spec.id;
    let mut plan = Plan::new(AfterCrash::Back);
    reserve_disk(&mut plan, &spec, disk_size);
    reserve_addresses(&mut plan, vm, claims);
    plan.own(OwnStep::CloneVolumes { from, to: vm });
    if let Some(seed) = spec.config.cloud_init.clone() {
        plan.own(write_seed(&spec, seed, Some(from)));
    }
    plan.own(OwnStep::SaveSpec { spec, before: None });
    plan.no_way_back();
    plan.own(OwnStep::FinishVolumes { vm });
    plan
}
